/**
 * Joining a table's small files, as a task for a worker and as the change that its end is: OPTIMIZE TABLE, and what the
 * active master does by itself (compactor.ts). It is a change like any other one, with an outcome under its query's id, and
 * gives way to all others: where they have replaced what a group was made of, that group is left out.
 */
import { join } from 'node:path/posix'
import { inSlices } from '../../../base/slices.ts'
import type {
  Change,
  DataFile,
  FileList,
  FilePartition,
  Join,
  Table,
} from '../../../catalog/index.ts'
import { absolutePath, CatalogError, rowsOf } from '../../../catalog/index.ts'
import type { Compaction, Task, WriteTarget } from '../../../contract/index.ts'
import type { WholeManifest } from '../run/manifests.ts'
import { allColumns } from '../statements/names.ts'
import { attemptName } from '../statements/write-plan.ts'
import { groupsOf, type JoinPlan, type JoinRules, JoinTask } from './join-planner.ts'

export interface CompactionOptions {
  readonly enabled: boolean
  /** A partition is left alone while it has fewer files to join (join-planner.ts). */
  readonly minInputFiles: number
  /** A file below this length is small. */
  readonly minFileBytes: number
  /** A joined file is about so long. */
  readonly targetFileBytes: number
  /** Tables that are worked on at a time. */
  readonly maxConcurrent: number
  /** How often tables are looked through. */
  readonly checkMs: number
  /** What was joined into another file is kept so long at least, while there is not too much of it; 0: not at all. */
  readonly retentionMs: number
}

/** More are kept for less long: each is in the catalog, which has to be read at each take-over. */
const KEPT_IN_FULL = 10_000

/**
 * How long what is joined now is kept, in ms: less in proportion where more is left over already, so that a table that gets
 * ten files a second doesn't fill the catalog with those it had yesterday. `litterCount`: as of now.
 */
export const keepMsOf = ({ retentionMs }: CompactionOptions, litterCount: number): number =>
  Math.round(retentionMs * Math.min(1, KEPT_IN_FULL / Math.max(1, litterCount)))

/** This part of the target: 512 files that cost little to be written anew make one of 128 MB. */
const CHEAP_SHARE = 512

/** In one task, so that its messages stay short; OPTIMIZE TABLE says how many were left. */
const MOST_FILES = 10_000
const MOST_FILES_BEHIND = 2000
/** A task that nobody asked for is short: what it has done is lost when a query needs its slot. */
const TARGETS_BEHIND = 4

export const rulesByHand = (options: CompactionOptions): JoinRules => ({
  minFiles: 2,
  smallBytes: options.minFileBytes,
  targetBytes: options.targetFileBytes,
  sparing: false,
  cheapBytes: options.targetFileBytes / CHEAP_SHARE,
  mostFiles: MOST_FILES,
  mostBytes: Number.POSITIVE_INFINITY,
})

/** One that keeps its slot while queries wait takes about as long as one of them. */
const MOST_FILES_IN_TURN = 1000

export const rulesInTurn = (options: CompactionOptions): JoinRules => ({
  ...rulesBehind(options),
  mostFiles: MOST_FILES_IN_TURN,
  mostBytes: options.targetFileBytes,
})

export const rulesBehind = (options: CompactionOptions): JoinRules => ({
  ...rulesByHand(options),
  minFiles: options.minInputFiles,
  sparing: true,
  mostFiles: MOST_FILES_BEHIND,
  mostBytes: TARGETS_BEHIND * options.targetFileBytes,
})

/**
 * It works in slices of the event loop's time. `settled`: partitions in which there was nothing to join; one that is
 * changed is another value.
 */
export async function planJoins(
  files: FileList,
  rules: JoinRules,
  settled = new WeakSet<FilePartition>(),
): Promise<JoinPlan> {
  const task = new JoinTask(rules)
  await inSlices(stepsOf(files, rules, settled), (groups) => {
    if (groups !== null) task.take(groups)
  })
  task.end(files.length)
  return task
}

function* stepsOf(files: FileList, rules: JoinRules, settled: WeakSet<FilePartition>) {
  for (const partition of files.partitions()) {
    yield null
    if (partition.length < 2 || settled.has(partition)) continue
    const groups: (readonly DataFile[])[] = []
    for (const group of groupsOf(partition, rules)) {
      if (group === null) yield null
      else groups.push(group)
    }
    if (groups.length === 0) settled.add(partition)
    else yield groups
  }
}

/** It says which query, which attempt, under which term, to be told from others in the directory's name. */
type AttemptOf = Parameters<typeof attemptName>[0]

