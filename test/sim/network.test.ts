/**
 * The clients' network is cut and the storage lives: no schedule breaks a promise, and each rule that is broken on
 * purpose is found. Time is virtual and the seeds are fixed, so nothing here depends on the machine.
 */
import { test } from 'tap'
import { runNetwork } from './network.ts'
import { NETWORK_GUARDS, type NetworkGuard } from './network-guards.ts'

const SEEDS = 120
/** Each costs as much as ten others. */
const SEEDS_APART = 6
/** Most are found within ten. */
const MOST_SEEDS = 120

test('no cut network makes the role flap, get worse, or stay with a worse master', async (t) => {
  let handOvers = 0
  let acks = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const outcome = await runNetwork({ seed })
    t.equal(outcome.violation, null, `seed ${seed}`)
    handOvers += outcome.handOvers
    acks += outcome.acks
  }
  t.comment(`${SEEDS} schedules, ${handOvers} hand-overs, ${acks} acknowledged changes`)
  t.ok(handOvers > SEEDS / 2, 'the role moves often enough to mean something')
})

test('a backup that registers anew is seen, though its old name is remembered as missing', async (t) => {
  const { violation } = await runNetwork({ seed: 356 })
  t.equal(violation, null)
})

test('the same with masters whose monitor intervals are far apart', async (t) => {
  for (let seed = 1; seed <= SEEDS_APART; seed += 1) {
    const { violation } = await runNetwork({ seed, monitorsMs: [1000, 10_000] })
    t.equal(violation, null, `seed ${seed}`)
  }
})

async function firstBite({ breaks, full, seed: first = 1 }: NetworkGuard) {
  for (let seed = first; seed <= MOST_SEEDS; seed += 1) {
    const { violation } = await runNetwork({ seed, breaks, ...(full && { full }) })
    if (violation !== null) return { seed, violation }
  }
  return null
}

for (const guard of NETWORK_GUARDS) {
  test(`it is noticed: ${guard.name}`, async (t) => {
    const bite = await firstBite(guard)
    t.not(bite, null, `a violation within ${MOST_SEEDS} seeds`)
    if (bite === null) return
    t.comment(`seed ${bite.seed}: ${bite.violation}`)
    const whole = await runNetwork({ seed: bite.seed, ...(guard.full && { full: guard.full }) })
    t.equal(whole.violation, null, 'the same world passes with the rule in place')
  })
}
