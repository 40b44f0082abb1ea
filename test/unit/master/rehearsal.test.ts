/** A backup rehearses a take-over in a directory of its own, of which nothing stays, and touches nothing else. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { rehearse } from '../../../lib/master/queries/catalog/rehearsal.ts'
import { servicesOf, Terms } from '../../support/query-terms.ts'
import { testdirOf } from '../../support/testdir.ts'
import { until } from '../../support/until.ts'

const never = async (): Promise<never> => {
  throw new Error("the cluster's own is asked for")
}

/** `look` is called at each look at the time, of which each change of the catalog takes one. Tells what was asked of `aloneOn`. */
const rehearsal = (
  terms: Terms,
  scratch: string,
  { look = () => {}, signal = new AbortController().signal } = {},
) => {
  const asked: string[] = []
  const aloneOn = async (path: string): Promise<null> => {
    asked.push(path)
    return null
  }
  const { host, everyMs, limitMs, nonce } = PROOF
  const proof = { host, everyMs, limitMs, nonce, severalHosts: true, aloneOn }
  return rehearse({
    queries: { ...terms.options, makeStore: never, lookFor: never, proof },
    scratch,
    signal,
    address: 'm1:26001',
    clock: systemClock,
    wallMs: () => {
      look()
      return Date.now()
    },
  }).then(() => asked)
}

const PROOF = { host: 'h', everyMs: 1000, limitMs: 1000, nonce: () => randomUUID() }

t.test('two terms with their statements, and then nothing is left', async (t) => {
  const terms = new Terms(t)
  const before = readdirSync(terms.directory)
  const scratch = testdirOf(t)
  const seen = new Set<string>()
  const look = (): void => {
    for (const name of readdirSync(scratch)) {
      const catalog = join(scratch, name, 'system/catalog')
      for (const epoch of existsSync(catalog) ? readdirSync(catalog) : []) seen.add(epoch)
    }
  }
  t.strictSame(await rehearsal(terms, scratch, { look }), [], 'nobody is asked for its rootdir')
  for (const epoch of ['epoch-0000000001', 'epoch-0000000002']) t.ok(seen.has(epoch), epoch)
  t.strictSame(readdirSync(scratch), [])
  t.strictSame(readdirSync(terms.directory), before)
})

t.test('a take-over in earnest ends it', async (t) => {
  const terms = new Terms(t)
  const scratch = testdirOf(t)
  const inEarnest = new AbortController()
  let looks = 0
  const look = (): void => {
    looks += 1
    inEarnest.abort()
  }
  await rehearsal(terms, scratch, { look, signal: inEarnest.signal }).catch((error) =>
    t.match(error, { code: 'NOT_ACTIVE' }),
  )
  let all = 0
  const count = (): void => {
    all += 1
  }
  await rehearsal(terms, scratch, { look: count })
  t.ok(looks < all, `${looks} of ${all} looks at the time`)
  t.strictSame(readdirSync(scratch), [])
})

t.test(
  'what a killed one has left is removed by the next, what another one uses is not',
  async (t) => {
    const terms = new Terms(t)
    const child = spawn('true')
    await once(child, 'exit')
    const scratch = t.testdir({
      [`tajo-rehearsal-${child.pid}-abc`]: { system: { x: '' } },
      [`tajo-rehearsal-${process.ppid}-abc`]: {},
      'tajo-rehearsal-x': {},
      other: {},
    })
    await rehearsal(terms, scratch)
    t.strictSame(readdirSync(scratch).sort(), [
      'other',
      `tajo-rehearsal-${process.ppid}-abc`,
      'tajo-rehearsal-x',
    ])
  },
)

t.test('where the directory can not be made that is told, and nothing else happens', async (t) => {
  const terms = new Terms(t)
  const scratch = join(testdirOf(t), 'missing')
  await t.rejects(rehearsal(terms, scratch), { code: 'ENOENT' })
})

t.test('a backup does it once it has joined, whoever has had a term does not', async (t) => {
  for (const isActive of [false, true]) {
    const terms = new Terms(t)
    const scratch = join(testdirOf(t), 'missing')
    const said: string[] = []
    const log = (_level: string, text: string): void => void said.push(text)
    const services = servicesOf(terms, { queries: { scratch }, log })
    const tried = (): boolean => said.some((text) => text.startsWith("a take-over can't be"))
    services.preload()
    const over = new AbortController()
    if (isActive) {
      await services.activate(1, over.signal, { onTrouble: () => {}, renewed: async () => {} })
    }
    await terms.clock.advance(2999)
    t.notOk(tried())
    await terms.clock.advance(1)
    if (isActive) {
      // As long as such a try takes.
      const other = servicesOf(terms, { queries: { scratch }, log: () => {} })
      other.preload()
      await terms.clock.advance(3000)
      await rehearsal(terms, scratch).catch(() => {})
      other.close()
      t.notOk(tried())
    } else await until('it has tried', tried)
    over.abort()
    await services.deactivate()
    services.close()
  }
})

t.test('it waits while another master of this host opens the catalog', async (t) => {
  const terms = new Terms(t)
  const scratch = testdirOf(t)
  const said: string[] = []
  let others = true
  const services = servicesOf(terms, {
    queries: { scratch },
    log: (_level, text) => void said.push(text),
    othersOpen: () => others,
  })
  services.preload()
  await terms.clock.advance(9000)
  t.strictSame(readdirSync(scratch), [])
  others = false
  await until('it has rehearsed', async () => {
    await terms.clock.advance(100)
    return said.includes('a take-over was rehearsed')
  })
  t.strictSame(readdirSync(scratch), [])
  services.close()
})
