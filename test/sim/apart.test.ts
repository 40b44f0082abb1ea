/**
 * Directories that are two: no schedule lets a master of one claim beside a master of the other that it hears, and each rule
 * that is left out is found. Time is virtual and the seeds are fixed; the machine decides only how many of them there is time for,
 * for, never fewer than the floor.
 */
import { test } from 'tap'
import { GROUNDS, runApart } from './apart.ts'
import { APART_GUARDS, type ApartGuard } from './apart-guards.ts'

const SEEDS = { floor: 12, most: 60, budgetMs: 6_000 }
/** All are found within 14. */
const MOST_SEEDS = 60

for (const ground of GROUNDS) {
  test(`no second active that could have been known: ${ground}`, async (t) => {
    let claims = 0
    let acks = 0
    let schedules = 0
    const { floor, most, budgetMs } = SEEDS
    const endMs = performance.now() + budgetMs
    while (schedules < floor || (schedules < most && performance.now() < endMs)) {
      schedules += 1
      const outcome = await runApart({ seed: schedules, ground })
      t.equal(outcome.violation, null, `seed ${schedules}`)
      claims += outcome.claims
      acks += outcome.acks
    }
    t.comment(`${schedules} schedules, ${claims} claims, ${acks} acknowledged changes`)
    t.ok(claims >= schedules, 'somebody claims often enough to mean something')
  })
}

async function firstBite({ ground, breaks, forget }: ApartGuard) {
  for (let seed = 1; seed <= MOST_SEEDS; seed += 1) {
    const more = { ...(breaks && { breaks }), ...(forget && { forget }) }
    const { violation } = await runApart({ seed, ground, ...more })
    if (violation !== null) return { seed, violation }
  }
  return null
}

for (const guard of APART_GUARDS) {
  test(`it is noticed: ${guard.name}`, async (t) => {
    const bite = await firstBite(guard)
    t.not(bite, null, `a violation within ${MOST_SEEDS} seeds`)
    if (bite === null) return
    t.comment(`seed ${bite.seed}: ${bite.violation}`)
    t.match(bite.violation, guard.finds)
    const whole = await runApart({ seed: bite.seed, ground: guard.ground })
    t.equal(whole.violation, null, 'the same world passes with the rule in place')
  })
}
