/**
 * The rules of taking over, in every interleaving: no violation as they are, and one for each rule that is left out or
 * moved. The model and what it leaves out: test/sim/terms.ts.
 */
import { test } from 'tap'
import { type BrokenRule, explore, type TermsOptions } from '../../sim/terms.ts'

const SMALL = { masters: 3, terms: 3, changes: 2 } as const
const ORDER: readonly BrokenRule[] = [
  'only-previous',
  'no-decision',
  'decide-first',
  'ack-first',
  'read-first',
  'unlink-only',
]
const SWEEPING: readonly BrokenRule[] = [
  'sweep-without-tombstone',
  'heartbeat-untaken',
  'no-opened',
  'heartbeat-again',
]

const ONE_PLACE: readonly BrokenRule[] = [
  'no-decision',
  'decide-first',
  'unlink-only',
  'sweep-without-tombstone',
  'heartbeat-again',
]

for (const options of [
  { model: 'original', masters: 3, terms: 4, changes: 2 },
  { model: 'amended', ...SMALL },
  { model: 'amended', ...SMALL, changes: 1, sharedMkdir: true },
  { model: 'amended', ...SMALL, changes: 1, removals: 1 },
  { model: 'amended', ...SMALL, changes: 1, removals: 1, sharedMkdir: true, inodes: true },
  { model: 'amended', ...SMALL, changes: 1, voids: true },
  { model: 'amended', ...SMALL, changes: 1, voids: true, sharedMkdir: true },
] satisfies TermsOptions[]) {
  test(`no interleaving breaks the rules: ${JSON.stringify(options)}`, async (t) => {
    const { states, violation } = explore(options)
    t.equal(violation, null, violation?.join(' | ') ?? 'no violation')
    t.ok(states > 50_000, `${states} states`)
    t.comment(`${states} states, masters being alike`)
  })
}

for (const model of ['original', 'amended'] as const) {
  for (const broken of model === 'original' ? ORDER : [...ORDER, ...SWEEPING]) {
    // A term is closed in two places, of which each is enough: a rule about the one shows where the other is not there.
    const closedOnce = ONE_PLACE.includes(broken)
    test(`the ${model} rules broken: ${broken}${closedOnce ? ', closed once' : ''}`, async (t) => {
      const { violation } = explore({ model, ...SMALL, broken, closedOnce })
      t.not(violation, null)
      t.comment(violation?.join(' | ') ?? '')
    })
  }
}

test('where mkdir is not exclusive', async (t) => {
  const original = explore({ model: 'original', ...SMALL, sharedMkdir: true })
  t.not(original.violation, null, 'the heartbeat alone can not decide: it is unlinked one day')
  const untaken = explore({
    model: 'amended',
    ...SMALL,
    sharedMkdir: true,
    broken: 'heartbeat-untaken',
  })
  t.not(untaken.violation, null)
})

for (const broken of ['void-unclosed', 'void-opened'] as const) {
  test(`terms are made void, broken: ${broken}`, async (t) => {
    const { violation } = explore({ model: 'amended', ...SMALL, changes: 1, voids: true, broken })
    t.not(violation, null)
    t.comment(violation?.join(' | ') ?? '')
  })
}

for (const [name, how] of [
  ['a term is closed by its claim.json alone', { closedOnce: true }],
  ['a term without claim.json counts as unheld', { broken: 'closed-is-unheld' }],
  ['a heartbeat is renewed by its name, whichever file that is', { sharedMkdir: true }],
] as const) {
  test(`a file is removed, and ${name}`, async (t) => {
    const { violation } = explore({ model: 'amended', ...SMALL, changes: 1, removals: 1, ...how })
    t.not(violation, null)
    t.comment(violation?.join(' | ') ?? '')
  })
}
