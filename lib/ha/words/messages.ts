/**
 * This is what master and keeper say to each other over the channel between them. Plain JSON; order is kept; both are of
 * one version, since the master starts its own keeper. All times are the host's monotonic clock in ms, which is one
 * clock for both processes.
 */
import type { MountAlerts, UnprovenMount } from '../check/mount-admission.ts'
import type { MountPlace } from '../keeper/mount-watch.ts'
import type {
  DirectoryNote,
  FailedAttempt,
  HistoryEntry,
  NetworkView,
  PeerView,
  StorageState,
} from '../member/member-api.ts'
import type {
  ContestFacts,
  ContestMemory,
  Delivery,
  Letter,
  LetterReply,
} from '../rules/contest-state.ts'
import type { Hearing } from '../rules/network-rank.ts'
import type { SpaceReport } from '../rules/space.ts'
import type { TakeOver } from '../rules/take-over.ts'
import type { Timing } from '../rules/timing.ts'
import type { LogFacts, LogLevel } from '../world/ports.ts'
import type { HaErrorCode } from './errors.ts'
import type { ClusterFile, Holder } from './layout.ts'

/** What a keeper has to know of the shared directory's file system. */
export interface Storage {
  /** mtimes are told apart from this difference on; ms. */
  readonly granularityMs: number
  /** It is the slowest renewal when this master started, all but one in twenty being faster; ms. */
  readonly slowestRenewalMs: number
  /** No file events come from other hosts. */
  readonly network: boolean
  /** What an operator should know of it: a sentence each. */
  readonly warnings: readonly string[]
  /** What endangers the cluster until somebody mends it: a sentence each. */
  readonly critical?: readonly string[]
  /** What the start had to tell of its mount besides: judged anew by the keeper (`mount-admission.ts`). */
  readonly mount?: MountAlerts
  /** The kind of mount, such as `nfs4`. */
  readonly kind?: string
  /** The name of its profile (`storage-profile.ts`). */
  readonly profile?: string
  /** Where the directory was found; left out: it never moves. */
  readonly place?: MountPlace
}

/** The result of joining a directory. */
export interface Joined {
  readonly clusterId: string
  readonly secret: string
  readonly storage: Storage
  /** cluster.json as it was then. */
  readonly cluster: ClusterFile
  /** The highest number of a term that was taken before. */
  readonly newest: number
}

/** A term that a master holds, for the keeper that goes on with it. */
export interface Resume {
  readonly term: number
  readonly untilMs: number
  /** It was told to serve. */
  readonly serving: boolean
  /** As `activate` told it. */
  readonly takeOver: TakeOver
}

/** First message to a keeper. */
export interface Start {
  readonly type: 'start'
  readonly directory: string
  readonly self: Omit<Holder, 'hostname'>
  readonly hostname: string
  readonly timing: Timing
  readonly catalog: { readonly class: string; readonly uri: string }
  readonly fencing: readonly string[]
  readonly severalHosts: boolean
  /** Whether a mount that nobody has proven is used with several hosts, with an alert; left out: it is refused. */
  readonly unprovenMount?: UnprovenMount
  /** Where each term's opening writes, in a numbered subdirectory of its own (absolute path); null: not to files. */
  readonly openingDirectory: string | null
  /** The newest term in which a catalog beside the directory has been served; 0 for none, or where that can't be told. */
  readonly catalogTerm: number
  /** The cluster that the catalog says it belongs to; null: to none yet, or nobody could tell. */
  readonly catalogCluster: string | null
  /** The newest term that this master has heard of: numbers never go back, whatever the directory shows. */
  readonly knownTerm: number
  /** Used only if this master is the first: cluster id and secret come from the caller's randomness. */
  readonly fresh: { readonly clusterId: string; readonly secret: string }
  /**
   * It is what an earlier keeper of the same master found out, or null at its start. A new one doesn't do it again: the
   * check takes half a second on a slow mount, and creating files can hang where renewing works.
   */
  readonly joined: Joined | null
  /** A term that an earlier keeper of the same master held: go on with it if its heartbeat is still there. */
  readonly resume: Resume | null
  /** Umbilical addresses of the other masters that are tried before anything is claimed. */
  readonly listed?: readonly string[]
  /** A call of an earlier keeper of the same master that was never answered; left out: none. */
  readonly lost?: LostCall | null
  /** What an earlier keeper of the same master knew of the others' directories; null at its start. */
  readonly contest?: ContestMemory | null
}

/** What is told of a call that was never answered, until then on the monotonic clock. */
export interface LostCall {
  readonly text: string
  readonly untilMs: number
}

