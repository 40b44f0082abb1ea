/**
 * Exhaustive check of whose periods judge whom (docs/ha-protocol.md, "Whose periods"): one holder and one observer that
 * are configured with different monitor intervals, in every order and length of their calls, on the observer's real
 * `advance` and `verdictOf`. Time goes in ticks; what the four questions ask is that none of these ever happens:
 *
 *     late      a holder that renews before its lease is over, however late, is found expired
 *     lease     one that stops renewing at any moment is found expired while its lease still runs
 *     outage    one that renews every P is found expired after the storage has hung, for both and for any time, once: it
 *               would go on with its term
 *     settled   a holder is ended at any moment, and still answers when its successor has settled
 *
 * Looks begin whenever they like (hints make them early, an observer's own stalls late) and take up to the gap.
 */
import { largest, type Periods, periodsOf } from '../../lib/ha/rules/periods.ts'
import { makeTiming, settledFor } from '../../lib/ha/rules/timing.ts'
import { advance, newWatch, type Seen, verdictOf, type Watch } from '../../lib/ha/rules/watch.ts'

export const TICK_MS = 50

export type Question = 'late' | 'lease' | 'outage' | 'settled'

export type BrokenRule =
  /** Judge by the observer's own T. */
  | 'own patience'
  /** Take a gap of the observer's own 2Q for none. */
  | 'own gap'
  /** Count the gaps in the own looking as well. */
  | 'gaps counted'
  /** Count to the end of the last look. */
  | 'to the end'
  /** Settle for the observer's own S. */
  | 'own settling'
  /** S without the slowest renewal. */
  | 'short settling'
  /** A slow observer takes its own gap for none, and the holder's T. */
  | 'pace without its patience'
  /** Missing periods: the observer's own, whatever the holder was last known to use. */
  | 'missing: own'
  /** Periods that can't be read: the observer's own, and nobody waits until they can be. */
  | 'unreadable: own'

export interface PeriodsOptions {
  readonly question: Question
  /** M of each, ms. */
  readonly holderMs: number
  readonly observerMs: number
  /** The holder's file has none; it was last known to use the same. */
  readonly missing?: boolean
  /** The holder's file is there and can't be read, and nothing is known of it. */
  readonly unreadable?: boolean
  /** The observer's storage keeps no shorter interval than this, ms. */
  readonly paceMs?: number
  readonly broken?: BrokenRule
}

export interface PeriodsResult {
  readonly states: number
  readonly violation: string | null
}

/** A call under way: ticks since it began, ticks of them while the storage worked, and whether it has taken effect. */
interface Call {
  readonly age: number
  readonly worked: number
  readonly effect: 'none' | 'done' | 'refused'
}

const NEW: Call = { age: 0, worked: 0, effect: 'none' }

/** Times are ticks before now, so that states repeat. */
interface State {
  /** Since the start of the last renewal that succeeded. */
  readonly lease: number
  /** Until the next one is due. */
  readonly due: number
  readonly renewal: Call | null
  readonly stopped: boolean
  /** It has met its end. */
  readonly gone: boolean
  /** The heartbeat has moved since the observer's watch last saw it. */
  readonly moved: boolean
  readonly look: (Call & { readonly sawMoved: boolean }) | null
  /** The watch: since it counts, and since its newest look; null before the first. */
  readonly from: number | null
  readonly last: number
  readonly storage: 'works' | 'hangs' | 'worked again'
  /** Since the successor ended the term. */
  readonly ended: number | null
}

const seenOf = (moved: boolean, { judged, isGuess }: Judged): Seen => ({
  ...(isGuess && { unreadable: 'claim.json: EIO' }),
  newest: 1,
  pulses: [{ term: 1, mtimeMs: moved ? 5e12 + 1 : 5e12, periods: judged }],
  servedTerm: 1,
  holder: null,
  holderTerm: 0,
  holderDead: false,
  successor: null,
})

interface Judged {
  readonly judged: Periods
  readonly isGuess: boolean
}

/** P is to be four times what a renewal takes as a rule, and some take twice as long. */
const slowestRenewalMs = (renewMs: number): number => Math.max(TICK_MS, renewMs / 2)

