/**
 * The scripts on one host, used as the operators' page says: default ports, `conf/masters`, `tajo-site.xml`. The host is
 * made of namespaces, so that the default ports are free and nothing can be left running.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DAEMON_EVENTS } from '../../lib/base/log-events.ts'
import { HA_EVENTS } from '../../lib/ha/words/log-events.ts'
import { HOME, makeConf, siteProperties } from '../support/install.ts'
import { DAEMON, machine, pidFile, pidIn, START, STOP } from '../support/machine.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun, type Ran } from '../support/run.ts'
import { until } from '../support/until.ts'

const EVENTS = { ...HA_EVENTS, ...DAEMON_EVENTS }
/** What each daemon's log has to have after its start, and after its files were removed: the keeper's words too. */
const LOGGED = {
  master: [
    'claim-began',
    'role-taken',
    'catalog-opened',
    'worker-registered',
    'daemon-file-put-back',
  ],
  worker: ['master-followed', 'daemon-file-put-back'],
}

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
  const named = ['sbin/watch-worker', 'conf/tajo-env.sh', '.ci/run']
  const others = named.map((name) => join(HOME, name)).filter(existsSync)
  await mustRun(['shellcheck', '-x', '-a', ...started, ...others])
})

t.test('a cluster as shipped: start, look, start again, kill, start, stop', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, conf, script, status, kill } = await machine(t, {
    masters: readFileSync(join(HOME, 'conf/masters'), 'utf8'),
    workers: readFileSync(join(HOME, 'conf/workers'), 'utf8'),
  })
  const shipped = readFileSync(join(HOME, 'conf/tajo-site.xml'), 'utf8')
  const own = siteProperties({
    'tajo.rootdir': `${dir}/root`,
    'tajo.worker.tmpdir.locations': `${dir}/spill`,
  })
  writeFileSync(
    join(conf, 'tajo-site.xml'),
    shipped.replace('</configuration>', `${own}</configuration>`),
  )
  const started = await script(join(HOME, 'bin/start-tajo.sh'))
  t.equal(started.code, 0, started.stderr)
  t.match(started.stdout, /^localhost: master started as process \d+, log \S+-master-alone\.log$/m)
  t.match(started.stdout, /^Active master: +localhost:26001$/m)
  t.match(started.stdout, /^Web page: +http:\/\/localhost:26080\/$/m)
  t.match(started.stdout, /^Client address: +localhost:26002$/m)
  t.match(started.stdout, /^localhost: worker started as process \d+, log \S+-worker-alone\.log$/m)
  t.match(started.stdout, /^Workers: +1$/m)
  t.match(started.stdout, `SQL shell:      ${join(HOME, 'bin/tsql')} --config ${conf}\n`)
  t.equal(await status(26080, '/health/active'), 200)
  t.equal(await status(28080, '/health/live'), 200)
  const helper = `${process.execPath} ${join(HOME, 'build/programs/cluster-active.js')} wait 1`
  const words = `TAJO_CONF_DIR=${conf} ${helper} | true`
  t.equal((await host.run(['bash', '-c', words])).stderr, '', 'its reader has seen enough')
  const pid = pidIn(dir)
  const again = await script(START)
  t.match(again, { code: 0, stdout: `localhost: master runs already as process ` })
  t.match(again.stdout, /^localhost: worker runs already as process \d+$/m)
  t.equal(pidIn(dir), pid, 'the second start changes nothing')
  t.match(await script(DAEMON, ['status', 'master']), { code: 0, stdout: 'runs as process' })
  t.ok(existsSync(join(dir, 'alone/logs/tajo-test-master-alone.out')))
  const [ofMaster, ofWorker] = ['master', 'worker'].map((one) => pidFile(dir, one)) as [
    string,
    string,
  ]
  const socket = ofMaster.replace(/pid$/, 'sock')
  const workerPid = Number(readFileSync(ofWorker, 'utf8').trim())
  // It can't put anything back, and nothing ends it for that.
  await kill('STOP', workerPid)
  for (const name of [ofMaster, ofWorker, socket]) rmSync(name)
  const removed = `as process ${workerPid} (its pid file ${ofWorker} was removed`
  for (const [verb, words] of [
    ['status', `worker runs ${removed}`],
    ['start', `worker runs already ${removed}`],
  ] as const) {
    t.match(await script(DAEMON, [verb, 'worker']), { code: 0, stdout: words })
  }
  t.match(await script(DAEMON, ['status', 'master']), { code: 0, stdout: `process ${pid}` })
  await kill('CONT', workerPid)
  await until('all are put back', () => [ofMaster, ofWorker, socket].every(existsSync))
  t.equal(pidIn(dir), pid)
  t.equal(Number(readFileSync(ofWorker, 'utf8').trim()), workerPid)
  const order = await script(join(HOME, 'bin/tajo'), [
    'haadmin',
    '-transitionToBackup',
    'localhost:26001',
  ])
  t.match(order, { code: 4, stderr: /refused/ }, 'the socket takes orders: there is no backup')
  for (const [one, events] of Object.entries(LOGGED)) {
    const log = readFileSync(join(dir, `alone/logs/tajo-test-${one}-alone.log`), 'utf8')
    const lines = log.trim().split('\n')
    for (const line of lines) t.ok(JSON.parse(line).event in EVENTS, line)
    for (const event of events) t.match(log, `"event":"${event}"`)
  }
  // The documented test of a failover.
  await kill('9', pid)
  // A killed process has its files for as long as the kernel takes to end it.
  await until('it is gone', async () => (await script(DAEMON, ['status', 'master'])).code !== 0)
  t.match(await script(DAEMON, ['status', 'master']), { code: 1, stdout: 'its pid file exists' })
  t.match(await script(START), { code: 0 })
  t.not(pidIn(dir), pid)
  const stopped = await script(join(HOME, 'bin/stop-tajo.sh'))
  t.match(stopped, {
    code: 0,
    stdout:
      /^localhost: worker stopped \(process \d+\)\nlocalhost: master stopped \(process \d+\)\n$/,
  })
  for (const role of ['master', 'worker']) {
    t.match(await script(DAEMON, ['status', role]), { code: 3 })
    t.notOk(existsSync(pidFile(dir, role)))
  }
  t.match(await script(STOP), { code: 0, stdout: /no worker to stop.*no master to stop/s })
})

