/**
 * The rules by which a term begins with a reference, in every interleaving: no violation as they are, and one for each rule
 * that is left out or moved. The model and what it leaves out: test/sim/references.ts; larger worlds: `npm run models`.
 */
import { test } from 'tap'
import { exploreReferences } from './references.ts'
import { BROKEN, nameOf, SOUND } from './references-worlds.ts'

for (const { states, ...world } of SOUND) {
  test(`no interleaving breaks the rules: ${nameOf(world)}`, async (t) => {
    const found = exploreReferences(world)
    t.equal(found.violation, null, found.violation?.join(' | ') ?? 'no violation')
    t.equal(found.states, states, 'these are all states, masters being alike')
  })
}

for (const world of BROKEN) {
  test(`it is noticed: ${world.broken.join(' and ')} (${nameOf(world)})`, async (t) => {
    const { states, violation } = exploreReferences(world)
    t.not(violation, null, 'a violation is found')
    t.comment(`after ${states} states: ${violation?.join(' | ')}`)
    const sound = exploreReferences({ ...world, broken: [] })
    t.equal(sound.violation, null, 'and none with the rule in place')
  })
}
