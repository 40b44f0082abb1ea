/** What the pages and the JSON of the info port show, as plain data: the master supplies it, `lib/web` only reads it. */

import type { z } from 'zod'
import type { Caller } from '../access/index.ts'
import type * as schemas from './schemas.ts'

export type MasterRow = z.output<typeof schemas.masterRow>
export type WorkerRow = z.output<typeof schemas.workerRow>
export type QueryRow = z.output<typeof schemas.queryRecord>
export type Alert = z.output<typeof schemas.alert>
export type IfActiveDied = z.output<typeof schemas.ifActiveDied>
export type Periods = z.output<typeof schemas.periods>
export type QueryCounts = z.output<typeof schemas.queryCounts>
export type WorkerCounts = z.output<typeof schemas.workerCounts>
export type TermRow = z.output<typeof schemas.historyEntry>
export type LeaseDocument = z.output<typeof schemas.lease>
export type WorkersDocument = z.output<typeof schemas.workers>
export type TablesDocument = z.output<typeof schemas.tables>
export type ConfigDocument = z.output<typeof schemas.config>
export type SqlRequest = z.output<typeof schemas.sqlRequest>
export type SqlLine = z.output<typeof schemas.sqlLine>
/** What server-sent events carry, by their name. */
export type Events = {
  [Name in keyof typeof schemas.events]: z.input<(typeof schemas.events)[Name]>
}
export type SqlMode = 'off' | 'read' | 'all'

/** `GET /api/v1/cluster`, less what depends on who asks. */
export type ClusterDocument = Omit<z.output<typeof schemas.cluster>, 'sql' | 'admin'>

/** What `GET /metrics` counts. */
export interface MetricsFacts {
  readonly state: string
  readonly serving: boolean
  readonly term: number
  readonly leaseMarginMs: number | null
  readonly lastRenewalMs: number | null
  readonly storageReadable: boolean
  readonly storageWritable: boolean
  /** The directory of the tables. */
  readonly warehouseAnswers: boolean
  /** Workers of which a directory does not answer, or is not the cluster's; null where nobody knows. */
  readonly stuckWorkers?: number | null
  /** Of those that get queries: who is not in `conf/workers`; null on a backup. */
  readonly unlistedWorkers?: number | null
  /** On the active: its catalog's store does not answer, or refuses. */
  readonly catalogWaits: boolean
  readonly catalogAgeMs: number | null
  /** Of the shared directory; null before it was measured. */
  readonly space: {
    readonly freeBytes: number
    readonly freeFiles: number | null
    readonly low: { readonly bytes: boolean; readonly files: boolean }
    readonly refused: string | null
  } | null
  /** Why no master is active, by master, as far as each has said; empty while one is. */
  readonly problems: ReadonlyMap<string, string>
  readonly peersKnown: number
  readonly peersConnected: number
  /** Since its heartbeat moved, by master. */
  readonly heartbeatAgesMs: ReadonlyMap<string, number>
  readonly transitions: number
  /** Terms of this master that began, by reason. */
  readonly termsBegun: ReadonlyMap<string, number>
  /** Masters of other clusters in conf/masters, here or there. */
  readonly foreignMasters: number
  /** Other masters of which this one says: another directory (critical), or not known to be this one (warning). */
  readonly otherDirectories: number
  readonly unprovenDirectories: number
  /** Of its own storage: what endangers the cluster until somebody mends it. */
  readonly storageDangers: number
  readonly refusedClusters: number
  readonly refusedSecrets: number
  readonly refusedTerms: number
  readonly splitBrainAlarms: number
  readonly requestsInFlight: number
  /** Null on a backup: it does not know them. */
  readonly workers: WorkerCounts | null
  /** Of this term; null on a backup. */
  readonly queries: QueryCounts | null
  /** Of the catalog, as they were counted last; null on a backup. */
  readonly tables: {
    readonly tables: number
    readonly files: number
    readonly bytes: number
    /** Of the table that has the most. */
    readonly mostFiles: number
    readonly mostBytes: number
  } | null
  /** Of the event loop, in the last one to two minutes; null where they aren't measured. */
  readonly pauses: { readonly maxMs: number; readonly p99Ms: number } | null
  readonly memoryBytes: number
  readonly startedAtSeconds: number
}

