/**
 * Another user of a host of the cluster, who may write where the cluster's files lie: he runs nothing as the cluster's
 * user, has no file of his overwritten, and no process of anybody's killed. Real daemons, and a real second user.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HOME } from '../support/install.ts'
import { DAEMON, type Machine, machine, pidFile, pidIn, START, STOP } from '../support/machine.ts'
import { asOther, OTHER_USER, runAsOther } from '../support/other-user.ts'
import { hasParts } from '../support/parts.ts'
import { ended, hasEnded, start } from '../support/processes.ts'
import { mustRun, type Ran } from '../support/run.ts'
import { until } from '../support/until.ts'

const HIS = 'another file of the user of the cluster\n'

/** A host that he can reach, with a file that he may not touch. */
async function world(t: Test, more: Readonly<Record<string, string>> = {}) {
  const host = await machine(t, { masters: 'localhost\n', workers: 'localhost\n', site: more })
  const { dir, conf } = host
  chmodSync(dir, 0o755)
  const victim = join(dir, 'victim')
  writeFileSync(victim, HIS, { mode: 0o600 })
  const run = join(dir, 'alone/run')
  const logs = join(dir, 'alone/logs')
  for (const one of [run, logs]) mkdirSync(one, { recursive: true })
  const daemon = (verb: string, role = 'master'): Promise<Ran> => host.script(DAEMON, [verb, role])
  t.teardown(async () => void (await host.script(STOP)))
  return { ...host, env: join(conf, 'tajo-env.sh'), victim, run, logs, daemon }
}

/** The same with a tajo-env.sh that says nothing, as a clone has it. */
async function bareWorld(t: Test) {
  const w = await world(t)
  writeFileSync(w.env, '# nothing\n')
  const env = { TAJO_PID_DIR: w.run, TAJO_LOG_DIR: w.logs, TAJO_IDENT_STRING: 'test' }
  const script: Machine['script'] = (path, args = []) => w.script(path, args, { env })
  t.teardown(() => script(STOP))
  return { ...w, script, daemon: (verb: string) => script(DAEMON, [verb, 'master']) }
}

/** Refused with one sentence, whose command mends it. */
async function mustRefuse(t: Test, ran: Ran, what: string, facts: RegExp): Promise<void> {
  t.not(ran.code, 0, ran.stdout)
  const told = ran.stderr.trimEnd().split('\n').at(-1) ?? ''
  t.match(told, what)
  t.match(told, facts)
  t.match(told, 'Allowed is ')
  const command = /Mend it: (?:run this as [^:]*: )?((?:chmod|chown|rm) [^,)]+)/.exec(told)?.[1]
  t.ok(command, told)
  if (command !== undefined) await mustRun(['sh', '-c', command.replace(/ \(more in .*$/, '')])
}

async function mustStart({ script }: Machine, t: Test): Promise<void> {
  const started = await script(DAEMON, ['start', 'master'])
  t.equal(started.code, 0, started.stderr)
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0 })
}

