/** `conf/masters`: which lines are hosts, who a master is, and what a change of the files does to a running daemon. */
import { mkdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OwnPlaceError } from '../../../lib/base/own-place.ts'
import {
  buildConfiguration,
  ConfError,
  type Configuration,
  loadConfiguration,
  masterAddresses,
  parseMasterName,
  parseWorkerName,
  type ReloadEvent,
  readMasters,
  readWorkers,
  requireSeparatePorts,
  watchConfiguration,
  workerAddresses,
} from '../../../lib/conf/index.ts'
import { parseHosts } from '../../../lib/conf/masters.ts'
import { fc } from '../../support/properties.ts'

const SURROUNDINGS = { env: { TAJO_HOME: '/opt/tajo' }, userName: 'ann' }
const site = (values: Readonly<Record<string, string>>): string => {
  const properties = Object.entries(values).map(
    ([name, value]) => `<property><name>${name}</name><value>${value}</value></property>`,
  )
  return `<configuration>\n${properties.join('\n')}\n</configuration>\n`
}
const conf = (values: Readonly<Record<string, string>> = {}): Configuration =>
  buildConfiguration(
    {
      confDir: '/conf',
      tajoSite: { file: 'tajo-site.xml', text: site(values) },
      catalogSite: null,
    },
    SURROUNDINGS,
  )
const hosts = (text: string) =>
  parseHosts({ file: 'masters', text }, { defaultPort: 26001, what: 'master' })
const namesOf = (text: string) => hosts(text).entries.map(({ name }) => name)

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfError) return error.problems
    throw error
  }
  throw new Error('nothing was refused')
}
async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ConfError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

t.test('one host a line, with comments, blanks and CRLF', async (t) => {
  const text =
    '# masters\r\n\r\n  host1  \r\nHost2.Example.:27001 # the second\r\n\t[2001:DB8::1]\r\n[::1]:26101\n10.0.0.7\nnode_8'
  t.same(namesOf(text), [
    'host1',
    'host2.example:27001',
    '[2001:db8::1]',
    '[::1]:26101',
    '10.0.0.7',
    'node_8',
  ])
  t.match(hosts(text).entries[1], { host: 'host2.example', port: 27001, line: 4 })
  t.match(hosts(text).entries[2], { host: '2001:db8::1', port: null, line: 5 })
  t.same(namesOf('localhost\nlocalhost:27001\n'), ['localhost', 'localhost:27001'])
  t.same(namesOf('localhost'), ['localhost'], 'no line end at the end')
})

t.test('a line that is no host: file, line and what is allowed', async (t) => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['host1 host2', /one host a line, without blanks inside/],
    ['root@host1', /no user may be given here/],
    ['host1:', /after the colon must stand a port from 1 to 65535/],
    ['host1:0', /a port from 1 to 65535/],
    ['host1:70000', /a port from 1 to 65535/],
    ['host1:ssh', /a port from 1 to 65535/],
    ['::1', /an IPv6 address needs brackets: \[::1\]/],
    ['fe80::1%eth0', /needs brackets|letters, digits/],
    ['[fe80::1%eth0]', /without a zone/],
    ['[host1]', /must be an IPv6 address/],
    ['-oProxyCommand=touch,x', /letters, digits/],
    ['host1;reboot', /letters, digits/],
    ['$(reboot)', /letters, digits/],
    ['`reboot`', /letters, digits/],
    ['host1|x', /letters, digits/],
    ["ho'st", /letters, digits/],
    ['ho"st', /letters, digits/],
    ['ho\\st', /letters, digits/],
    ['*', /letters, digits/],
    ['../etc', /letters, digits/],
    ['.host', /letters, digits/],
    ['host-', /letters, digits/],
    ['h\u00f6st', /letters, digits/],
    ['300.1.1.1', /letters, digits/],
    ['12345', /letters, digits/],
    [`${'a'.repeat(64)}.example`, /letters, digits/],
    [`${'a.'.repeat(127)}aa`, /letters, digits/],
  ]
  for (const [line, why] of wrong) {
    const [problem] = problemsOf(() => hosts(`localhost\n${line}\n`))
    t.ok(problem?.startsWith('masters:2: '), line)
    t.match(problem, why, line)
  }
  t.equal(problemsOf(() => hosts('a b\nok\nc d\n')).length, 2, 'every wrong line is told')
  t.match(
    problemsOf(() => hosts('# nobody\n\n')),
    [/masters lists no master: at least one line/],
  )
})

