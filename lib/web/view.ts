/** What the pages and the JSON of the info port show, as plain data: the master supplies it, `lib/web` only reads it. */

export interface MasterRow {
  /** Umbilical address: its name. */
  readonly address: string
  /** For other masters as the shared directory shows them: active or backup. */
  readonly state: string
  readonly heartbeatAgeMs: number | null
  readonly addresses: {
    readonly umbilical: string
    readonly clientRpc: string
    readonly resourceTracker: string
    readonly catalog: string
    readonly infoHttp: string
  }
  readonly hostname: string
  readonly pid: number
  readonly version: string
  readonly priority: number
  /** The master that answers. */
  readonly self: boolean
}

export interface WorkerRow {
  /** Peer address: its name. */
  readonly address: string
  /** `silent`: its stream to this master broke, and it has not been heard since. */
  readonly state: 'live' | 'silent'
  readonly host: string
  readonly pid: number
  readonly version: string
  /** Queries that it can run at a time, and that it runs. */
  readonly slots: number
  readonly running: number
  readonly heartbeatAgeMs: number
  readonly webPage: string
}

/** One query of `GET /api/v1/queries`, newest first; more fields than are named here. */
export interface QueryRow {
  readonly queryId: string
  readonly sql: string
  readonly user: string
  readonly state: string
  readonly submittedMs: number
}

/** `GET /api/v1/cluster`. */
export interface ClusterDocument {
  readonly clusterId: string | null
  readonly epoch: number
  /** Umbilical address of the active master, its name. */
  readonly active: string | null
  /** Where clients find it. */
  readonly activeClient: string | null
  readonly self: string
  readonly masters: readonly MasterRow[]
  /** Only the active master knows them. */
  readonly workers: readonly WorkerRow[]
  readonly storage: string
  /** Why no master is active, or why this one can't become it. */
  readonly problem: string | null
  readonly warnings: readonly string[]
}

/** One term of `GET /api/v1/history`, newest first. */
export interface TermRow {
  readonly term: {
    readonly term: number
    readonly address: string
    readonly reason: string
    readonly evidence: string
    readonly previousAddress: string | null
    readonly at: string
  }
  readonly served: {
    readonly servedAt: string
    readonly phases: { readonly totalMs: number }
  } | null
}

/** What `GET /metrics` counts. */
export interface MetricsFacts {
  readonly state: string
  readonly serving: boolean
  readonly epoch: number
  readonly leaseMarginMs: number | null
  readonly lastRenewalMs: number | null
  readonly storageReadable: boolean
  readonly peersKnown: number
  readonly peersConnected: number
  readonly transitions: number
  readonly refusedSecrets: number
  readonly refusedEpochs: number
  readonly splitBrainAlarms: number
  readonly requestsInFlight: number
  readonly memoryBytes: number
  readonly startedAtSeconds: number
}

/** All that the info port needs to know; each call answers at once, but for the history. */
export interface WebView {
  serving(): boolean
  state(): string
  cluster(): ClusterDocument
  /** Newest first. Rejects when the shared directory can't be read in time. */
  history(limit: number): Promise<readonly TermRow[]>
  /** Newest first, of all terms; never rejects for a directory that does not answer. */
  queries(limit: number): Promise<readonly QueryRow[]>
  metrics(): MetricsFacts
}
