import t from 'tap'
import { followedBy, PHASES, type Phase } from '../../../lib/ha/rules/elector-phases.ts'

type Name = Phase['name']
const NAMES = Object.keys(PHASES) as Name[]

t.test('a phase that may not follow ends the keeper, with both names', async (t) => {
  const watching: Phase = { name: 'watching' }
  const active: Phase = { name: 'active', term: 3 }
  const why = 'the election went from watching to active, which may not follow it'
  t.throws(() => followedBy(watching, active), { message: why })
  t.throws(() => followedBy({ name: 'ended' }, watching), /from ended to watching/)
  const steppingDown: Phase = { name: 'stepping-down', term: 3, untilMs: 1 }
  t.equal(followedBy(active, steppingDown), steppingDown)
})

t.test('from each phase there is a way to the end, and from the end none', async (t) => {
  t.same(PHASES.ended.next, [])
  for (const from of NAMES) {
    const reached = new Set<Name>([from])
    for (const one of reached) for (const next of PHASES[one].next) reached.add(next)
    t.ok(reached.has('ended'), from)
  }
})

t.test(
  'nothing but a term that was on record serves, and nothing serves that may still yield',
  async (t) => {
    const before = NAMES.filter((name) => PHASES[name].next.includes('active'))
    t.same(before, ['marking'])
    for (const name of NAMES) {
      const { serves, acts, mayYield } = PHASES[name]
      if (serves) t.ok(acts, `${name}: the master acts while it serves`)
      t.notOk(mayYield && acts, `${name}: the master is told of no term that may still be given up`)
    }
  },
)
