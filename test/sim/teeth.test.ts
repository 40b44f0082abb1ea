/**
 * Has the auditor teeth? Each guard of the protocol is broken in turn, and within a bounded number of seeds a violation
 * has to be found; the same world with the guard in place has to pass. What a break may not be found by is the bound on
 * healing: masters that only stop working are no danger.
 *
 * The seeds are fixed and the world's time is virtual: a bite doesn't depend on the machine, and no
 * time limit is needed.
 */
import { test } from 'tap'
import { GUARDS, type Guard } from './guards.ts'
import { runSchedule } from './schedule.ts'

/** Most are found within fifty seeds; the rarest race took 397. */
const MOST_SEEDS = 800

async function firstBite(guard: Guard): Promise<{ seed: number; violation: string } | null> {
  const { breaks, adjust, stopsAll = false, seed: likely = 1 } = guard
  for (let tried = 0; tried < MOST_SEEDS; tried += 1) {
    const seed = 1 + ((likely - 1 + tried) % MOST_SEEDS)
    const { violation, safe } = await runSchedule({ seed, breaks, ...(adjust && { adjust }) })
    if (violation !== null && (stopsAll || !safe)) return { seed, violation }
  }
  return null
}

for (const guard of GUARDS) {
  test(`the auditor notices: ${guard.name}`, async (t) => {
    const bite = await firstBite(guard)
    t.not(bite, null, `a violation within ${MOST_SEEDS} seeds`)
    if (bite === null) return
    t.comment(`seed ${bite.seed}: ${bite.violation}`)
    const { control = guard.adjust } = guard
    const whole = await runSchedule({ seed: bite.seed, ...(control && { adjust: control }) })
    t.equal(whole.violation, null, 'the same world passes with the guard in place')
  })
}