t.test('the same master twice', async (t) => {
  const same = (text: string) => problemsOf(() => hosts(text)).join()
  t.match(
    same('host1\n\nhost1\n'),
    /^masters:3: host1 is the same master as host1 in line 1: .* such as host1:27001$/,
  )
  t.match(
    same('host1\nHOST1.:26001\n'),
    /^masters:2: host1:26001 is the same master as host1 in line 1/,
  )
  t.match(same('localhost:27001\n127.0.0.1:27001\n'), /masters:2: .* such as 127\.0\.0\.1:25001/)
  const suggested = (defaultPort: number, what: 'master' | 'worker', text: string) =>
    /such as (\S+)/.exec(
      problemsOf(() => parseHosts({ file: 'f', text }, { defaultPort, what })).join(),
    )?.[1]
  t.equal(suggested(26001, 'master', 'a\na:27001\na:25001\nb:24001\na\n'), 'a:24001')
  t.equal(suggested(28091, 'worker', 'a\na\n'), 'a:29091')
  t.equal(suggested(28091, 'worker', 'a\na:29091\na\n'), 'a:30091')
  t.equal(suggested(32_001, 'worker', 'a\na\n'), 'a:61001', 'beyond outgoing connections')
  t.equal(suggested(65_001, 'master', 'a\na\n'), 'a:64001')
  t.equal(suggested(61_001, 'master', 'a:62001\na\na\n'), 'a:32001')
  t.match(same('[::1]\n[0:0:0:0:0:0:0:1]\n'), /masters:2/)
  t.same(namesOf('host1\nhost1:26002\n').length, 2)
  t.match(hosts('localhost\nhost2\n').warnings, [
    /masters:1: localhost means another host on each host/,
  ])
  t.same(hosts('localhost\nlocalhost:27001\n').warnings, [])
})

t.test('nothing that passes means anything to a shell', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 30 }), (line) => {
      let found: readonly string[]
      try {
        found = namesOf(line)
      } catch (error) {
        if (error instanceof ConfError) return
        throw error
      }
      for (const name of found) {
        if (!/^(\[[0-9a-f:.]+\]|[a-z0-9_][a-z0-9_.-]*)(:\d{1,5})?$/.test(name))
          throw new Error(name)
        if (namesOf(name)[0] !== name) throw new Error(`${name} is not read as itself`)
        if (parseMasterName(name).name !== name) throw new Error(name)
      }
    }),
    { numRuns: 2000 },
  )
})

t.test('files that are missing or not text', async (t) => {
  const directory = t.testdir({
    latin: { masters: '' },
    good: { masters: 'localhost\n', workers: '# none yet\n' },
    none: {},
  })
  writeFileSync(
    join(directory, 'latin', 'masters'),
    Buffer.from('localhost\nh\u00f6st\n', 'latin1'),
  )
  t.match(
    await rejection(readMasters(join(directory, 'nowhere'))),
    /configuration directory .* does not exist/,
  )
  t.match(
    await rejection(readMasters(join(directory, 'none'))),
    /none\/masters does not exist: it must list one master a line/,
  )
  t.match(
    await rejection(readMasters(join(directory, 'latin'))),
    /masters:2: the file is not valid UTF-8/,
  )
  t.same((await readMasters(join(directory, 'good'))).entries.length, 1)
  t.same((await readWorkers(join(directory, 'good'))).entries, [], 'a cluster without workers')
  t.same((await readWorkers(join(directory, 'good'))).warnings, [])
  t.match(await readWorkers(join(directory, 'none')), {
    entries: [],
    warnings: [/none\/workers does not exist, so no worker is started: list one a line/],
  })
  t.match(
    await rejection(readWorkers(join(directory, 'nowhere'))),
    /configuration directory .* does not exist/,
  )
})

