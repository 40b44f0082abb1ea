/**
 * A term of the shared catalog as the versions before references left it: each part begins with a snapshot of everything, and
 * its journal, in one file or in one for each group, holds the changes since.
 */

import type { Transaction } from '../../lib/catalog/model.ts'
import { encodeRecord } from '../../lib/catalog/shared/records.ts'
import { segmentFile } from '../../lib/catalog/shared/term-names.ts'
import type { CatalogState } from '../../lib/catalog/state.ts'
import type { MemDirectory } from './mem-files.ts'

export interface OldTerm {
  readonly term: number
  readonly part?: number
  /** 1: the journal is one file. 2: a file for each group. */
  readonly format?: 1 | 2
  /** What it began with. */
  readonly state: CatalogState
  /** The number of the last change in that. */
  readonly seq?: number
  readonly groups: readonly (readonly Transaction[])[]
  /** Left out by the first versions. */
  readonly mark?: boolean
}

const number10 = (number: number): string => String(number).padStart(10, '0')

/** By path below the catalog's directory. */
export function oldFiles(old: OldTerm): Map<string, Buffer> {
  const { term, part = 1, format = 1, state, seq = 0, groups, mark = true } = old
  const at = `epoch-${number10(term)}`
  const { nextTableId, tables, ...lists } = state.toData()
  const records: object[] = [
    ...Object.entries(lists).flatMap(([list, rows = []]) =>
      rows.length > 0 ? [{ [list]: rows }] : [],
    ),
    ...tables.map((table) => ({ tables: [table] })),
  ]
  const head = { snapshot: format, term, part, seq, nextTableId, at: '2026-01-02T03:04:05.678Z' }
  const snapshot = [head, ...records, { end: records.length }].map(encodeRecord)
  const files = new Map([[`${at}/snapshot-${number10(part)}`, Buffer.concat(snapshot)]])
  const first = encodeRecord({ journal: 1, term, part })
  let next = seq + 1
  const encoded = groups.map((transactions) => {
    const record = encodeRecord({ seq: next, transactions })
    next += transactions.length
    return record
  })
  const journal = `${at}/journal-${number10(part)}`
  files.set(journal, format === 2 ? Buffer.alloc(0) : Buffer.concat([first, ...encoded]))
  for (const [index, group] of format === 2 ? encoded.entries() : []) {
    const bytes = Buffer.concat([first, group])
    files.set(`${at}/${segmentFile(part, index + 1, bytes.length)}`, bytes)
  }
  if (mark) files.set(`begun-${number10(term)}-${number10(part)}`, Buffer.alloc(0))
  return files
}

export function putOld(disk: MemDirectory, directory: string, old: OldTerm): void {
  for (let at = directory; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) disk.dirs.add(at)
  disk.dirs.add(`${directory}/epoch-${number10(old.term)}`)
  for (const [name, bytes] of oldFiles(old)) {
    disk.files.set(`${directory}/${name}`, bytes)
    disk.ids.set(`${directory}/${name}`, 1 + Math.max(0, ...disk.ids.values()))
  }
}
