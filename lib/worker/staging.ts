/**
 * Writes a query's result into the attempt's own directory, and tells what is there.
 *
 * The directory is the files' final place; nothing refers to it before the master's transaction, and it is named for the
 * query and the attempt, so nobody else writes there. When this resolves, files and directories are durable, and each file
 * was found under its name after that. When it
 * rejects, or the process dies, what was written is litter: it is removed here, or by the master's sweeper.
 */
import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { messageOf } from '../base/failures.ts'
import { whyNotThere } from '../base/there.ts'
import type { Manifest, WriteTarget } from '../contract/index.ts'
import { makeDirs } from '../ha/index.ts'
import type { EngineText } from '../sql/index.ts'
import { copyText, tokenName, tokenValue } from './copy-text.ts'
import { EngineError } from './duckdb-errors.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import type { QueryEngine } from './query-engine.ts'
import { placeIn, QueryFault, shiftedBack } from './query-error.ts'
import { type Roots, realPathOf, within } from './roots.ts'
import { hiveDirectory } from './table-view.ts'
import { type TypeNames, type WritePlan, writePlan } from './write-plan.ts'

export interface StagingInput {
  /** Its scope is entered already. */
  readonly engine: QueryEngine
  readonly query: EngineText
  readonly target: WriteTarget
  readonly roots: Roots
  readonly types: TypeNames
  /**
   * Asked right before anything is made: by which way the directories below a root are made, so that none is where its mount
   * has just gone. Null: by their own path. Rejects where they are not the cluster's.
   */
  readonly way?: (directory: string) => Promise<Way | null>
}

/** Another name of a root, that is gone with its mount. */
export interface Way {
  readonly root: string
  readonly by: string
}

/** What stands there now. */
export type Staged = Omit<Manifest, 'reads'>

/** Rejects with QueryFault or EngineError. */
export async function stage(input: StagingInput): Promise<Staged> {
  const { engine, query, target, types, way = async () => null } = input
  const roots = await within(input.roots, target.confined)
  const source = await engine.describe(query.text)
  const plan = writePlan(target, source, types, query.placeOf(0))
  const directory = await realPathOf(target.directory)
  const base = await realPathOf(target.base)
  roots.require(directory, target.directory)
  const copy = copyText({
    target,
    plan,
    query: query.text,
    width: source.length,
    path: plan.partitionColumns.length === 0 ? join(directory, 'part-0') : directory,
    types,
  })
  return inDirectory({ directory, roots, way }, async (made) => {
    const [rows, counts] = await runCopy(engine, copy).catch((error: unknown) => {
      throw asQuerys(error, source, query)
    })
    const written = await arranged(directory, plan)
    const files = await kept(written, { base, rows, counts })
    if (files.length === 0) await rm(directory, { recursive: true })
    // An empty result takes a location's place like any other.
    if (files.length === 0 && directory === base) await mkdir(directory, 0o777)
    if (files.length > 0 || directory === base) await makeDurable(directory, made)
    await requireThere(base, files)
    return {
      columns: plan.columns.map(({ name, type }) => ({ name, type })),
      partitionColumns: plan.partitionColumns.map(({ name, type }) => ({ name, type })),
      files,
      rows,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  })
}

/** Makes it, with what is missing above it, and takes it away with all that is in it when the work fails. */
export async function inDirectory<T>(
  { directory, roots, way }: Required<Pick<StagingInput, 'roots' | 'way'>> & { directory: string },
  work: (parents: readonly string[]) => Promise<T>,
): Promise<T> {
  const place = await placeToMake(directory, roots, await way(directory))
  const parents = await makeDirectories(directory, place)
  try {
    return await work(parents)
  } catch (error) {
    await rm(directory, { recursive: true, force: true }).catch((why: unknown) => {
      const text = `${messageOf(error)}; and ${directory} could not be removed: ${messageOf(why)}`
      throw new QueryFault('user', text, null, error)
    })
    throw error
  }
}

/**
 * A value that does not fit is told with the query's own name of its column. What has its place in what stands around
 * the query has it at its first word.
 */
function asQuerys(error: unknown, source: readonly EngineColumn[], query: EngineText): unknown {
  if (!(error instanceof EngineError)) return error
  const message = error.message.replace(
    / when casting from source column c(\d+)$/,
    (all, number) => {
      const name = source[Number(number)]?.name
      return name === undefined ? all : `, in the query's column ${name}`
    },
  )
  const nowhere = error.code === 'statement' && placeIn(query, error.position) === null
  return new EngineError(error.code, message, nowhere ? 0 : error.position, error)
}

/** All rows, and those of each file where DuckDB tells them. */
export async function runCopy(
  engine: QueryEngine,
  { sql, queryAt, tellsFiles }: ReturnType<typeof copyText>,
): Promise<[number, Map<string, number>]> {
  const answer = await engine.rows(sql).catch((error: unknown) => {
    throw shiftedBack(error, queryAt)
  })
  if (!tellsFiles) return [Number(answer[0]?.[0] ?? 0), new Map()]
  const counts = new Map(answer.map(([path, count]) => [String(path), Number(count)]))
  return [[...counts.values()].reduce((sum, one) => sum + one, 0), counts]
}

/** Where a directory is made, and above which nothing is. */
interface PlaceToMake {
  readonly path: string
  readonly root: string
}

/** A root itself is never made: where it is missing, or its way, its mount is gone. */
async function placeToMake(directory: string, roots: Roots, way: Way | null): Promise<PlaceToMake> {
  if (way !== null) {
    const inside = relative(await realPathOf(way.root), directory)
    if (inside !== '' && !inside.startsWith('..')) {
      return { path: `${way.by}/${inside}`, root: way.by }
    }
  }
  return { path: directory, root: roots.around(directory) }
}

/** Makes it and what is missing above it, up to its root; answers the directories that have got a new entry. */
async function makeDirectories(directory: string, { path, root }: PlaceToMake): Promise<string[]> {
  const parents: string[] = []
  const missing: string[] = []
  for (let at = path; ; at = dirname(at)) {
    try {
      await mkdir(at, 0o777)
      parents.push(dirname(at))
      if (missing.length === 0) return parents
      break
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // It is named for this attempt alone: whoever made it may still be writing there.
      if (code === 'EEXIST' && at === path) {
        throw new QueryFault('internal', `${directory} exists already`, null, error)
      }
      if (code === 'EEXIST') break
      if (code !== 'ENOENT') throw error
      if (dirname(at) === root) {
        const text = `nothing can be made in ${root}: is it mounted on this worker's host?`
        throw new QueryFault('internal', text, null, error)
      }
      missing.push(at)
    }
  }
  for (const at of missing.reverse()) {
    await mkdir(at, 0o777).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || at === path) throw error
    })
    parents.push(dirname(at))
  }
  return parents
}

