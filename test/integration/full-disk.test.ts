/**
 * A shared directory that is really full, of bytes, of inodes or by a quota. Two real masters. The active goes on, a failover
 * works on the room that each master keeps, and where there was never room for that the reason is told everywhere, nothing
 * is burnt meanwhile, and somebody serves once there is space. How fast, and with large catalogs:
 * full-disk-failover.test.ts.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FULLNESS, fillBytes, fullGround, mountTmpfs, PARTS_OF } from '../support/full-ground.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { run } from '../support/run.ts'
import { makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

const M = monitorMs(2000)
const TAJO = join(import.meta.dirname, '../../../bin/tajo')

async function cluster(t: Test, path: string): Promise<TestCluster> {
  const site = { 'tajo.rootdir': `file://${path}` }
  return makeCluster(t, { count: 2, monitorMs: M, site })
}

const inHa = (path: string, ...names: string[]): string => join(path, 'system', 'ha', ...names)

/** Each of the two keeps room for its next term. */
const reservesOf = (path: string) => (): boolean => {
  const all = readdirSync(inHa(path, 'reserve'))
  return (
    all.length === 2 &&
    all.every((one) => readdirSync(inHa(path, 'reserve', one)).includes('whole.json'))
  )
}

const documentOf = async (master: TestMaster) =>
  (await master.cluster()) as unknown as {
    active: string | null
    problem: string | null
    storage: string
    alerts: { kind: string; level: string; text: string }[]
    masters: { address: string; problem: string | null }[]
  }

const haadmin = (master: TestMaster, ...words: string[]) =>
  run([TAJO, 'haadmin', ...words], { env: { TAJO_CONF_DIR: join(master.dir, 'conf') } })

for (const what of FULLNESS) {
  t.test(`a full disk (${what}): told, and a failover and a hand-over work on it`, async (t) => {
    if (!hasParts(t, ...PARTS_OF[what])) return
    const { path, fill } = await fullGround(t, what, { megabytes: 24, files: 400 })
    const two = await cluster(t, path)
    await until('both keep room', reservesOf(path))
    const free = fill()
    const { active, backups, epoch } = await two.settled()
    const [heir] = backups
    if (heir === undefined) return
    const isTold = (kind: string) => async (): Promise<boolean> =>
      (await documentOf(heir)).alerts.some((alert) => alert.kind === kind)
    // Of a quota nobody knows before it refuses something.
    if (what !== 'quota')
      await until('low space is told before it is needed', isTold('storage-low'))
    await active.handOverTo(heir)
    await until('the successor serves on the full disk', () => heir.health('active'))
    if (what === 'quota') await until('that it is used up is told', isTold('storage-full'))
    t.ok((await heir.cluster()).epoch > epoch)
    free()
    await until(
      'the old one is a backup, and both keep room again',
      async () => (await active.health('backup')) && reservesOf(path)(),
    )
    fill()
    process.kill(heir.pid, 'SIGKILL')
    await until('the other takes over on the full disk', () => active.health('active'))
    t.match(await documentOf(active), { active: active.address, problem: null })
  })
}

t.test(
  'no room for a reserve: refused and told, nothing burnt, and served with the first space',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const path = mountTmpfs(t, 'size=3m')
    const two = await cluster(t, path)
    const { active, backups } = await two.settled()
    const [heir] = backups
    if (heir === undefined) return
    const free = fillBytes(path)
    await t.rejects(active.handOverTo(heir), {
      message: /UNSAFE.*can't take the role over: ENOSPC/,
    })
    t.ok(await active.health('active'), 'and goes on')
    const ordered = await haadmin(active, '-transitionToActive', heir.address)
    t.match(ordered, { code: 4, stderr: /ENOSPC/ })

    process.kill(active.pid, 'SIGKILL')
    await until('it has tried', async () => /ENOSPC/.test((await documentOf(heir)).problem ?? ''))
    for (let look = 0; look < 20; look += 1) {
      const { active: named, problem } = await documentOf(heir)
      t.ok(named === null && problem !== null, `nobody is named as active: ${named}, ${problem}`)
    }
    t.match((await documentOf(heir)).alerts, [{ kind: 'no-active', text: /ENOSPC/ }])
    const status = await haadmin(heir, '-status')
    t.match(status.stdout, /No master is active: .*ENOSPC/)
    await until('it has tried again and again', () => {
      const lines = heir.logLines.filter(({ event }) => event === 'claim-failed')
      return lines.length >= 4
    })
    t.ok(readdirSync(inHa(path, 'active')).length <= 2, 'one number for all attempts')

    free()
    await until('it serves', () => heir.health('active'))
    t.equal((await heir.cluster()).epoch, 2)
    await until('the history says what kept it from serving before', async () =>
      /could not claim term 2 \(\d+ times\): .*ENOSPC/.test(
        (await haadmin(heir, '-history')).stdout,
      ),
    )
  },
)

t.test('a successor that fails after the release: taken back, and its error is told', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const mounted = await mountHangFs(t, testdirOf(t))
  const two = await cluster(t, mounted.path)
  await until('both keep room', reservesOf(mounted.path))
  const { active, backups, epoch } = await two.settled()
  const [heir] = backups
  if (heir === undefined) return
  // After its proof: the room that it has kept stands there, and can't be used.
  await mounted.fillUp([heir.keeperPid])
  const ordered = await haadmin(active, '-transitionToActive', heir.address)
  t.equal(ordered.code, 1)
  const why = `${heir.address} could not claim term \\d+.*ENOSPC`
  t.match(ordered.stderr, new RegExp(`not been seen within .*; ${why}`))
  await until('the old one serves again', () => active.health('active'))
  t.ok((await active.cluster()).epoch > epoch)
  await mounted.release()
})
