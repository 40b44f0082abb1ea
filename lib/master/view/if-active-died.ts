/**
 * "If the active died now": who would take over and within what time, or why nobody could. Pure, from the periods of the
 * protocol (lib/ha/rules/timing.ts), so these are bounds that the protocol keeps, not forecasts: as a rule it is faster.
 */
import type { StorageState, Timing } from '../../ha/index.ts'
import type { IfActiveDied, MasterRow } from '../../web/view.ts'

interface Succession {
  readonly masters: readonly MasterRow[]
  /** Umbilical address of the active master. */
  readonly active: string | null
  readonly storage: StorageState
  /** Null when high availability is off. */
  readonly timing: Timing | null
  /** Why no master is active, as this one sees it. */
  readonly problem: string | null
}

export function ifActiveDied(of: Succession): IfActiveDied {
  const { active, masters, storage, timing, problem } = of
  if (timing === null) {
    return nobody('high availability is off (tajo.master.ha.enable): there is one master only')
  }
  if (storage === 'unreadable') {
    return nobody('the shared directory cannot be read from here: nobody takes over blind')
  }
  if (storage === 'unwritable') return nobody('the shared directory cannot be written from here')
  if (active === null) return nobody(problem ?? 'no master is active now')
  const backups = masters.filter(({ address }) => address !== active)
  if (backups.length === 0) return nobody('there is no backup master: start another one')
  const willing = backups.filter(({ priority }) => priority > 0)
  if (willing.length === 0) {
    return nobody('every backup has priority 0 (tajo.master.ha.priority): active by command only')
  }
  const [first] = willing.filter((row) => isReady(row, timing)).sort(byRank)
  if (first === undefined) {
    const names = willing.map(({ address, state, problem }) =>
      problem === null
        ? `${address} (${state}) shows no fresh heartbeat`
        : `${address}: ${problem}`,
    )
    return nobody(`no backup is ready: ${names.join('; ')}`)
  }
  const { pollMs, patienceMs, settleMs, activationMs } = timing
  return {
    successor: first.address,
    // Its keeper says so at once; a lost hint costs one look more.
    processDeathMs: pollMs + activationMs,
    hostLossMs: pollMs + patienceMs + pollMs + settleMs + activationMs,
    why: null,
  }
}

const nobody = (why: string): IfActiveDied => ({
  successor: null,
  processDeathMs: null,
  hostLossMs: null,
  why,
})

/** With an active master only what keeps a backup from becoming it is a problem of that backup. */
const isReady = (
  { state, self, heartbeatAgeMs, connected, problem }: MasterRow,
  timing: Timing,
): boolean =>
  state === 'backup' &&
  problem === null &&
  (self || connected || (heartbeatAgeMs !== null && heartbeatAgeMs < timing.patienceMs))

/** As contenders rank themselves (lib/ha/rules/elector-decision.ts). */
const byRank = (a: MasterRow, b: MasterRow): number =>
  b.priority - a.priority || (a.address < b.address ? -1 : 1)
