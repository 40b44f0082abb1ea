/**
 * A table's files after some of them were joined: what takes their place stands where the first of them stood, so that
 * the rows come in the order in which they came before. Pure.
 *
 * It believes nobody that the rows are the same, as far as the catalog can tell: those that are counted have to add up, in
 * the same partition.
 */
import { basename, isAbsolute } from 'node:path/posix'
import type { FileList } from './file-list.ts'
import type { FilePartition } from './file-partition.ts'
import type { DataFile, Join, Table } from './model.ts'

/**
 * The new list, or why these files can't be joined. Costs what stands before the last of them in their partitions, however
 * many joins there are.
 */
export function joined(
  table: Pick<Table, 'kind' | 'files'>,
  joins: readonly Join[],
): FileList | string {
  // What an external table consists of is the user's, listed or not.
  if (table.kind === 'external') return 'it is external: its files are not ours to join'
  const byPartition = new Map<FilePartition, Join[]>()
  for (const join of joins) {
    const partition = partitionOf(table.files, join)
    if (typeof partition === 'string') return partition
    const others = byPartition.get(partition)
    if (others === undefined) byPartition.set(partition, [join])
    else others.push(join)
  }
  let { files } = table
  for (const [partition, own] of byPartition) {
    const by = placesOf(partition, own)
    if (typeof by === 'string') return by
    files = files.replaced(partition.values, by)
  }
  return files
}

/** The one that a join's files are of, or what is wrong with the join. */
function partitionOf(files: FileList, { replaced, files: made }: Join): FilePartition | string {
  const [first] = replaced
  if (first === undefined) return `nothing is joined into ${made[0]?.path}`
  const users = replaced.find((path) => isAbsolute(path))
  if (users !== undefined) return `file ${users} was brought by a user and is not ours to join`
  const keys = new Set(made.map(({ partition }) => JSON.stringify(partition)))
  if (keys.size > 1) return `files of several partitions can't be joined: ${[...keys].join(', ')}`
  const partition =
    made[0] === undefined ? withFile(files, first) : files.partition(made[0].partition)
  return partition ?? gone(first, made)
}

/** What takes the place of each file, or why it can't. */
function placesOf(
  partition: FilePartition,
  joins: readonly Join[],
): Map<string, readonly DataFile[]> | string {
  const by = new Map<string, readonly DataFile[]>()
  for (const { replaced, files } of joins) {
    for (const path of replaced) {
      if (by.has(path)) return `file ${path} is joined twice`
      by.set(path, files)
    }
  }
  const names = new Set(joins.flatMap(({ files }) => files.map(({ path }) => path)))
  const found = new Map<string, DataFile[]>()
  let twice: string | undefined
  for (const piece of partition.pieces()) {
    // What is joined are neighbours, the first ones first: behind them may be a million others.
    if (found.size === by.size) break
    const paths = piece.paths()
    twice ??= paths.find((path) => names.has(path) && !by.has(path))
    if (!paths.some((path) => by.has(path))) continue
    for (const file of piece) {
      if (by.has(file.path)) found.set(file.path, [...(found.get(file.path) ?? []), file])
    }
  }
  for (const { replaced, files } of joins) {
    const missing = replaced.find((path) => !found.has(path))
    if (missing !== undefined) return gone(missing, files)
    const before = rowsOf(replaced.flatMap((path) => found.get(path) ?? []))
    const after = rowsOf(files)
    if (before !== null && after !== null && before !== after) {
      return `what would take the place of ${before} rows has ${after}`
    }
  }
  return twice === undefined ? by : `file ${twice} is one of its files already`
}

const gone = (path: string, [file]: readonly DataFile[]): string => {
  const { partition = [] } = file ?? {}
  const where = partition.length === 0 ? '' : `, in partition (${partition.join(', ')})`
  return `file ${path} is none of its files any more${where}`
}

/** Where nothing takes their place, nothing says which partition it is. */
function withFile(files: FileList, path: string): FilePartition | null {
  for (const partition of files.partitions()) {
    for (const piece of partition.pieces()) if (piece.paths().includes(path)) return partition
  }
  return null
}

/** Null when nobody has counted all of them. */
export function rowsOf(files: readonly Pick<DataFile, 'rows'>[]): number | null {
  let sum = 0
  for (const { rows } of files) {
    if (rows === null) return null
    sum += rows
  }
  return sum
}

/** From the first dot of its name on, which says how it is compressed. */
export function extensionOf(path: string): string {
  const name = basename(path)
  const dot = name.indexOf('.')
  return dot < 0 ? '' : name.slice(dot)
}
