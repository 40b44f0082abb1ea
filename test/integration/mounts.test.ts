/**
 * On which mounts masters of several hosts start, with real mounts: rclone, which caches writes; a FUSE file system that
 * nobody has proven; and mounts that go away or are covered under a running master.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type HangFs, mountHangFs } from '../support/hangfs.ts'
import {
  type Cluster,
  clusterOf,
  criticalOf,
  makeSite,
  mountRclone,
  type Site,
  watchActives,
} from '../support/mount-site.ts'
import type { TestHost } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { until } from '../support/until.ts'

const checkOn = ({ haadmin }: Site, host: TestHost, ...words: string[]) =>
  haadmin(host, '-checkSharedDir', ...words)

const SITE = { monitorMs: 2000, ssh: true }

t.test(
  'rclone is refused by name, with the reason; on order it is used with an alert',
  async (t) => {
    if (!hasParts(t, 'netns', 'sshd', 'rclone')) return
    const site = await makeSite(t, SITE)
    const { dir, ma, mb } = site
    for (const host of [ma, mb]) await mountRclone(site, host)
    const refused = await site.daemon(ma, 'start')
    t.equal(refused.code, 1)
    t.match(refused.stdout + refused.stderr, /rclone mount, which keeps writes, names and absences/)
    t.same(readdirSync(join(dir, 'backing')), ['system'], 'only the directory above was made')

    const alone = await checkOn(site, ma)
    t.equal(alone.code, 1)
    t.match(alone.stdout, /^FAILED +file system: .*rclone mount, which keeps writes/m)
    t.notMatch(alone.stdout, 'can carry the election')
    const both = await checkOn(site, ma, '--peer', 'mb')
    t.equal(both.code, 1)
    t.match(both.stdout, /^FAILED +file system: .*two hosts both win each exclusive create/m)
    t.match(both.stdout, /^FAILED +peer: mb, fuse.rclone .*rclone mount/m)

    site.set({ 'tajo.master.ha.unproven-mount': 'warn' })
    const started = await site.daemon(ma, 'start')
    t.equal(started.code, 0, started.stdout + started.stderr)
    const told = await until('the page tells it', async () =>
      /rclone mount.*unproven-mount is warn/.test(criticalOf(await clusterOf(ma))),
    )
    t.ok(told)

    // The proof by a contest is all that keeps the second one from a term of its own.
    const watch = watchActives(site)
    await until('the first one serves', async () => watch.seen.at(-1)?.ma)
    t.equal((await site.daemon(mb, 'start')).code, 0)
    for (const [host, other] of [
      [ma, 'mb'],
      [mb, 'ma'],
    ] as const) {
      const isTold = async (): Promise<boolean> =>
        criticalOf(await clusterOf(host), 'other-directory').includes(`${other}:26001 works on an`)
      await until(`${host.name} says that the other has another directory`, isTold)
    }
    await new Promise((done) => setTimeout(done, SITE.monitorMs))
    t.same(
      (await watch.end()).filter((one) => one.mb),
      [],
      'the second one was never active',
    )
    for (const host of [ma, mb]) await site.daemon(host, 'stop')
  },
)

t.test('a kind that nobody has proven: refused until the check has left its marks', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const site = await makeSite(t, SITE)
  const { dir, root, ma, mb } = site
  for (const host of [ma, mb]) await mountHangFs(t, join(dir, 'backing'), { path: root, host })
  const refused = await site.daemon(ma, 'start')
  t.equal(refused.code, 1)
  t.match(
    refused.stdout + refused.stderr,
    /fuse\.tajo-hangfs, a kind of mount that nobody has proven.*-checkSharedDir --peer HOST/,
  )
  const alone = await checkOn(site, ma)
  t.equal(alone.code, 1)
  t.notMatch(alone.stdout, 'can carry the election')

  const lines = (text: string): string[] => text.trim().split('\n')
  // On a machine with much to do the smallest interval may be above the one of this test.
  site.set({ 'tajo.master.ha.monitor.interval': '60000' })
  const both = await checkOn(site, ma, '--peer', 'mb')
  t.equal(both.code, 0, both.stdout + both.stderr)
  t.match(both.stdout, 'can carry the election.')
  const checks = lines(both.stdout).filter((line) => /^(ok|FAILED) /.test(line))
  t.ok(checks.length > 20, 'one line a check')
  t.ok(checks.every((line) => /; (without it|so): /.test(line)))
  const proven = join(dir, 'backing', 'system', 'ha', 'proven')
  const marks = readdirSync(proven).map((name) =>
    JSON.parse(readFileSync(join(proven, name), 'utf8')),
  )
  t.same(marks.map(({ host, peer }) => `${host.hostname} ${peer.hostname}`).sort(), [
    'ma mb',
    'mb ma',
  ])
  t.match(marks[0], { kind: 'fuse.tajo-hangfs', options: /rw/, version: /^Linux / })

  t.match(await checkOn(site, ma), { code: 0, stdout: /only --peer HOST can tell/ })
  site.set({ 'tajo.master.ha.monitor.interval': '500' })
  const tooFast = await checkOn(site, ma)
  t.match(tooFast.stdout, /^(ok|FAILED) +monitor interval: .*is 500 ms, the smallest .* is \d+ ms/m)
  site.set({})
  for (const host of [ma, mb]) {
    const started = await site.daemon(host, 'start')
    t.equal(started.code, 0, started.stdout + started.stderr)
  }
  await until('one is active', async () => (await clusterOf(ma))?.active != null)
  t.notMatch(criticalOf(await clusterOf(ma)), 'nobody has proven')
  for (const host of [ma, mb]) await site.daemon(host, 'stop')

  // A version that told no mounts has left no marks, and its terms.
  rmSync(proven, { recursive: true })
  const history = join(dir, 'backing', 'system', 'ha', 'history')
  for (const name of readdirSync(history)) {
    const file = join(history, name)
    const record = JSON.parse(readFileSync(file, 'utf8'))
    t.equal(record.mount ?? 'fuse.tajo-hangfs', 'fuse.tajo-hangfs')
    writeFileSync(file, `${JSON.stringify({ ...record, mount: undefined })}\n`)
  }
  const goesOn = await site.daemon(ma, 'start')
  t.equal(goesOn.code, 0, goesOn.stdout + goesOn.stderr)
  await until('the page tells it', async () =>
    /nobody has proven.*ran on it before and goes on/.test(criticalOf(await clusterOf(ma))),
  )
  site.set({ 'tajo.master.ha.monitor.interval': '60000' })
  t.equal((await checkOn(site, ma, '--peer', 'mb')).code, 0)
  await until('the check has run: the alert is over', async () => {
    const cluster = await clusterOf(ma)
    return cluster !== null && criticalOf(cluster, 'storage') === ''
  })
  rmSync(proven, { recursive: true })
  await until('and is told again where the marks are gone', async () =>
    /ran on it before and goes on/.test(criticalOf(await clusterOf(ma))),
  )
  await site.daemon(ma, 'stop')
})

/** One master that serves, its directory mounted by itself. */
async function startAlone(t: Test): Promise<{ site: Site; mount: HangFs }> {
  const site = await makeSite(t, SITE)
  const { dir, root, ma } = site
  site.set({ 'tajo.master.ha.unproven-mount': 'warn' })
  const mount = await mountHangFs(t, join(dir, 'backing'), { path: root, host: ma })
  t.equal((await site.daemon(ma, 'start')).code, 0)
  await until('it serves', async () => (await clusterOf(ma))?.active === 'ma:26001')
  return { site, mount }
}