/** What `Task` needs of it. */
export function compactionOf(
  table: Table,
  { groups, left }: JoinPlan,
  how: AttemptOf & Pick<Compaction, 'keepMs' | 'background' | 'inTurn'>,
): { write: WriteTarget; compaction: Compaction } {
  const { keepMs, background, inTurn } = how
  const { files: _files, ...rest } = table
  const head = {
    ...rest,
    options: { ...table.options },
    columns: copiesOf(table.columns),
    partitionColumns: copiesOf(table.partitionColumns),
  }
  return {
    write: {
      tableId: table.id,
      schemaVersion: table.schemaVersion,
      mode: 'append',
      directory: join(table.location, attemptName(how)),
      base: table.location,
      format: table.format,
      options: { ...table.options },
      columns: copiesOf(allColumns(table)),
      into: null,
      partitionBy: copiesOf(table.partitionColumns),
    },
    compaction: {
      table: head,
      groups: groups.map((files) => ({
        files: files.map((file) => ({ ...file, partition: [...file.partition] })),
      })),
      keepMs,
      left,
      background,
      inTurn,
    },
  }
}

const copiesOf = <T extends object>(list: readonly T[]): T[] => list.map((one) => ({ ...one }))

interface Compacted {
  readonly changes: Change[]
  readonly message: string
}

/**
 * The groups whose files are all the table's still. Throws CatalogError where none is left, or what the worker tells is not
 * what it was given.
 */
export function compactedOf(
  table: Table,
  { write, compaction }: Pick<Task, 'write' | 'compaction'>,
  manifest: WholeManifest,
): Compacted {
  if (write === null || compaction === undefined) throw new Error('a compaction without a target')
  const made = madeOf(compaction, manifest)
  const wanted = new Set(compaction.groups.flatMap(({ files }) => files.map(({ path }) => path)))
  const still = stillOf(table.files, compaction, wanted)
  const joins: Join[] = []
  const litter: string[] = []
  for (const join of made) {
    if (join.replaced.every((path) => still.has(path))) joins.push(join)
    else litter.push(...join.files.map(({ path }) => absolutePath(table, path)))
  }
  if (joins.length === 0) {
    throw new CatalogError('CONFLICT', 'its files were replaced by others while they were joined')
  }
  const { tableId, schemaVersion } = write
  if (tableId === null) throw new Error('a compaction of no table')
  const { keepMs, left } = compaction
  const changes: Change[] = [{ do: 'compact', tableId, schemaVersion, joins, keepMs }]
  if (litter.length > 0) changes.push({ do: 'add-litter', paths: litter })
  const before = joins.reduce((sum, { replaced }) => sum + replaced.length, 0)
  const after = joins.reduce((sum, { files }) => sum + files.length, 0)
  const rest = [
    wanted.size > before ? `; ${wanted.size - before} were replaced by others meanwhile` : '',
    left > 0 ? `; ${left} more are left: run it again` : '',
  ]
  return { changes, message: `OPTIMIZE ${before} files into ${after}${rest.join('')}` }
}

/** What of these is there, in the partitions that they were in. */
function stillOf(files: FileList, { groups }: Compaction, wanted: ReadonlySet<string>) {
  const values = groups.map(({ files: [first] }) => first?.partition ?? [])
  const partitions = new Set(values.map((one) => files.partition(one)))
  const still = new Set<string>()
  for (const partition of partitions) {
    for (const piece of partition?.pieces() ?? []) {
      if (still.size === wanted.size) break
      for (const path of piece.paths()) if (wanted.has(path)) still.add(path)
    }
  }
  return still
}

/** Each group with what it has become. */
function madeOf({ groups }: Compaction, { files, groups: numbers = [] }: WholeManifest): Join[] {
  const made = groups.map(({ files: replaced }): Join & { files: DataFile[] } => ({
    replaced: replaced.map(({ path }) => path),
    files: [],
  }))
  let at = 0
  for (const file of files) {
    const join = made[numbers[at] ?? -1]
    at += 1
    if (join === undefined) throw new CatalogError('CONFLICT', `file ${file.path} is of no group`)
    join.files.push(file)
  }
  for (const [i, { files: now, replaced }] of made.entries()) {
    // Nothing is joined into nothing, unless nothing was in it.
    if (now.length === 0 && rowsOf(groups[i]?.files ?? []) !== 0) {
      throw new CatalogError('CONFLICT', `the worker has not told what ${replaced[0]} became`)
    }
  }
  return made
}
