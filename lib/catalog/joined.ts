/**
 * A table's files after some of them were joined: what takes their place stands where the first of them stood, so that
 * the rows come in the order in which they came before. Pure.
 *
 * It believes nobody that the rows are the same, as far as the catalog can tell: those that are counted have to add up, in
 * the same partition.
 */
import { basename, isAbsolute } from 'node:path/posix'
import type { FileList, FilePartition } from './file-list.ts'
import type { DataFile, Join, Table } from './model.ts'

/** The new list, or why these files can't be joined. Costs what the partitions of the joins hold. */
export function joined(
  table: Pick<Table, 'kind' | 'files'>,
  joins: readonly Join[],
): FileList | string {
  // What an external table consists of is the user's, listed or not.
  if (table.kind === 'external') return 'it is external: its files are not ours to join'
  const seen = new Set<string>()
  let { files } = table
  for (const join of joins) {
    for (const path of join.replaced) {
      if (isAbsolute(path)) return `file ${path} was brought by a user and is not ours to join`
      if (seen.has(path)) return `file ${path} is joined twice`
      seen.add(path)
    }
    const now = withJoin(files, join)
    if (typeof now === 'string') return now
    files = now
  }
  return files
}

function withJoin(files: FileList, { replaced, files: made }: Join): FileList | string {
  const [first] = replaced
  if (first === undefined) return `nothing is joined into ${made[0]?.path}`
  const keys = new Set(made.map(({ partition }) => JSON.stringify(partition)))
  if (keys.size > 1) return `files of several partitions can't be joined: ${[...keys].join(', ')}`
  const partition =
    made[0] === undefined ? withFile(files, first) : files.partition(made[0].partition)
  const wanted = new Set(replaced)
  const all = [...(partition ?? [])]
  const found = all.filter(({ path }) => wanted.has(path))
  const there = new Set(found.map(({ path }) => path))
  const gone = replaced.find((path) => !there.has(path))
  if (gone !== undefined) return `file ${gone} is none of its files any more${where(made)}`
  const names = new Set(made.map(({ path }) => path))
  const twice = all.find(({ path }) => names.has(path) && !wanted.has(path))
  if (twice !== undefined) return `file ${twice.path} is one of its files already`
  const before = rowsOf(found)
  const after = rowsOf(made)
  if (before !== null && after !== null && before !== after) {
    return `what would take the place of ${before} rows has ${after}`
  }
  return files.replaced(partition?.values ?? [], wanted, made)
}

const where = ([file]: readonly DataFile[]): string =>
  file === undefined || file.partition.length === 0
    ? ''
    : `, in partition (${file.partition.join(', ')})`

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
