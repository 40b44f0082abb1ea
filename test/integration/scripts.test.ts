/**
 * The scripts on one host, used as the operators' page says: default ports, `conf/masters`, `tajo-site.xml`. The host is
 * made of namespaces, so that the default ports are free and nothing can be left running.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ConfOptions, HOME, makeConf, SBIN } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun, type Ran, type RunOptions } from '../support/run.ts'
import { until } from '../support/until.ts'

const START = join(SBIN, 'start-tajo.sh')
const STOP = join(SBIN, 'stop-tajo.sh')
const DAEMON = join(SBIN, 'tajo-daemon.sh')

t.test('every script passes shellcheck', async (t) => {
  if (!hasParts(t, 'shellcheck')) return
  const scripts = ['sbin', 'bin'].flatMap((folder) =>
    readdirSync(join(HOME, folder))
      .filter((name) => name.endsWith('.sh'))
      .map((name) => join(HOME, folder, name)),
  )
  // What is only sourced is checked with the scripts that source it.
  const started = scripts.filter((path) => readFileSync(path, 'utf8').startsWith('#!'))
  t.equal(started.length, 5)
  const others = [join(HOME, 'conf/tajo-env.sh'), join(HOME, '.ci/run')].filter(existsSync)
  await mustRun(['shellcheck', '-x', '-a', ...started, ...others])
})

/** One host and a configuration on it. */
interface Machine {
  readonly host: TestHost
  readonly dir: string
  readonly conf: string
  /** Runs one of the scripts with this configuration. */
  script(path: string, args?: readonly string[], options?: RunOptions): Promise<Ran>
  /** HTTP status of a path on a port; 0 for no answer. */
  status(port: number, path: string): Promise<number>
  kill(signal: string, pid: number): Promise<string>
}

function newDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-scripts-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

async function machine(t: Test, options: ConfOptions): Promise<Machine> {
  const dir = newDir(t)
  const [host] = await makeHosts(t, ['alone'])
  const conf = makeConf(dir, options)
  return {
    host,
    dir,
    conf,
    script: (path, args = [], options = {}) => host.run([path, '--config', conf, ...args], options),
    status: async (port, path) => {
      const url = `http://localhost:${port}${path}`
      const script = `fetch('${url}').then((r) => console.log(r.status), () => console.log(0))`
      return Number(await host.mustRun([process.execPath, '-e', script]))
    },
    kill: (signal, pid) => host.mustRun(['kill', `-${signal}`, String(pid)]),
  }
}

const pidFile = (dir: string, name = 'master'): string =>
  join(dir, 'alone/run', `tajo-test-${name}.pid`)
const pidIn = (dir: string, name?: string): number =>
  Number(readFileSync(pidFile(dir, name), 'utf8').trim())

t.test('a cluster as shipped: start, look, start again, kill, start, stop', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, script, status, kill } = await machine(t, {
    masters: readFileSync(join(HOME, 'conf/masters'), 'utf8'),
  })
  const shipped = readFileSync(join(HOME, 'conf/tajo-site.xml'), 'utf8')
  const root = `<property><name>tajo.rootdir</name><value>${dir}/root</value></property>`
  writeFileSync(
    join(conf, 'tajo-site.xml'),
    shipped.replace('</configuration>', `${root}</configuration>`),
  )
  const started = await script(join(HOME, 'bin/start-tajo.sh'))
  t.equal(started.code, 0, started.stderr)
  t.match(started.stdout, /^localhost: master started as process \d+, log \S+-master-alone\.log$/m)
  t.match(started.stdout, /^Active master: +localhost:26001$/m)
  t.match(started.stdout, /^Web page: +http:\/\/localhost:26080\/$/m)
  t.match(started.stdout, /^Client address: +localhost:26002$/m)
  t.equal(await status(26080, '/health/active'), 200)
  const pid = pidIn(dir)
  const again = await script(START)
  t.match(again, { code: 0, stdout: `localhost: master runs already as process ` })
  t.equal(pidIn(dir), pid, 'the second start changes nothing')
  t.match(await script(DAEMON, ['status', 'master']), { code: 0, stdout: 'runs as process' })
  t.ok(existsSync(join(dir, 'alone/logs/tajo-test-master-alone.out')))
  const log = readFileSync(join(dir, 'alone/logs/tajo-test-master-alone.log'), 'utf8')
  for (const line of log.trim().split('\n')) JSON.parse(line)
  // The documented test of a failover.
  await kill('9', pid)
  t.match(await script(DAEMON, ['status', 'master']), { code: 1, stdout: 'its pid file exists' })
  t.match(await script(START), { code: 0 })
  t.not(pidIn(dir), pid)
  const stopped = await script(join(HOME, 'bin/stop-tajo.sh'))
  t.match(stopped, { code: 0, stdout: /^localhost: master stopped \(process \d+\)$/m })
  t.match(await script(DAEMON, ['status', 'master']), { code: 3 })
  t.notOk(existsSync(pidFile(dir)))
  t.match(await script(STOP), { code: 0, stdout: 'localhost: no master to stop' })
})