const ALL = {
  umbilical: 'localhost:26001',
  clientRpc: 'localhost:26002',
  resourceTracker: 'localhost:26003',
  catalog: 'localhost:26005',
  infoHttp: 'localhost:26080',
}

t.test("a master's addresses from its line", async (t) => {
  const entry = parseMasterName
  const local = masterAddresses(conf(), null, 'me')
  t.same(local.addresses, ALL)
  t.same(local.bind.umbilical, { host: 'localhost', port: 26001 })
  t.same(local.bind.infoHttp, { host: '0.0.0.0', port: 26080 })
  t.equal(local.suffix, '')
  t.same(masterAddresses(conf(), entry('localhost'), 'me'), local)

  const second = masterAddresses(conf(), entry('localhost:27001'), 'me')
  t.same(second.addresses, {
    umbilical: 'localhost:27001',
    clientRpc: 'localhost:27002',
    resourceTracker: 'localhost:27003',
    catalog: 'localhost:27005',
    infoHttp: 'localhost:27080',
  })
  t.equal(second.bind.catalog.port, 27005)
  t.equal(second.suffix, '-27001')

  const remote = masterAddresses(conf(), entry('host2'), 'me')
  t.equal(remote.addresses.umbilical, 'host2:26001')
  t.equal(remote.addresses.infoHttp, 'host2:26080')
  t.same(remote.bind.umbilical, { host: '0.0.0.0', port: 26001 })
  const six = masterAddresses(conf(), entry('[2001:db8::1]:26001'), 'me')
  t.equal(six.addresses.clientRpc, '[2001:db8::1]:26002')
  t.same(six.bind.clientRpc, { host: '::', port: 26002 })
  t.equal(six.suffix, '', '26001 is no offset')
  const loop = masterAddresses(conf(), entry('127.0.0.2'), 'me')
  t.equal(loop.addresses.umbilical, '127.0.0.2:26001')
  t.equal(loop.bind.umbilical.host, '127.0.0.2')
})

t.test('addresses that the site file sets', async (t) => {
  const own = conf({
    'tajo.master.umbilical-rpc.address': 'localhost:27001',
    'tajo.master.client-rpc.address': 'localhost:27002',
    'tajo.resource-tracker.rpc.address': 'localhost:27003',
    'tajo.catalog.client-rpc.address': 'localhost:27005',
    'tajo.master.info-http.address': '0.0.0.0:27080',
  })
  for (const name of ['localhost', 'localhost:27001']) {
    const { addresses } = masterAddresses(own, parseMasterName(name), 'me')
    t.equal(addresses.umbilical, 'localhost:27001', `the documented way, listed as ${name}`)
    t.equal(addresses.infoHttp, 'localhost:27080')
  }
  const named = conf({
    'tajo.master.umbilical-rpc.address': 'node7:26001',
    'tajo.master.info-http.address': '10.0.0.7:26080',
  })
  const byHand = masterAddresses(named, null, 'me')
  t.equal(byHand.addresses.umbilical, 'node7:26001')
  t.equal(byHand.addresses.clientRpc, 'node7:26002', 'localhost would lead others astray')
  t.equal(byHand.addresses.infoHttp, '10.0.0.7:26080')
  t.same(byHand.bind.infoHttp, { host: '10.0.0.7', port: 26080 })
  t.same(byHand.bind.clientRpc, { host: '0.0.0.0', port: 26002 })
  const all = conf({ 'tajo.master.umbilical-rpc.address': '0.0.0.0:26001' })
  t.equal(masterAddresses(all, null, 'me').addresses.umbilical, 'me:26001')
  t.equal(masterAddresses(all, parseMasterName('host3'), 'me').addresses.umbilical, 'host3:26001')
})

