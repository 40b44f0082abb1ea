/** The clients of the day: INSERTs through the client library and real workers, one after the other each. */
import { NoMasterError, type TajoClient } from '../../../lib/client/index.ts'
import { type Fates, type Insert, tableName } from './numbers.ts'

export interface ClientsOptions {
  readonly clients: readonly TajoClient[]
  readonly fates: Fates
  /** INSERTs in all. */
  readonly count: number
  readonly onProblem: (text: string) => void
}

export class Clients {
  readonly #options: ClientsOptions
  #taken = 0
  #stopped = false
  done = 0
  /** Statements that ended without an answer of the cluster. */
  unknown = 0
  /** Statement times of the acknowledged ones, ms. */
  longestMs = 0

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    await Promise.all(this.#options.clients.map((client) => this.#hand(client)))
  }

  async #hand(client: TajoClient): Promise<void> {
    const { fates, count } = this.#options
    while (!this.#stopped && this.#taken < count) {
      this.#taken += 1
      for (const insert of fates.take(1)) await this.#insert(client, insert)
    }
  }

  async #insert(client: TajoClient, insert: Insert): Promise<void> {
    const { fates, onProblem } = this.#options
    const sinceMs = performance.now()
    try {
      await client.execute(sqlOf(insert))
      fates.acknowledged(insert)
      this.done += 1
      this.longestMs = Math.max(this.longestMs, performance.now() - sinceMs)
    } catch (error) {
      this.unknown += 1
      // Nobody was there for as long as the client's configuration says. All else is no answer to a client whose master died.
      if (!(error instanceof NoMasterError)) onProblem(`INSERT ${insert.number}: ${error}`)
    }
  }
}

function sqlOf({ table, partition, firstKey, rows }: Insert): string {
  const values = `cast(${firstKey} + i as bigint), 'row ' || (${firstKey} + i) || ' of the day'`
  const all = partition === null ? values : `${values}, '${partition}'`
  return `insert into ${tableName(table)} select ${all} from range(${rows}) r(i)`
}
