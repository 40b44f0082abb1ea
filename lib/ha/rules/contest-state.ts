/**
 * The contest as plain data: what two masters tell each other in a letter, what is known of each of the others, and what
 * is to be done. It says as well when a contest has passed, is still open, and has its next letter due.
 *
 * All of it goes into messages, or into what a new keeper goes on with, so nothing here acts. How the contest is held:
 * contest.ts.
 */
import type { Timing } from './timing.ts'

/** A term that a master serves now, and by which process. */
export interface Held {
  /** Its number. */
  readonly term: number
  /** The holder's master: its boot id, pid and start time in clock ticks, with blanks between. */
  readonly by: string
}

/** What a master tells another of itself and of its directory. */
export interface ContestFacts {
  /** Its umbilical address. */
  readonly address: string
  /** The cluster that it has joined. */
  readonly clusterId: string
  /** Absolute path of the HA directory there. */
  readonly directory: string
  /** Its `MemberOptions.self.priority`. */
  readonly priority: number
  /** Which process it is, in the words of `Held.by`. */
  readonly by: string
  /** How often its mount has changed under it. */
  readonly mount: number
  /** The newest term that is known to have served in its directory; 0 for none. */
  readonly served: number
  /** The term that it serves; null while it serves none. */
  readonly holds: Held | null
}

/** What has come of the nonces that one side has made. */
export interface Told extends ContestFacts {
  /** What came of the writer's own nonces. */
  readonly mine: Side
  /** The reader as the writer knows it, its `by` and `mount` with a blank between; null where it doesn't know it yet. */
  readonly toward: string | null
}

/**
 * What a master writes to another to find out whether both have one directory. The library makes it; whoever uses it delivers
 * it as it is (`Member.onLetter`, `Member.letter`).
 */
export interface Letter extends Told {
  /** The name of the file that the writer has created; null where the facts alone are told. */
  readonly nonce: string | null
}

/**
 * What an exclusive create of another's nonce has found: the name is there (`exists`: one directory), or could be made
 * (`created`: two). `unknown`: it shows nothing.
 */
export type NonceCheck = 'exists' | 'created' | 'unknown'

/** The answer to a letter. */
export interface LetterReply extends Told {
  /** What the create of the letter's nonce has found; null where the letter has none. */
  readonly check: NonceCheck | null
}

/** What has become of a letter. */
export type Delivery =
  | { readonly is: 'answered'; readonly reply: LetterReply }
  /** Nobody answers there, or not in time. */
  | { readonly is: 'unreachable' }
  /** It answers and knows of no contest. */
  | { readonly is: 'older' }
  /** It is listed, names our cluster, and does not know our secret. */
  | { readonly is: 'wrong-secret' }
  /** It belongs to another cluster, and each of the two lists the other. */
  | { readonly is: 'stranger'; readonly facts: ContestFacts }

/** Two directories, as found between two processes. */
export interface Mismatch {
  /** `pairOf` the two between which it was found; a contest of another pair lifts it. */
  readonly pair: string
  /** The newest terms that had served, as told at the last exchange. */
  readonly ours: number
  readonly theirs: number
  readonly found: string
  readonly sinceMs: number
}

/** What came of the nonces of one side; `open`: nothing yet. */
export type Side = 'open' | NonceCheck

export interface ContestPeer {
  readonly address: string
  /** In this master's list; otherwise it has called. */
  readonly listed: boolean
  /** It has answered, or was found unreachable, since this master began. */
  readonly tried: boolean
  /** It has answered the last letter. */
  readonly heard: boolean
  /** When it last did. */
  readonly heardMs: number
  /** What it told last. */
  readonly facts: ContestFacts | null
  /** What came of our nonces, and by its own word of its, since the pair is this one. */
  readonly mine: Side
  readonly theirs: Side
  /** Since when it is heard and nothing is decided. */
  readonly openSinceMs: number
  readonly mismatch: Mismatch | null
  /** Why no contest can be held with it, though it answers. */
  readonly cannot: 'older' | 'wrong-secret' | null
  /** The letter under way. */
  readonly call: { readonly id: number; readonly nonce: string | null } | null
  readonly nextMs: number
  /** When the last letter was begun. */
  readonly wroteMs: number
  /** What of our numbers, and of our nonces, it was told last; empty at a new hearing. */
  readonly told: string
  readonly toldMine: Side
}

