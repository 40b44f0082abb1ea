/**
 * A shared directory that is really full, of bytes or of inodes: a tmpfs of its own, filled to the last. Two real masters.
 * The active goes on, a failover works on the room that each master keeps, and where there was never room for that the
 * reason is told everywhere, nothing is burnt meanwhile, and somebody serves once there is space.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { run } from '../support/run.ts'
import { makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const M = monitorMs(2000)
const TAJO = join(import.meta.dirname, '../../../bin/tajo')

/** A file system of this size; unmounted at the end, when nobody uses it any more. */
function tmpfs(t: Test, options: string): string {
  const path = mkdtempSync(join(tmpdir(), 'tajo-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
  t.teardown(() => {
    execFileSync('umount', ['-l', path])
    rmdirSync(path)
  })
  return path
}

const isFull = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOSPC'

/** Until not one byte more, or not one name more, is taken. The answer frees it again. */
function fill(path: string, what: 'bytes' | 'inodes'): () => void {
  const made: string[] = []
  try {
    for (let i = 0; ; i += 1) {
      const name = join(path, `filler-${i}`)
      const file = openSync(name, 'wx')
      made.push(name)
      try {
        while (what === 'bytes') writeSync(file, Buffer.alloc(4096))
      } finally {
        closeSync(file)
      }
    }
  } catch (error) {
    if (!isFull(error)) throw error
  }
  return () => {
    for (const name of made.splice(0)) unlinkSync(name)
  }
}

async function cluster(t: Test, options: string): Promise<{ path: string; two: TestCluster }> {
  const path = tmpfs(t, options)
  const site = { 'tajo.rootdir': `file://${path}` }
  return { path, two: await makeCluster(t, { count: 2, monitorMs: M, site }) }
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

for (const what of ['bytes', 'inodes'] as const) {
  t.test(`a full disk (${what}): told, and a failover and a hand-over work on it`, async (t) => {
    if (!hasParts(t, 'netns')) return
    const { path, two } = await cluster(t, 'size=24m,nr_inodes=400')
    await until('both keep room', reservesOf(path))
    const free = fill(path, what)
    const { active, backups, epoch } = await two.settled()
    const [heir] = backups
    if (heir === undefined) return
    await until('low space is told before it is needed', async () =>
      (await documentOf(heir)).alerts.some(({ kind }) => kind === 'storage-low'),
    )
    await active.handOverTo(heir)
    await until('the successor serves on the full disk', () => heir.health('active'))
    t.ok((await heir.cluster()).epoch > epoch)
    free()
    await until(
      'the old one is a backup, and both keep room again',
      async () => (await active.health('backup')) && reservesOf(path)(),
    )
    fill(path, what)
    process.kill(heir.pid, 'SIGKILL')
    await until('the other takes over on the full disk', () => active.health('active'))
    t.match(await documentOf(active), { active: active.address, problem: null })
  })
}

t.test(
  'no room for a reserve: refused and told, nothing burnt, and served with the first space',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { path, two } = await cluster(t, 'size=3m')
    const { active, backups } = await two.settled()
    const [heir] = backups
    if (heir === undefined) return
    const free = fill(path, 'bytes')
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
      const lines = heir.logLines.filter(({ msg }) => /^claim of term \d+ failed/.test(msg))
      return lines.length >= 4
    })
    t.ok(readdirSync(inHa(path, 'active')).length <= 2, 'one number for all attempts')

    free()
    await until('it serves', () => heir.health('active'))
    t.equal((await heir.cluster()).epoch, 2)
  },
)
