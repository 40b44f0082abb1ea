/** What the demo prints at its end: the failover in figures, for people or as one JSON document. */
import { whyOf } from '../../web/term-words.ts'
import type { CommandContext } from '../command.ts'
import { duration, json } from '../print.ts'
import type { DemoMaster } from './cluster.ts'
import type { Facts } from './failover.ts'
import type { Answered } from './stream.ts'

export interface Outcome extends Facts {
  readonly answers: readonly Answered[]
  readonly active: DemoMaster
  readonly backup: DemoMaster
}

export function report({ json: asJson, output }: CommandContext, outcome: Outcome): void {
  const { killedMs, last, taken, answers, entry, active, backup, insertMs, query } = outcome
  const phases = entry.served?.phases
  const repeated = answers.reduce((sum, one) => sum + one.repeats, 0)
  const gapMs = last === null ? null : taken.atMs - last.atMs
  if (asJson) {
    const facts = { from: active.address, to: backup.address, epoch: taken.epoch }
    const firstAnswerMs = taken.atMs - killedMs
    const requests = { answered: answers.length, sentAgain: repeated }
    output.out(
      json({
        ...facts,
        firstAnswerMs,
        gapMs,
        insertMs,
        phases,
        reason: entry.term.reason,
        query,
        requests,
      }),
    )
    return
  }
  const { noticedMs, totalMs: _, ...steps } = phases ?? { noticedMs: 0, totalMs: 0 }
  const named = Object.entries(steps).map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${duration(ms)}`,
  )
  const gap = gapMs === null ? '' : `, ${duration(gapMs)} after the last answer before it`
  output.out(
    [
      '',
      `Failover from ${active.address} to ${backup.address}: ${duration(taken.atMs - killedMs)} from the kill to the first answer${gap}`,
      `Phases of term ${taken.epoch}, because ${whyOf(entry)}: noticed ${duration(noticedMs)} after the last heartbeat, then ${named.join(', ')}`,
      `Query: ${query.rows} rows, ${query.rows - query.rowsAtKill} of them read after the kill; a change of data sent at the kill: ${duration(insertMs)}`,
      `Status requests: ${answers.length} answered; sent again ${repeated} times while nobody was active`,
    ].join('\n'),
  )
}
