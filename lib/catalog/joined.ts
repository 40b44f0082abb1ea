/**
 * A table's files after some of them were joined: what takes their place stands where the first of them stood, so that
 * the rows come in the order in which they came before. Pure.
 *
 * It believes nobody that the rows are the same, as far as the catalog can tell: those that are counted have to add up, in
 * the same partition.
 */
import { isAbsolute } from 'node:path/posix'
import type { DataFile, Join, Table } from './model.ts'

/** The new list, or why these files can't be joined. */
export function joined(
  table: Pick<Table, 'kind' | 'files'>,
  joins: readonly Join[],
): DataFile[] | string {
  // What an external table consists of is the user's, listed or not.
  if (table.kind === 'external') return 'it is external: its files are not ours to join'
  const joinOf = new Map<string, Join>()
  for (const join of joins) {
    for (const path of join.replaced) {
      if (isAbsolute(path)) return `file ${path} was brought by a user and is not ours to join`
      if (joinOf.has(path)) return `file ${path} is joined twice`
      joinOf.set(path, join)
    }
  }
  const made = new Set(joins.flatMap(({ files }) => files.map(({ path }) => path)))
  const found = new Map<Join, DataFile[]>()
  const files: DataFile[] = []
  let there: string | null = null
  for (const file of table.files) {
    const join = joinOf.get(file.path)
    if (join === undefined) {
      if (made.has(file.path)) there = file.path
      files.push(file)
      continue
    }
    const others = found.get(join)
    if (others === undefined) {
      found.set(join, [file])
      for (const one of join.files) files.push(one)
    } else others.push(file)
  }
  for (const join of joins) {
    const why = whyNotTheSame(found.get(join) ?? [], join)
    if (why !== null) return why
  }
  return there === null ? files : `file ${there} is one of its files already`
}

function whyNotTheSame(found: readonly DataFile[], { replaced, files }: Join): string | null {
  if (replaced.length === 0) return `nothing is joined into ${files[0]?.path}`
  const there = new Set(found.map(({ path }) => path))
  const gone = replaced.find((path) => !there.has(path))
  if (gone !== undefined) return `file ${gone} is none of its files any more`
  const keys = new Set([...found, ...files].map(({ partition }) => JSON.stringify(partition)))
  if (keys.size > 1) return `files of several partitions can't be joined: ${[...keys].join(', ')}`
  const before = rowsOf(found)
  const after = rowsOf(files)
  if (before === null || after === null || before === after) return null
  return `what would take the place of ${before} rows has ${after}`
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
