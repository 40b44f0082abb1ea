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

/** All states of a master. `starting` lasts until its first look at the directory. */
export const MASTER_STATES = [
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
] as const
/**
 * Where a master stands. `activating`: it opens what it will serve. `suspended`: its lease has run out, and may be renewed
 * yet. `stopped` is for good.
 */
export type MasterState = (typeof MASTER_STATES)[number]

/** Hears why something waits, as a sentence, and the error that it comes of. */
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
   * Open the catalog under this term and start to serve. `signal` aborts when the term is lost meanwhile. When it rejects,
   * the term is given up with that reason, and another master may do better.
   */
  activate(term: number, signal: AbortSignal, activation: Activation): Promise<void>
  /** After `activate`: what it keeps under this term, for the term's record and for whoever reads that later. */
  keeps?(): string | null
  /**
   * Planned hand-over, to the umbilical address `successor` or, null, to whoever claims next: accept nothing new, finish what
   * was accepted, then resolve. A rejection is logged, and the term ends all the same.
   */
  drain(term: number, successor: string | null): Promise<void>
  /** The term is over, for that reason: drop everything that belongs to it. A rejection is logged. */
  deactivate(term: number, reason: string): Promise<void>
}

/** How the shared directory answers. `unwritable`: it can be read, and this master's own heartbeat could not be renewed. */
export type StorageState = 'ok' | 'unreadable' | 'unwritable'

/** One other master as seen in the shared directory. */
export interface PeerView {
  /** Its umbilical address, which is its name. */
  readonly address: string
  /** Where it answers. */
  readonly addresses: Addresses
  /** Its host's own name. */
  readonly hostname: string
  /** Its place in the order of claims (`Holder.priority`). */
  readonly priority: number
  /** The version of what it serves. */
  readonly version: string
  /** What it is in the directory. */
  readonly state: 'active' | 'backup'
  /** It counts since its heartbeat last moved, on this host's monotonic clock; null before the second look. */
  readonly heartbeatAgeMs: number | null
  /** Id of its process on its host. */
  readonly pid: number
  /** Path of the Unix socket on its own host that takes changing commands. */
  readonly adminSocket: string
  /** Whose network it is on (`Holder.network`). */
  readonly network?: string
  /** By which its terms live; none where it is of an older version. */
  readonly periods?: Periods
}

/** The whole picture, for status pages and logs. Plain data, JSON-ready. */
export interface MemberView {
  /** The cluster's id; null before the first look at the directory. */
  readonly clusterId: string | null
  /** Where this master stands. */
  readonly state: MasterState
  /** The newest term known to have begun, which never falls; 0 before the first. A claim that may be given up is none. */
  readonly epoch: number
  /** The newest term's holder while its lease is believed to live; null when nobody is known to be active. */
  readonly active: PeerView | null
  /** That one has not served its term yet: it opens what it will serve. */
  readonly opening: boolean
  /** This master, as the others know it. */
  readonly self: Holder
  /** The other masters that the directory knows, without the active one. */
  readonly peers: readonly PeerView[]
  /** Holder only: what is left of the lease, ms; else null. */
  readonly leaseMarginMs: number | null
  /** How long the last renewal took: of the lease, or on a backup of its own file; null before the first. */
  readonly lastRenewalMs: number | null
  /** How the shared directory answers this master. */
  readonly storage: StorageState
  /** What the shared directory has left; null before it was measured. */
  readonly space: SpaceReport | null
  /** Why no master is active, or why this one can't become it; null when all is well. */
  readonly problem: string | null
  /** What this master tried last and came to nothing, whoever serves meanwhile; null once it has served itself. */
  readonly failure: FailedAttempt | null
  /** What an operator should know, a sentence each. */
  readonly warnings: readonly string[]
  /** Beside these, what endangers the cluster until somebody mends it. */
  readonly critical?: readonly string[]
  /** The clients' network. */
  readonly network: NetworkView
  /** Whether the other masters work on this very directory, where that is not so or could not be found out. */
  readonly directories: readonly DirectoryNote[]
}

/** A sentence for people about the directory of another master. */
export interface DirectoryNote {
  /** Umbilical address of that master. */
  readonly address: string
  /** `critical`: it endangers the cluster until somebody mends it. */
  readonly level: 'critical' | 'warning'
  /** The sentence. */
  readonly text: string
}

/** What a master tried and could not do. */
export interface FailedAttempt {
  /** The term that it was about. */
  readonly term: number
  /** What was done and why it failed, such as `could not claim term 3: ENOSPC …`. */
  readonly text: string
}

/** It says what the directory and this member's own requests (`hears`) tell of the clients' network. */
export interface NetworkView {
  /** What is wrong with it, and what to do; null when nothing is. */
  readonly trouble: string | null
  /** The workers that the active master has let the others know. */
  readonly workers: readonly KnownWorker[]
}

/** One term of the history. */
export interface HistoryEntry {
  /** How it began. */
  readonly term: TermRecord
  /** How it came to serve; null where it is not known to have served. */
  readonly served: ServedRecord | null
  /** The term before it was a format's: no master had held that one. Left out by earlier versions. */
  readonly afterFormat?: boolean
}

/** One renewal of the lease that succeeded, as the master heard of it. */
export interface Renewal {
  /** How long it took. */
  readonly tookMs: number
  /** What was left of the lease before it, ms; null while the term is being opened. */
  readonly marginMs: number | null
}