t.test('ports that a line pushes out of range, or onto another master', async (t) => {
  const shift = (name: string) =>
    problemsOf(() => masterAddresses(conf(), parseMasterName(name), 'me')).join()
  t.match(
    shift('localhost:65500'),
    /localhost:65500 in conf\/masters shifts every port by 39499, and tajo\.master\.info-http\.address from 26080 to 65579: allowed are ports from 1 to 65535/,
  )
  const low = conf({ 'tajo.catalog.client-rpc.address': 'localhost:5' })
  t.match(
    problemsOf(() => masterAddresses(low, parseMasterName('localhost:25000'), 'me')),
    [/from 5 to -996/],
  )
  t.match(
    problemsOf(() => requireSeparatePorts(conf(), hosts('localhost\nlocalhost:26002\n'))),
    [
      /^masters:2: localhost:26002 would use port 26002 for tajo\.master\.umbilical-rpc\.address, which localhost \(line 1\) uses for tajo\.master\.client-rpc\.address/,
    ],
  )
  t.doesNotThrow(() => requireSeparatePorts(conf(), hosts('host1\nhost2:26002\nhost1:27001\n')))
  t.match(
    problemsOf(() => parseMasterName('a;b')),
    [/^TAJO_MASTER_NAME is 'a;b': .* must be a line of conf\/masters/],
  )
})

const workers = (text: string) =>
  parseHosts({ file: 'workers', text }, { defaultPort: 28091, what: 'worker' })

t.test("a worker's addresses from its line", async (t) => {
  const alone = workerAddresses(conf(), null, 'me')
  t.same(alone.addresses, {
    peer: 'me:28091',
    qm: 'me:28093',
    clientRpc: 'me:28092',
    infoHttp: 'me:28080',
  })
  t.same(alone.bind.clientRpc, { host: '0.0.0.0', port: 28092 })
  t.equal(alone.suffix, '')
  const listed = workerAddresses(conf(), parseWorkerName('host2'), 'me')
  t.equal(listed.addresses.qm, 'host2:28093')
  t.same(listed.bind.qm, { host: '0.0.0.0', port: 28093 })

  const second = workerAddresses(conf(), parseWorkerName('localhost:29091'), 'me')
  t.same(second.addresses, {
    peer: 'localhost:29091',
    qm: 'localhost:29093',
    clientRpc: 'localhost:29092',
    infoHttp: 'localhost:29080',
  })
  t.equal(second.suffix, '-29091')
  t.same(second.bind.qm, { host: 'localhost', port: 29093 }, 'of no use to other hosts')
  t.same(second.bind.infoHttp, { host: '0.0.0.0', port: 29080 })
  const open = conf({ 'tajo.worker.qm-rpc.address': '0.0.0.0:28093' })
  t.same(workerAddresses(open, parseWorkerName('localhost'), 'me').bind.qm, {
    host: '0.0.0.0',
    port: 28093,
  })
  const own = conf({ 'tajo.worker.client-rpc.address': '10.0.0.7:28092' })
  t.equal(
    workerAddresses(own, parseWorkerName('host2'), 'me').addresses.clientRpc,
    '10.0.0.7:28092',
  )
  t.match(
    problemsOf(() => workerAddresses(conf(), parseWorkerName('localhost:65535'), 'me')),
    [/localhost:65535 in conf\/workers shifts every port by 37444, .* for that worker$/],
  )
  t.match(
    problemsOf(() => parseWorkerName('a;b')),
    [/^TAJO_WORKER_NAME is 'a;b': .* must be a line of conf\/workers/],
  )
})

