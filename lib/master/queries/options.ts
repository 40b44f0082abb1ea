/** What the query services are started with, as plain values: `cli/daemon/master-life.ts` makes them of the configuration. */
import type { Files, ReadableStore } from '../../catalog/index.ts'
import type { CompactionOptions } from './compaction/compaction.ts'
import type { ProofOptions } from './files/proof.ts'
import type { AdmissionRules } from './run/admission.ts'
import type { QueueBounds } from './run/queue.ts'

export interface QueryOptions {
  /** Loads what `makeStore` needs, ahead of time. */
  readonly preload: () => Promise<unknown>
  /**
   * Makes a store of the configured class, not open yet; it is called once a term. The cluster's id binds it; null asks
   * nobody.
   */
  readonly makeStore: (clusterId: string | null) => Promise<ReadableStore>
  /** Absolute, of this host alone: where a backup rehearses a take-over (rehearsal.ts); left out, it does not. */
  readonly scratch?: string
  /** A backup looks so often what is new in the catalog. */
  readonly followMs: number
  /** Absolute directory of the query log: `<rootdir>/system/queries`. */
  readonly logDirectory: string
  /** How it is read; the real disk if left out. */
  readonly logDisk?: Files
  /** Absolute; managed tables live below it. */
  readonly warehouse: string
  /** Absolute; further directories that LOCATION may name. */
  readonly allowedPaths: readonly string[]
  /** Absolute; the cluster's own files, which SQL may not name: `<rootdir>/system`. */
  readonly systemDirectory: string
  /** Why a file that a worker says to have written is not there, as this master sees it; null when it is. Null bytes: any. */
  readonly lookFor?: (path: string, bytes: number | null) => Promise<string | null>
  /** Workers prove that their directories are this master's (proof.ts); left out where nothing is proven. */
  readonly proof?: Pick<
    ProofOptions,
    'host' | 'warehouseMode' | 'everyMs' | 'limitMs' | 'nonce' | 'aloneOn'
  > & {
    /** Masters of other hosts are listed. */
    readonly severalHosts?: boolean
    /** As workers tell theirs (`WorkerInfo.network`). */
    readonly network?: string
  }
  /** What may wait for a worker, and run of one user; more is refused, or waits. */
  readonly queue: QueueBounds
  /** Ended queries that the history keeps, newest first. */
  readonly historyLimit: number
  /** Those that were submitted longer ago are forgotten. */
  readonly historyMaxAgeMs: number
  /** Which workers are listed, and what becomes of others; left out where everybody is taken. */
  readonly admission?: AdmissionRules
  /** Workers report at least this often: without anything to run, and with. */
  readonly idleMs: number
  readonly activeMs: number
  /** A change of a table waits so long for a query that holds it. */
  readonly writeWaitMs: number
  /** When and how small files of tables are joined. */
  readonly compaction: CompactionOptions
  /** What no table names any more is kept so long for those who may still read it. */
  readonly litterGraceMs: number
}