t.test('tajo-env.sh that he may write, or replace, is not executed', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await world(t)
  const { dir, conf, env, host, daemon } = w
  const proof = join(dir, 'proof')
  const text = readFileSync(env, 'utf8')
  const tajo = (...words: string[]) =>
    host.run([join(HOME, 'bin/tajo'), words[0] ?? '', '--config', conf, ...words.slice(1)])
  chmodSync(env, 0o666)
  t.equal((await runAsOther('echo "id -u >$2" >>"$1"', [env, proof])).code, 0, 'he writes')
  for (const attempt of [
    () => daemon('start'),
    () => daemon('status'),
    () => daemon('stop'),
    () => w.script(START),
    () => tajo('master'),
    () => tajo('getconf', 'tajo.rootdir'),
  ]) {
    const ran = await attempt()
    t.not(ran.code, 0)
    t.match(ran.stderr, `tajo-env.sh ${env} is not this user's alone (mode 0666`)
  }
  t.notOk(existsSync(proof), 'his command was not run')
  writeFileSync(env, text)
  await mustRefuse(t, await daemon('start'), 'tajo-env.sh', /mode 0666, owner uid 0/)
  chmodSync(conf, 0o777)
  const move = 'mv "$1" "$1.old" && cp "$1.old" "$1" && echo "id -u >$2" >>"$1"'
  t.equal((await runAsOther(move, [env, proof])).code, 0, 'he puts one of his own there')
  await mustRefuse(t, await daemon('start'), 'TAJO_CONF_DIR', /mode 0777/)
  await mustRefuse(t, await daemon('start'), 'tajo-env.sh', /owner uid 65534/)
  t.notOk(existsSync(proof))
  writeFileSync(env, text)
  await mustStart(w, t)
  // As a clone has it where the umask keeps nothing: remarks alone are not executed.
  const remarks = '# nothing\n\n  # at all\r\n'
  writeFileSync(env, remarks)
  chmodSync(env, 0o666)
  const asked = await tajo('getconf', 'tajo.rootdir')
  t.match(asked, { code: 0, stdout: `${dir}/root` })
})

t.test('a command that he wrote into conf is not run', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await bareWorld(t)
  const { dir, conf, daemon, logs } = w
  const site = join(conf, 'tajo-site.xml')
  const proof = join(dir, 'proof')
  const text = readFileSync(site, 'utf8')
  chmodSync(conf, 0o777)
  chmodSync(site, 0o666)
  t.match(await daemon('start'), { code: 0 }, 'as a clone has it where the umask keeps nothing')
  const methods = `<name>tajo.master.ha.fencing.methods</name><value>shell(/usr/bin/touch ${proof})</value>`
  const his = text.replace('</configuration>', `<property>${methods}</property></configuration>`)
  t.equal((await runAsOther('printf %s "$1" >"$2"', [his, site])).code, 0, 'he writes')
  const log = join(logs, 'tajo-test-master-alone.log')
  const refused = `is not taken over: TAJO_CONF_DIR ${conf} is not this user's alone (mode 0777`
  await until('the running master says so', () => readFileSync(log, 'utf8').includes(refused))
  t.match(await daemon('stop'), { code: 0 })
  await mustRefuse(t, await daemon('start'), 'TAJO_CONF_DIR', /mode 0777/)
  await mustRefuse(t, await daemon('start'), `tajo-site.xml ${site}`, /mode 0666/)
  t.notOk(existsSync(proof))
  // Closed by the commands that were named: what stands there is the operator's to judge.
  writeFileSync(site, text)
  await mustStart(w, t)
})

t.test('a host that he wrote into conf is not logged in to', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await bareWorld(t)
  const { conf, daemon } = w
  const masters = join(conf, 'masters')
  chmodSync(masters, 0o666)
  t.equal((await w.script(START)).code, 0, 'this host alone')
  t.equal((await runAsOther('echo 192.0.2.1 >>"$1"', [masters])).code, 0)
  const stopped = await w.script(STOP)
  t.equal(stopped.code, 1)
  t.match(stopped.stderr, `masters ${masters} is not this user's alone (mode 0666, owner uid 0`)
  t.match(stopped.stderr, 'only what runs on this host is stopped')
  t.match(await daemon('status'), { code: 3 })
  const started = await w.script(START)
  t.equal(started.code, 1)
  t.match(started.stderr, `Mend it: chmod go-w ${masters}`)
  t.match(await daemon('status'), { code: 3 }, 'nothing is started')
  chmodSync(masters, 0o644)
  chmodSync(conf, 0o777)
  t.match((await w.script(START)).stderr, `TAJO_CONF_DIR ${conf} is not this user's alone`)
})