t.test('workers that are wrong or get in the way of another daemon', async (t) => {
  t.match(
    problemsOf(() => workers('host1\nhost1:28091\na b\n')),
    [
      /^workers:2: host1:28091 is the same worker as host1 in line 1/,
      /^workers:3: 'a b' is no host/,
    ],
  )
  const masters = hosts('localhost\nhost1\n')
  const refused = (text: string) =>
    problemsOf(() => requireSeparatePorts(conf(), masters, workers(text)))
  t.match(refused('localhost\nlocalhost:28093\n'), [
    /^workers:2: localhost:28093 would use port 28093 for tajo\.worker\.peer-rpc\.address, which localhost \(line 1\) uses for tajo\.worker\.qm-rpc\.address/,
  ])
  t.match(refused('host1:26001\n'), [
    /^workers:1: host1:26001 would use port 26001 for .*, which host1 \(masters:2\) uses for tajo\.master\.umbilical/,
  ])
  t.doesNotThrow(() =>
    requireSeparatePorts(conf(), masters, workers('localhost\nlocalhost:29091\nhost1\n')),
  )
})

/** A directory with a running watch, and its events one by one. */
async function running(
  t: Test,
  values: Readonly<Record<string, string>>,
  judge: (inFiles: Configuration) => void = () => {},
) {
  const confDir = join(t.testdir({}), 'conf')
  mkdirSync(confDir)
  writeFileSync(join(confDir, 'tajo-site.xml'), site(values))
  writeFileSync(join(confDir, 'masters'), 'localhost\n')
  const events: ReloadEvent[] = []
  const waiting: ((event: ReloadEvent) => void)[] = []
  const reloader = await watchConfiguration({
    running: await loadConfiguration(confDir, SURROUNDINGS),
    masters: await readMasters(confDir),
    surroundings: SURROUNDINGS,
    settleMs: 20,
    judge,
    onEvent: (event) => {
      const next = waiting.shift()
      if (next === undefined) events.push(event)
      else next(event)
    },
  })
  t.teardown(() => reloader.close())
  return {
    confDir,
    reloader,
    events,
    put: (name: string, text: string) => writeFileSync(join(confDir, name), text),
    next: () =>
      new Promise<ReloadEvent>((done) => {
        const event = events.shift()
        if (event === undefined) waiting.push(done)
        else done(event)
      }),
  }
}
async function nextOf<K extends ReloadEvent['kind']>(
  kind: K,
  next: () => Promise<ReloadEvent>,
): Promise<ReloadEvent & { kind: K }> {
  const event = await next()
  if (event.kind === kind) return event as ReloadEvent & { kind: K }
  throw new Error(`${kind} expected: ${JSON.stringify(event)}`)
}

t.test('a change is taken over as far as it can be', async (t) => {
  const { put, next, events, reloader } = await running(t, { 'tajo.log.level': 'info' })
  put('tajo-site.xml', site({ 'tajo.log.level': 'debug', 'tajo.master.ha.monitor.interval': '1s' }))
  const first = await nextOf('changed', next)
  t.same(first.reloaded, [{ key: 'tajo.log.level', from: 'info', to: 'debug' }])
  t.match(
    first.needRestart.find(({ key }) => key === 'tajo.master.ha.monitor.interval'),
    { from: '5000', to: '1000' },
  )
  t.ok(
    first.needRestart.some(({ key }) => key === 'tajo.master.ha.deadline'),
    'and what derives from it',
  )
  t.same(
    first.derived.length,
    first.needRestart.length - 1,
    'which is told apart from the one that somebody changed',
  )
  t.notOk(first.derived.includes('tajo.master.ha.monitor.interval'))
  t.equal(first.configuration.get('tajo.log.level'), 'debug')
  t.equal(first.configuration.get('tajo.master.ha.monitor.interval'), 5000)
  t.equal(first.mastersBefore, null)

  put('masters', 'localhost\nlocalhost:27001\n')
  const second = await nextOf('changed', next)
  t.same(
    second.masters.entries.map(({ name }) => name),
    ['localhost', 'localhost:27001'],
  )
  t.same(second.mastersBefore?.entries.length, 1)
  t.same(second.reloaded, [])

  put(
    'tajo-site.xml',
    `${site({ 'tajo.log.level': 'debug', 'tajo.master.ha.monitor.interval': '1000' })}<!-- -->`,
  )
  put('masters', '# a comment\nlocalhost\nlocalhost:27001\n')
  put('tajo-env.sh', '# not ours')
  await reloader.check()
  t.same(events, [], 'the same in other words is no change')
})

