/**
 * An opening that finds no room although the claim found some: a quota tells nobody what it leaves. A real keeper on a real
 * directory; its master is played by the test.
 */
import t from 'tap'
import { comesOfNoSpace, DiskError } from '../../../lib/ha/words/errors.ts'
import { errnoOf, systemWords } from '../../../lib/ha/world/file-handle.ts'
import { playMaster } from '../../support/played-master.ts'
import { until } from '../../support/until.ts'

t.test('an opening that finds no room gets what was kept for it, under its term', async (t) => {
  const { one, opened, reserve, say } = playMaster(t, {
    open: (term) => (term === 1 ? { type: 'opened', term } : null),
  })
  await until('room is kept', () => reserve().includes('whole.json'))
  say({ type: 'no-room', term: 1 })
  say({ type: 'give-up', term: 1, why: 'for the test' })
  await until('the next term is being opened', () => opened.includes(2))
  t.ok(reserve().includes('whole.json'), 'it was not needed for the claim, and term 1 served')
  say({ type: 'no-room', term: 2 })
  await until('the room is given up', () => reserve().length === 0)
  t.match(one.state.phase, { name: 'activating', term: 2 })
  say({ type: 'opened', term: 2 })
  await until('it serves', () => one.state.phase.name === 'active')
  t.match(one.state, { phase: { name: 'active', term: 2 }, failedClaims: 0 })
  t.same(opened, [1, 2])
  await until('and made again', () => reserve().includes('whole.json'))
})

t.test('no space is seen through whatever was made of it', (t) => {
  const made = (cause: unknown): Error => new Error('FULL', { cause })
  t.ok(comesOfNoSpace(new DiskError('EDQUOT', 'x', 'x')))
  t.ok(comesOfNoSpace(made(made(Object.assign(new Error('x'), { code: 'ENOSPC' })))))
  // As Node tells of EDQUOT, of which it knows only the number: by its promises, and by its other calls.
  for (const code of ['Unknown system error -122', 'UNKNOWN']) {
    const words = code === 'UNKNOWN' ? 'unknown error' : `${code}: ${code}`
    const error = Object.assign(new Error(`${code}: ${words}, write`), { code, errno: -122 })
    t.ok(comesOfNoSpace(made(error)))
    t.equal(errnoOf(error), 'EDQUOT')
    t.equal(systemWords(error), 'EDQUOT: disk quota exceeded, write')
  }
  t.notOk(comesOfNoSpace(made(Object.assign(new Error('x'), { code: 'EIO' }))))
  t.notOk(comesOfNoSpace('ENOSPC'))
  t.notOk(comesOfNoSpace(null))
  t.end()
})
