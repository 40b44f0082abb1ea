/**
 * On which mounts masters of several hosts start, with real mounts: rclone, which caches writes; a FUSE file system that
 * nobody has proven; and mounts that go away or are covered under a running master.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type HangFs, mountHangFs } from '../support/hangfs.ts'
import { HOME, makeConf, SBIN, siteXml } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import type { Ran } from '../support/run.ts'
import { makeSshKeys, startSshServer } from '../support/sshd.ts'
import { until } from '../support/until.ts'

const M = 2000
const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]

interface Site {
  readonly dir: string
  readonly root: string
  readonly conf: string
  readonly ma: TestHost
  readonly mb: TestHost
  set(properties: Readonly<Record<string, string>>): void
  daemon(host: TestHost, action: string): Promise<Ran>
  check(host: TestHost, ...words: string[]): Promise<Ran>
}

async function makeSite(t: Test): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-mounts-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  mkdirSync(join(dir, 'backing'))
  const root = join(dir, 'root')
  const keys = await makeSshKeys(join(dir, 'keys'))
  const site = {
    'tajo.rootdir': `file://${root}`,
    'tajo.master.ha.enable': 'true',
    'tajo.master.ha.monitor.interval': String(M),
    'tajo.worker.tmpdir.locations': join(dir, 'spill'),
  }
  const env = `export TAJO_SSH_OPTS="${keys.options}" TAJO_STOP_TIMEOUT=5`
  const conf = makeConf(dir, { masters: 'ma\nmb\n', site, env })
  const set = (more: Readonly<Record<string, string>>): void =>
    writeFileSync(join(conf, 'tajo-site.xml'), siteXml({ ...site, ...more }))
  set({})
  const [ma, mb] = await makeHosts(t, ['ma', 'mb'] as const)
  await Promise.all([ma, mb].map((host) => startSshServer(t, { keys, host })))
  return {
    ...{ dir, root, conf, ma, mb, set },
    daemon: (host, action) =>
      host.run([join(SBIN, 'tajo-daemon.sh'), '--config', conf, action, 'master'], {
        env: { TAJO_MASTER_NAME: host.name },
      }),
    check: (host, ...words) =>
      host.run([...TAJO, 'haadmin', '--config', conf, '-checkSharedDir', ...words]),
  }
}

interface Cluster {
  readonly problem: string | null
  readonly active: string | null
  readonly storage: string
  readonly alerts: readonly { level: string; kind: string; text: string }[]
}

async function clusterOf(host: TestHost): Promise<Cluster | null> {
  const script = `fetch('http://${host.name}:26080/api/v1/cluster').then((r) => r.text()).then(console.log, () => console.log('null'))`
  return JSON.parse(await host.mustRun([process.execPath, '-e', script])) as Cluster | null
}

const criticalOf = (cluster: Cluster | null): string =>
  (cluster?.alerts ?? [])
    .filter(({ level }) => level === 'critical')
    .map(({ text }) => text)
    .join('\n')

t.test(
  'rclone is refused by name, with the reason; on order it is used with an alert',
  async (t) => {
    if (!hasParts(t, 'netns', 'sshd', 'rclone')) return
    const site = await makeSite(t)
    const { dir, root, ma, mb } = site
    for (const host of [ma, mb]) {
      const cache = join(dir, `cache-${host.name}`)
      const words = ['rclone', 'mount', join(dir, 'backing'), root, '--vfs-cache-mode', 'writes']
      const more = ['--cache-dir', cache, '--config', '/dev/null', '--daemon']
      await host.mustRun([...words, ...more])
    }
    const refused = await site.daemon(ma, 'start')
    t.equal(refused.code, 1)
    t.match(refused.stdout + refused.stderr, /rclone mount, which keeps writes, names and absences/)
    t.same(readdirSync(join(dir, 'backing')), ['system'], 'only the directory above was made')

    const alone = await site.check(ma)
    t.equal(alone.code, 1)
    t.match(alone.stdout, /^FAILED +file system: .*rclone mount, which keeps writes/m)
    t.notMatch(alone.stdout, 'can carry the election')
    const both = await site.check(ma, '--peer', 'mb')
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
    await site.daemon(ma, 'stop')
  },
)

t.test('a kind that nobody has proven: refused until the check has left its marks', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const site = await makeSite(t)
  const { dir, root, ma, mb } = site
  for (const host of [ma, mb]) await mountHangFs(t, join(dir, 'backing'), { path: root, host })
  const refused = await site.daemon(ma, 'start')
  t.equal(refused.code, 1)
  t.match(
    refused.stdout + refused.stderr,
    /fuse\.tajo-hangfs, a kind of mount that nobody has proven.*-checkSharedDir --peer HOST/,
  )
  const alone = await site.check(ma)
  t.equal(alone.code, 1)
  t.notMatch(alone.stdout, 'can carry the election')

  const lines = (text: string): string[] => text.trim().split('\n')
  // On a machine with much to do the smallest interval may be above the one of this test.
  site.set({ 'tajo.master.ha.monitor.interval': '60000' })
  const both = await site.check(ma, '--peer', 'mb')
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

  t.match(await site.check(ma), { code: 0, stdout: /only --peer HOST can tell/ })
  site.set({ 'tajo.master.ha.monitor.interval': '500' })
  const tooFast = await site.check(ma)
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
  await site.daemon(ma, 'stop')
})

/** One master that serves, its directory mounted by itself. */
async function startAlone(t: Test): Promise<{ site: Site; mount: HangFs }> {
  const site = await makeSite(t)
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
  const isTold = nobody(/something was mounted over it: now it is on/)
  await until('the page tells it', async () => isTold(await clusterOf(ma)))
  const history = join(dir, 'copy', 'system', 'ha', 'history')
  const before = readdirSync(history).length
  await ma.mustRun(['umount', root])
  await until('it serves again', async () => (await clusterOf(ma))?.active === 'ma:26001')
  t.equal(readdirSync(history).length, before, 'no term was claimed in the copy')
  await site.daemon(ma, 'stop')
})
