/**
 * Asks the active master's catalog, and what that master sees of a table's directory, through a failover if need be: a query that has begun waits for the next active
 * master instead of failing.
 */
import { type Clock, pause } from '../base/time.ts'
import type { Table } from '../catalog/index.ts'
import { FileList } from '../catalog/index.ts'
import type { Confinement, FilePage, ResolveRequest } from '../contract/index.ts'
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

/** All at one moment, in the order asked. */
export interface Resolved {
  /** Null for one that does not exist, or that whoever asks may not read. */
  readonly tables: readonly (Table | null)[]
  /** Why some may not be read, by their number. */
  readonly refused: ReadonlyMap<number, string>
  /** Where the files of some have to be, by their number. */
  readonly confined: ReadonlyMap<number, Confinement>
}

interface CallOptions {
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

const CALL_MS = 2000
const PAUSE_MS = 50

/** That a newer term has begun is over as soon as this worker has heard of it. */
const passes = ({ code }: RpcError): boolean => code === 'STALE_EPOCH' || RPC_ERRORS[code].passes

export class CatalogReader {
  readonly #options: CatalogReaderOptions

  constructor(options: CatalogReaderOptions) {
    this.#options = options
  }

  /** `asUser`: whose query it is; undefined: the administrator's. Rejects with QueryFault `lost` when no master answers in time, with RpcError for what no waiting helps against. */
  async resolve(
    tables: readonly AskedTable[],
    asUser: string | undefined,
    signal: AbortSignal,
  ): Promise<Resolved> {
    const request = { tables: [...tables], ...(asUser === undefined ? {} : { asUser }) }
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
      const found = answer.tables.map((table, at) =>
        table === null ? null : { ...table, files: lists[at] ?? FileList.EMPTY },
      )
      const refused = new Map((answer.refused ?? []).map(({ of, why }) => [of, why]))
      const confined = new Map((answer.confined ?? []).map(({ of, ...where }) => [of, where]))
      return { tables: found, refused, confined }
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
        if (!(error instanceof RpcError) || !passes(error)) throw error
        why = error.message
        active = null
      }
      await pause(clock, PAUSE_MS, signal)
    }
    throw new QueryFault('lost', `the catalog could not be asked for the tables: ${why}`)
  }
}