t.test('no link that he planted is written through', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await world(t, { 'tajo.worker.tmpdir.locations': '/var/tmp/none' })
  const { dir, conf, run, logs, victim, daemon } = w
  const unharmed = (): void => void t.equal(readFileSync(victim, 'utf8'), HIS)
  const plant = async (path: string): Promise<void> => {
    const planted = await runAsOther('ln -sf "$1" "$2"', [victim, path])
    t.equal(planted.code, 0, `he plants ${path}`)
  }
  const of = (end: string): string => join(run, `tajo-test-master.${end}`)
  chmodSync(run, 0o777)
  for (const end of ['pid', 'rootdir']) await plant(of(end))
  await mustRefuse(t, await daemon('start'), `TAJO_PID_DIR ${run}`, /mode 0777/)
  unharmed()
  await mustStart(w, t)
  unharmed()
  // A directory that everybody has, as /tmp: it stays, and the way out is named.
  chmodSync(run, 0o1777)
  const sticky = await daemon('start')
  t.equal(sticky.code, 1)
  t.match(sticky.stderr, `mkdir -m 700 ${run}/tajo-0, and name that in TAJO_PID_DIR`)
  chmodSync(run, 0o700)
  chmodSync(logs, 0o777)
  const log = join(logs, 'tajo-test-master-alone.log')
  for (const name of [log, log.replace(/log$/, 'out')]) {
    await mustRun(['rm', '-f', name])
    await plant(name)
  }
  await mustRefuse(t, await daemon('start'), `TAJO_LOG_DIR ${logs}`, /mode 0777/)
  unharmed()
  const linked = await daemon('start')
  t.not(linked.code, 0)
  t.match(linked.stderr, `it is a symbolic link, through which nothing is written: rm ${log}`)
  unharmed()
  await mustRun(['rm', log])
  await mustStart(w, t)
  unharmed()
  // The setting itself is a link of his, to a directory of the cluster's user.
  const open = join(dir, 'open')
  mkdirSync(open)
  chmodSync(open, 0o1777)
  await runAsOther('ln -s "$1" "$2"', [logs, join(open, 'spill')])
  const site = join(conf, 'tajo-site.xml')
  writeFileSync(site, readFileSync(site, 'utf8').replace('/var/tmp/none', join(open, 'spill')))
  const spill = await daemon('start', 'worker')
  await mustRefuse(t, spill, 'tajo.worker.tmpdir.locations', /symbolic link, owner uid 65534/)
  mkdirSync(join(open, 'spill'))
  chmodSync(join(open, 'spill'), 0o777)
  const opened = await daemon('start', 'worker')
  await mustRefuse(t, opened, 'tajo.worker.tmpdir.locations', /mode 0777/)
  t.match(await daemon('start', 'worker'), { code: 0 })
})

t.test('a pid file counts for processes of the own user alone', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await world(t)
  const { host, run, daemon, dir } = w
  chmodSync(run, 0o777)
  const path = pidFile(dir)
  // He has it open as a daemon has its own.
  const hold = 'echo $$ >"$1"; exec 3<"$1" 4<>"$1"; echo up; read -r'
  const his = start(host.command(asOther('bash', '-c', hold, 'bash', path)))
  let said = ''
  his.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await until('his process has the file open', () => said.includes('up'))
  const lives = (): void => void t.notOk(hasEnded(his), 'his process lives')
  chmodSync(run, 0o700)
  t.match(await daemon('status'), { code: 1, stdout: 'is dead, though its pid file exists' })
  const started = await daemon('start')
  t.match(started, { code: 0, stdout: 'master started' }, started.stderr)
  t.match(await daemon('stop'), { code: 0, stdout: 'master stopped' })
  lives()
  chmodSync(run, 0o777)
  t.equal((await runAsOther('echo "$2" >"$1"', [path, String(his.pid)])).code, 0)
  t.match(await daemon('stop'), { code: 0, stdout: 'no master to stop' }, 'a stop works anyhow')
  lives()
  his.stdin.end('\n')
  await ended(his)
})

