/**
 * HDFS through its NFS gateway: no schedule breaks a promise, and each rule that is left out on purpose is found. Time is
 * virtual and the seeds are fixed: the machine decides nothing.
 */
import { test } from 'tap'
import { byOpenFiles, GATEWAY_GUARDS, type GatewayGuard, gatewayWorld } from './gateway-guards.ts'
import type { Profile } from './profile.ts'
import { runSchedule } from './schedule.ts'

const SEEDS = 60
const MOST_SEEDS = 200

test('no schedule on the gateway breaks a promise', async (t) => {
  let acks = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const outcome = await runSchedule({ seed, adjust: gatewayWorld })
    if (outcome.violation !== null) t.fail(`seed ${seed}: ${outcome.violation}`)
    acks += outcome.acks
  }
  t.ok(acks > 0)
  t.comment(`${SEEDS} schedules, ${acks} acknowledged changes`)
})

test('looks that a link count of 1 fools break none: renewals are judged by their name', async (t) => {
  for (let seed = 1; seed <= SEEDS / 6; seed += 1) {
    const adjust = (profile: Profile): Profile => ({ ...gatewayWorld(profile), triggers: 4 })
    const { violation } = await runSchedule({ seed, adjust, breaks: { disk: byOpenFiles } })
    if (violation !== null) t.fail(`seed ${seed}: ${violation}`)
  }
})

/** By the rule that is meant, where one is: what is left out may break others in another schedule. */
async function firstBite({ breaks, adjust, seed: known, rule = '' }: GatewayGuard) {
  const all = Array.from({ length: MOST_SEEDS }, (_, i) => i + 1)
  for (const seed of new Set(known === undefined ? all : [known, ...all])) {
    const { violation } = await runSchedule({ seed, breaks, adjust })
    if (violation?.startsWith(rule)) return { seed, violation }
  }
  return null
}

for (const guard of GATEWAY_GUARDS) {
  test(`it is noticed: ${guard.name}`, async (t) => {
    const bite = await firstBite(guard)
    t.not(bite, null, `found by ${guard.rule ?? 'any rule'} within ${MOST_SEEDS} seeds`)
    if (bite === null) return
    t.comment(`seed ${bite.seed}: ${bite.violation}`)
    const whole = await runSchedule({ seed: bite.seed, adjust: guard.adjust })
    t.equal(whole.violation, null, 'the same world passes with the rule in place')
  })
}
