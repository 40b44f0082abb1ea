/**
 * What the elector knows, as plain data: its state, how it begins, and when the next step is due. Nothing here acts.
 */
import { REFUSED_MTIME_MS } from '../words/layout.ts'
import type { Resume } from '../words/messages.ts'
import { type ContestMemory, type ContestState, contestWakes, newContest } from './contest-state.ts'
import type { Phase } from './elector-phases.ts'
import { type NetworkState, networkWakes, newNetwork } from './network-state.ts'
import { type Periods, periodsOf } from './periods.ts'
import type { Timing } from './timing.ts'
import { newWatch, type Watch } from './watch.ts'

/** One backup that others may hand over to, as `peers.ts` keeps it. */
export interface Candidate {
  readonly address: string
  readonly priority: number
  /** M by which it looks and answers; undefined where its file does not tell. */
  readonly monitorMs?: number
}

/** In place of a commit's id: the first answer of all under a term waits for a renewal like any other. */
export const TO_SERVE = 0

/** Our heartbeat, from the moment it was created. */
export interface Lease {
  readonly term: number
  /** Start of the last successful renewal + D. */
  readonly untilMs: number
  readonly renewing: boolean
  readonly dueMs: number
  /** The last renewal failed, or let nothing be answered: the next one waits for `dueMs`, whoever asks for it. */
  readonly failing: boolean
  /** Commits that the renewal under way covers, and those that need one that starts later; `TO_SERVE` among them. */
  readonly covered: readonly number[]
  readonly waiting: readonly number[]
  /** Set while nothing may be answered: the deadline has passed, or the role is another's. */
  readonly suspended: { readonly sinceMs: number; readonly confirmed: boolean } | null
}

/** What a backup waits for before it claims: what it believes, since when, and its turn. */
interface Intent {
  readonly key: string
  readonly noticedMs: number
  readonly claimMs: number
}

interface Command {
  readonly id: number
  readonly force: boolean
  readonly by: string
  readonly untilMs: number
  readonly fencing: 'no' | 'asked' | 'done'
  /** The term whose holder is proven dead by it, or 0. */
  readonly fencedTerm: number
}

/** A hand-over whose successor is not known to live yet. */
interface HandOver {
  readonly id: number
  /** Null for the best there is. */
  readonly successor: string | null
  readonly by: string
  /** The role is given up even when there is nobody to have it. */
  readonly force: boolean
  /** When it was asked for: only backups seen after that count. */
  readonly sinceMs: number
  /** The backups' files are read again then. */
  readonly scanMs: number
  /** Refused then. */
  readonly untilMs: number
  /** The successor that is asked for its proof, or null. */
  readonly asked: string | null
}

/** Why this master does not serve: its last attempt. */
interface Failure {
  readonly what: 'claim' | 'opening' | 'serving'
  readonly term: number
  readonly why: string
  /** How often the same has failed, one after the other. */
  readonly times: number
  /** A later term has served. */
  readonly isOver: boolean
}

/** A new one after the one before. */
export const failedAgain = (
  before: Failure | null,
  now: Pick<Failure, 'what' | 'term' | 'why'>,
): Failure => {
  const goesOn = before !== null && before.what === now.what && !before.isOver
  return { ...now, times: goesOn ? before.times + 1 : 1, isOver: false }
}

/** What it was, without the reason, for a sentence that begins with whose it is. */
export const whatFailed = ({ what, term }: Failure): string =>
  ({
    claim: `could not claim term ${term}`,
    opening: `claimed term ${term} and could not serve`,
    serving: `gave term ${term} up`,
  })[what]

/** It has the reason, and how often it came. */
export function failureText(failure: Failure): string {
  const { why, times } = failure
  return `${whatFailed(failure)}${times > 1 ? ` (${times} times)` : ''}: ${why}`
}

export interface State {
  readonly address: string
  readonly priority: number
  readonly timing: Timing
  readonly phase: Phase
  readonly watch: Watch
  /** The shortest periods that this host's storage can keep up with; null before it was measured. */
  readonly pace: Periods | null
  readonly lease: Lease | null
  readonly intent: Intent | null
  readonly command: Command | null
  readonly handOver: HandOver | null
  readonly candidates: readonly Candidate[]
  /** When the look that found them was begun. */
  readonly scannedMs: number
  /** The longest time between two pulses of a backup's file. */
  readonly pulseMs: number
  readonly looking: { readonly busy: boolean; readonly again: boolean; readonly nextMs: number }
  /** Claim nothing before: after a failed claim or activation. */
  readonly claimAfterMs: number
  /** How many claims have failed one after the other: each waits longer for the next one. */
  readonly failedClaims: number
  /** The number of a failed claim that can go on where it stopped. */
  readonly unfinished: number | null
  /**
   * The term that was given up to nobody, by force: until a higher one has served only a command makes this master active
   * again. It is null where there is none.
   */
  readonly standDown: number | null
  /** What came to nothing last, until this master serves. */
  readonly failure: Failure | null
  /** Why the last renewal failed; null when it succeeded. */
  readonly unwritable: string | null
  /** Fencing methods are configured. */
  readonly canFence: boolean
  readonly pingMs: number
  readonly pongMs: number
  /** It was late with an answer once because its host gave it no time to run. */
  readonly spared: boolean
  readonly stepMs: number
  readonly masterGone: boolean
  /** We killed it for not answering; named in the obituary. */
  readonly killed: boolean
  readonly leaving: string | null
  /** Why the directory couldn't be read when it was looked at last; null where it could. */
  readonly unreadable: string | null
  /** A term above ours that serves, and when we saw it: our next renewal must fail, else it is a split brain. */
  readonly above: { readonly term: number; readonly seenMs: number } | null
  /** What is known of the clients' network, and the offers that follow from it. */
  readonly network: NetworkState
  /** Who this master is to the others, whatever their directory. */
  readonly identity: Identity
  /** Whether the others' directory is this one. */
  readonly contest: ContestState
}