t.test('a daemon of another user’s is told of, and goes on', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const isReached = (await runAsOther('test -r "$1" && node --version', [DAEMON])).code === 0
  if (!isReached) return void t.pass('the install, or Node, lies where he can not read')
  const w = await world(t)
  const { host, dir, conf, run, logs, daemon } = w
  for (const one of [dir, run, logs, join(dir, 'root')]) {
    chownSync(one, OTHER_USER, OTHER_USER)
    chmodSync(one, 0o755)
  }
  const his = (verb: string): Promise<Ran> =>
    host.run(asOther(DAEMON, '--config', conf, verb, 'master'))
  const started = await his('start')
  t.equal(started.code, 0, started.stderr)
  const pid = pidIn(dir)
  const whose = `process ${pid}, is of user nobody (uid ${OTHER_USER})`
  t.match(await daemon('status'), {
    code: 0,
    stdout: `master runs as process ${pid} of user nobody (uid ${OTHER_USER})`,
  })
  for (const verb of ['stop', 'start', 'restart']) {
    const ran = await daemon(verb)
    t.equal(ran.code, 1, verb)
    t.match(ran.stderr, `${whose}: ${verb === 'start' ? 'start' : 'stop'} it as that user`)
  }
  const all = await w.script(STOP)
  t.equal(all.code, 1)
  t.match(all.stderr, `${whose}: stop it as that user`)
  t.equal(pidIn(dir), pid, 'its pid file stays')
  t.match(await his('status'), { code: 0, stdout: `runs as process ${pid}` })
  t.match(await his('stop'), { code: 0, stdout: 'master stopped' })
  t.match(await daemon('stop'), { code: 0, stdout: 'no master to stop' })
  const format = [join(HOME, 'bin/tajo'), 'haadmin', '-formatHA', '--yes', '--config', conf]
  const ha = join(dir, 'root/system/ha')
  t.match(await host.run(format), {
    code: 4,
    stderr: `${ha} belongs to uid ${OTHER_USER}, who could not read what uid 0 makes there: run this as that user`,
  })
  const strange = readdirSync(ha).filter((name) => statSync(join(ha, name)).uid !== OTHER_USER)
  t.same(strange, [])
  const formatted = await host.run(asOther(...format))
  t.equal(formatted.code, 0, formatted.stderr)
  t.match(await his('start'), { code: 0 })
  t.match(await his('stop'), { code: 0 })
  for (const one of [run, dir]) chownSync(one, 0, 0)
  chmodSync(run, 0o700)
  for (const verb of ['stop', 'status']) {
    const ran = await his(verb)
    t.equal(ran.code, 1)
    t.match(
      ran.stderr,
      `TAJO_PID_DIR ${run} is closed to nobody (uid ${OTHER_USER}); ask as user root`,
    )
  }
})

t.test('a directory of the cluster that is not its user’s alone', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await world(t)
  const { dir, daemon } = w
  const root = join(dir, 'root')
  await mustStart(w, t)
  const spoil: [what: string, path: string, uid: number, mode: number][] = [
    ['tajo.rootdir', root, 0, 0o777],
    ['tajo.rootdir', root, OTHER_USER, 0o755],
    ['tajo.rootdir', join(root, 'system'), 0, 0o770],
    ['tajo.rootdir', join(root, 'system/ha/secret'), 0, 0o666],
    ['tajo.rootdir', join(root, 'system/catalog'), OTHER_USER, 0o700],
  ]
  for (const [what, path, uid, mode] of spoil) {
    chownSync(path, uid, uid)
    chmodSync(path, mode)
    const facts = new RegExp(`mode 0${mode.toString(8)}, owner uid ${uid}`)
    await mustRefuse(t, await daemon('start'), `${what} ${path}`, facts)
  }
  chmodSync(root, 0o777)
  await mustRefuse(t, await daemon('start', 'worker'), 'tajo.rootdir', /mode 0777/)
  await mustStart(w, t)
})

