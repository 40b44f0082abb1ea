/** The periods that the operator has set, in the shape in which the HA library takes and checks them. */
import type { Configuration } from './configuration.ts'

const PERIODS = {
  renewMs: 'tajo.master.ha.renew.interval',
  deadlineMs: 'tajo.master.ha.deadline',
  patienceMs: 'tajo.master.ha.patience',
  pollMs: 'tajo.master.ha.poll.interval',
  settleMs: 'tajo.master.ha.settle',
  activationMs: 'tajo.master.ha.activation',
  hangMs: 'tajo.master.ha.hang-limit',
  graceMs: 'tajo.master.ha.handover.grace',
  rankStepMs: 'tajo.master.ha.rank.step',
} as const

type Period = keyof typeof PERIODS

export interface HaTiming {
  readonly monitorMs: number
  /** Only what a file sets; the rest derives from `monitorMs`. */
  readonly overrides: { readonly [P in Period]?: number }
}

export function haTiming(conf: Configuration): HaTiming {
  const set = (Object.keys(PERIODS) as Period[]).filter((name) => conf.isSet(PERIODS[name]))
  return {
    monitorMs: conf.get('tajo.master.ha.monitor.interval'),
    overrides: Object.fromEntries(set.map((name) => [name, conf.get(PERIODS[name])])),
  }
}
