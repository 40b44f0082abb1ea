/**
 * What a master gets from the HA library, as types: its rights while it is active, what is known of the others, and
 * what it owes when a term begins and ends. `member.ts` keeps the promise, `keeper-process.ts` stands behind it.
 */
import type { UnprovenMount } from '../check/mount-admission.ts'
import type { ContestFacts, Delivery, Letter, LetterReply } from '../rules/contest-state.ts'
import type { Hearing, KnownWorker } from '../rules/network-rank.ts'
import type { Periods } from '../rules/periods.ts'
import type { SpaceReport } from '../rules/space.ts'
import type { Timing } from '../rules/timing.ts'
import type { Addresses, Holder, ServedRecord, TermRecord } from '../words/layout.ts'
import type { Log } from '../world/ports.ts'

/** Where a master stands. `starting` lasts until its first look at the directory. */
export const MASTER_STATES = [
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
] as const
export type MasterState = (typeof MASTER_STATES)[number]

export type OnTrouble = (why: string, cause?: unknown) => void

/** What an activation may need of the election. */
export interface Activation {
  /** What keeps it waiting, for people; with its cause, where room is given up for it if it finds none. */
  readonly onTrouble: OnTrouble
  /** Resolves after a renewal of the term that began then. Rejects HaError NOT_ACTIVE when the term is over. */
  readonly renewed: () => Promise<void>
}

/** What a term's services are told. All three must be quick to refuse; `activate` may take its time. */
export interface Service {
  /**
   * Open the catalog under this term and start to serve. `signal` fires when the term is lost meanwhile.
   */
  activate(term: number, signal: AbortSignal, activation: Activation): Promise<void>
  /** After `activate`: what it keeps under this term, for the term's record and for whoever reads that later. */
  keeps?(): string | null
  /** Planned hand-over: accept nothing new, finish what was accepted, then resolve. */
  drain(term: number, successor: string | null): Promise<void>
  /** The term is over: drop everything that belongs to it. */
  deactivate(term: number, reason: string): Promise<void>
}

/** `unwritable`: it can be read, and this master's own heartbeat could not be renewed. */
export type StorageState = 'ok' | 'unreadable' | 'unwritable'

/** One other master as seen in the shared directory. */
export interface PeerView {
  readonly address: string
  readonly addresses: Addresses
  readonly hostname: string
  readonly priority: number
  readonly version: string
  readonly state: 'active' | 'backup'
  /** It counts since its heartbeat last moved, on this host's monotonic clock; null before the second look. */
  readonly heartbeatAgeMs: number | null
  readonly pid: number
  readonly adminSocket: string
  /** Whose network it is on (`Holder.network`). */
  readonly network?: string
  /** By which its terms live; none where it is of an older version. */
  readonly periods?: Periods
}

/** The whole picture, for status pages and logs. Plain data, JSON-ready. */
export interface MemberView {
  readonly clusterId: string | null
  readonly state: MasterState
  /** The newest term known to have begun, which never falls; 0 before the first. A claim that may be given up is none. */
  readonly epoch: number
  /** The newest term's holder while its lease is believed to live; null when nobody is known to be active. */
  readonly active: PeerView | null
  /** That one has not served its term yet: it opens what it will serve. */
  readonly opening: boolean
  readonly self: Holder
  readonly peers: readonly PeerView[]
  /** Holder only: what is left of the lease, ms; else null. */
  readonly leaseMarginMs: number | null
  /** How long the last renewal took: of the lease, or on a backup of its own file; null before the first. */
  readonly lastRenewalMs: number | null
  readonly storage: StorageState
  /** What the shared directory has left; null before it was measured. */
  readonly space: SpaceReport | null
  /** Why no master is active, or why this one can't become it; null when all is well. */
  readonly problem: string | null
  /** What this master tried last and came to nothing, whoever serves meanwhile; null once it has served itself. */
  readonly failure: FailedAttempt | null
  readonly warnings: readonly string[]
  /** Beside these, what endangers the cluster until somebody mends it. */
  readonly critical?: readonly string[]
  readonly network: NetworkView
  /** Whether the other masters work on this very directory, where that is not so or could not be found out. */
  readonly directories: readonly DirectoryNote[]
}

/** A sentence for people about the directory of another master. */
export interface DirectoryNote {
  /** Umbilical address of that master. */
  readonly address: string
  readonly level: 'critical' | 'warning'
  readonly text: string
}

/** `text`: what was done and why it failed, such as `could not claim term 3: ENOSPC …`. */
export interface FailedAttempt {
  readonly term: number
  readonly text: string
}

/** It says what the directory and this member's own requests (`hears`) tell of the clients' network. */
export interface NetworkView {
  /** What is wrong with it, and what to do; null when nothing is. */
  readonly trouble: string | null
  /** The workers that the active master has let the others know. */
  readonly workers: readonly KnownWorker[]
}

export interface HistoryEntry {
  readonly term: TermRecord
  readonly served: ServedRecord | null
  /** The term before it was a format's: no master had held that one. Left out by earlier versions. */
  readonly afterFormat?: boolean
}