t.test(
  'a second line for the same host is a second master; stop ends the active one last',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { dir, script, status, kill } = await machine(t, {
      masters: '# all masters\r\n\r\n  localhost  \r\nlocalhost:36001 # on the same host\r\n',
    })
    const started = await script(START)
    t.equal(started.code, 0, started.stderr)
    t.match(started.stdout, /^localhost: master started/m)
    t.match(started.stdout, /^localhost:36001: master-36001 started/m)
    t.ok(existsSync(join(dir, 'alone/logs/tajo-test-master-36001-alone.log')))
    const states = await Promise.all([26080, 36080].map((port) => status(port, '/health/active')))
    t.strictSame([...states].sort(), [200, 503], 'one is active')
    const [active, backup] =
      states[0] === 200 ? ['master', 'master-36001'] : ['master-36001', 'master']
    const backupPort = active === 'master' ? 36080 : 26080
    await kill('9', pidIn(dir, active))
    await until(
      'the backup is active',
      async () => (await status(backupPort, '/health/active')) === 200,
    )
    t.match(await script(START), { code: 0 }, 'the killed one is started again')
    const terms = readdirSync(join(dir, 'root/system/ha/history'))
    t.match(await script(STOP), { code: 0 })
    t.notOk(existsSync(pidFile(dir, backup)))
    t.strictSame(
      readdirSync(join(dir, 'root/system/ha/history')),
      terms,
      'nobody took over on the way',
    )
  },
)

t.test(
  'the documented way: a second configuration directory with five addresses changed',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { host, dir, script, status } = await machine(t, { masters: 'localhost\n' })
    const second = makeConf(join(dir, 'second'), {
      masters: 'localhost\n',
      site: {
        'tajo.rootdir': `${dir}/root`,
        'tajo.master.umbilical-rpc.address': 'localhost:36001',
        'tajo.master.client-rpc.address': 'localhost:36002',
        'tajo.resource-tracker.rpc.address': 'localhost:36003',
        'tajo.catalog.client-rpc.address': 'localhost:36005',
        'tajo.master.info-http.address': '0.0.0.0:36080',
      },
      // As the page says only TAJO_PID_DIR differs: both write to one log directory.
      env: `export TAJO_LOG_DIR='${dir}/alone/logs'`,
    })
    t.match(await script(START), { code: 0 })
    const other = await host.run([START, '--config', second])
    t.match(other, { code: 0, stdout: /^localhost: master started/m }, other.stderr)
    t.match(other.stdout, /^Active master: +localhost:26001$/m)
    t.equal(await status(26080, '/health/active'), 200)
    t.equal(await status(36080, '/health/backup'), 200)
    t.match(await script(STOP), { code: 0, stdout: 'master stopped' })
    await until('the other is active', async () => (await status(36080, '/health/active')) === 200)
    t.match(await host.run([STOP, '--config', second]), { code: 0, stdout: 'master stopped' })
    const log = readFileSync(join(dir, 'alone/logs/tajo-test-master-alone.log'), 'utf8')
    for (const line of log.trim().split('\n')) JSON.parse(line)
  },
)

t.test('a master that fails to start is named with its reason, the rest starts', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, script } = await machine(t, { masters: 'localhost\nlocalhost:36001\n' })
  const blocker = `require('net').createServer().listen(36003, () => console.log('listens'))`
  await host.mustRun([
    'bash',
    '-c',
    `"$0" -e "$1" >'${dir}/blocker' 2>&1 </dev/null & disown`,
    process.execPath,
    blocker,
  ])
  await until('the port is taken', () => readFileSync(join(dir, 'blocker'), 'utf8') !== '')
  const started = await script(START)
  t.equal(started.code, 1)
  t.match(started.stdout, /^localhost: master started/m)
  t.match(started.stdout, /^Active master: +localhost:26001$/m)
  t.match(started.stderr, /^start-tajo\.sh: localhost:36001 was not started: .*36003/m)
  t.notOk(existsSync(pidFile(dir, 'master-36001')), 'a failed start leaves no pid file')
  t.match(await script(STOP), { code: 0 })
})