t.test('a full log directory: it serves, and start and alert say what is lost', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, script } = await machine(t, { masters: 'localhost\n', workers: 'localhost\n' })
  const logs = join(dir, 'alone/logs')
  mkdirSync(logs, { recursive: true })
  await host.mustRun(['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', logs])
  await host.run(['dd', 'if=/dev/zero', `of=${logs}/fill`, 'bs=4k'])
  const started = await script(START)
  t.equal(started.code, 0, started.stderr)
  for (const role of ['master', 'worker']) {
    t.match(started.stdout, new RegExp(`${role} started as process \\d+, log lost$`, 'm'))
    t.match(
      started.stderr,
      `warning: ${role} serves, but nothing that it logs is kept: ${logs} (TAJO_LOG_DIR) can't be written (No space left on device)`,
    )
  }
  t.match(started.stdout, /^Active master: +localhost:26001$/m)
  const alerts = (): Promise<string> => {
    const url = 'http://localhost:26080/api/v1/cluster'
    const ask = `fetch('${url}').then(async (r) => console.log(JSON.stringify((await r.json()).alerts)))`
    return host.mustRun([process.execPath, '-e', ask])
  }
  t.match(await alerts(), /its log file .*\.log can't be written \(ENOSPC/)
  await host.mustRun(['rm', `${logs}/fill`])
  await until('it is over with the next line', async () => {
    await host.mustRun(['kill', '-HUP', String(pidIn(dir))])
    return !(await alerts()).includes('its log file')
  })
  t.equal((await script(STOP)).code, 0)
})

t.test("the stop leaves another cluster's daemon alone", async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, conf, script, status } = await machine(t, { masters: 'localhost\n' })
  t.equal((await script(START)).code, 0)
  // Another conf directory with another tajo.rootdir, whose list of masters names this one.
  const other = join(dir, 'other')
  cpSync(conf, other, { recursive: true })
  const site = join(other, 'tajo-site.xml')
  writeFileSync(site, readFileSync(site, 'utf8').replace(`${dir}/root`, `${dir}/other-root`))
  const refused = await host.run([STOP, '--config', other])
  t.equal(refused.code, 1)
  t.match(
    refused.stderr,
    `localhost was not stopped: tajo-daemon.sh: master, process ${pidIn(dir)}, is of another cluster and goes on: its tajo.rootdir is ${dir}/root, and here it is ${dir}/other-root`,
  )
  t.equal(await status(26080, '/health/active'), 200, 'it serves on')
  t.match(await script(STOP), { code: 0, stdout: 'master stopped' })
  t.same(readdirSync(join(dir, 'alone/run')), [], 'nothing is left')
  // One of an older state has left no word.
  t.equal((await script(START)).code, 0)
  rmSync(join(dir, 'alone/run/tajo-test-master.rootdir'))
  t.match(await host.run([STOP, '--config', other]), { code: 0, stdout: 'master stopped' })
})

