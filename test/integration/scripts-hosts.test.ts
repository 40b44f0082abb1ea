/**
 * The scripts on several hosts: real SSH servers, one shared directory, and what goes wrong with single hosts. Each host
 * mounts the shared directory itself, as with a file server.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountHangFs } from '../support/hangfs.ts'
import { HOME, makeConf, SBIN, siteXml } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { makeSshKeys, type SshKeys, startSshServer } from '../support/sshd.ts'
import { until } from '../support/until.ts'

const START = join(SBIN, 'start-tajo.sh')
const STOP = join(SBIN, 'stop-tajo.sh')

interface Site {
  readonly dir: string
  readonly conf: string
  readonly keys: SshKeys
  readonly site: Record<string, string>
}

/** One configuration for all, as on a directory that all hosts share; the root directory is mounted by each. */
async function makeSite(
  t: Test,
  names: readonly string[],
  workers: readonly string[] = [],
): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-hosts-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  mkdirSync(join(dir, 'backing'))
  const keys = await makeSshKeys(join(dir, 'keys'))
  const site = {
    'tajo.rootdir': `file://${dir}/root`,
    'tajo.master.ha.unproven-mount': 'warn',
  }
  const conf = makeConf(dir, {
    masters: `${names.join('\n')}\n`,
    workers: `${workers.join('\n')}\n`,
    site,
    env: `export TAJO_SSH_OPTS="${keys.options}"`,
  })
  return { dir, conf, keys, site }
}

async function mountRoot(t: Test, { dir }: Site, host: TestHost): Promise<void> {
  await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
}

/** HTTP status of a master's health check, asked on `from`; 0 for no answer. */
async function health(from: TestHost, host: string, what: string): Promise<number> {
  const url = `http://${host}:26080/health/${what}`
  const script = `fetch('${url}').then((r) => console.log(r.status), () => console.log(0))`
  return Number(await from.mustRun([process.execPath, '-e', script]))
}

const historyOf = ({ dir }: Site): string[] => readdirSync(join(dir, 'backing/system/ha/history'))

t.test('each host that fails is named with its reason, the rest starts', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const names = ['one', 'two', 'three', 'four', 'five'] as const
  const hosts = await makeHosts(t, names)
  const [one, two, three, four, five] = hosts
  const site = await makeSite(t, names)
  await Promise.all([one, two, five].map((host) => mountRoot(t, site, host)))
  await Promise.all([two, three, five].map((host) => startSshServer(t, { keys: site.keys, host })))
  await startSshServer(t, { keys: site.keys, host: four, wrongHostKey: true })

  // Two has another site file and another version, three no network, five a port that is taken.
  writeFileSync(
    join(site.dir, 'other-site.xml'),
    siteXml({ ...site.site, 'tajo.master.ha.enable': 'true', 'tajo.master.ha.priority': '50' }),
  )
  const manifest = readFileSync(join(HOME, 'package.json'), 'utf8')
  writeFileSync(
    join(site.dir, 'other-package.json'),
    manifest.replace(/"version": "[^"]*"/, '"version": "99.0.0"'),
  )
  const replace = (from: string, to: string) => two.mustRun(['mount', '--bind', from, to])
  await replace(join(site.dir, 'other-site.xml'), join(site.conf, 'tajo-site.xml'))
  await replace(join(site.dir, 'other-package.json'), join(HOME, 'package.json'))
  await three.setLink('down')
  const listen = `require('net').createServer().listen(26003, () => console.log('listens'))`
  const blocked = join(site.dir, 'blocked')
  const background = `"$0" -e "$1" >'${blocked}' 2>&1 </dev/null & disown`
  await five.mustRun(['bash', '-c', background, process.execPath, listen])
  await until('the port is taken', () => readFileSync(blocked, 'utf8') !== '')

  const started = await one.run([START, '--config', site.conf])
  t.equal(started.code, 1)
  t.match(started.stdout, /^one: master started as process /m)
  t.match(started.stdout, /^two: master started as process /m)
  t.match(started.stdout, /^Active master: +(one|two):26001$/m)
  t.match(started.stdout, /^Web page: +http:\/\/(one|two):26080\/$/m)
  const failures = started.stderr.split('\n').filter((line) => line.startsWith('start-tajo.sh: '))
  t.match(failures, [
    /^start-tajo\.sh: three was not started: ssh: connect to host three port \d+: /,
    /^start-tajo\.sh: four was not started: Host key verification failed\./,
    /^start-tajo\.sh: five was not started: .*26003/,
  ])
  t.equal(failures.length, 3)
  t.match(started.stderr, /^two: .*version differs: 99\.0\.0 here, \S+ on one$/m)
  t.match(
    started.stderr,
    /^two: .*configuration differs: \S+\/tajo-site\.xml is not the same as on one$/m,
  )
  t.notMatch(
    started.stderr,
    /^two: .*(catalog-site\.xml|masters)/m,
    'what is the same is not named',
  )
  const states = await Promise.all(['one', 'two'].map((host) => health(one, host, 'active')))
  t.strictSame([...states].sort(), [200, 503])

  const stopped = await one.run([STOP, '--config', site.conf])
  t.equal(stopped.code, 1)
  t.match(stopped.stdout, /^one: master stopped/m)
  t.match(stopped.stdout, /^two: master stopped/m)
  t.match(stopped.stderr, /^stop-tajo\.sh: three was not stopped: ssh: connect to host three/m)
  t.match(stopped.stderr, /^stop-tajo\.sh: four was not stopped: Host key verification failed/m)
})