interface Written {
  /** Absolute, where it stands now. */
  readonly path: string
  /** Where DuckDB wrote it. */
  readonly wasAt: string
  readonly partition: readonly (string | null)[]
}

/** Gives partitions' directories the names that Hive's readers know. */
async function arranged(directory: string, plan: WritePlan): Promise<Written[]> {
  const depth = plan.partitionColumns.length
  const leaves: { path: string; values: (string | null)[] }[] = [{ path: directory, values: [] }]
  for (let level = 0; level < depth; level++) {
    const begin = `${tokenName(plan, level)}=`
    for (const { path, values } of leaves.splice(0)) {
      for (const name of (await readdir(path)).sort()) {
        const value = tokenValue(name.slice(begin.length))
        leaves.push({ path: join(path, name), values: [...values, value] })
      }
    }
  }
  const written: Written[] = []
  for (const leaf of leaves) {
    const names = await readdir(leaf.path)
    const to = depth === 0 ? leaf.path : await moved(directory, leaf, plan)
    for (const name of names.sort()) {
      const [path, wasAt] = [join(to, name), join(leaf.path, name)]
      written.push({ path, wasAt, partition: leaf.values })
    }
  }
  if (depth > 0) await removeTokens(directory, tokenName(plan, 0))
  return written
}

async function moved(
  directory: string,
  leaf: { path: string; values: (string | null)[] },
  { partitionColumns }: WritePlan,
): Promise<string> {
  const names = leaf.values.map((value, i) => hiveDirectory(partitionColumns[i]?.name ?? '', value))
  // Too long for a directory's name, or the same as for NULL: then it keeps the one that tells it exactly.
  const plain = names.every((name) => name !== null && Buffer.byteLength(name) <= 255)
  const to = plain
    ? join(directory, ...names.map(String))
    : join(directory, 'other', relative(directory, leaf.path))
  const parent = dirname(to)
  if (parent !== directory) await makeDirs(parent, 0o777, directory)
  await rename(leaf.path, to)
  return to
}

/** What is left of the directories by token is empty. */
async function removeTokens(directory: string, name: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.name.startsWith(`${name}=`)) await removeEmpty(join(directory, entry.name))
  }
}

async function removeEmpty(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await removeEmpty(join(directory, name))
  await rmdir(directory)
}

/** The manifest's files; one without rows is no part of a table. */
async function kept(
  written: readonly Written[],
  facts: { base: string; rows: number; counts: ReadonlyMap<string, number> },
): Promise<Manifest['files']> {
  if (facts.rows === 0) return []
  const files: Manifest['files'] = []
  for (const { path, wasAt, partition } of written) {
    const counted = written.length === 1 ? facts.rows : facts.counts.get(wasAt)
    const { size } = await stat(path)
    files.push({
      path: relative(facts.base, path),
      rows: counted ?? null,
      bytes: size,
      partition: [...partition],
    })
  }
  return files
}

/** Files first, then directories from below, then those above that have got a new entry. */
export async function makeDurable(directory: string, parents: readonly string[]): Promise<void> {
  await syncTree(directory)
  for (const parent of parents) await sync(parent)
}

export async function requireThere(base: string, files: Manifest['files']): Promise<void> {
  for (const { path, bytes } of files) {
    const why = await whyNotThere(join(base, path), bytes)
    if (why !== null) throw new QueryFault('internal', why)
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    await (entry.isDirectory() ? syncTree(path) : sync(path))
  }
  await sync(directory)
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