t.test(
  'a second line for the same host is a second master; stop ends the active one last',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { dir, script, status, kill } = await machine(t, {
      masters: '# all masters\r\n\r\n  localhost  \r\nlocalhost:27001 # on the same host\r\n',
    })
    const started = await script(START)
    t.equal(started.code, 0, started.stderr)
    t.match(started.stdout, /^localhost: master started/m)
    t.match(started.stdout, /^localhost:27001: master-27001 started/m)
    t.ok(existsSync(join(dir, 'alone/logs/tajo-test-master-27001-alone.log')))
    const states = await Promise.all([26080, 27080].map((port) => status(port, '/health/active')))
    t.strictSame([...states].sort(), [200, 503], 'one is active')
    const [active, backup] =
      states[0] === 200 ? ['master', 'master-27001'] : ['master-27001', 'master']
    const backupPort = active === 'master' ? 27080 : 26080
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

t.test('a site file that can not be read any more keeps nothing from being stopped', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, script } = await machine(t, {
    masters: 'localhost\nlocalhost:27001\n',
    workers: 'localhost\n',
  })
  t.match(await script(START), { code: 0 })
  const site = join(conf, 'tajo-site.xml')
  writeFileSync(site, readFileSync(site, 'utf8').replace('</configuration>', ''))
  const stopped = await script(STOP)
  t.equal(stopped.code, 1, 'other hosts are not known')
  t.match(stopped.stderr, /tajo-site\.xml.*only what runs on this host is stopped/s)
  t.match(stopped.stdout, /^localhost: worker stopped .*^localhost:27001: master-27001 stopped/ms)
  for (const name of ['master', 'master-27001', 'worker']) t.notOk(existsSync(pidFile(dir, name)))
})

t.test('two workers on one host: one is killed and started again, both stop first', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, script, status, kill } = await machine(t, {
    masters: 'localhost\n',
    workers: '# all workers\r\nlocalhost\r\n localhost:29091 # on the same host\r\n',
  })
  const started = await script(START)
  t.equal(started.code, 0, started.stderr)
  t.match(started.stdout, /^localhost: worker started/m)
  t.match(started.stdout, /^localhost:29091: worker-29091 started/m)
  t.match(started.stdout, /^Workers: +2$/m)
  t.ok(existsSync(join(dir, 'alone/logs/tajo-test-worker-29091-alone.log')))
  t.equal(await status(29080, '/health/live'), 200)
  const second = { env: { TAJO_WORKER_NAME: 'localhost:29091' } }
  t.match(await script(DAEMON, ['status', 'worker'], second), { code: 0 })
  await kill('9', pidIn(dir, 'worker-29091'))
  await until(
    'it is gone',
    async () => (await script(DAEMON, ['status', 'worker'], second)).code !== 0,
  )
  t.match(await script(DAEMON, ['status', 'worker'], second), { code: 1 })
  const again = await script(START)
  t.match(again, { code: 0, stdout: /^localhost: worker runs already/m }, again.stderr)
  t.match(again.stdout, /^localhost:29091: worker-29091 started/m)
  t.match(again.stdout, /^Workers: +2$/m)
  const stopped = await script(STOP)
  t.equal(stopped.code, 0, stopped.stderr)
  const lines = stopped.stdout.trim().split('\n')
  t.equal(lines.length, 3)
  t.match(lines.at(-1), /^localhost: master stopped/, 'after the workers')
})