export interface ContestState {
  readonly startedMs: number
  readonly peers: readonly ContestPeer[]
  /** How often the mount has changed under this master. */
  readonly mount: number
  /** The mount and the cluster that were seen last; null before the first look. */
  readonly place: string | null
  /** The newest term whose holder has passed with this master, or which it has held itself. */
  readonly provenTerm: number
  /** Letters so far. */
  readonly letters: number
  /** The active of the other directory for which this one stands back; null for none. */
  readonly yielded: string | null
}

/** What a new keeper of the same master goes on with. */
export type ContestMemory = Pick<
  ContestState,
  'peers' | 'mount' | 'place' | 'provenTerm' | 'yielded'
>

export type ContestEffect =
  /** Create the nonce's file, then `contest-made`. */
  | { readonly do: 'contest-make'; readonly id: number; readonly nonce: string }
  | { readonly do: 'contest-drop'; readonly nonce: string }
  /** Deliver it, then `contest-delivered`. */
  | {
      readonly do: 'contest-send'
      readonly id: number
      readonly to: string
      readonly letter: Letter
    }
  /** Create that name exclusively, then `contest-checked`. */
  | {
      readonly do: 'contest-try'
      readonly id: number
      readonly from: string
      readonly nonce: string
    }
  | { readonly do: 'contest-answer'; readonly id: number; readonly reply: LetterReply }

/** This master, as it is at this moment. */
export type Own = Omit<ContestFacts, 'mount'>

export const newContest = (nowMs: number, memory: ContestMemory | null = null): ContestState => ({
  startedMs: nowMs,
  // Whether they are heard is found out anew; what was under way has gone with the old keeper.
  peers: (memory?.peers ?? []).map((peer) => ({
    ...peer,
    heard: false,
    call: null,
    nextMs: nowMs,
  })),
  mount: memory?.mount ?? 0,
  place: memory?.place ?? null,
  provenTerm: memory?.provenTerm ?? 0,
  letters: 0,
  yielded: memory?.yielded ?? null,
})

/** The same process on every host that knows it. */
export const processText = (of: { bootId: string; pid: number; startTicks: number }): string =>
  `${of.bootId} ${of.pid} ${of.startTicks}`

/** Another process, or another mount under it, is another one. */
export const incarnationOf = ({ by, mount }: Pick<ContestFacts, 'by' | 'mount'>): string =>
  `${by} ${mount}`

export const isPassed = ({ mine, theirs, mismatch }: ContestPeer): boolean =>
  mismatch === null && mine === 'exists' && theirs === 'exists'

/** It is heard, and what the contest says is still to come. */
export const isOpen = (peer: ContestPeer, timing: Timing, nowMs: number): boolean =>
  peer.heard &&
  peer.mismatch === null &&
  peer.cannot === null &&
  peer.mine !== 'unknown' &&
  peer.theirs !== 'unknown' &&
  !isPassed(peer) &&
  nowMs < peer.openSinceMs + openLimitMs(timing)

/** So long is a contest waited for, and is everybody listed tried after a start. */
export const openLimitMs = (timing: Timing): number => timing.monitorMs / 2

/** The next moment at which a letter is due. */
export const contestWakes = (s: ContestState, timing: Timing): number[] => [
  s.startedMs + openLimitMs(timing),
  ...s.peers.flatMap((peer) => [
    ...(peer.call === null ? [peer.nextMs] : []),
    peer.openSinceMs + openLimitMs(timing),
  ]),
]
