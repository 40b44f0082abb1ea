/**
 * Changes of a catalog drawn at random, of every kind: tables with and without partitions, files by the hundred, joins, odd
 * text. One that the model refuses is passed over.
 */
import { Draft } from '../../lib/catalog/apply.ts'
import { CatalogError } from '../../lib/catalog/errors.ts'
import {
  type Change,
  type DataFile,
  PRIVILEGES,
  type Table,
  type Transaction,
  type UserChange,
} from '../../lib/catalog/model.ts'
import type { CatalogState } from '../../lib/catalog/state.ts'
import type { Batch } from '../../lib/catalog/store.ts'
import { outcomeOf, tableOf, transaction, userOf } from '../contract/catalog.ts'

const ODD = ['x', 'x\0y', 'half \ud800 pair', '\' " \\ ` ? -- \n', 'ünïcödé 🦆', '\u001bjson:"x"']
const PARTITION_COLUMNS = [{ name: 'p', type: 'TEXT' }]

export class RandomChanges {
  readonly #random: () => number
  #made = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** One or more transactions upon `state`, as a batch. */
  batch(state: CatalogState, firstSeq: number): Batch {
    const draft = Draft.of(state)
    const transactions: Transaction[] = []
    for (let left = this.#below(3) + 1; left > 0; left -= 1) {
      const one = this.#transaction(draft)
      try {
        draft.apply(one)
        transactions.push(one)
      } catch (error) {
        if (!(error instanceof CatalogError)) throw error
      }
    }
    if (transactions.length === 0) {
      const nothing = transaction([])
      draft.apply(nothing)
      transactions.push(nothing)
    }
    const { state: after, delta } = draft.seal()
    return { firstSeq, transactions, delta, after }
  }

  #transaction(draft: Draft): Transaction {
    const changes = Array.from({ length: this.#below(3) }, () => this.#change(draft))
    const message = this.#oneOf(ODD)
    const queryId = `q-${this.#made++}`
    return transaction(changes, this.#below(2) === 0 ? null : outcomeOf(queryId, { message }))
  }

  #change(draft: Draft): Change {
    const tables = [...draft.allTables()]
    const table = tables[this.#below(tables.length)]
    if (table === undefined || this.#below(5) === 0) return this.#ofNoTable(draft)
    return this.#ofTable(table)
  }

  #ofNoTable(draft: Draft): Change {
    const database = this.#oneOf(['default', 'x', this.#oneOf(ODD)])
    switch (this.#below(12)) {
      case 0:
        return { do: 'drop-database', name: database }
      case 1:
        return { do: 'add-litter', paths: [`/${this.#oneOf(ODD)}`, '/a'] }
      case 2:
        return { do: 'litter-removed', paths: [`/${this.#oneOf(ODD)}`] }
      case 3:
        return { do: 'published', queryId: this.#oneOf(ODD) }
      case 4: {
        const publication = { queryId: this.#oneOf(ODD), staging: '/s', location: '/l' }
        return { do: 'publish', publication }
      }
      case 5:
        return { do: 'load', data: draft.toData() }
      case 6:
      case 7:
        return { do: 'create-database', name: database, createdAt: '' }
      case 8:
      case 9:
        return this.#ofUser(database)
      default: {
        const partitionColumns = this.#below(2) === 0 ? [] : PARTITION_COLUMNS
        const name = `n${this.#below(6)}`
        const files = Array.from({ length: this.#below(3) }, () => this.#file(partitionColumns))
        const owner = this.#below(2) === 0 ? {} : { owner: this.#oneOf(ODD) }
        const more = { database, name, partitionColumns, files, ...owner }
        return { do: 'create-table', table: tableOf(draft.nextTableId, more) }
      }
    }
  }

  #ofUser(database: string): UserChange {
    const user = this.#oneOf(ODD)
    const grants = [
      { on: 'database', database, privilege: this.#oneOf(PRIVILEGES) },
      { on: 'table', tableId: 1 + this.#below(9), privilege: this.#oneOf(PRIVILEGES) },
      { on: 'location', path: `/${this.#oneOf(ODD)}` },
    ] as const
    const some = [this.#oneOf(grants)]
    switch (this.#below(6)) {
      case 0:
        return { do: 'drop-user', user }
      case 1:
        return { do: 'set-verifier', user, verifier: this.#oneOf(ODD) }
      case 2:
        return { do: 'revoke', user, grants: some }
      case 3:
        return { do: 'create-user', user: userOf(user) }
      default:
        return { do: 'grant', user, grants: some }
    }
  }

  #ofTable(table: Table): Change {
    const tableId = table.id
    const { schemaVersion, partitionColumns } = table
    const files = Array.from({ length: this.#oneOf([0, 1, 1, 2, 300]) }, () =>
      this.#file(partitionColumns),
    )
    const write = { do: 'write', tableId, schemaVersion, files } as const
    switch (this.#below(12)) {
      case 0:
        return { do: 'drop-table', tableId, litter: [table.location] }
      case 1:
        return { do: 'rename-table', tableId, name: `n${this.#below(6)}` }
      case 2:
        return { do: 'rename-column', tableId, from: 'a', to: this.#oneOf(['a', 'b', 'c']) }
      case 3:
        return { do: 'set-options', tableId, options: { [this.#oneOf(ODD)]: this.#oneOf(ODD) } }
      case 4:
        return { ...write, mode: 'overwrite' }
      case 5:
        return { ...write, mode: 'overwrite-partitions' }
      case 6: {
        const [partition] = table.files.partitions()
        return { do: 'drop-partition', tableId, partition: partition?.values ?? [] }
      }
      case 7:
      case 8:
        return this.#joining(table)
      default:
        return { ...write, mode: 'append' }
    }
  }

  #joining({ id: tableId, files, schemaVersion }: Table): Change {
    const partitions = [...files.partitions()]
    const partition = [...(partitions[this.#below(partitions.length)] ?? [])]
    const from = this.#below(partition.length)
    const some = partition.slice(from, from + 2 + this.#below(20))
    const made = this.#file([])
    const rows = some.reduce<number | null>((sum, one) => {
      return sum === null || one.rows === null ? null : sum + one.rows
    }, 0)
    const one = { ...made, rows, partition: some[0]?.partition ?? [] }
    const joins = [{ replaced: some.map(({ path }) => path), files: [one] }]
    return { do: 'compact', tableId, schemaVersion, joins, keepMs: 1000 }
  }

  #file({ length }: { readonly length: number }): DataFile {
    const partition = Array.from({ length }, () => this.#oneOf(['1', '2', null, ...ODD]))
    const number = this.#made++
    return {
      path: `data-${number}/part`,
      rows: number % 3 === 0 ? null : number,
      bytes: number,
      partition,
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #oneOf<T>(all: readonly [T, ...T[]] | readonly T[]): T {
    return all[this.#below(all.length)] as T
  }
}
