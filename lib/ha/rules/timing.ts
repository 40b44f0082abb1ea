/**
 * Every period of the protocol stands here, and the inequalities between them, in one place, checked once when made.
 *
 * All derive from M, the monitor interval; each can be overridden, and a set that breaks a rule is refused with that
 * rule in words. Its source is docs/ha-protocol.md, "The lease". All values are milliseconds.
 */
import { HaError } from '../words/errors.ts'

/**
 * A set of periods that fit together, as `makeTiming` makes it: M (`monitorMs`), and each period of PERIOD_RULES, which says
 * what it is. All are in milliseconds.
 */
export type Timing = { readonly monitorMs: number } & { readonly [K in Period]: number }

interface PeriodRule {
  /** In formulas and texts. */
  readonly letter?: string
  /** What follows from M, and from the two that others build on. */
  readonly from: (
    monitorMs: number,
    of: { readonly renewMs: number; readonly deadlineMs: number },
  ) => number
  /** It says the same in letters, for the protocol's texts, and in words, for the configuration's. */
  readonly formula: string
  readonly words: string
  readonly means: string
}

/**
 * What each period is (`means`), its letter in docs/ha-protocol.md, and how it follows from M. That is told in letters
 * (`formula`), in words (`words`) and as a function of milliseconds (`from`). It is the one home of each formula: documents
 * and the defaults of configuration keys are made from this table.
 */
export const PERIOD_RULES = {
  renewMs: {
    letter: 'P',
    from: (m) => m / 10,
    formula: 'M/10',
    words: 'monitor interval / 10',
    means: 'between two renewals of the lease',
  },
  deadlineMs: {
    letter: 'D',
    from: (m) => (m * 9) / 20,
    formula: '9M/20',
    words: 'monitor interval × 9 / 20',
    means:
      'the holder acts until the start of its last successful renewal + D, and not a moment longer',
  },
  patienceMs: {
    letter: 'T',
    from: (m, { deadlineMs }) => deadlineMs + m / 20,
    formula: 'D + M/20',
    words: 'deadline + monitor interval / 20',
    means: 'a heartbeat unchanged for T under an unbroken watch has expired',
  },
  pollMs: {
    letter: 'Q',
    from: (m) => m / 20,
    formula: 'M/20',
    words: 'monitor interval / 20',
    means: 'between two looks of an observer',
  },
  settleMs: {
    letter: 'S',
    from: (m, { renewMs }) => renewMs + m / 50,
    formula: 'P + M/50',
    words: 'renew interval + monitor interval / 50',
    means: 'waited after ending the lower terms when nothing proves their holders dead',
  },
  activationMs: {
    from: (m) => m / 10,
    formula: 'M/10',
    words: 'monitor interval / 10',
    means: 'what the winner may use for opening the catalog and starting to serve, within M',
  },
  hangMs: {
    from: (m) => (m * 3) / 5,
    formula: '3M/5',
    words: 'monitor interval × 3 / 5',
    means: 'a master that answers no ping for so long is killed by its keeper',
  },
  graceMs: {
    from: (m) => m / 5,
    formula: 'M/5',
    words: 'monitor interval / 5',
    means: 'how long the others hold back after a release for a named successor',
  },
  rankStepMs: {
    from: (m) => Math.max(5, m / 500),
    formula: 'M/500, at least 5 ms',
    words: 'monitor interval / 500, at least 5 ms',
    means: 'contenders wait their rank × this before they claim',
  },
} as const satisfies Readonly<Record<string, PeriodRule>>

/** The name of a period: what each one is stands in PERIOD_RULES. */
export type Period = keyof typeof PERIOD_RULES
const PERIODS = Object.keys(PERIOD_RULES) as Period[]

/** Periods that are not to follow from M, in milliseconds, above 0. */
export type TimingOverrides = { readonly [K in keyof Timing]?: number }

/** The two monotonic clocks that compare T with D may drift by this much against each other (1 % each). */
const DRIFT = 0.02

/** M below this leaves no room for Node's own pauses. */
const SMALLEST_MONITOR_MS = 500

/** What `PERIOD_RULES.….from` takes as its second argument: P and D, each asked of `of` when a formula reads it. */
export const builtOn = (
  of: (name: 'renewMs' | 'deadlineMs') => number,
): { readonly renewMs: number; readonly deadlineMs: number } => ({
  get renewMs() {
    return of('renewMs')
  },
  get deadlineMs() {
    return of('deadlineMs')
  },
})

