/**
 * Every period of the protocol and the inequalities between them, in one place, checked once when made.
 *
 * All derive from M, the monitor interval; each can be overridden, and a set that breaks a rule is refused with that
 * rule in words. Source: docs/ha-protocol.md, "The lease". All values are milliseconds.
 */
import { HaError } from '../words/errors.ts'

export interface Timing {
  /** M: detection and take-over together, when nothing proves the death. */
  readonly monitorMs: number
  /** P: between two renewals of the lease. */
  readonly renewMs: number
  /** D: the holder acts until the start of its last successful renewal + D, and not a moment longer. */
  readonly deadlineMs: number
  /** T: a heartbeat unchanged for T under an unbroken watch has expired. */
  readonly patienceMs: number
  /** Q: between two looks of an observer. */
  readonly pollMs: number
  /** S: waited after ending the lower terms when nothing proves their holders dead. */
  readonly settleMs: number
  /** What the winner may use for opening the catalog and starting to serve, within M. */
  readonly activationMs: number
  /** A master that answers no ping for so long is killed by its keeper. */
  readonly hangMs: number
  /** How long the others hold back after a release for a named successor. */
  readonly graceMs: number
  /** Contenders wait their rank × this before they claim. */
  readonly rankStepMs: number
}

export type TimingOverrides = { readonly [K in keyof Timing]?: number }

/** The two monotonic clocks that compare T with D may drift by this much against each other (1 % each). */
const DRIFT = 0.02

/** M below this leaves no room for Node's own pauses. */
const SMALLEST_MONITOR_MS = 500

/** Makes and checks a set of periods. Throws HaError BAD_TIMING that names the rule that is broken. */
export function makeTiming(monitorMs = 5000, overrides: TimingOverrides = {}): Timing {
  const renewMs = overrides.renewMs ?? monitorMs / 10
  const deadlineMs = overrides.deadlineMs ?? (monitorMs * 9) / 20
  const timing: Timing = {
    monitorMs,
    renewMs,
    deadlineMs,
    patienceMs: overrides.patienceMs ?? deadlineMs + monitorMs / 20,
    pollMs: overrides.pollMs ?? monitorMs / 20,
    settleMs: overrides.settleMs ?? renewMs + monitorMs / 50,
    activationMs: overrides.activationMs ?? monitorMs / 10,
    hangMs: overrides.hangMs ?? (monitorMs * 3) / 5,
    graceMs: overrides.graceMs ?? monitorMs / 5,
    rankStepMs: overrides.rankStepMs ?? Math.max(5, monitorMs / 500),
  }
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

/** The smallest M on a storage whose renewals take `latencyMs` (95th percentile): P must be several times that. */
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

/** From the last renewal of a lost host to a successor that serves: at most. */
export const lossMs = (
  t: Pick<Timing, 'pollMs' | 'patienceMs' | 'settleMs' | 'activationMs'>,
): number => t.pollMs + t.patienceMs + t.pollMs + t.settleMs + t.activationMs

/** P is at least so many times the storage's measured latency. */
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
