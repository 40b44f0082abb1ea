/** The active's part in proving that workers have its directories, on real ones: mounts are in test/integration/worker-directory. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { whyNotThere } from '../../../lib/base/there.ts'
import { systemClock } from '../../../lib/base/time.ts'
import { Proof, type ProofOptions } from '../../../lib/master/queries/files/proof.ts'
import { patienceMs } from '../../support/pace.ts'

function world(t: Test) {
  const dir = t.testdir({ root: { system: {} }, tables: {} })
  const warehouse = join(dir, 'tables')
  const systemDirectory = join(dir, 'root', 'system')
  let made = 0
  const make = (term: number, more: Partial<ProofOptions> = {}): Proof =>
    new Proof({
      ...{ term, host: 'host1', systemDirectory, warehouse, clock: systemClock },
      sample: () => [],
      lookFor: whyNotThere,
      nonce: () => `n${++made}`,
      everyMs: patienceMs(),
      limitMs: patienceMs(),
      log: () => undefined,
      ...more,
    })
  const names = (directory: string): string[] => readdirSync(directory).sort()
  return {
    root: join(dir, 'root'),
    warehouse,
    make,
    tables: () => names(join(warehouse, '.proof')),
    inRoot: () => names(join(systemDirectory, 'proof')),
    record: () => names(join(systemDirectory, 'proof')).filter((one) => one.startsWith('ware')),
  }
}

t.test('a file of each term, and none of those before', async (t) => {
  const w = world(t)
  const first = w.make(1)
  const told = await first.places()
  t.match(told, [
    { key: 'tajo.rootdir', why: null, nonce: /^term-0000000001-/ },
    { key: 'tajo.warehouse.directory', why: null, path: join(w.warehouse, '.proof') },
  ])
  const nonces = told.map(({ nonce }) => String(nonce))
  t.ok(first.isProven(nonces))
  t.notOk(first.isProven(nonces.slice(0, 1)), 'one directory proves nothing of the other')
  writeFileSync(join(w.warehouse, '.proof', 'worker-left'), '')
  await w.make(2).places()
  t.match(w.tables(), [/^term-0000000002-/])
  t.match(w.record(), [/^warehouse-term-0000000002-/])
  t.equal(w.inRoot().length, 2)
})

t.test('a file that was removed is made anew under another name', async (t) => {
  const w = world(t)
  const proof = w.make(1)
  const before = (await proof.places()).map(({ nonce }) => String(nonce))
  rmSync(join(w.warehouse, '.proof'), { recursive: true })
  const after = (await proof.places()).map(({ nonce }) => String(nonce))
  t.equal(after[0], before[0])
  t.not(after[1], before[1])
  t.ok(proof.isProven(before), 'who had found the one before is in the same directory')
  t.ok(proof.isProven(after))
  t.equal(await proof.whyNotOurs(join(w.warehouse, 'default')), null)
})

t.test('what a worker makes is there, or could be made', async (t) => {
  const w = world(t)
  const proof = w.make(1)
  const key = 'tajo.warehouse.directory'
  t.equal(await proof.check(key, 'worker-a', 'me'), 'unknown', 'before anything is made there')
  await proof.places()
  t.equal(await proof.check(key, 'worker-a', 'me'), 'created')
  t.notOk(w.tables().includes('worker-a'), 'and is not left there')
  writeFileSync(join(w.warehouse, '.proof', 'worker-b'), 'me')
  t.equal(await proof.check(key, 'worker-b', 'me'), 'exists')
  t.equal(await proof.check(key, 'worker-b', 'another one'), 'unknown')
})

t.test('a warehouse that is another directory', async (t) => {
  const w = world(t)
  await w.make(1).places()
  renameSync(w.warehouse, `${w.warehouse}-away`)
  mkdirSync(w.warehouse)
  const proof = w.make(2)
  const file = join(w.warehouse, 'default', 't', 'part-0')
  t.match(await proof.whyNotOurs(file), /tajo.warehouse.directory\) on host1 is not the cluster's/)
  t.match((await proof.places())[1], { nonce: null, why: /is it mounted on host1/ })
  t.equal([...proof.troubles.keys()].join(), 'tajo.warehouse.directory')
  t.strictSame(readdirSync(w.warehouse), [], 'nothing is made there')
  t.ok(proof.isProven([String((await proof.places())[0]?.nonce)]), 'reads go on')
  rmSync(w.warehouse, { recursive: true })
  renameSync(`${w.warehouse}-away`, w.warehouse)
  t.equal(await proof.whyNotOurs(file), null, 'it is back')
  await proof.places()
  t.equal(proof.troubles.size, 0)
})

t.test('no term has left a file there: an earlier version, or somebody removed them', async (t) => {
  const w = world(t)
  const files = [{ path: join(w.warehouse, 'part-0'), bytes: 2 }]
  const sample = () => files
  t.match(
    await w.make(1, { sample }).whyNotOurs(w.warehouse),
    /none of the tables' files are there/,
  )
  writeFileSync(join(w.warehouse, 'part-0'), '1\n')
  t.equal(await w.make(1, { sample }).whyNotOurs(w.warehouse), null)
  rmSync(join(w.warehouse, '.proof'), { recursive: true })
  t.equal(await w.make(2, { sample }).whyNotOurs(w.warehouse), null, 'its files prove it')
})

t.test(
  'a rootdir that is gone before the first look: a mount point, in which nothing is made',
  async (t) => {
    for (const taken of ['before the term', 'in it']) {
      const w = world(t)
      const proof = w.make(1)
      if (taken === 'in it') await proof.places()
      renameSync(w.root, `${w.root}-away`)
      mkdirSync(w.root)
      t.match(await proof.places(), [{ nonce: null, why: /no longer|is not there/ }, {}], taken)
      t.notOk(existsSync(join(w.root, 'system')), taken)
      if (taken === 'in it') continue
      rmSync(w.warehouse, { recursive: true })
      t.match((await proof.places())[1], { nonce: null, why: /is not there/ })
      t.notOk(existsSync(w.warehouse), 'nor is a warehouse, whose mount may be gone as well')
    }
  },
)

t.test(
  'a warehouse in the rootdir is made, also where its system directory is a link',
  async (t) => {
    for (const linked of [false, true]) {
      const w = world(t)
      const warehouse = join(w.root, 'some', 'warehouse')
      if (linked) {
        renameSync(join(w.root, 'system'), join(w.root, '..', 'elsewhere'))
        symlinkSync(join(w.root, '..', 'elsewhere'), join(w.root, 'system'))
      }
      const places = await w.make(1, { warehouse }).places()
      t.match(places, [{ why: null }, { why: null, nonce: /^term-/ }], `linked: ${linked}`)
      t.match(readdirSync(join(warehouse, '.proof')), [/^term-/])
    }
  },
)

t.test(
  'a mount that goes after the look and before the first file: nothing is made on the disk below',
  async (t) => {
    const w = world(t)
    const warehouse = join(w.root, 'warehouse')
    const goes = (): string => {
      if (!existsSync(`${w.root}-away`)) {
        renameSync(w.root, `${w.root}-away`)
        mkdirSync(w.root)
      }
      return 'n1'
    }
    t.match(await w.make(1, { warehouse, nonce: goes }).places(), [
      { nonce: null },
      { nonce: null },
    ])
    t.strictSame(readdirSync(w.root), [])
  },
)

t.test('a warehouse that nobody has used, on a disk of this host alone', async (t) => {
  const w = world(t)
  let on: string | null = 'a local file system (ext4, mounted at /)'
  const others = { aloneOn: async () => on, isShared: () => true }
  const first = w.make(1, others)
  const file = join(w.warehouse, 'default')
  t.match(await first.whyNotOurs(file), /is on a local file system \(ext4.* of host1, which other/)
  t.match((await first.places())[1], { nonce: null, why: /is it mounted on host1/ })
  t.same(readdirSync(w.warehouse), [], 'it is not made the cluster’s')
  t.equal(await w.make(1, { ...others, isShared: () => false }).whyNotOurs(file), null)
  rmSync(w.root, { recursive: true })
  mkdirSync(join(w.root, 'system'), { recursive: true })
  rmSync(join(w.warehouse, '.proof'), { recursive: true })
  on = null
  t.equal(await first.whyNotOurs(file), null, 'it is mounted')
  on = 'a local file system'
  t.equal(await w.make(2, others).whyNotOurs(file), null, 'one that was used goes on')
})

t.test('outside of both, the files that a table has tell', async (t) => {
  const w = world(t)
  const proof = w.make(1)
  const path = join(w.root, '..', 'elsewhere')
  const known = () => ['a', 'b'].map((name) => ({ path: join(path, name), bytes: 1 }))
  t.equal(await proof.whyNotOurs(path), null, 'a table without files')
  t.match(
    await proof.whyNotOurs(path, known),
    /on host1 holds none of the table's files.*is it moun/,
  )
  mkdirSync(path)
  writeFileSync(join(path, 'b'), '1')
  t.equal(await proof.whyNotOurs(path, known), null)
})