/** What the holder writes down, and what the observer makes of it. */
function periodsFor({ holderMs, observerMs, missing, unreadable, broken }: PeriodsOptions) {
  const plain = makeTiming(holderMs)
  const holder = periodsOf(settledFor(plain, slowestRenewalMs(plain.renewMs)))
  const own = periodsOf(makeTiming(observerMs))
  let judged = missing === true ? largest(own, holder) : holder
  if (unreadable === true || broken === 'missing: own') judged = own
  if (broken === 'own patience') judged = { ...judged, patienceMs: own.patienceMs }
  if (broken === 'own gap') judged = { ...judged, pollMs: own.pollMs }
  if (broken === 'gaps counted') judged = { ...judged, pollMs: 1000 * holderMs }
  if (broken === 'own settling') judged = { ...judged, settleMs: own.settleMs }
  if (broken === 'short settling') judged = { ...judged, settleMs: plain.renewMs }
  const isGuess = unreadable === true && broken !== 'unreadable: own'
  return { holder, own, judged, isGuess }
}

/** All states that can be reached; stops at the first violation. */
export function explorePeriods(options: PeriodsOptions): PeriodsResult {
  const { question, broken } = options
  const { holder, own, judged, isGuess } = periodsFor(options)
  const kept = options.paceMs === undefined ? null : periodsOf(makeTiming(options.paceMs))
  const { monitorMs, pollMs } = kept ?? own
  const isHalf = broken === 'pace without its patience'
  const pace = isHalf ? { ...holder, monitorMs, pollMs } : kept
  const observer = { own, pace }
  const ticks = (ms: number): number => ms / TICK_MS
  const P = ticks(holder.renewMs)
  // The two clocks drift: by a tick, which is coarse.
  const D = ticks(holder.deadlineMs) + (question === 'settled' ? 0 : 1)
  const S = ticks(judged.settleMs)
  const renewalMost = Math.max(1, ticks(slowestRenewalMs(holder.renewMs)))
  const poll = broken === 'gaps counted' ? holder : judged
  const lookMost = 2 * ticks(Math.max(poll.pollMs, pace?.pollMs ?? 0)) + 1
  const T = ticks(Math.max(judged.patienceMs, pace?.patienceMs ?? 0))
  const cap = T + lookMost + 1
  const gap = 2 * ticks(Math.max(judged.pollMs, pace?.pollMs ?? 0))

  const start: State = {
    lease: 0,
    due: P,
    renewal: null,
    stopped: false,
    gone: false,
    moved: true,
    look: null,
    from: null,
    last: 0,
    storage: 'works',
    ended: null,
  }
  const seen = new Set([keyOf(start)])
  let frontier = [start]
  let violation: string | null = null

  /** What the holder may do in this tick. */
  function* holderSteps(s: State): Iterable<State> {
    const { renewal } = s
    if (renewal === null) {
      if (s.due > 0 || s.gone || s.stopped) {
        yield s
        return
      }
      if (question === 'lease') yield { ...s, stopped: true }
      if (question === 'late' && s.lease < D - renewalMost) yield s
      yield* renewalSteps({ ...s, renewal: NEW })
      return
    }
    yield* renewalSteps(s)
  }

  function* renewalSteps(s: State): Iterable<State> {
    const { renewal, ended } = s
    if (renewal === null) return
    if (s.storage === 'hangs' || renewal.worked < renewalMost) yield s
    if (s.storage === 'hangs') return
    const effect = renewal.effect !== 'none' ? renewal.effect : ended === null ? 'done' : 'refused'
    const moved = s.moved || (renewal.effect === 'none' && effect === 'done')
    if (renewal.effect === 'none' && renewal.worked < renewalMost) {
      yield { ...s, moved, renewal: { ...renewal, effect } }
    }
    if (effect === 'refused') yield { ...s, renewal: null, gone: true }
    else yield { ...s, moved, renewal: null, lease: renewal.age, due: P - renewal.age }
  }

  /** What the observer may do in it; null is a violation. */
  function* observerSteps(s: State): Iterable<State | null> {
    if (question === 'settled') {
      yield s
      if (s.ended === null) yield { ...s, ended: 0 }
      return
    }
    if (s.look === null) yield s
    const look = s.look ?? { ...NEW, sawMoved: false }
    if (s.storage === 'hangs' || look.worked < lookMost) yield { ...s, look }
    if (s.storage === 'hangs') return
    const sampled =
      look.effect === 'none' ? { ...look, effect: 'done' as const, sawMoved: s.moved } : look
    const after = look.effect === 'none' ? { ...s, moved: false } : s
    if (look.effect === 'none' && look.worked < lookMost) yield { ...after, look: sampled }
    const idle = finished(after, sampled)
    yield idle
    if (idle === null) return
    // A hint: the next one begins at once, and may read at once.
    yield { ...idle, look: { ...NEW, sawMoved: false } }
    yield { ...idle, moved: false, look: { ...NEW, effect: 'done', sawMoved: idle.moved } }
  }

  /** The look is over: the real watch takes it in. */
  function finished(s: State, look: Call & { readonly sawMoved: boolean }): State | null {
    const none = newWatch(0, own)
    const before: Watch =
      s.from === null
        ? none
        : {
            ...none,
            seen: seenOf(false, { judged, isGuess }),
            by: judged,
            sinceMs: -s.from * TICK_MS,
            fromMs: -s.from * TICK_MS,
            lastMs: -s.last * TICK_MS,
          }
    const startedMs = broken === 'to the end' ? 0 : -look.age * TICK_MS
    const times = { startedMs, finishedMs: 0 }
    const watch = advance(before, seenOf(look.sawMoved, { judged, isGuess }), times, observer)
    if (verdictOf(watch, 0, makeTiming(options.observerMs)).is === 'expired') {
      const holds = s.lease < D && !s.gone
      if (question !== 'lease' || holds) {
        violation = `found expired ${s.lease} ticks after the start of its last renewal (D is ${D})`
        return null
      }
    }
    return { ...s, look: null, from: Math.min(cap, -watch.fromMs / TICK_MS), last: 0 }
  }

  function* storageSteps(s: State): Iterable<State> {
    yield s
    if (question !== 'outage') return
    if (s.storage === 'works') yield { ...s, storage: 'hangs' }
    if (s.storage === 'hangs') yield { ...s, storage: 'worked again' }
  }

  const aged = <C extends Call>(call: C | null, s: State): C | null =>
    call === null
      ? null
      : {
          ...call,
          age: Math.min(cap, call.age + 1),
          worked: call.worked + (s.storage === 'hangs' ? 0 : 1),
        }

  /** What makes no difference any more is the same state. */
  function normal(s: State): State {
    // In a gap only what was counted before it matters.
    const over = s.from === null ? 0 : Math.max(0, s.last - gap - 1)
    return {
      ...s,
      lease: question === 'outage' ? 0 : Math.min(D, s.lease),
      due: s.stopped || s.gone ? 0 : Math.max(-1, s.due),
      from: s.from === null ? null : Math.min(cap, s.from - over),
      last: s.from === null ? 0 : Math.min(gap > T ? 1 : gap + 1, s.last),
    }
  }

  while (frontier.length > 0 && violation === null) {
    const next: State[] = []
    for (const before of frontier) {
      for (const storm of storageSteps(before)) {
        for (const held of holderSteps(storm)) {
          for (const s of observerSteps(held)) {
            if (s === null) return { states: seen.size, violation }
            if (s.ended !== null && s.ended > S) {
              if (!s.gone && s.lease < D) {
                violation = `it still answers ${s.ended} ticks after its end (S is ${S})`
                return { states: seen.size, violation }
              }
              continue
            }
            const later = normal({
              ...s,
              lease: s.lease + 1,
              due: s.due - 1,
              renewal: aged(s.renewal, s),
              look: aged(s.look, s),
              from: s.from === null ? null : s.from + 1,
              last: s.last + 1,
              ended: s.ended === null ? null : s.ended + 1,
            })
            const key = keyOf(later)
            if (seen.has(key)) continue
            seen.add(key)
            next.push(later)
          }
        }
      }
    }
    frontier = next
  }
  return { states: seen.size, violation }
}

const EFFECTS = ['none', 'done', 'refused'] as const
const STORAGES = ['works', 'hangs', 'worked again'] as const

/** One number for a state: all of its parts are small. */
function keyOf(s: State): number {
  let key = 0
  const put = (value: number, below: number): void => {
    if (value < 0 || value >= below) throw new Error(`${value} does not fit below ${below}`)
    key = key * below + value
  }
  const putCall = (call: Call | null, longest: number): void => {
    put(call === null ? 0 : Math.min(longest, call.age) + 1, longest + 2)
    put(call === null ? 0 : call.worked, 16)
    put(EFFECTS.indexOf(call?.effect ?? 'none'), 3)
  }
  put(s.lease, 32)
  put(s.due + 1, 8)
  // The next one is due at once after one that took longer than P.
  putCall(s.renewal, 6)
  putCall(s.look, 40)
  put((s.look?.sawMoved ? 1 : 0) + (s.moved ? 2 : 0) + (s.gone ? 4 : 0) + (s.stopped ? 8 : 0), 16)
  put(s.from === null ? 0 : s.from + 1, 64)
  put(s.last, 16)
  put(STORAGES.indexOf(s.storage), 3)
  put(s.ended === null ? 0 : s.ended + 1, 32)
  return key
}