t.test(
  'the documented way: a second configuration directory with five addresses changed',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { host, dir, conf, script, status, kill } = await machine(t, {
      masters: 'localhost\n',
      workers: 'localhost\n',
    })
    const second = makeConf(join(dir, 'second'), {
      masters: 'localhost\n',
      site: {
        'tajo.rootdir': `${dir}/root`,
        'tajo.master.umbilical-rpc.address': 'localhost:27001',
        'tajo.master.client-rpc.address': 'localhost:27002',
        'tajo.resource-tracker.rpc.address': 'localhost:27003',
        'tajo.catalog.client-rpc.address': 'localhost:27005',
        'tajo.master.info-http.address': '0.0.0.0:27080',
      },
      // As the page says only TAJO_PID_DIR differs: both write to one log directory.
      env: `export TAJO_LOG_DIR='${dir}/alone/logs'`,
    })
    t.match(await script(START), { code: 0 })
    const other = await host.run([START, '--config', second])
    t.match(other, { code: 0, stdout: /^localhost: master started/m }, other.stderr)
    t.match(other.stdout, /^Active master: +localhost:26001$/m)
    t.equal(await status(26080, '/health/active'), 200)
    const isBackup = async (): Promise<boolean> => (await status(27080, '/health/backup')) === 200
    await until('the second one is its backup', isBackup)
    const count = (): Promise<Ran> =>
      host.run([join(HOME, 'bin/tsql'), '--config', conf, '-c', 'SELECT count(*) FROM t'])
    const make = 'CREATE TABLE t (a INT4); INSERT INTO t VALUES (1), (2)'
    t.match(await host.run([join(HOME, 'bin/tsql'), '--config', conf, '-c', make]), { code: 0 })
    // Neither the worker nor this tsql has ever read of the other in a file called masters.
    await kill('9', pidIn(dir))
    await until('the other is active', async () => (await status(27080, '/health/active')) === 200)
    const counted = await count()
    t.match(counted, { code: 0, stdout: /\b2\b/ }, counted.stderr)
    t.match(await script(START), { code: 0 })
    const hinted = await count()
    t.match(hinted, { code: 0, stdout: /\b2\b/ }, hinted.stderr)
    t.match(await script(STOP), { code: 0, stdout: 'master stopped' })
    t.match(await host.run([STOP, '--config', second]), { code: 0, stdout: 'master stopped' })
    const log = readFileSync(join(dir, 'alone/logs/tajo-test-master-alone.log'), 'utf8')
    for (const line of log.trim().split('\n')) JSON.parse(line)
  },
)

t.test(
  'a master and a worker that fail to start are named with the reason, the rest starts',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { host, dir, script } = await machine(t, {
      masters: 'localhost\nlocalhost:27001\n',
      workers: 'localhost\nlocalhost:29091\n',
    })
    const listen = (port: number, then: string) =>
      `require('net').createServer().listen(${port}, () => ${then})`
    const blocker = listen(27003, listen(29092, `console.log('listens')`))
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
    t.match(started.stderr, /^start-tajo\.sh: localhost:27001 was not started: .*27003/m)
    t.equal(started.stderr.match(/27003/g)?.length, 1, 'once')
    t.match(started.stderr, /^start-tajo\.sh: worker localhost:29091 was not started: .*29092/m)
    t.match(started.stdout, /^Workers: +1$/m)
    for (const name of ['master-27001', 'worker-29091']) {
      t.notOk(existsSync(pidFile(dir, name)), 'a failed start leaves no pid file')
    }
    t.match(await script(STOP), { code: 0 })
  },
)

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
  // As after a `git pull` over what a version without a bundle has built, whose cluster may run.
  rmSync(join(clone, 'build'))
  linkOlderBuild(join(clone, 'build/lib/cli'))
  t.match(await start(), { code: 0, stdout: /^localhost: master started/ }, 'the older build runs')
  const version = await host.run([join(clone, 'bin/tajo'), 'version'])
  t.match(version, { code: 0, stdout: /^Tajo HA / })
  const stopOld = await host.run([join(clone, 'sbin/stop-tajo.sh'), '--config', conf])
  t.match(stopOld, { code: 0, stdout: 'master stopped' })
  rmSync(join(clone, 'build'), { recursive: true })
  rmSync(join(clone, 'package-lock.json'))
  rmSync(join(clone, 'node_modules'))
  symlinkSync('/nonexistent', join(clone, 'node_modules'))
  t.match(await start(), { code: 1, stderr: 'neither a clone nor a whole tarball' })
})

/** Programs as a version without a bundle has built them: all in one directory, beside each other. */
function linkOlderBuild(cli: string): void {
  mkdirSync(cli, { recursive: true })
  for (const room of ['cli', 'cli/start', 'cli/daemon']) {
    const built = join(HOME, 'build/lib', room)
    for (const name of readdirSync(built).filter((one) => one.endsWith('.js'))) {
      symlinkSync(join(built, name), join(cli, name))
    }
  }
}