const nobody = (why: RegExp) => (cluster: Cluster | null) =>
  cluster !== null && cluster.active === null && why.test(criticalOf(cluster))

t.test(
  'a mount that is taken away is told as such, and the term goes on when it is back',
  async (t) => {
    if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
    const { site } = await startAlone(t)
    const { dir, root, ma } = site
    await ma.mustRun(['umount', '-l', root])
    const isTold = nobody(
      /was on hangfs on .*\(fuse\.tajo-hangfs\).*it was unmounted: now it is on/,
    )
    await until('the page tells it', async () => isTold(await clusterOf(ma)))
    t.same(readdirSync(root, { recursive: true }), [], 'nothing was made in its place')
    await mountHangFs(t, join(dir, 'backing'), { path: root, host: ma })
    await until('it serves again', async () => (await clusterOf(ma))?.active === 'ma:26001')
    await site.daemon(ma, 'stop')
  },
)

t.test('a copy of the directory that is mounted over it is not taken for it', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const { site } = await startAlone(t)
  const { dir, root, ma } = site
  await ma.mustRun(['cp', '-a', root, join(dir, 'copy')])
  await ma.mustRun(['mount', '--bind', join(dir, 'copy'), root])
  const isTold = nobody(/something was mounted over it: now it is on .*\. Unmount that; nothing/)
  await until('the page tells it', async () => isTold(await clusterOf(ma)))
  const history = join(dir, 'copy', 'system', 'ha', 'history')
  const before = readdirSync(history).length
  // The master looks into it four times a second.
  await ma.mustRun(['umount', '--lazy', root])
  await until('it serves again', async () => (await clusterOf(ma))?.active === 'ma:26001')
  t.equal(readdirSync(history).length, before, 'no term was claimed in the copy')
  await site.daemon(ma, 'stop')
})

t.test('a directory above the mount point is mounted over', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const { site } = await startAlone(t)
  const { root, ma } = site
  const above = dirname(root)
  // The installation, its logs and its pid file lie below it as well: the daemon keeps what it has open.
  await ma.mustRun(['mount', '-t', 'tmpfs', 'none', above])
  const isTold = nobody(/something was mounted over it: now it is on none on \S+ \(tmpfs\)/)
  await until('the page tells it', async () => isTold(await clusterOf(ma)))
  await ma.mustRun(['umount', '--lazy', above])
  await until('it serves again', async () => (await clusterOf(ma))?.active === 'ma:26001')
  await site.daemon(ma, 'stop')
})