t.test('what stop does to a master that does not listen', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, script, kill } = await machine(t, {
    masters: 'localhost\n',
    env: 'export TAJO_STOP_TIMEOUT=1',
  })
  t.match(await script(START), { code: 0 })
  const pid = pidIn(dir)
  await kill('STOP', pid)
  t.match(await script(DAEMON, ['stop', 'master']), {
    code: 0,
    stdout: `process ${pid} did not stop within 1 s`,
  })
  t.notOk(existsSync(pidFile(dir)))
  await t.rejects(kill('0', pid), 'it is gone')
})

t.test('a number in the pid file that belongs to somebody else now', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, script, kill } = await machine(t, { masters: 'localhost\n' })
  const sleeper = Number(await host.mustRun(['bash', '-c', 'sleep 1000 >&- 2>&- & echo $!']))
  mkdirSync(join(dir, 'alone/run'), { recursive: true })
  for (const content of [`${sleeper}\n`, 'nonsense\n', '', '999999\n', '-1\n']) {
    writeFileSync(pidFile(dir), content)
    t.match(await script(DAEMON, ['status', 'master']), { code: 1 }, `pid file: ${content.trim()}`)
  }
  writeFileSync(pidFile(dir), `${sleeper}\n`)
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'no master to stop' })
  await kill('0', sleeper)
  writeFileSync(pidFile(dir), `${sleeper}\n`)
  t.match(await script(DAEMON, ['start', 'master']), { code: 0, stdout: 'master started' })
  t.not(pidIn(dir), sleeper)
  t.match(await script(DAEMON, ['restart', 'master']), { code: 0, stdout: /stopped.*started/s })
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0 })
  await kill('0', sleeper)
})

t.test('nothing in conf/masters reaches a shell', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, script } = await machine(t, { masters: null })
  const trap = join(dir, 'trap')
  const hostile = [
    `-oProxyCommand=touch ${trap}`,
    `-oProxyCommand=touch\${IFS}${trap}`,
    `$(touch ${trap})`,
    `$(touch\${IFS}${trap})`,
    `\`touch\${IFS}${trap}\``,
    `localhost;touch\${IFS}${trap}`,
    `localhost|touch${trap}`,
    "'",
    '"',
    'a\\nb',
    '*',
    '~root',
    '../../etc/passwd',
    'user@host',
    'host:port',
    'host:0',
    'host:65536',
    '[::1',
    '\u001b[2Jx',
    'localhost\u0000x',
    `${'x'.repeat(300)}`,
  ]
  for (const line of hostile) {
    writeFileSync(join(conf, 'masters'), `${line}\n`)
    for (const path of [START, STOP]) {
      const ran = await script(path)
      t.match(ran, { code: 1, stderr: `${conf}/masters:1: ` }, JSON.stringify(line))
    }
  }
  t.match(await script(DAEMON, ['start', 'master'], { env: { TAJO_MASTER_NAME: hostile[1] } }), {
    code: 2,
    stderr: 'TAJO_MASTER_NAME',
  })
  t.notOk(existsSync(trap))
})

