/**
 * The seeded simulation: a fixed set of schedules, and fresh ones for as long as there is time, but
 * never fewer than the floor. A failure prints its seed, what was drawn for it, and the one command
 * that replays it.
 *
 * No test here has a time limit of its own: on a busy machine the floor takes as long as it takes.
 * The seeds of the tests that break a rule on purpose (teeth.test.ts) are no part of this.
 *
 * `TAJO_SIM_SEED=N` repeats the fresh seeds of an earlier run, which told N in its last line.
 */
import tap, { type Test, test } from 'tap'
import { wholeNumber } from '../support/numbers.ts'
import { type Many, runMany } from './many.ts'
import { runSchedule } from './schedule.ts'

const FIXED: Many = { from: 1, seeds: 1_000 }

const again = process.env.TAJO_SIM_SEED
const FRESH: Many = {
  from: again === undefined ? Date.now() : wholeNumber('TAJO_SIM_SEED', again, 0),
  seeds: 5_000,
  // What a complete run can spare of its 25 minutes. The floor alone may take longer.
  budgetMs: 60_000,
}

let fixed = 0

test('the same seed gives the same run', async (t) => {
  const lines: string[][] = [[], []]
  for (const own of lines) await runSchedule({ seed: 4711, write: (line) => own.push(line) })
  t.ok((lines[0]?.length ?? 0) > 10)
  t.same(lines[0], lines[1])
})

test('no schedule breaks a promise: fixed seeds', async (t) => {
  fixed = await checkMany(t, FIXED)
  t.equal(fixed, FIXED.seeds)
})

test('no schedule breaks a promise: fresh seeds', async (t) => {
  const fresh = await checkMany(t, FRESH)
  // Of the file, not of this test: whoever runs it looks for the line there.
  tap.comment(`seeds: ${fresh} fresh from ${FRESH.from}, ${fixed} fixed from ${FIXED.from}`)
})

/** Gives how many schedules were run. */
async function checkMany(t: Test, many: Many): Promise<number> {
  const { schedules, activations, acks, failures, text } = await runMany(many)
  t.comment(text)
  t.ok(schedules >= many.seeds, 'the floor is reached')
  t.ok(activations > schedules, 'terms change often enough to mean something')
  t.ok(acks > schedules, 'changes are acknowledged')
  t.equal(failures.length, 0, text)
  return schedules
}
