/**
 * The clients' network is cut and the storage lives: no schedule breaks a promise, and each rule that is broken on
 * purpose is found. Time is virtual and the seeds are fixed; the machine decides only how many of them there is time
 * for, never fewer than the floor. The last line of each test says how many were run.
 */
import { type Test, test } from 'tap'
import { type NetworkOptions, runNetwork } from './network.ts'
import { COURSES } from './network-courses.ts'
import { NETWORK_GUARDS, type NetworkGuard } from './network-guards.ts'

interface Seeds {
  /** Seeds 1 to this one are run, however long that takes. */
  readonly floor: number
  /** And those up to this one while the time lasts. */
  readonly most: number
  readonly budgetMs: number
}

const SEEDS: Seeds = { floor: 30, most: 120, budgetMs: 25_000 }
/** Each costs as much as ten others. */
const SEEDS_APART: Seeds = { floor: 2, most: 6, budgetMs: 10_000 }
/** Short ones: each costs half as much as one of the others. */
const SEEDS_OF_COURSE: Seeds = { floor: 5, most: 10, budgetMs: 4_000 }
/** Most are found within ten. */
const MOST_SEEDS = 120

test('no cut network makes the role flap, get worse, or stay with a worse master', async (t) => {
  const { schedules, handOvers } = await runSeeds(t, SEEDS, {})
  t.ok(handOvers > schedules / 2, 'the role moves often enough to mean something')
})

test('the same with masters whose monitor intervals are far apart', async (t) => {
  await runSeeds(t, SEEDS_APART, { monitorsMs: [1000, 10_000] })
})

for (const course of COURSES) {
  test(`the same where links do not stand still: ${course}`, async (t) => {
    const { late } = await runSeeds(t, SEEDS_OF_COURSE, { course })
    if (course === 'cuts') t.ok(late > 0, `${late} times answers were late`)
  })
}

async function runSeeds(
  t: Test,
  { floor, most, budgetMs }: Seeds,
  options: Omit<NetworkOptions, 'seed'>,
): Promise<{ schedules: number; handOvers: number; late: number }> {
  const endMs = performance.now() + budgetMs
  let schedules = 0
  let handOvers = 0
  let late = 0
  let acks = 0
  while (schedules < floor || (schedules < most && performance.now() < endMs)) {
    schedules += 1
    const outcome = await runNetwork({ ...options, seed: schedules })
    t.equal(outcome.violation, null, `seed ${schedules}`)
    handOvers += outcome.handOvers
    late += outcome.late
    acks += outcome.acks
  }
  t.comment(`${schedules} schedules, ${handOvers} hand-overs, ${acks} acknowledged changes`)
  return { schedules, handOvers, late }
}

async function firstBite({ name: _, seed: first = 1, ...broken }: NetworkGuard) {
  for (let seed = first; seed <= MOST_SEEDS; seed += 1) {
    const { violation } = await runNetwork({ seed, ...broken })
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
    const { full, course } = guard
    const world = { ...(full && { full }), ...(course && { course }) }
    const whole = await runNetwork({ seed: bite.seed, ...world })
    t.equal(whole.violation, null, 'the same world passes with the rule in place')
  })
}
