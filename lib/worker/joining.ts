/**
 * Joins a table's small files: each group of them becomes one file in the attempt's own directory, with the rows that a
 * query sees in them, in the same order. Nothing is replaced here: the master's transaction does that, or the directory is
 * litter.
 *
 * Lines of TEXT and JSON are copied as they stand, compressed or not, so nothing can come out otherwise than it went in,
 * and options of reading that are set back mean again what they meant. Only Parquet, and TEXT whose files each begin with a
 * header, go through the engine and back, by the ways that INSERT has.
 *
 * It trusts its own work as little as that of others: where the catalog knows how many rows there were, as many have to be
 * written. And it takes no room that others need: below twice what it writes, or a fiftieth of the file system, nothing is
 * begun.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { DataFile, Table } from '../catalog/index.ts'
import { extensionOf, FileList, rowsOf } from '../catalog/index.ts'
import type { Compaction, Manifest, WriteTarget } from '../contract/index.ts'
import { makeDirs } from '../ha/index.ts'
import { textFormat } from '../sql/index.ts'
import { copyText } from './copy-text.ts'
import { type FoundFile, filesOf, tableName } from './data-files.ts'
import type { QueryEngine } from './query-engine.ts'
import { QueryFault } from './query-error.ts'
import { realPathOf } from './roots.ts'
import { inDirectory, makeDurable, requireThere, runCopy, type StagingInput } from './staging.ts'
import { hiveDirectory, viewBody } from './table-view.ts'
import type { TypeNames } from './write-plan.ts'

export interface JoiningInput extends Pick<StagingInput, 'roots'> {
  /** Not yet open. */
  readonly engine: QueryEngine
  readonly target: WriteTarget
  readonly compaction: Compaction
  readonly types: TypeNames
  readonly way: NonNullable<StagingInput['way']>
  /** Aborts when nobody wants it any more. */
  readonly signal: AbortSignal
  /** Rows that are written so far. */
  readonly onRows: (rows: number) => void
}

/** Rejects with QueryFault or EngineError; nothing is left of it then. */
export async function joinFiles(input: JoiningInput): Promise<Manifest> {
  const { target, compaction, roots, way, signal, onRows } = input
  const directory = await realPathOf(target.directory)
  const base = await realPathOf(target.base)
  roots.require(directory, target.directory)
  await requireSpace(base, compaction)
  const table: Table = { ...compaction.table, files: FileList.EMPTY, partitionColumns: [] }
  // No statement of a user's runs in it.
  input.engine.open({ files: [], directories: [base, directory] })
  return inDirectory({ directory, roots, way }, async (parents) => {
    const files: Manifest['files'] = []
    const groups: number[] = []
    let rows = 0
    for (const [number, group] of compaction.groups.entries()) {
      if (signal.aborted) throw new QueryFault('killed', 'it was stopped')
      const partition = group.files[0]?.partition ?? []
      const below = placeOf(compaction.table, partition)
      if (below !== '') await makeDirs(join(directory, below), 0o777, directory)
      const path = join(directory, below, `part-${number}`)
      const made = await joinGroup(input, { table, group: group.files, path })
      rows += made.rows
      onRows(rows)
      files.push({ ...made, path: relative(base, made.path), partition: [...partition] })
      groups.push(number)
    }
    await makeDurable(directory, parents)
    await requireThere(base, files)
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    const { columns, partitionColumns } = compaction.table
    return { reads: [], columns, partitionColumns, files, groups, rows, bytes }
  })
}

/** Below the attempt's directory, where Hive's readers look for a partition; such names tell what others can't. */
function placeOf({ partitionColumns }: Compaction['table'], partition: DataFile['partition']) {
  const names = partitionColumns.map(({ name }, i) => hiveDirectory(name, partition[i] ?? null))
  const plain = names.every((name) => name !== null && Buffer.byteLength(name) <= 255)
  return plain ? join('', ...names.map(String)).replace(/^\.$/, '') : 'other'
}

interface Made {
  /** Absolute. */
  readonly path: string
  readonly rows: number
  readonly bytes: number
}

