/** A rehearsed take-over: it goes through all of it, in a directory of its own, and leaves nothing behind. */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { rehearse } from '../../../lib/master/queries/rehearsal.ts'
import { Terms } from '../../support/query-terms.ts'

t.test('nothing of the cluster is touched, and nothing is left behind', async (t) => {
  const terms = new Terms(t)
  const parent = join(terms.directory, 'tmp')
  mkdirSync(parent)
  let made = 0
  const makeStore = async () => {
    made += 1
    return terms.options.makeStore(null)
  }
  const before = readdirSync(terms.directory, { recursive: true })
  const queries = { ...terms.options, makeStore }
  const parts: string[] = []
  await rehearse({
    ...{ queries, parent, clock: systemClock, wallMs: Date.now },
    onStatement: (sql, state) => parts.push(`${sql.slice(0, 6)}: ${state}`),
  })
  t.equal(made, 0, "the cluster's catalog was not opened")
  t.strictSame(readdirSync(terms.directory, { recursive: true }), before)
  t.strictSame(
    parts,
    [1, 2].flatMap(() => ['CREATE: succeeded', 'SELECT: queued', 'INSERT: queued']),
    'as far as it goes without a worker',
  )
})

t.test('where no directory can be made it is told', async (t) => {
  const { options: queries, directory } = new Terms(t)
  const parent = join(directory, 'nothing', 'here')
  await t.rejects(rehearse({ queries, parent, clock: systemClock, wallMs: Date.now }), {
    code: 'ENOENT',
  })
})
