/**
 * What an operator should know where masters are configured with different monitor intervals: it works, each term by its
 * holder's periods (periods.ts), but how long a failover takes then changes with whoever is active. Pure.
 */

import type { Peer } from '../directory/peers.ts'
import type { Holder } from '../words/layout.ts'
import type { State } from './elector-state.ts'

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
