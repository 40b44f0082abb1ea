/**
 * The files of the tables that a query reads, page by page: a table may have millions, and no answer holds all of them. The
 * pages of one query all show one moment: what they are taken from is held here meanwhile, and a state of the catalog never
 * changes, so nothing is copied. Of files whose partition a query can't need, not one is looked at.
 *
 * Who doesn't come back for the next page within a minute has to begin anew, and so has one whose page got lost.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../base/clock.ts'
import { Slices } from '../../../base/slices.ts'
import type { FilePiece } from '../../../catalog/file-list.ts'
import type { Table } from '../../../catalog/model.ts'
import { type PartitionTest, testOf } from '../../../catalog/partition-condition.ts'
import type { FilePage, ResolveRequest } from '../../../rpc/contract.ts'
import { RpcError } from '../../../rpc/index.ts'

/** So many characters of paths make a page full; a piece of 256 more may be in it. */
const PAGE_CHARS = 512 * 1024
const HELD_MS = 60_000
const MOST_HELD = 1000

/** Null: a place to stop at. */
type Item = { readonly of: number; readonly piece: FilePiece } | null

interface Held {
  readonly items: Iterator<Item>
  page: number
  cancel: () => void
}

export class FilePages {
  readonly #clock: Clock
  readonly #newId: () => string
  readonly #held = new Map<string, Held>()

  constructor(clock: Clock, newId: () => string = randomUUID) {
    this.#clock = clock
    this.#newId = newId
  }

  /** The first page. `tables`: what was found of those that were asked for. */
  begin(asked: ResolveRequest['tables'], tables: readonly (Table | null)[]): Promise<FilePage> {
    const tests = tables.map((table, at) =>
      table === null ? null : testOf(asked[at]?.where ?? null, table, tables),
    )
    const items = itemsOf(tables, tests)
    return this.#page(this.#newId(), { items, page: 0, cancel: () => {} })
  }

  /** Rejects with RpcError UNAVAILABLE for a page that is not here: begin again. */
  more(next: string): Promise<FilePage> {
    const [id = '', page] = next.split('/')
    const held = this.#held.get(id)
    if (held === undefined || String(held.page) !== page) {
      throw new RpcError('UNAVAILABLE', 'that page of the list of files is not here any more')
    }
    return this.#page(id, held)
  }

  /** How many are under way. */
  get size(): number {
    return this.#held.size
  }

  async #page(id: string, held: Held): Promise<FilePage> {
    this.#drop(id)
    const files: FilePage['files'] = []
    const slices = new Slices()
    for (let chars = 0; chars < PAGE_CHARS; ) {
      const { done, value } = held.items.next()
      if (done === true) return { files, next: null }
      if (value !== null) {
        const { paths, rows, bytes, partition } = value.piece.packed()
        const packed = {
          partition: [...partition],
          paths: [...paths],
          rows: [...rows],
          bytes: [...bytes],
        }
        files.push({ of: value.of, packed })
        chars += value.piece.chars
      }
      if (slices.isOver) await slices.turn()
    }
    held.page += 1
    this.#hold(id, held)
    return { files, next: `${id}/${held.page}` }
  }

  #hold(id: string, held: Held): void {
    for (const oldest of this.#held.keys()) {
      if (this.#held.size < MOST_HELD) break
      this.#drop(oldest)
    }
    held.cancel = this.#clock.after(HELD_MS, () => this.#drop(id))
    this.#held.set(id, held)
  }

  #drop(id: string): void {
    this.#held.get(id)?.cancel()
    this.#held.delete(id)
  }
}

function* itemsOf(
  tables: readonly (Table | null)[],
  tests: readonly PartitionTest[],
): Generator<Item> {
  for (const [of, table] of tables.entries()) {
    const test = tests[of] ?? null
    for (const partition of table?.files.partitions() ?? []) {
      if (test !== null && !test(partition.values)) yield null
      else for (const piece of partition.pieces()) yield { of, piece }
    }
  }
}
