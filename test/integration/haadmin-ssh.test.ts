/**
 * haadmin across hosts: changes are done on the master's own host, over a real ssh. The hosts are made of namespaces and
 * share one directory; each has an SSH server of its own.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountHangFs } from '../support/hangfs.ts'
import { HOME, makeConf } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { type Ran, run } from '../support/run.ts'
import { makeSshKeys, startSshServer } from '../support/sshd.ts'
import { until } from '../support/until.ts'

/** The test runner puts its loader into every child's NODE_OPTIONS; it is not for what is tested here. */
const CLEAN = ['/usr/bin/env', '-u', 'NODE_OPTIONS']
const TAJO = [...CLEAN, join(HOME, 'bin/tajo')]
const DAEMON = [...CLEAN, join(HOME, 'sbin/tajo-daemon.sh')]

function newDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-haadmin-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

t.test('a change goes to the host of the master that has to make it', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const dir = newDir(t)
  mkdirSync(join(dir, 'backing'))
  const keys = await makeSshKeys(join(dir, 'ssh'))
  const hosts = await makeHosts(t, ['ma', 'mb', 'elsewhere'])
  const [ma, mb, elsewhere] = hosts
  const conf = makeConf(dir, {
    masters: 'ma\nmb\n',
    site: { 'tajo.master.ha.monitor.interval': String(monitorMs(2000)) },
    env: `export TAJO_SSH_OPTS="${keys.options}"`,
  })
  for (const host of [ma, mb]) await startSshServer(t, { keys, host })
  // A local disk would be refused with masters on several hosts.
  for (const host of hosts) {
    await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
  }
  const master = (host: TestHost): Promise<string> =>
    host.mustRun([...DAEMON, '--config', conf, 'start', 'master'], {
      env: { TAJO_MASTER_NAME: host.name },
    })
  const haadmin = (host: TestHost, ...args: string[]): Promise<Ran> =>
    host.run([...TAJO, 'haadmin', '--config', conf, ...args])
  const isActive = async (name: string): Promise<boolean> =>
    (await haadmin(elsewhere, '-getState', `${name}:26001`)).stdout === 'The master is active.\n'

  await master(ma)
  await until('ma is active', () => isActive('ma'))
  await master(mb)
  await until('mb is a backup', async () =>
    (await haadmin(elsewhere, '-getState', 'mb:26001')).stdout.includes('backup'),
  )

  const moved = await haadmin(elsewhere, '-transitionToActive', 'mb:26001')
  t.match(moved, { code: 0, stdout: 'mb:26001 is active, ma:26001 was it before.\n' }, moved.stderr)
  const back = await haadmin(ma, '-transitionToActive', 'ma:26001', '--json')
  t.equal(back.code, 0, back.stderr)
  t.equal(JSON.parse(back.stdout).active, 'ma:26001', 'one document, from the other host')
  const history = await haadmin(elsewhere, '-history', '--json')
  const by = JSON.parse(history.stdout).terms.map(
    (one: { served: { previousEnd: { by: string } | null } | null }) => one.served?.previousEnd?.by,
  )
  t.match(
    by.slice(0, 2),
    [/@ma$/, /@elsewhere$/],
    'the history names who asked, not who passed it on',
  )

  await t.test('a refusal keeps its exit code across ssh', async (t) => {
    await mb.mustRun([...DAEMON, '--config', conf, 'stop', 'master'])
    const refused = await haadmin(elsewhere, '-transitionToBackup', 'ma:26001')
    t.equal(refused.code, 4, refused.stderr)
    t.match(refused.stderr, 'no backup is live')
  })

  await t.test('a host that can not be reached by ssh: said so, and nothing changes', async (t) => {
    const options = { env: { TAJO_SSH_OPTS: undefined } }
    const other = makeConf(newDir(t), {
      masters: 'ma\nmb\n',
      site: { 'tajo.rootdir': join(dir, 'root') },
      env: 'export TAJO_SSH_OPTS="-F none -p 1"',
    })
    const words = [...TAJO, 'haadmin', '--config', other]
    const ran = await elsewhere.run(
      [...words, '-transitionToBackup', 'ma:26001', '--force'],
      options,
    )
    t.equal(ran.code, 1)
    t.match(ran.stderr, /ssh to ma failed: .* run it there/)
    t.ok(await isActive('ma'))
  })
})

t.test('-checkSharedDir with a peer, and with one that is not there', async (t) => {
  if (!hasParts(t, 'netns', 'sshd')) return
  const dir = newDir(t)
  const keys = await makeSshKeys(join(dir, 'ssh'))
  const [here, peer] = await makeHosts(t, ['here', 'peer'])
  await startSshServer(t, { keys, host: peer })
  const conf = makeConf(dir, {
    masters: 'here\n',
    // Local disks of busy machines need more than the default now and then.
    site: { 'tajo.master.ha.monitor.interval': '60000' },
    env: `export TAJO_SSH_OPTS="${keys.options}"`,
  })
  const check = (...args: string[]): Promise<Ran> =>
    here.run([...TAJO, 'haadmin', '--config', conf, '-checkSharedDir', ...args])
  const alone = await check()
  t.equal(alone.code, 0, alone.stdout + alone.stderr)
  t.match(alone.stdout, /^ok +exclusive create: /m)
  t.match(alone.stdout, 'as far as one host can tell')
  // Both hosts are one kernel with one local disk, which is what the check has to find out.
  const together = await check('--peer', 'peer', '--json')
  t.equal(together.code, 0, together.stdout + together.stderr)
  const { checks } = JSON.parse(together.stdout) as {
    checks: { name: string; ok: boolean; detail: string }[]
  }
  const named = (name: string) => checks.find((one) => one.name === name)
  t.match(named('file system'), { ok: true, detail: /one kernel.*one and the same directory/ })
  t.match(named('peer'), { ok: true, detail: /one kernel, and the same directory in it/ })
  t.match(named('same directory'), { ok: true })
  // With a disk of its own the peer has another directory at that path.
  await peer.mustRun(['mount', '-t', 'tmpfs', 'tmpfs', join(dir, 'root')])
  const apart = await check('--peer', 'peer')
  t.equal(apart.code, 1)
  t.match(apart.stdout, /^FAILED +file system: .*local file system/m)
  t.match(apart.stdout, /^FAILED +same directory: /m)
  t.match(apart.stdout, /^FAILED +peer: peer, tmpfs .*local file system/m)
  const unknown = await check('--peer', 'nobody')
  t.equal(unknown.code, 1)
  t.match(unknown.stderr, /nobody/)
  // Of what could not be tried nothing is claimed.
  t.match(unknown.stdout, /^FAILED +peer: .*; not tried; without it: /m)
  t.match(await run([...TAJO, 'haadmin', '-checkSharedDir', '--peer', '-l']), {
    code: 2,
  })
})
