/**
 * Directories that are two: no schedule lets a master of one claim beside a master of the other that it hears, and each rule
 * that is left out is found. Time is virtual and the seeds are fixed, so nothing here depends on the machine.
 */
import { test } from 'tap'
import { GROUNDS, runApart } from './apart.ts'
import { APART_GUARDS, type ApartGuard } from './apart-guards.ts'

const SEEDS = 40
const MOST_SEEDS = 200

for (const ground of GROUNDS) {
  test(`no second active that could have been known: ${ground}`, async (t) => {
    let claims = 0
    let acks = 0
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const outcome = await runApart({ seed, ground })
      t.equal(outcome.violation, null, `seed ${seed}`)
      claims += outcome.claims
      acks += outcome.acks
    }
    t.comment(`${SEEDS} schedules, ${claims} claims, ${acks} acknowledged changes`)
    t.ok(claims >= SEEDS, 'somebody claims often enough to mean something')
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
