/**
 * The periods by which a term is kept and judged: its holder's, whoever looks.
 *
 * A holder renews every P and acts until D after a renewal; that an observer's patience T is longer than D, and its
 * settling S longer than P, are relations between two hosts. Where these are configured with different monitor intervals
 * neither is kept by anybody's own values, so a term's periods are written down when it is claimed (`history/N.json`,
 * `claim.json`), hold as long as the term, and are what all others use. Pure. Its source is docs/ha-protocol.md, "Whose
 * periods".
 *
 * An operator is told where masters are configured with different monitor intervals: it works, each term by its holder's
 * periods, but how long a failover takes then changes with whoever is active.
 */
import type { Peer } from '../directory/peers.ts'
import type { Holder } from '../words/layout.ts'
import type { State } from './elector-state.ts'
import { makeTiming, type Timing } from './timing.ts'

/** A sentence each; none where all are alike. `others`: the masters on file but this one. */
export function periodWarnings(state: State, others: readonly Peer[]): string[] {
  const { watch, pace, timing, lease } = state
  const holder = lease === null ? (watch.seen?.holder ?? null) : null
  const found: string[] = []
  const different = new Map<string, number>()
  const known = [...(holder === null ? [] : [holder]), ...others.map((peer) => peer.holder)]
  for (const { address, periods } of known) {
    const isOther = periods !== undefined && periods.monitorMs !== timing.monitorMs
    if (isOther && address !== state.address) different.set(address, periods.monitorMs)
  }
  for (const [address, monitorMs] of different) {
    found.push(
      `the monitor interval of ${address} is ${monitorMs} ms, here it is ${timing.monitorMs} ms: each term goes by its holder's, so set tajo.master.ha.monitor.interval alike on all masters and start those anew that differ`,
    )
  }
  const slow = slowBeside(holder, pace?.monitorMs ?? 0)
  if (slow !== null) found.push(slow)
  return found
}

/** Its looks can't follow the holder's periods. */
function slowBeside(holder: Holder | null, paceMs: number): string | null {
  const monitorMs = holder?.periods?.monitorMs
  if (holder === null || monitorMs === undefined || paceMs <= monitorMs) return null
  return `the shared directory is slow on this host: the smallest monitor interval that it can keep is ${paceMs} ms, and the active master ${holder.address} has ${monitorMs} ms, so this host notices its loss by the periods of ${paceMs} ms only. Raise tajo.master.ha.monitor.interval on all masters, or mend the mount`
}

/** The periods by which a term is kept and judged, in ms: its holder's. The letters are those of docs/ha-protocol.md. */
export interface Periods {
  /** M, the monitor interval. */
  readonly monitorMs: number
  /** P, between two renewals. */
  readonly renewMs: number
  /** D, for which the holder acts after the start of a renewal. */
  readonly deadlineMs: number
  /** T, after which an unchanged heartbeat has expired. */
  readonly patienceMs: number
  /** Q, between two looks. */
  readonly pollMs: number
  /** S, which a successor waits where nothing proves the holder dead. */
  readonly settleMs: number
}

/** What a holder with this timing writes down. */
export const periodsOf = (timing: Timing): Periods => ({
  monitorMs: timing.monitorMs,
  renewMs: timing.renewMs,
  deadlineMs: timing.deadlineMs,
  patienceMs: timing.patienceMs,
  pollMs: timing.pollMs,
  settleMs: timing.settleMs,
})

const NAMES = [
  'monitorMs',
  'renewMs',
  'deadlineMs',
  'patienceMs',
  'pollMs',
  'settleMs',
] as const satisfies readonly (keyof Periods)[]

/** From a file: null for what no holder can have written, which is judged like periods that are missing. */
export function readPeriods(value: unknown): Periods | null {
  if (typeof value !== 'object' || value === null) return null
  const found = value as Periods
  if (!NAMES.every((name) => Number.isFinite(found[name]) && found[name] > 0)) return null
  return found.renewMs < found.deadlineMs && found.deadlineMs < found.patienceMs ? found : null
}

/** Each the longer of the two: nobody's lease is cut by it. */
export const largest = (a: Periods, b: Periods): Periods => ({
  monitorMs: Math.max(a.monitorMs, b.monitorMs),
  renewMs: Math.max(a.renewMs, b.renewMs),
  deadlineMs: Math.max(a.deadlineMs, b.deadlineMs),
  patienceMs: Math.max(a.patienceMs, b.patienceMs),
  pollMs: Math.max(a.pollMs, b.pollMs),
  settleMs: Math.max(a.settleMs, b.settleMs),
})

/** Of the smallest monitor interval that an observer can keep; null where its own storage was not measured. */
export const paceOf = (monitorMs: number): Periods => periodsOf(makeTiming(monitorMs))