t.test('wrong use and wrong settings, each with one clear error', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, script, host } = await machine(t, { masters: null })
  t.match(await script(START), { code: 1, stderr: /conf\/masters does not exist/ })
  t.match(await script(STOP), { code: 1, stderr: /conf\/masters does not exist/ })
  t.match(await host.run([START, '--config', join(dir, 'gone')]), {
    code: 1,
    stderr: `there is no configuration directory ${dir}/gone`,
  })
  writeFileSync(join(conf, 'masters'), 'localhost\n')
  t.match(await script(START, ['now']), { code: 2, stderr: "unknown argument 'now'" })
  t.match(await script(DAEMON, ['start']), { code: 2, stderr: 'usage' })
  t.match(await script(DAEMON, ['launch', 'master']), { code: 2, stderr: "'launch'" })
  t.match(await script(DAEMON, ['start', 'slave']), { code: 2, stderr: "'slave'" })
  t.match(await script(DAEMON, ['start', 'worker']), { code: 1, stderr: 'worker' })
  const env = readFileSync(join(conf, 'tajo-env.sh'), 'utf8')
  const wrong: [string, string | RegExp][] = [
    ['export TAJO_STOP_TIMEOUT=soon', "TAJO_STOP_TIMEOUT is 'soon'"],
    ['export TAJO_NICENESS=nice', "TAJO_NICENESS is 'nice'"],
    ['export TAJO_IDENT_STRING=../x', "TAJO_IDENT_STRING is '../x'"],
    ['export TAJO_PID_DIR=/proc/nowhere', 'TAJO_PID_DIR is /proc/nowhere'],
    ["export TAJO_SSH_OPTS='", /tajo-env\.sh can't be read by bash/],
  ]
  for (const [line, message] of wrong) {
    writeFileSync(join(conf, 'tajo-env.sh'), `${env}${line}\n`)
    const ran = await script(START)
    t.match(ran, { code: 1, stderr: message }, line)
  }
  writeFileSync(join(conf, 'tajo-env.sh'), env)
  const lost = await host.run([START], { env: { TAJO_HOME: '/usr' } })
  t.match(lost, { code: 1, stderr: 'TAJO_HOME is /usr' })
  const old = newDir(t)
  writeFileSync(join(old, 'node'), '#!/bin/sh\necho v18.20.0\n')
  chmodSync(join(old, 'node'), 0o755)
  const aged = await script(START, [], { env: { PATH: `${old}:${process.env.PATH}` } })
  t.match(aged, { code: 1, stderr: 'Node.js v18.20.0 is too old: needed is 20.19' })
})

t.test('settings of the environment file reach the daemon', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, script } = await machine(t, {
    masters: 'localhost\n',
    env: 'export TAJO_NICENESS=7 TAJO_MASTER_OPTS="--max-old-space-size=200 --title=tajo"',
  })
  t.match(await script(DAEMON, ['start', 'master']), { code: 0 })
  const pid = pidIn(dir)
  t.equal((await host.mustRun(['ps', '-o', 'ni=', '-p', String(pid)])).trim(), '7')
  const title = await host.mustRun(['cat', `/proc/${pid}/cmdline`])
  t.match(title, /^tajo\0/)
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
})

t.test('a fresh clone is installed and built by its first start', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, host } = await machine(t, { masters: 'localhost\n' })
  const clone = join(dir, 'clone')
  mkdirSync(clone)
  for (const name of ['sbin', 'bin', 'package.json', 'package-lock.json']) {
    await mustRun(['cp', '-r', join(HOME, name), clone])
  }
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  // Stands in for npm, which would fetch for half a minute: does what `npm ci` leaves behind.
  const npm = `#!/bin/sh\necho "$PWD $*" >>'${dir}/npm-calls'\n[ -e '${dir}/broken' ] && { echo no network >&2; exit 1; }\nln -s '${HOME}/build' '${HOME}/node_modules' .\n`
  writeFileSync(join(bin, 'npm'), npm)
  chmodSync(join(bin, 'npm'), 0o755)
  const start = () =>
    host.run([join(clone, 'sbin/start-tajo.sh'), '--config', conf], {
      env: { PATH: `${bin}:${process.env.PATH}` },
    })
  writeFileSync(join(dir, 'broken'), '')
  t.match(await start(), { code: 1, stderr: /no network.*'npm ci' in \S+\/clone failed/s })
  rmSync(join(dir, 'broken'))
  const started = await start()
  t.match(started, { code: 0, stdout: /^first start in this clone: installing and building/ })
  t.match(readFileSync(join(dir, 'npm-calls'), 'utf8'), `${clone} ci `)
  t.match(await start(), { code: 0, stdout: /^localhost: master runs already/ })
  const stop = await host.run([join(clone, 'sbin/stop-tajo.sh'), '--config', conf])
  t.match(stop, { code: 0, stdout: 'master stopped' })
  rmSync(join(clone, 'package-lock.json'))
  rmSync(join(clone, 'node_modules'))
  symlinkSync('/nonexistent', join(clone, 'node_modules'))
  t.match(await start(), { code: 1, stderr: 'neither a clone nor a whole tarball' })
})
