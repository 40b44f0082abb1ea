/**
 * Asks the active master's catalog, and what that master sees of a table's directory, through a failover if need be: a query that has begun waits for the next active
 * master instead of failing.
 */
import { type Clock, pause } from '../base/time.ts'
import type { Table } from '../catalog/index.ts'
import { FileList } from '../catalog/index.ts'
import type { FilePage, ResolveRequest } from '../contract/index.ts'
import { RPC_ERRORS, RpcError } from '../rpc/index.ts'
import type { ActiveMaster, Masters } from './masters.ts'
import { QueryFault } from './query-error.ts'

interface CatalogReaderOptions {
  readonly masters: Pick<Masters, 'findActive'>
  /** The one that is followed; null while there is none. */
  readonly active: () => ActiveMaster | null
  /** For so long a query waits for an active master. */
  readonly patienceMs: number
  readonly clock: Clock
}

/** `tableId`: that one, whatever it is called by now. `where`: files that can't meet it may be missing. */
export type AskedTable = ResolveRequest['tables'][number]

interface CallOptions {
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

const CALL_MS = 2000
const PAUSE_MS = 50

export class CatalogReader {
  readonly #options: CatalogReaderOptions

  constructor(options: CatalogReaderOptions) {
    this.#options = options
  }

  /** Rejects with QueryFault `lost` when no master answers in time, with RpcError for what no waiting helps against. */
  async resolve(tables: readonly AskedTable[], signal: AbortSignal): Promise<(Table | null)[]> {
    const request = { tables: [...tables] }
    return this.#ask(signal, async ({ catalog }, options) => {
      const answer = await catalog.call('resolve', request, options)
      const lists = answer.tables.map(() => FileList.EMPTY)
      let page: FilePage = answer
      for (;;) {
        for (const { of, packed } of page.files) {
          lists[of] = (lists[of] ?? FileList.EMPTY).appendPacked(packed)
        }
        if (page.next === null) break
        page = await catalog.call('moreFiles', { next: page.next }, options)
      }
      return answer.tables.map((table, at) =>
        table === null ? null : { ...table, files: lists[at] ?? FileList.EMPTY },
      )
    })
  }

  /** The active master's address where it sees a file in the directory of that table; null where not. Rejects the same way. */
  async seesFiles(tableId: number, signal: AbortSignal): Promise<string | null> {
    return this.#ask(signal, async ({ catalog, addresses }, options) => {
      try {
        const { sees } = await catalog.call('seesFiles', { tableId }, options)
        return sees ? addresses.tracker : null
      } catch (error) {
        // Of a version that can't tell.
        if (RpcError.is(error, 'NOT_FOUND')) return null
        throw error
      }
    })
  }

  async #ask<T>(
    signal: AbortSignal,
    call: (active: ActiveMaster, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const { clock, patienceMs } = this.#options
    const endMs = clock.nowMs() + patienceMs
    let why = 'no master is active'
    let active = this.#options.active()
    while (clock.nowMs() < endMs && !signal.aborted) {
      active ??= await this.#options.masters.findActive(signal)
      try {
        if (active !== null) return await call(active, { deadlineMs: CALL_MS, signal })
      } catch (error) {
        if (!(error instanceof RpcError) || !RPC_ERRORS[error.code].passes) throw error
        why = error.message
        active = null
      }
      await pause(clock, PAUSE_MS, signal)
    }
    throw new QueryFault('lost', `the catalog could not be asked for the tables: ${why}`)
  }
}