export type ToKeeper =
  | Start
  | { readonly type: 'pong'; readonly ping: number }
  /** Answers to activate: the catalog is open, and `serve` is waited for; or it can't be opened. */
  | { readonly type: 'opened'; readonly term: number; readonly keeps?: string }
  | { readonly type: 'activation-failed'; readonly term: number; readonly why: string }
  /** What opens `term` finds no room, and is tried again. */
  | { readonly type: 'no-room'; readonly term: number }
  /** Answers to suspend, drain, deactivate. */
  | { readonly type: 'suspended'; readonly term: number }
  | { readonly type: 'drained'; readonly term: number }
  | { readonly type: 'deactivated'; readonly term: number }
  /** Its service can't go on under this term. */
  | { readonly type: 'give-up'; readonly term: number; readonly why: string }
  | { readonly type: 'commit'; readonly id: number; readonly term: number }
  | {
      readonly type: 'hand-over'
      readonly id: number
      readonly successor: string | null
      readonly force: boolean
      readonly by: string
    }
  | {
      readonly type: 'take-over'
      readonly id: number
      readonly force: boolean
      readonly by: string
    }
  | { readonly type: 'history'; readonly id: number; readonly limit: number }
  | { readonly type: 'leave'; readonly reason: string }
  /** What the master's own requests over the network have found. */
  | { readonly type: 'hears'; readonly hearing: Hearing }
  | { readonly type: 'hint'; readonly why: string }
  /** The other masters that are to be tried, in place of those before. */
  | { readonly type: 'listed'; readonly addresses: readonly string[] }
  /** From a master that has shown our cluster's secret; `letter-reply` is the answer. */
  | { readonly type: 'letter'; readonly id: number; readonly letter: Letter }
  | { readonly type: 'delivered'; readonly id: number; readonly delivery: Delivery }
  /** That master may not be there any more. */
  | { readonly type: 'suspect'; readonly address: string }

/** What the keeper knows of the cluster, for the master's view. */
export interface Picture {
  readonly clusterId: string
  /** The newest term that was begun: it served, or it is this member's and all below it have been ended. */
  readonly begunTerm: number
  /** The newest number that is taken, by a claim that may come to nothing. */
  readonly newestTerm: number
  readonly active: PeerView | null
  /** Another member is that one, and has not served its term yet. */
  readonly opening: boolean
  readonly peers: readonly PeerView[]
  readonly lastRenewalMs: number | null
  readonly storage: StorageState
  readonly space: SpaceReport | null
  readonly problem: string | null
  readonly failure: FailedAttempt | null
  readonly warnings: readonly string[]
  /** Beside these, what endangers the cluster until somebody mends it. */
  readonly critical?: readonly string[]
  readonly network: NetworkView
  readonly contest: ContestMemory
  /** What it tells the others of itself. */
  readonly facts: ContestFacts
  readonly directories: readonly DirectoryNote[]
}

export type ToMaster =
  /** The directory is fit and ours; the election begins. */
  | { readonly type: 'ready'; readonly joined: Joined }
  /** The start was refused. */
  | { readonly type: 'refused'; readonly code: HaErrorCode; readonly message: string }
  | { readonly type: 'ping'; readonly ping: number }
  /** Open the catalog under this term. `takeOver` is for the next keeper, if this one dies. */
  | {
      readonly type: 'activate'
      readonly term: number
      readonly untilMs: number
      readonly takeOver: TakeOver
    }
  /** The term is on record, and was renewed since: answer what is asked. */
  | { readonly type: 'serve'; readonly term: number }
  /** The lease of `term` holds until `untilMs`; ends a suspension. */
  | {
      readonly type: 'lease'
      readonly term: number
      readonly untilMs: number
      readonly tookMs: number
    }
  /** Refuse everything until the next lease. */
  | { readonly type: 'suspend'; readonly term: number }
  | { readonly type: 'drain'; readonly term: number; readonly successor: string | null }
  /** The term is over. */
  | { readonly type: 'deactivate'; readonly term: number; readonly reason: string }
  /** Ask over the network now, and go on with it; or that nobody waits for it any more. */
  | { readonly type: 'measure'; readonly wanted: boolean }
  /** Deliver it to the master at `to`; `delivered` is the answer. */
  | {
      readonly type: 'send-letter'
      readonly id: number
      readonly to: string
      readonly letter: Letter
    }
  | { readonly type: 'letter-reply'; readonly id: number; readonly reply: LetterReply }
  | { readonly type: 'committed'; readonly ids: readonly number[] }
  | {
      readonly type: 'reply'
      readonly id: number
      readonly error: { readonly code: HaErrorCode; readonly message: string } | null
    }
  | { readonly type: 'picture'; readonly picture: Picture }
  | { readonly type: 'history'; readonly id: number; readonly entries: readonly HistoryEntry[] }
  | {
      readonly type: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly facts: LogFacts
    }
  /** A call of this keeper is never answered, though others are: it is to be replaced. `text` is for people. */
  | { readonly type: 'lost-call'; readonly text: string }
  /** All is released; the keeper ends. */
  | { readonly type: 'left' }

/** One end of the channel. `onClose` is the kernel's word that the other process is gone. */
export interface Link<Out, In> {
  send(message: Out): void
  onMessage(listener: (message: In) => void): void
  onClose(listener: () => void): void
}
export type KeeperLink = Link<ToMaster, ToKeeper>
export type MasterLink = Link<ToKeeper, ToMaster>