/** A master's seat in the cluster. */
export interface Member {
  /** True only while this master may act as the active: reads the clock at this moment. */
  mayServe(): boolean
  /** The term in which it may act, also while it finishes what was accepted before a hand-over; null otherwise. */
  term(): number | null
  /** What is known of the cluster at this moment. */
  view(): MemberView
  /**
   * To be awaited after a change is durable and before it is acknowledged: resolves when a renewal that began after
   * this call has succeeded. Rejects with HaError NOT_ACTIVE when this master has opened no term, or the term is over.
   */
  commit(): Promise<void>
  /** Something was heard (a stream broke, a term was announced): look at the directory now. Never ends a lease. */
  hint(why: string): void
  /**
   * Hands the role over to `successor` (an umbilical address), or to the best backup for null. With null and `force` the term
   * is released also where there is none. `by`: who asks, for the history. Resolves when the term is released. Rejects with
   * HaError UNSAFE where there is nobody who can take it, or another hand-over is under way. It rejects with NOT_ACTIVE where
   * this master is not active, and with KEEPER_FAILED where the keeper dies meanwhile.
   */
  handOver(successor: string | null, options: { force: boolean; by: string }): Promise<void>
  /**
   * Takes the role over where no holder lives; with `force`, and where `MemberOptions.fencing` has a method, the holder is
   * fenced first. `by`: who asks, for the history. Resolves when this master is active. Rejects with HaError UNSAFE where a
   * holder lives, fencing failed, the directory can't be read or this member is busy. It rejects with TIMEOUT after 2 M, and
   * with KEEPER_FAILED where the keeper dies meanwhile.
   */
  takeOver(options: { force: boolean; by: string }): Promise<void>
  /**
   * The newest `limit` terms, newest first. Rejects with HaError: TIMEOUT when the shared directory does not answer within M,
   * BAD_STORAGE when it can't be read, KEEPER_FAILED when the keeper dies meanwhile.
   */
  history(limit: number): Promise<HistoryEntry[]>
  /** The term that is held can't be served any longer: it ends with this reason, and another master may do better. */
  giveUp(why: string): void
  /** What this member's own requests over the network have found, to be told as it is made (`NetworkEar`). */
  hears(hearing: Hearing): void
  /** Called when the election needs that anew, by requests sent from now on, and when it does not any more. */
  onMeasure(listener: (wanted: boolean) => void): void
  /** The other masters to be tried, by umbilical address: none is claimed beside one of another directory. */
  lists(addresses: readonly string[]): void
  /** Takes a letter of another master that has shown our cluster's secret. Rejects with HaError KEEPER_FAILED when the keeper dies. */
  letter(letter: Letter): Promise<LetterReply>
  /** What delivers this member's own letters; it never rejects. Letters before it is there wait for it. */
  onLetter(deliver: (to: string, letter: Letter) => Promise<Delivery>): void
  /** What this member tells the others of itself and its directory; null before its keeper's first look. */
  facts(): ContestFacts | null
  /** That master may not be there any more (its stream broke). */
  suspects(address: string): void
  /** Orderly end: releases the term or leaves the backups, ends the keeper. Resolves when that is done, and never rejects. */
  stop(reason: string): Promise<void>
  /** It is called at every change of state, with the new view. */
  onState(listener: (view: MemberView) => void): void
  /** It is called for each renewal of a lease of this member's. */
  onRenewal(listener: (renewal: Renewal) => void): void
}

/** What a member is to be told when it joins. */
export interface MemberOptions {
  /** Absolute path of the HA directory (`<rootdir>/system/ha`); its parent must exist. */
  readonly directory: string
  /** Of the cluster that this master forms if it is the first; null: a new one. */
  readonly clusterId?: string | null
  /** What this master tells the others of itself. `network` is `hostNetwork()` where it is left out. */
  readonly self: Pick<
    Holder,
    'address' | 'addresses' | 'version' | 'priority' | 'adminSocket' | 'network'
  >
  /** Its periods (`makeTiming`). */
  readonly timing: Timing
  /** The catalog every master must share, without user and password: a master with another one is refused (CATALOG_DIFFERS). */
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
  /** What is done when a term begins and ends. */
  readonly service: Service
  /** Hears what happens, the keeper's words included. */
  readonly log: Log
  /**
   * Umbilical addresses of the other masters: each is tried before anything is claimed (for M/2 at most), over what is
   * given to `onLetter`. Left out: nobody is.
   */
  readonly listed?: readonly string[]
}

/** A master as the directory alone tells of it. */
export interface InspectedMaster extends PeerView {
  /** `live`: its heartbeat moved while we watched. `released`: it said goodbye. `silent`: neither. */
  readonly pulse: 'live' | 'released' | 'silent'
  /** The term that it holds; null for a backup. */
  readonly epoch: number | null
}

/** What the shared directory says without asking any master. */
export interface DirectoryPicture {
  /** The cluster's id; null where no cluster file is there. */
  readonly clusterId: string | null
  /** The catalog that all masters share; null as `clusterId`. */
  readonly catalog: { readonly class: string; readonly uri: string } | null
  /** The newest term; 0 for none. */
  readonly epoch: number
  /** The holder of the newest term that has one, then the backups. */
  readonly masters: readonly InspectedMaster[]
  /** Why no master is active, as a sentence; null when one is. */
  readonly problem: string | null
}
