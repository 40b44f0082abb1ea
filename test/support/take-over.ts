/** A master's way to its first term, for tests to which it is all the same. */
import type { TakeOver } from '../../lib/ha/rules/take-over.ts'

export const TAKE_OVER: TakeOver = {
  cause: {
    reason: 'first-start',
    orderedBy: null,
    evidence: 'there was no term yet',
    provenTerm: null,
    previousTerm: 0,
    basis: {
      newest: 0,
      pulses: [],
      servedTerm: 0,
      holder: null,
      holderTerm: 0,
      holderDead: false,
      successor: null,
    },
    commandId: null,
    trouble: null,
    lastBeatMs: 0,
    noticedMs: 0,
    decidedMs: 0,
  },
  wonMs: 0,
  endedMs: 0,
  settledMs: 0,
}