/** One renewal of the lease that succeeded, as the master heard of it. */
export interface Renewal {
  readonly tookMs: number
  /** What was left of the lease before it; null while the term is being opened. */
  readonly marginMs: number | null
}

/** A master's seat in the cluster. */
export interface Member {
  /** True only while this master may act as the active: reads the clock at this moment. */
  mayServe(): boolean
  /** The term in which it may act, or null. */
  term(): number | null
  /** The whole picture, as it is at this moment. */
  view(): MemberView
  /**
   * To be awaited after a change is durable and before it is acknowledged: resolves when a renewal that began after
   * this call has succeeded. Rejects NOT_ACTIVE when the term is over.
   */
  commit(): Promise<void>
  /** Something was heard (a stream broke, a term was announced): look at the directory now. Never ends a lease. */
  hint(why: string): void
  /** Hand over to `successor` (an umbilical address), or to the best backup for null. UNSAFE when there is none. */
  handOver(successor: string | null, options: { force: boolean; by: string }): Promise<void>
  /** Take over when no term lives. With `force`, an expired or unprovable holder is fenced first. */
  takeOver(options: { force: boolean; by: string }): Promise<void>
  history(limit: number): Promise<HistoryEntry[]>
  /** The term that is held can't be served any longer: it ends with this reason, and another master may do better. */
  giveUp(why: string): void
  /** What this member's own requests over the network have found, to be told as it is made (`NetworkEar`). */
  hears(hearing: Hearing): void
  /** Called when the election needs that anew, by requests sent from now on, and when it does not any more. */
  onMeasure(listener: (wanted: boolean) => void): void
  /** The other masters to be tried, by umbilical address: none is claimed beside one of another directory. */
  lists(addresses: readonly string[]): void
  /** A letter of another master that has shown our cluster's secret. Rejects when the keeper is gone meanwhile. */
  letter(letter: Letter): Promise<LetterReply>
  /** What delivers this member's own letters; it never rejects. Letters before it is there wait for it. */
  onLetter(deliver: (to: string, letter: Letter) => Promise<Delivery>): void
  /** What this member tells the others of itself and its directory; null before its keeper's first look. */
  facts(): ContestFacts | null
  /** That master may not be there any more (its stream broke). */
  suspects(address: string): void
  /** Orderly end: releases the term or leaves the backups, ends the keeper. */
  stop(reason: string): Promise<void>
  /** It is called at every change of state, with the new view. */
  onState(listener: (view: MemberView) => void): void
  /** It is called for each renewal of a lease of this member's. */
  onRenewal(listener: (renewal: Renewal) => void): void
}

export interface MemberOptions {
  /** Absolute path of the HA directory (`<rootdir>/system/ha`); its parent must exist. */
  readonly directory: string
  /** Of the cluster that this master forms if it is the first; null: a new one. */
  readonly clusterId?: string | null
  /** What this master tells the others of itself. */
  readonly self: Pick<
    Holder,
    'address' | 'addresses' | 'version' | 'priority' | 'adminSocket' | 'network'
  >
  readonly timing: Timing
  /** The catalog every master must share, without user and password. */
  readonly catalog: { readonly class: string; readonly uri: string }
  /** `tajo.master.ha.fencing.methods`, one a line: `sshfence`, `sshfence(user:port)`, `shell(/path args)`. */
  readonly fencing: readonly string[]
  /** True when masters run on other hosts too: a directory on a local disk is refused then. */
  readonly severalHosts: boolean
  /** Whether a mount that nobody has proven is used with several hosts, with an alert; left out: it is refused. */
  readonly unprovenMount?: UnprovenMount
  /** The newest term in which a catalog beside the directory has been served; 0 for none, or where that can't be told. */
  readonly catalogTerm: number
  /** The cluster that the catalog says it belongs to; null: to none yet, or nobody could tell. */
  readonly catalogCluster: string | null
  /**
   * Where the service's `activate` writes, each term into a numbered subdirectory of its own: as much room is kept for the
   * next one. Absolute path; null where it writes no files.
   */
  readonly openingDirectory: string | null
  readonly service: Service
  readonly log: Log
  /**
   * Umbilical addresses of the other masters: each is tried before anything is claimed (for M/2 at most), over what is
   * given to `onLetter`. Left out: nobody is.
   */
  readonly listed?: readonly string[]
}

/** One line of `haadmin -status`, read from the directory alone. */
export interface InspectedMaster extends PeerView {
  /** `live`: its heartbeat moved while we watched. `released`: it said goodbye. `silent`: neither. */
  readonly pulse: 'live' | 'released' | 'silent'
  readonly epoch: number | null
}

/** What the shared directory says without asking any master. */
export interface DirectoryPicture {
  readonly clusterId: string | null
  readonly catalog: { readonly class: string; readonly uri: string } | null
  readonly epoch: number
  readonly masters: readonly InspectedMaster[]
  /** Why no master is active, as a sentence; null when one is. */
  readonly problem: string | null
}