t.test('from any host: start, failover to another host, start again, stop in order', async (t) => {
  if (!hasParts(t, 'netns', 'sshd', 'hangfs')) return
  const names = ['one', 'two', 'three'] as const
  const [one, two, three] = await makeHosts(t, names)
  const site = await makeSite(t, names, names)
  await Promise.all([one, two, three].map((host) => mountRoot(t, site, host)))
  await Promise.all([one, two, three].map((host) => startSshServer(t, { keys: site.keys, host })))
  const hosts = { one, two, three }
  const started = await two.run([START, '--config', site.conf])
  t.equal(started.code, 0, started.stderr)
  for (const name of names) t.match(started.stdout, new RegExp(`^${name}: worker started`, 'm'))
  t.match(started.stdout, /^Workers: +3$/m)
  const first = /^Active master: +(\w+):26001$/m.exec(started.stdout)?.[1] as keyof typeof hosts
  t.ok(hosts[first])
  await hosts[first].powerOff()
  const living = names.filter((name) => name !== first)
  const from = hosts[living[0] ?? 'one']
  await until('another host is active', async () => {
    const states = await Promise.all(living.map((name) => health(from, name, 'active')))
    return states.includes(200)
  })
  const again = await from.run([START, '--config', site.conf])
  t.match(again, {
    code: 1,
    stderr: `start-tajo.sh: ${first} was not started: ssh: connect to host`,
  })
  for (const name of living) {
    t.match(again.stdout, new RegExp(`^${name}: master runs already`, 'm'))
    t.match(again.stdout, new RegExp(`^${name}: worker runs already`, 'm'))
  }
  t.match(again.stderr, `start-tajo.sh: worker ${first} was not started: ssh: connect to host`)
  t.match(again.stdout, /^Workers: +[23]$/m, 'the lost one may not be noticed yet')
  const second = /^Active master: +(\w+):26001$/m.exec(again.stdout)?.[1] ?? ''
  t.ok(living.includes(second as (typeof names)[number]), 'the active one is among the living')
  const terms = historyOf(site)
  const stopped = await from.run([STOP, '--config', site.conf])
  t.match(stopped.stderr, `stop-tajo.sh: ${first} was not stopped: `)
  t.match(stopped.stdout.trim().split('\n').at(-1), new RegExp(`^${second}: master stopped`))
  t.strictSame(historyOf(site), terms, 'nobody took over on the way')
})
