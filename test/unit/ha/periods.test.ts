/**
 * Whose periods judge a holder: the rules one by one, and in every order of two hosts' calls (the model and what it asks:
 * test/sim/periods.ts), whole and with each rule broken.
 */
import { test } from 'tap'
import { explorePeriods, type PeriodsOptions } from '../../sim/periods.ts'

const SMALL = 1000
const LARGE = 2000
const PAIRS = [
  [SMALL, SMALL],
  [LARGE, SMALL],
  [SMALL, LARGE],
] as const

for (const [holderMs, observerMs] of PAIRS) {
  for (const question of ['late', 'lease', 'outage', 'settled'] as const) {
    const options = { question, holderMs, observerMs }
    test(`no order of calls breaks the rules: ${JSON.stringify(options)}`, async (t) => {
      const { states, violation } = explorePeriods(options)
      t.equal(violation, null)
      t.comment(`${states} states`)
    })
  }
}

for (const question of ['late', 'lease', 'outage'] as const) {
  const options = { question, holderMs: SMALL, observerMs: SMALL, paceMs: LARGE }
  test(`nor does an observer whose storage is slow: ${JSON.stringify(options)}`, async (t) => {
    const { states, violation } = explorePeriods(options)
    t.equal(violation, null)
    t.comment(`${states} states`)
  })
}

const BROKEN: readonly PeriodsOptions[] = [
  { broken: 'own patience', question: 'lease', holderMs: LARGE, observerMs: SMALL },
  { broken: 'own gap', question: 'outage', holderMs: SMALL, observerMs: 8 * SMALL },
  { broken: 'gaps counted', question: 'outage', holderMs: SMALL, observerMs: SMALL },
  { broken: 'to the end', question: 'late', holderMs: SMALL, observerMs: SMALL },
  { broken: 'own settling', question: 'settled', holderMs: LARGE, observerMs: SMALL },
  { broken: 'short settling', question: 'settled', holderMs: LARGE, observerMs: LARGE },
  { broken: 'missing: own', question: 'lease', holderMs: LARGE, observerMs: SMALL, missing: true },
  {
    broken: 'unreadable: own',
    question: 'lease',
    holderMs: LARGE,
    observerMs: SMALL,
    unreadable: true,
  },
]
for (const options of BROKEN) {
  test(`broken: ${JSON.stringify(options)}`, async (t) => {
    const { violation } = explorePeriods(options)
    t.not(violation, null)
    t.comment(violation)
    const { broken: _, ...whole } = options
    t.equal(explorePeriods(whole).violation, null, 'and none with the rule in its place')
  })
}

// Its whole counterpart is above, with a shorter interval: with this one it has too many states.
test('broken: a slow observer takes its own gap and the patience of the holder', async (t) => {
  const options = { question: 'outage', holderMs: SMALL, observerMs: SMALL } as const
  const broken = 'pace without its patience'
  const { violation } = explorePeriods({ ...options, paceMs: 8 * SMALL, broken })
  t.not(violation, null)
  t.comment(violation)
})
