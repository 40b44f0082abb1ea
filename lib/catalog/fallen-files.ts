/**
 * Which files of a table nobody needs any more, once others have taken their place: they are litter, to be removed later. What
 * a user brought (ADD PARTITION … LOCATION) is never ours to remove, and what is among the new files stays. Pure, in steps: a
 * table may have millions of them.
 */
import { isAbsolute } from 'node:path'
import type { FileList } from './file-list.ts'
import type { FilePartition } from './file-partition.ts'
import type { Table } from './model.ts'
import { OWN_PREFIX } from './own-prefix.ts'
import { absolutePath } from './state.ts'

/** Absolute paths, some or none in each step: the files of those partitions. */
export function* fallenOf(
  table: Table,
  partitions: readonly FilePartition[],
  added: FileList,
): Generator<readonly string[]> {
  const still = new Set<string>()
  for (const piece of added.pieces()) {
    for (const path of piece.paths()) still.add(absolutePath(table, path))
    yield []
  }
  for (const partition of partitions) {
    for (const piece of partition.pieces()) {
      const own = piece.paths().filter((path) => !isAbsolute(path))
      const fallen = own.map((path) => absolutePath(table, path))
      yield fallen.filter((path) => !still.has(path))
    }
  }
}

/** The same of all its files: the directories that queries have made, where no new file is in them: there are far more files. */
export function* fallenOfAll(table: Table, added: FileList): Generator<readonly string[]> {
  const still = new Set<string>()
  for (const piece of added.pieces()) {
    for (const path of piece.paths()) still.add(path).add(topOf(path))
    yield []
  }
  const fallen = new Set<string>()
  for (const piece of table.files.pieces()) {
    for (const path of piece.paths()) {
      if (isAbsolute(path)) continue
      const top = topOf(path)
      const isOwn = top.startsWith(OWN_PREFIX) && !still.has(top)
      if (isOwn) fallen.add(top)
      else if (!still.has(path)) fallen.add(path)
    }
    yield []
  }
  for (const path of fallen) yield [absolutePath(table, path)]
}

/** The first name of a path; all of one that leads upwards. Asked of millions. */
function topOf(path: string): string {
  const end = path.indexOf('/')
  return end < 0 || path.includes('..') ? path : path.slice(0, end)
}
