/**
 * `npm run models`: the model in references.ts, in the worlds that are too large for `npm test`, and in those that show
 * what makes up for a rule. One to two minutes. Exit code 1 when one has a violation, or another number of states.
 */
import { exploreReferences } from './references.ts'
import { LARGE, nameOf, SPARED } from './references-worlds.ts'

for (const { states: expected, ...world } of [...SPARED, ...LARGE]) {
  const without = world.broken === undefined ? '' : `, without ${world.broken.join(' and ')}`
  const startMs = performance.now()
  const { states, violation } = exploreReferences(world)
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  const verdict = violation === null ? 'no violation' : `VIOLATION: ${violation.join(' | ')}`
  const wrong = violation === null && states !== expected ? `, WRONG: ${expected} expected` : ''
  console.log(`${nameOf(world)}${without}: ${states} states in ${seconds} s${wrong}, ${verdict}`)
  if (violation !== null || wrong !== '') process.exitCode = 1
}