/** `path`: of the new file, without its extension. */
async function joinGroup(
  input: JoiningInput,
  { table, group, path }: { table: Table; group: readonly DataFile[]; path: string },
): Promise<Made> {
  // Of one partition: its values are the catalog's business.
  const plain = group.map((file) => ({ ...file, partition: [] }))
  const { files: found } = await filesOf({ ...table, files: FileList.of(plain) }, input.roots)
  const isLines = table.format !== 'PARQUET' && textFormat(table.options).headerLines === 0
  const join = isLines ? appended : rewritten
  const made = await join(input, { table, group, found, path })
  const before = rowsOf(group)
  if (before !== null && before !== made.rows) {
    throw new QueryFault(
      'internal',
      `${before} rows are in ${group.length} files of ${tableName(table)} beginning with ${group[0]?.path}, and ${made.rows} were read: nothing was changed`,
    )
  }
  return { ...made, bytes: (await stat(made.path)).size }
}

type Way = (
  input: JoiningInput,
  what: {
    table: Table
    group: readonly DataFile[]
    /** Where each of the group is. */
    found: readonly FoundFile[]
    path: string
  },
) => Promise<Pick<Made, 'path' | 'rows'>>

/** Compressed files that follow each other are one, for gzip and for zstd; all have one extension (join-planner.ts). */
const appended: Way = async ({ engine, types, signal }, { table, group, found, path }) => {
  const made = `${path}${extensionOf(found[0]?.path ?? '')}`
  const pieces = found.map((one, at) => ({ path: one.path, bytes: group[at]?.bytes ?? 0 }))
  await pipeline(contentOf(pieces), createWriteStream(made, { flags: 'wx' }), { signal })
  const { toDuckDb } = types
  const files = [{ path: made, partition: [], own: true }]
  const rows = await engine.rows(
    `SELECT count(*) FROM (${viewBody({ table, files, foreign: null, toDuckDb })})`,
  )
  return { path: made, rows: Number(rows[0]?.[0]) }
}

/** So many files up to this length are read ahead: on a busy host each call of a small one waits for longer than it takes. */
const AHEAD = 16
const AHEAD_BYTES = 64 * 1024

async function* contentOf(
  files: readonly { readonly path: string; readonly bytes: number }[],
): AsyncGenerator<Buffer> {
  const ahead: (Promise<Buffer> | null)[] = []
  for (const [at, { path }] of files.entries()) {
    for (const { path: next, bytes } of files.slice(at + ahead.length, at + AHEAD)) {
      const read = bytes > AHEAD_BYTES ? null : readFile(next)
      // Told when its turn comes, unless that never comes.
      read?.catch(() => undefined)
      ahead.push(read)
    }
    const read = ahead.shift() ?? null
    if (read === null) yield* createReadStream(path)
    else yield await read
  }
}

const rewritten: Way = async ({ engine, types, target }, { table, found, path }) => {
  const { toDuckDb } = types
  const copy = copyText({
    target,
    plan: {
      columns: table.columns.map((column, source) => ({ ...column, source })),
      partitionColumns: [],
    },
    query: viewBody({ table, files: found, foreign: null, toDuckDb }),
    width: table.columns.length,
    path,
    types,
  })
  const [rows] = await runCopy(engine, copy)
  return { path: `${path}.${copy.extension}`, rows }
}

const LOW_SHARE = 0.02

async function requireSpace(base: string, { groups, table }: Compaction): Promise<void> {
  const bytes = groups.reduce((sum, { files }) => sum + files.reduce((s, f) => s + f.bytes, 0), 0)
  const { bavail, blocks, bsize } = await statfs(base).catch(async (error: unknown) => {
    // Of a table whose directory is gone the files tell better what is wrong.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return statfs(dirname(base))
  })
  const free = bavail * bsize
  const need = Math.max(2 * bytes, blocks * bsize * LOW_SHARE)
  if (free >= need) return
  const text = `the file system of ${base} has ${free} bytes left, and joining files of ${tableName(table)} needs ${Math.ceil(need)} free: nothing was changed`
  throw new QueryFault('refused', text)
}
