/** Guards: who holds one, whose death is proven, and that of many only one gets it. */
import { spawnSync } from 'node:child_process'
import { linkSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  GuardError,
  type Guarded,
  type GuardWorld,
  requireUnheld,
  takeGuard,
} from '../../../lib/daemon/index.ts'

const guarded = (directory: string): Guarded => ({
  path: join(directory, 'a.guard'),
  what: 'this thing',
  usedBy: 'this thing is in use by',
  instead: 'Use another one',
})

const fakeWorld = (more: Partial<GuardWorld> = {}): GuardWorld => ({
  host: 'host-a',
  machineId: 'machine-a',
  self: { bootId: 'boot-1', pidNamespace: 'pid:[1]', pid: 11, startTicks: 1 },
  verdict: () => 'unknown',
  now: () => new Date(0),
  link: linkSync,
  isIdle: async () => false,
  ...more,
})

async function refused(
  t: Test,
  call: Promise<unknown>,
  code: GuardError['code'],
  ...parts: RegExp[]
) {
  const error = await call.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown as Error,
  )
  t.ok(error instanceof GuardError && error.code === code, `${code}: ${error}`)
  for (const part of parts) t.match(error.message, part)
}

t.test('many that find a dead guard at once: one gets it', async (t) => {
  const directory = t.testdir({})
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  const world = fakeWorld()
  await takeGuard(guarded(directory), 'dead', { ...world, self: { ...world.self, pid: dead } })
  const tries = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) =>
      takeGuard(guarded(directory), `m${i}`, {
        ...world,
        verdict: ({ pid }) => (pid === dead ? 'dead' : 'alive'),
      }),
    ),
  )
  t.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
})

t.test('whose death is proven', async (t) => {
  const held = async (t: Test, world: Partial<GuardWorld>) => {
    const directory = t.testdir({})
    await takeGuard(guarded(directory), 'localhost:26001', fakeWorld())
    return takeGuard(guarded(directory), 'second', fakeWorld(world))
  }
  const boot2 = { bootId: 'boot-2', pidNamespace: 'pid:[1]', pid: 11, startTicks: 1 }
  await t.test('dead here', async (t) => {
    await t.resolves(held(t, { verdict: () => 'dead' }))
  })
  await t.test('alive here', async (t) => {
    await refused(t, held(t, { verdict: () => 'alive' }), 'HELD', /host-a, pid 11, since 1970/)
  })
  await t.test('an earlier boot of this machine', async (t) => {
    await t.resolves(held(t, { self: boot2 }))
  })
  await t.test('a copy of this machine under another name', async (t) => {
    await refused(t, held(t, { self: boot2, host: 'host-b' }), 'HELD', /can't be proven/, /remove/)
  })
  await t.test('another host', async (t) => {
    const world = { self: boot2, host: 'host-b', machineId: 'machine-b' }
    await refused(t, held(t, world), 'HELD', /host-a, pid 11/, /a\.guard/)
  })
  await t.test('machines without an id', async (t) => {
    const directory = t.testdir({})
    await takeGuard(guarded(directory), 'x', fakeWorld({ machineId: '' }))
    const again = takeGuard(guarded(directory), 'y', fakeWorld({ machineId: '', self: boot2 }))
    await refused(t, again, 'HELD')
  })
  const container = { bootId: 'boot-1', pidNamespace: 'pid:[2]', pid: 1, startTicks: 5 }
  await t.test('another container of this kernel, the file locked', async (t) => {
    await refused(t, held(t, { self: container }), 'HELD')
  })
  await t.test('another container of this kernel, the file free', async (t) => {
    await t.resolves(held(t, { self: container, isIdle: async () => true }))
  })
  await t.test('a guard that can not be read', async (t) => {
    const directory = t.testdir({ 'a.guard': '{' })
    await refused(t, takeGuard(guarded(directory), 'x', fakeWorld()), 'HELD', /can't be understood/)
  })
  await t.test('a file system without hard links', async (t) => {
    const link = (): never => {
      throw Object.assign(new Error('EPERM: no links here'), { code: 'EPERM' })
    }
    const directory = t.testdir({})
    const first = await takeGuard(guarded(directory), 'first', fakeWorld({ link }))
    const second = takeGuard(guarded(directory), 'second', fakeWorld({ link }))
    await refused(t, second, 'HELD', /first on host host-a/)
    first.release()
    t.strictSame(readdirSync(directory), [], 'no draft is left either')
  })
  await t.test('a release removes no other’s guard', async (t) => {
    const directory = t.testdir({})
    const first = await takeGuard(guarded(directory), 'first', fakeWorld())
    await takeGuard(guarded(directory), 'second', fakeWorld({ verdict: () => 'dead' }))
    first.release()
    t.match(readFileSync(join(directory, 'a.guard'), 'utf8'), /"second"/)
  })
})

t.test('looking for a holder takes nothing', async (t) => {
  const directory = t.testdir({})
  await requireUnheld(guarded(directory), fakeWorld())
  await requireUnheld(guarded(join(directory, 'not there')), fakeWorld())
  await takeGuard(guarded(directory), 'first', fakeWorld())
  await refused(
    t,
    requireUnheld(guarded(directory), fakeWorld({ verdict: () => 'alive' })),
    'HELD',
    /^this thing is in use by first on host host-a, pid 11, .*Use another one$/,
  )
  await requireUnheld(guarded(directory), fakeWorld({ verdict: () => 'dead' }))
  t.strictSame(readdirSync(directory), [], 'what the dead left is removed')
  const file = t.testdir({ file: 'x' })
  await refused(t, takeGuard(guarded(join(file, 'file')), 'x', fakeWorld()), 'UNAVAILABLE')
})