/** Which of a database's tables. */
export interface TablesFilter {
  readonly limit: number
  readonly offset: number
  /** Only those whose names hold it, whatever the case. */
  readonly search?: string
  /** Only this one. */
  readonly names?: string[]
}

/** Where the lines of a running statement go. */
export interface SqlOut {
  say(line: SqlLine): void
  /** Resolves when the reader has taken enough for more; false: there is no reader any more. */
  rows(line: SqlLine): Promise<boolean>
}

/** Why the election does not follow an order. */
export interface Refusal {
  readonly code: string
  readonly message: string
}

/** Whoever asks once, and not again and again, waits so long for what has to be asked for elsewhere. */
export const PATIENCE_MS = 300

/** All that the info port needs to know. Calls without a promise answer at once. */
/** Who asks; null where nobody has to prove it. */
type Visitor = Caller | null

export interface WebView {
  serving(): boolean
  /** Another master is active, and its stream to this one is open. */
  activeElsewhere(): boolean
  state(): string
  /** Null before the cluster is joined. */
  clusterId(): string | null
  /** Umbilical address of the master that answers. */
  readonly self: string
  /** What others have to be asked for is waited for so long, and left out where it is old all the same. */
  cluster(patienceMs?: number): Promise<ClusterDocument>
  /** They come newest first. Rejects RpcError when the shared directory can't be read in time. */
  history(limit: number): Promise<TermRow[]>
  /** It is that of the last so many seconds. */
  lease(seconds: number): LeaseDocument
  /** On a backup asked of the active master; never rejects. */
  workers(): Promise<WorkersDocument>
  /**
   * Newest first, of all terms; never rejects for a directory that does not answer. Where only the active knows them he is
   * asked: rejects RpcError UNAVAILABLE when there is none.
   */
  queries(limit: number): Promise<QueryRow[]>
  metrics(): MetricsFacts
  config(): ConfigDocument
  /** The active master is asked. Both reject RpcError: UNAVAILABLE when there is none, BAD_REQUEST. */
  databases(who: Visitor): Promise<string[]>
  /** Lists some of its tables, by name, and how many fit in all. */
  tables(
    database: string,
    filter: TablesFilter,
    who: Visitor,
  ): Promise<Omit<TablesDocument, 'database'>>
  /** False: nobody knows it. Rejects RpcError. */
  kill(queryId: string, who: Visitor): Promise<boolean>
  /** Whether it only reads; a text that can't be parsed does too: it is refused with its place. */
  readsOnly(sql: string): Promise<boolean>
  /** Runs one statement to its end; `signal` ends it. An error of the statement's is its last line. */
  run(request: SqlRequest, who: Visitor, signal: AbortSignal, out: SqlOut): Promise<void>
  /** Null: done. */
  handOver(successor: string | null, by: string): Promise<Refusal | null>
  takeOver(by: string): Promise<Refusal | null>
  /** Whose token that `Authorization` header shows, or what is wrong with it. Throws RpcError UNAVAILABLE before it has joined. */
  visitor(authorization: string | undefined): Caller | 'missing' | 'strange' | 'ended'
  /** The cluster's secret, for the admin token; null before it has joined. */
  secret(): string | null
  /** Names by which browsers may ask: the masters' and those of the configuration, lower case. */
  hostNames(): ReadonlySet<string>
  /** Web addresses of all known masters, this one included, as `host:port`. */
  pages(): readonly string[]
  /** Called at each change of state that pages should hear of at once; the answer unsubscribes. */
  onChange(listener: () => void): () => void
}

/** What the configuration allows on the info port. */
export interface WebRules {
  readonly sql: SqlMode
  /** SQL, kill and admin orders only from this very host: the client port is open to nobody else either. */
  readonly sqlFromHereOnly: boolean
  readonly admin: boolean
  /** `tajo.security.authentication`. */
  readonly authentication: 'password' | 'none'
}