t.test('a worker does not join a cluster that he made where others may add names', async (t) => {
  if (!hasParts(t, 'netns', 'users')) return
  const w = await world(t)
  const { dir, daemon, logs } = w
  const root = join(dir, 'root')
  chmodSync(root, 0o1777)
  t.match(await daemon('start', 'worker'), { code: 0 }, 'it waits for a master')
  const id = '11111111-2222-3333-4444-555555555555'
  const plant = 'mkdir -p -m 755 "$1" && echo "$2" >"$1/single-cluster"'
  t.equal((await runAsOther(plant, [join(root, 'system/ha'), id])).code, 0, 'he makes one')
  const log = join(logs, 'tajo-test-worker-alone.log')
  const refused = `tajo.rootdir ${root}/system is not this user's alone`
  await until('the worker says so', () => readFileSync(log, 'utf8').includes(refused))
  await mustRun(['rm', '-r', join(root, 'system')])
  t.match(await daemon('start'), { code: 0 })
  await until('it joins', () => readFileSync(log, 'utf8').includes('"event":"master-followed"'))
})

/** All below a directory that is not as it should be, by what it should be. */
function unlike(directory: string, of: { dir: number; file: number }): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    const mode = lstatSync(path).mode & 0o777
    const wanted = entry.isDirectory() ? of.dir : of.file
    const below = entry.isDirectory() ? unlike(path, of) : []
    return mode === wanted ? below : [`${path} ${mode.toString(8)}`, ...below]
  })
}

t.test('modes are the same whatever the umask, and tables follow their own', async (t) => {
  if (!hasParts(t, 'netns')) return
  for (const [umask, tables] of [
    ['000', '022'],
    ['077', '027'],
    ['022', '002'],
  ] as const) {
    await t.test(`umask ${umask}, tajo.warehouse.umask ${tables}`, async (t) => {
      const w = await machine(t, {
        masters: 'localhost\n',
        workers: 'localhost\n',
        site: { 'tajo.warehouse.umask': tables },
      })
      const { dir, conf, host } = w
      await mustRun(['rm', '-r', join(dir, 'root')])
      const under = (line: string): Promise<Ran> =>
        host.run(['bash', '-c', `umask ${umask}; ${line}`])
      const started = await under(`${START} --config ${conf}`)
      t.equal(started.code, 0, started.stderr)
      const sql = 'CREATE TABLE t (a INT4); INSERT INTO t VALUES (1); SELECT * FROM t'
      const ran = await under(`${join(HOME, 'bin/tsql')} --config ${conf} -c '${sql}'`)
      t.equal(ran.code, 0, ran.stderr)
      t.ok(pidIn(dir) > 0)
      const root = join(dir, 'root')
      for (const one of [root, join(root, 'system'), join(dir, 'alone/run'), join(dir, 'spill')]) {
        t.equal(statSync(one).mode & 0o777, 0o700, one)
      }
      t.same(unlike(join(root, 'system'), { dir: 0o700, file: 0o600 }), [])
      const open = Number.parseInt(tables, 8)
      const warehouse = join(root, 'warehouse')
      t.equal(statSync(warehouse).mode & 0o777, 0o777 & ~open)
      t.same(unlike(join(warehouse, 'default'), { dir: 0o777 & ~open, file: 0o666 & ~open }), [])
      t.equal((await w.script(STOP)).code, 0)
      t.match(await w.script(START), { code: 0 }, 'and starts again')
      t.equal((await w.script(STOP)).code, 0)
    })
  }
})

t.test('a rootdir of an earlier version starts as it is', async (t) => {
  if (!hasParts(t, 'netns')) return
  const w = await world(t)
  const root = join(w.dir, 'root')
  await mustStart(w, t)
  await mustRun(['chmod', '-R', 'u=rwX,go=rX', root])
  symlinkSync('/nonexistent', join(root, 'system/left'))
  await mustStart(w, t)
  t.equal(statSync(join(root, 'system')).mode & 0o777, 0o700)
  const log = readFileSync(join(w.logs, 'tajo-test-master-alone.log'), 'utf8')
  t.match(log, `others could read ${root}/system (mode 0755)`)
})
