/** The scripts given what is wrong, hostile or left over: each time one clear error, the right exit code, no harm. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync as realpath,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { DAEMON, machine, newDir, pidFile, pidIn, START, STOP } from '../support/machine.ts'
import { hasParts } from '../support/parts.ts'
import { until } from '../support/until.ts'

t.test('what stop does to a master that does not listen', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, script, kill } = await machine(t, {
    masters: 'localhost\n',
    // Its keeper gives up a master that stands still, too: not before the script, on the slowest machine.
    site: { 'tajo.master.ha.monitor.interval': '60000' },
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
  // Ended, as the script says; its number is free once the host's first process has reaped it.
  const gone = () =>
    kill('0', pid).then(
      () => false,
      () => true,
    )
  await until('it is gone', gone)
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

t.test('nothing in conf/masters and conf/workers reaches a shell', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, conf, script } = await machine(t, { masters: null })
  const trap = join(dir, 'trap')
  // What each line is told is the parser's own test; here it counts that nothing runs.
  const hostile = [
    `-oProxyCommand=touch ${trap}`,
    `-oProxyCommand=touch\${IFS}${trap}`,
    `$(touch\${IFS}${trap})`,
    `\`touch\${IFS}${trap}\``,
    `localhost;touch\${IFS}${trap}`,
    `localhost\u0000;touch ${trap}`,
    `'; touch ${trap}; '`,
    `user@$(touch\${IFS}${trap})`,
    '*',
    '../../etc/passwd',
    '\u001b[2Jx',
  ]
  for (const line of hostile) {
    writeFileSync(join(conf, 'masters'), `localhost\n${line}\n`)
    const ran = await script(START)
    t.match(ran, { code: 1, stdout: '', stderr: `${conf}/masters:2: ` }, JSON.stringify(line))
    t.notMatch(ran.stderr, '\u001b', 'nothing moves the cursor of a terminal')
  }
  writeFileSync(join(conf, 'masters'), 'localhost\n')
  for (const line of hostile.slice(0, 3)) {
    writeFileSync(join(conf, 'workers'), `localhost\n${line}\n`)
    const ran = await script(START)
    t.match(ran, { code: 1, stdout: '', stderr: `${conf}/workers:2: ` }, JSON.stringify(line))
  }
  writeFileSync(join(conf, 'workers'), 'localhost:26002\n')
  t.match(await script(STOP), { code: 1, stderr: `${conf}/workers:1: ` }, "a master's port")
  writeFileSync(join(conf, 'workers'), '')
  writeFileSync(join(conf, 'masters'), hostile.join('\r\n'))
  t.match(await script(STOP), { code: 1, stderr: `${conf}/masters:` })
  t.match(await script(DAEMON, ['start', 'master'], { env: { TAJO_MASTER_NAME: hostile[1] } }), {
    code: 2,
    stderr: 'TAJO_MASTER_NAME',
  })
  t.match(await script(DAEMON, ['start', 'worker'], { env: { TAJO_WORKER_NAME: hostile[2] } }), {
    code: 2,
    stderr: 'TAJO_WORKER_NAME',
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

t.test(
  'a shell without Node: said clearly, unless the starting host knows where it is',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { host, dir, script } = await machine(t, { masters: 'localhost\n' })
    const elsewhere = join(dir, 'node')
    mkdirSync(elsewhere)
    copyFileSync(process.execPath, join(elsewhere, 'node'))
    // Each one: a machine may have several, the one that runs the tests first.
    const folders = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'))
    const nodes = new Set([
      process.execPath,
      ...folders.filter(existsSync).map((path) => realpath(path)),
    ])
    for (const node of nodes) await host.mustRun(['mount', '--bind', '/dev/null', node])
    const lost = await script(DAEMON, ['start', 'master'])
    t.match(lost, { code: 1, stderr: "there is no 'node' in PATH" })
    const env = { TAJO_STARTER_NODE: elsewhere }
    t.match(await script(DAEMON, ['start', 'master'], { env }), { code: 0 })
    t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
  },
)

t.test('a daemon that is ready is seen, though the end of its word is lost', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, script, kill } = await machine(t, { masters: 'localhost\n' })
  const stand = join(dir, 'node')
  mkdirSync(stand)
  // What the shell's own time limit leaves of the word where it strikes in the middle of it.
  const says = `echo $$ >'${pidFile(dir)}'; echo 'ready master'; printf ready >&"$TAJO_READY_FD"; exec sleep 1000`
  const real = `exec '${process.execPath}' "$@"`
  const text = `#!/usr/bin/env bash\ncase $* in *tajo.js\\ master) ${says};; *) ${real};; esac\n`
  writeFileSync(join(stand, 'node'), text)
  chmodSync(join(stand, 'node'), 0o755)
  const env = { PATH: `${stand}:${process.env.PATH}` }
  t.match(await script(DAEMON, ['start', 'master'], { env }), { code: 0, stdout: 'master started' })
  await kill('KILL', pidIn(dir))
})

t.test('settings of the environment file reach the daemon', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { host, dir, script } = await machine(t, {
    masters: 'localhost\n',
    env: 'export GLIBC_TUNABLES= TAJO_NICENESS=7 TAJO_MASTER_OPTS="--max-old-space-size=200 --title=tajo"',
  })
  t.match(await script(DAEMON, ['start', 'master']), { code: 0 })
  const pid = pidIn(dir)
  t.equal((await host.mustRun(['ps', '-o', 'ni=', '-p', String(pid)])).trim(), '7')
  const title = await host.mustRun(['cat', `/proc/${pid}/cmdline`])
  t.match(title, /^tajo\0/)
  const environment = await host.mustRun(['cat', `/proc/${pid}/environ`])
  t.match(environment, /(?:^|\0)GLIBC_TUNABLES=\0/)
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
})

t.test(
  'where nobody says otherwise a master and its keeper come before other programs',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const { host, dir, script } = await machine(t, { masters: 'localhost\n', env: '' })
    const mayRaise = (await host.run(['nice', '-n', '-5', 'nice'])).stdout.trim() === '-5'
    t.match(await script(DAEMON, ['start', 'master']), { code: 0 })
    const pid = String(pidIn(dir))
    const nicenessOf = async (...which: string[]): Promise<string[]> => [
      ...new Set(
        (await host.mustRun(['ps', '-L', '-o', 'ni=', ...which])).split(/\s+/).filter(Boolean),
      ),
    ]
    const expected = [mayRaise ? '-5' : '0']
    t.same(await nicenessOf('-p', pid), expected, 'each thread of the master')
    t.same(await nicenessOf('--ppid', pid), expected, 'its keeper')
    const keeper = (await host.mustRun(['ps', '-o', 'pid=', '--ppid', pid])).trim()
    const tuned = 'GLIBC_TUNABLES=glibc.malloc.hugetlb=1\0'
    t.match(await host.mustRun(['cat', `/proc/${pid}/environ`]), tuned, 'huge pages for it')
    t.notMatch(await host.mustRun(['cat', `/proc/${keeper}/environ`]), 'GLIBC_TUNABLES')
    t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
  },
)