interface Identity {
  readonly clusterId: string
  /** Absolute path of the HA directory. */
  readonly directory: string
  /** `processText` of the master. */
  readonly by: string
}

/** It answered a ping lately: a backup whose master does not must neither claim nor be handed the role. */
export const isMasterReady = (state: State, nowMs: number): boolean =>
  nowMs - state.pongMs < 3 * state.timing.renewMs

/** Twice the time after each opening that a master did not outlive, up to so much. */
const MOST_PATIENCE = 8

/**
 * For how long the master may answer no ping. An opening in which the masters before have died, since they took too long
 * for their keepers or for their hosts, is not tried in the same way for ever: it would end in the same way. Their terms
 * lie above the newest that served; whoever was refused has come to an end by itself. Nothing is served meanwhile, so this
 * is about time only, never about safety.
 */
export function hangLimitMs({ phase, timing }: State): number {
  if (phase.name !== 'activating') return timing.hangMs
  const { pulses, servedTerm } = phase.takeOver.cause.basis
  const died = pulses.filter(
    ({ term, mtimeMs }) => term > servedTerm && mtimeMs !== REFUSED_MTIME_MS,
  )
  return timing.hangMs * Math.min(MOST_PATIENCE, 2 ** died.length)
}

interface Beginning {
  readonly address: string
  readonly priority: number
  readonly timing: Timing
  readonly nowMs: number
  readonly canFence: boolean
  /** A term that an earlier keeper of this master held. */
  readonly resume: Resume | null
  /** Left out where nobody asks whose directory this is. */
  readonly identity?: Identity
  /** Of an earlier keeper of this master. */
  readonly contest?: ContestMemory | null
}

export function begin(beginning: Beginning): State {
  const { address, priority, timing, nowMs, canFence, resume } = beginning
  const phase: Phase =
    resume === null
      ? { name: 'watching' }
      : resume.serving
        ? { name: 'active', term: resume.term }
        : { name: 'activating', term: resume.term, takeOver: resume.takeOver }
  return {
    address,
    priority,
    timing,
    phase,
    watch: newWatch(nowMs, periodsOf(timing)),
    pace: null,
    lease:
      resume === null
        ? null
        : {
            term: resume.term,
            untilMs: resume.untilMs,
            renewing: false,
            dueMs: nowMs,
            failing: false,
            covered: [],
            waiting: [],
            suspended: null,
          },
    intent: null,
    command: null,
    handOver: null,
    candidates: [],
    scannedMs: Number.NEGATIVE_INFINITY,
    pulseMs: 2 * timing.renewMs,
    looking: { busy: false, again: false, nextMs: nowMs },
    claimAfterMs: nowMs,
    standDown: null,
    failure: null,
    unwritable: null,
    failedClaims: 0,
    unfinished: null,
    canFence,
    pingMs: nowMs,
    pongMs: nowMs,
    spared: false,
    stepMs: Number.NEGATIVE_INFINITY,
    masterGone: false,
    killed: false,
    leaving: null,
    unreadable: null,
    above: null,
    network: newNetwork(nowMs),
    identity: beginning.identity ?? { clusterId: '', directory: '', by: '' },
    contest: newContest(nowMs, beginning.contest),
  }
}

/**
 * The next moment at which `tick` may have something to do, Infinity for none. What was due at the last step has been
 * done or waits for an input, so only later moments count.
 */
export function wakeMs(state: State): number {
  const { phase, lease, timing } = state
  const times = [state.pingMs, state.pongMs + hangLimitMs(state), state.looking.nextMs]
  times.push(...networkWakes(state), ...contestWakes(state.contest, timing))
  if (lease !== null) {
    times.push(lease.dueMs, lease.untilMs)
    if (lease.suspended !== null) times.push(lease.suspended.sinceMs + timing.renewMs)
    if (state.above !== null) times.push(state.above.seenMs + timing.renewMs)
  }
  if ('untilMs' in phase) times.push(phase.untilMs)
  if (state.intent !== null) times.push(state.intent.claimMs)
  if (state.command !== null) times.push(state.command.untilMs)
  if (state.handOver !== null) times.push(state.handOver.scanMs, state.handOver.untilMs)
  return Math.min(...times.filter((ms) => ms > state.stepMs), Number.POSITIVE_INFINITY)
}