/**
 * Makes a set of periods from M, 5000 ms by default and at least 500 ms, and checks it. A period that builds on another one
 * follows that one's override. Throws HaError BAD_TIMING that names the rule that is broken.
 */
export function makeTiming(monitorMs = 5000, overrides: TimingOverrides = {}): Timing {
  const of = (name: Period): number =>
    overrides[name] ?? PERIOD_RULES[name].from(monitorMs, builtOn(of))
  const periods = Object.fromEntries(PERIODS.map((name) => [name, of(name)]))
  const timing = { monitorMs, ...periods } as Timing
  for (const [name, value] of Object.entries(timing)) {
    if (!Number.isFinite(value) || value <= 0) {
      throw new HaError('BAD_TIMING', `${name} is ${value}: it must be a number above 0`)
    }
  }
  for (const [holds, rule] of rules(timing)) {
    if (!holds) throw new HaError('BAD_TIMING', `these periods don't fit together: ${rule}`)
  }
  return timing
}

/**
 * The smallest M in ms, 500 at least, on a storage whose renewals take `latencyMs` (95th percentile): P must be
 * LATENCIES_PER_RENEWAL times that.
 */
export function smallestMonitorMs(latencyMs: number): number {
  return Math.max(SMALLEST_MONITOR_MS, Math.ceil(latencyMs * LATENCIES_PER_RENEWAL * 10))
}

/**
 * With S as long as the slowest renewal of this storage asks for: a holder that begins one right before its end has met it
 * by then. No longer than M leaves room for: of a storage that needs more the operator is told when the master starts.
 */
export function settledFor(timing: Timing, slowestRenewalMs: number): Timing {
  const { monitorMs, renewMs, settleMs } = timing
  const neededMs = renewMs + slowestRenewalMs + monitorMs / 50
  const roomMs = monitorMs - lossMs({ ...timing, settleMs: 0 })
  return { ...timing, settleMs: Math.max(settleMs, Math.ceil(Math.min(neededMs, 0.99 * roomMs))) }
}

/** How long it is, in ms and at most, from the last renewal of a lost host to a successor that serves. */
export const lossMs = (
  t: Pick<Timing, 'pollMs' | 'patienceMs' | 'settleMs' | 'activationMs'>,
): number => t.pollMs + t.patienceMs + t.pollMs + t.settleMs + t.activationMs

/** P, the time between two renewals, is at least so many times the storage's measured latency. */
export const LATENCIES_PER_RENEWAL = 4

function rules(t: Timing): [boolean, string][] {
  const ms = (n: number): string => `${Math.round(n * 100) / 100} ms`
  const worst = lossMs(t)
  return [
    [
      t.monitorMs >= SMALLEST_MONITOR_MS,
      `monitor interval (${ms(t.monitorMs)}) must be at least ${ms(SMALLEST_MONITOR_MS)}`,
    ],
    [
      t.renewMs * 3 <= t.deadlineMs,
      `3 × renew period (${ms(t.renewMs)}) must not exceed the deadline (${ms(t.deadlineMs)}), so that one lost renewal does not suspend the master`,
    ],
    [
      t.deadlineMs + t.patienceMs * DRIFT < t.patienceMs,
      `deadline (${ms(t.deadlineMs)}) + clock drift (${ms(t.patienceMs * DRIFT)}) must be below the patience (${ms(t.patienceMs)})`,
    ],
    [
      t.pollMs * 4 <= t.patienceMs,
      `4 × poll period (${ms(t.pollMs)}) must not exceed the patience (${ms(t.patienceMs)})`,
    ],
    [
      t.settleMs > t.renewMs,
      `settling (${ms(t.settleMs)}) must be above the renew period (${ms(t.renewMs)}), so that a holder wrongly thought dead meets its end first`,
    ],
    [
      worst < t.monitorMs,
      `poll + patience + poll + settling + activation (${ms(worst)}) must be below the monitor interval (${ms(t.monitorMs)})`,
    ],
    [
      t.hangMs + t.pollMs + t.activationMs < t.monitorMs,
      `hang limit (${ms(t.hangMs)}) + poll + activation must be below the monitor interval (${ms(t.monitorMs)})`,
    ],
    [
      t.graceMs + t.activationMs < t.monitorMs,
      `hand-over grace (${ms(t.graceMs)}) + activation must be below the monitor interval (${ms(t.monitorMs)})`,
    ],
  ]
}