t.test('a broken file keeps what is in force and is told once', async (t) => {
  const { put, next, events, reloader, confDir } = await running(t, { 'tajo.log.level': 'info' })
  put('tajo-site.xml', '<configuration>')
  const refused = await nextOf('refused', next)
  t.match(refused.error.message, /tajo-site\.xml:1: .*configuration/)
  await reloader.check()
  await reloader.check()
  t.same(events, [])
  put('tajo-site.xml', site({ 'tajo.log.level': 'loud' }))
  t.match((await nextOf('refused', next)).error.message, /tajo\.log\.level: 'loud' is not known/)
  put('tajo-site.xml', site({ 'tajo.log.level': 'info' }))
  await nextOf('mended', next)
  unlinkSync(join(confDir, 'masters'))
  t.match((await nextOf('refused', next)).error.message, /masters does not exist/)
  put('masters', 'localhost\nlocalhost:27001\n')
  t.equal((await nextOf('changed', next)).masters.entries.length, 2)
})

t.test('what may not be taken from the files keeps what is in force as well', async (t) => {
  const judge = (inFiles: Configuration): void => {
    if (inFiles.get('tajo.log.level') === 'debug') throw new OwnPlaceError('written by a stranger')
  }
  const { put, next } = await running(t, { 'tajo.log.level': 'info' }, judge)
  put('tajo-site.xml', site({ 'tajo.log.level': 'debug' }))
  t.equal((await nextOf('refused', next)).error.message, 'written by a stranger')
  put('tajo-site.xml', site({ 'tajo.log.level': 'warn' }))
  t.match((await nextOf('changed', next)).reloaded, [{ from: 'info', to: 'warn' }])
})

t.test('a file replaced by renaming, twice, and a secret', async (t) => {
  const { put, next, confDir } = await running(t, {})
  for (const level of ['warn', 'error']) {
    put('new.tmp', site({ 'tajo.log.level': level }))
    renameSync(join(confDir, 'new.tmp'), join(confDir, 'tajo-site.xml'))
    const event = await nextOf('changed', next)
    t.equal(event.configuration.get('tajo.log.level'), level)
  }
  put('catalog-site.xml', site({ 'tajo.catalog.connection.password': 'geheim' }))
  const event = await nextOf('changed', next)
  t.same(event.needRestart, [
    { key: 'tajo.catalog.connection.password', from: '(not shown)', to: '(not shown)' },
  ])
})

t.test('a change before the watch began is not lost; after the end nothing comes', async (t) => {
  const { put, next, reloader, events, confDir } = await running(t, {})
  await reloader.close()
  put('tajo-site.xml', site({ 'tajo.log.level': 'debug' }))
  await reloader.check()
  t.same(events, [])
  const started = await loadConfiguration(confDir, SURROUNDINGS)
  put('tajo-site.xml', site({ 'tajo.log.level': 'warn' }))
  const seen: ReloadEvent[] = []
  const late = await watchConfiguration({
    running: started,
    masters: await readMasters(confDir),
    surroundings: SURROUNDINGS,
    onEvent: (event) => seen.push(event),
  })
  t.teardown(() => late.close())
  t.match(seen, [
    { kind: 'changed', reloaded: [{ key: 'tajo.log.level', from: 'debug', to: 'warn' }] },
  ])
  void next
})
