/** A backup rehearses a take-over in a directory of its own, of which nothing stays, and touches nothing else. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { rehearse } from '../../../lib/master/queries/rehearsal.ts'
import { servicesOf, Terms } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const never = async (): Promise<never> => {
  throw new Error("the cluster's own is asked for")
}

const rehearsal = (terms: Terms, scratch: string, isOver: () => boolean) =>
  rehearse({
    queries: { ...terms.options, makeStore: never, lookFor: never },
    scratch,
    isOver,
    address: 'm1:26001',
    clock: systemClock,
    wallMs: Date.now,
  })

t.test('two terms with their statements, and then nothing is left', async (t) => {
  const terms = new Terms(t)
  const before = readdirSync(terms.directory)
  const scratch = t.testdir()
  const seen = new Set<string>()
  await rehearsal(terms, scratch, () => {
    for (const name of readdirSync(scratch)) {
      const catalog = join(scratch, name, 'system/catalog')
      for (const epoch of existsSync(catalog) ? readdirSync(catalog) : []) seen.add(epoch)
    }
    return false
  })
  for (const epoch of ['epoch-0000000001', 'epoch-0000000002']) t.ok(seen.has(epoch), epoch)
  t.strictSame(readdirSync(scratch), [])
  t.strictSame(readdirSync(terms.directory), before)
})

t.test('a take-over in earnest ends it', async (t) => {
  const terms = new Terms(t)
  const scratch = t.testdir()
  let asked = 0
  await rehearsal(terms, scratch, () => {
    asked += 1
    return asked > 1
  })
  t.equal(asked, 3, 'before a statement, and before the second term')
  t.strictSame(readdirSync(scratch), [])
})

t.test('where the directory can not be made that is told, and nothing else happens', async (t) => {
  const terms = new Terms(t)
  const scratch = join(t.testdir(), 'missing')
  await t.rejects(
    rehearsal(terms, scratch, () => false),
    { code: 'ENOENT' },
  )
  const said: string[] = []
  const log = (_level: string, text: string): void => void said.push(text)
  const services = servicesOf(terms, { queries: { scratch }, log })
  services.preload()
  await terms.clock.advance(3000)
  await until('it is told', () => said.some((text) => text.startsWith("a take-over can't be")))
  services.close()
})

t.test('a backup does it once it has joined, whoever has had a term does not', async (t) => {
  const scratch = t.testdir()
  for (const isActive of [false, true]) {
    const terms = new Terms(t)
    const said: string[] = []
    const log = (_level: string, text: string): void => void said.push(text)
    const services = servicesOf(terms, { queries: { scratch }, log })
    services.preload()
    const over = new AbortController()
    if (isActive) {
      await services.activate(1, over.signal, { onTrouble: () => {}, renewed: async () => {} })
    }
    await terms.clock.advance(2999)
    t.strictSame(readdirSync(scratch), [])
    await terms.clock.advance(1)
    if (!isActive) {
      await until('it has rehearsed', async () => {
        await terms.clock.advance(100)
        return said.includes('a take-over was rehearsed')
      })
    }
    t.strictSame(readdirSync(scratch), [])
    t.equal(said.includes('a take-over was rehearsed'), !isActive)
    over.abort()
    await services.deactivate()
    services.close()
  }
})
