/** From configuration files and environment to what a master is started with. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { onConfChange } from '../../../lib/cli/daemon/conf-changes.ts'
import { withoutCredentials } from '../../../lib/cli/daemon/configured-store.ts'
import { type MasterPlan, planMaster } from '../../../lib/cli/daemon/master-plan.ts'
import { standardOutput } from '../../../lib/cli/print.ts'
import { Configuration, type ReloadEvent } from '../../../lib/conf/index.ts'

interface Given {
  readonly site?: Readonly<Record<string, string>>
  readonly masters?: string
  readonly env?: NodeJS.ProcessEnv
  /** Mode of a script `conf/fence.sh` that fences. */
  readonly fenceMode?: number
  readonly confMode?: number
  readonly siteMode?: number
}

function plan(
  t: Test,
  {
    site = {},
    masters = 'localhost\n',
    env = {},
    fenceMode,
    confMode = 0o755,
    siteMode = 0o644,
  }: Given,
): Promise<MasterPlan> {
  const home = t.testdir({})
  const confDir = join(home, 'conf')
  mkdirSync(confDir)
  const fence = join(confDir, 'fence.sh')
  const fencing = fenceMode === undefined ? {} : { [FENCING]: `shell(${fence} now)` }
  if (fenceMode !== undefined) {
    writeFileSync(fence, '')
    chmodSync(fence, fenceMode)
  }
  const all = { 'tajo.rootdir': 'file:///shared/tajo', ...site, ...fencing }
  const properties = Object.entries(all).map(
    ([name, value]) => `<property><name>${name}</name><value>${value}</value></property>`,
  )
  writeFileSync(
    join(confDir, 'tajo-site.xml'),
    `<configuration>${properties.join('')}</configuration>`,
  )
  chmodSync(join(confDir, 'tajo-site.xml'), siteMode)
  writeFileSync(join(confDir, 'masters'), masters)
  chmodSync(confDir, confMode)
  const context = { args: [], options: {}, json: false, confDir, home, env, output: standardOutput }
  const facts = {
    hostname: 'here',
    addresses: new Set(['10.0.0.1']),
    resolve: async (host: string) => (host === 'alias' ? ['10.0.0.1'] : ['10.0.0.2']),
  }
  return planMaster(context, facts)
}

const FENCING = 'tajo.master.ha.fencing.methods'
const HA = { 'tajo.master.ha.enable': 'true' }

t.test('the defaults', async (t) => {
  const made = await plan(t, { site: HA, env: { TAJO_IDENT_STRING: 'ops' } })
  const home = join(made.conf.confDir, '..')
  t.match(made, {
    addresses: { umbilical: 'localhost:26001', infoHttp: 'localhost:26080' },
    bind: { umbilical: { host: 'localhost', port: 26001 }, infoHttp: { host: '0.0.0.0' } },
    pidFile: join(home, 'run', 'tajo-ops-master.pid'),
    logFile: join(home, 'logs', `tajo-ops-master-${hostname()}.log`),
    logLimits: { level: 'info', keep: 9 },
    ha: {
      directory: '/shared/tajo/system/ha',
      timing: { monitorMs: 5000 },
      catalog: { class: 'SharedStore', uri: '' },
      severalHosts: false,
    },
  })
})

t.test('the line of conf/masters gives name, ports and files', async (t) => {
  const made = await plan(t, {
    site: HA,
    masters: 'host1\nhost1:27001\nhost2\n',
    env: { TAJO_IDENT_STRING: 'ops', TAJO_MASTER_NAME: 'host1:27001', TAJO_PID_DIR: '/run/tajo' },
  })
  t.match(made, {
    addresses: { umbilical: 'host1:27001', clientRpc: 'host1:27002', infoHttp: 'host1:27080' },
    bind: { umbilical: { host: '0.0.0.0', port: 27001 } },
    pidFile: '/run/tajo/tajo-ops-master-27001.pid',
    adminSocket: '/run/tajo/tajo-ops-master-27001.sock',
    ha: { severalHosts: true },
  })
})

t.test('what the start script says about files counts', async (t) => {
  const env = { TAJO_PID_FILE: '/p/x.pid', TAJO_LOG_FILE: '/l/x.log', TAJO_PID_DIR: 'rel' }
  const made = await plan(t, { env })
  t.match(made, { pidFile: '/p/x.pid', logFile: '/l/x.log', ha: null })
  t.match(made.adminSocket, /^\//)
})

t.test('several hosts are told by what names mean here', async (t) => {
  const several = async (masters: string): Promise<boolean | undefined> =>
    (await plan(t, { site: HA, masters })).ha?.severalHosts
  t.equal(await several('here\nlocalhost:27001\n127.0.0.1:25001\n'), false)
  t.equal(await several('alias\n10.0.0.1:27001\n'), false)
  t.equal(await several('here\nthere\n'), true)
})

t.test('DerbyStore is for one master only', async (t) => {
  const site = { ...HA, 'tajo.catalog.store.class': 'org.apache.tajo.catalog.store.DerbyStore' }
  const { catalog } = (await plan(t, { site })).ha ?? {}
  t.match(catalog, { class: 'DerbyStore', uri: /^jdbc:derby:/ })
  // Each its own conf/masters, and by the same URI its own directory: the cluster refuses the second one.
  const other = { ...site, 'tajo.master.umbilical-rpc.address': 'localhost:27001' }
  t.not((await plan(t, { site: other })).ha?.catalog.uri, catalog?.uri)
  await t.rejects(plan(t, { site, masters: 'a\nb\n' }), {
    message: /tajo-site\.xml:1: .*DerbyStore.*lists 2 \(a, b\): leave the key out/,
  })
})

t.test('a catalog that can be told to be none is refused before anything starts', async (t) => {
  const refused = async (store: string, uri: string, message: RegExp): Promise<void> => {
    const site = { ...HA, 'tajo.catalog.store.class': store, 'tajo.catalog.uri': uri }
    await t.rejects(plan(t, { site }), { name: 'ConfError', message })
  }
  const none = '/nowhere/none'
  await refused(
    'DerbyStore',
    `jdbc:derby:${none}`,
    /tajo-site\.xml:1: there is no catalog in .*none: add ;create=true to tajo\.catalog\.uri/,
  )
  const file = fileURLToPath(import.meta.url)
  await refused('DerbyStore', `jdbc:derby:${file};create=true`, /xml:1: can't read .*ENOTDIR/)
  await refused(
    'PostgreSQLStore',
    'jdbc:postgresql://localhost:5432',
    /xml:1: tajo\.catalog\.uri: it names no database, .*jdbc:postgresql:\/\/HOST:PORT\/DATABASE/,
  )
  await refused('MySQLStore', 'jdbc:mysql:///tajo', /xml:1: tajo\.catalog\.uri: it names no host/)
  for (const [store, uri] of [
    ['DerbyStore', `jdbc:derby:${none};create=true`],
    ['PostgreSQLStore', 'jdbc:postgresql://localhost/tajo'],
    ['MariaDBStore', 'jdbc:mariadb://localhost/tajo'],
  ] as const) {
    const site = { ...HA, 'tajo.catalog.store.class': store, 'tajo.catalog.uri': uri }
    t.match((await plan(t, { site })).ha, { catalog: { class: store } })
  }
})

t.test('a catalog is told without user and password', async (t) => {
  const cases = {
    '': '',
    'jdbc:postgresql://db:5432/tajo': 'jdbc:postgresql://db:5432/tajo',
    'jdbc:postgresql://me:pw@db/tajo?ssl=true': 'jdbc:postgresql://db/tajo?ssl=true',
    'jdbc:mysql://db/tajo?user=me&password=p%40w': 'jdbc:mysql://db/tajo',
    'jdbc:mariadb://db/tajo?useSsl=1&User=me&PASSWORD=x': 'jdbc:mariadb://db/tajo?useSsl=1',
    'jdbc:derby:/d/db;create=true;user=me;password=x': 'jdbc:derby:/d/db;create=true',
    'jdbc:derby:/d/db;password=x': 'jdbc:derby:/d/db',
  }
  for (const [uri, bare] of Object.entries(cases)) t.equal(withoutCredentials(uri), bare, uri)
})

t.test('changes of the files are told in words', (t) => {
  const lines: string[] = []
  const applied: Configuration[] = []
  const conf = new Configuration('/conf', new Map(), [])
  const list = (...names: string[]) => ({
    file: '/conf/masters',
    entries: names.map((name, line) => ({ host: name, port: null, name, line })),
    warnings: [],
  })
  const tell = (event: ReloadEvent): void =>
    onConfChange(event, {
      log: (level, message) => void lines.push(`${level} ${message}`),
      apply: ({ configuration }) => void applied.push(configuration),
    })
  const quiet = { kind: 'changed', configuration: conf, masters: list('a') } as const
  const nothing = { reloaded: [], needRestart: [], derived: [], mastersBefore: null }
  tell({
    ...quiet,
    ...nothing,
    reloaded: [{ key: 'tajo.log.level', from: 'info', to: 'debug' }],
    needRestart: [
      { key: 'tajo.rootdir', from: '/a', to: '' },
      { key: 'tajo.warehouse.directory', from: '/a/w', to: '/w' },
    ],
    derived: ['tajo.warehouse.directory'],
  })
  tell({ ...quiet, ...nothing, masters: list('a', 'c'), mastersBefore: list('a', 'b') })
  tell({ ...quiet, ...nothing })
  tell({ kind: 'blind', why: 'no inotify' })
  t.equal(applied.length, 3)
  t.equal(lines.length, 5, 'what follows another key is not told')
  t.match(lines, [
    'info configuration changed: tajo.log.level is now debug',
    'warn configuration changed: tajo.rootdir is empty in the file, but stays /a until',
    /c added .* b removed/,
    'info the configuration files say again what is in force',
    'warn changes of the configuration are noticed at SIGHUP only: no inotify',
  ])
  t.end()
})

t.test('what names commands, and the commands that it names, nobody else may write', async (t) => {
  t.match(await plan(t, { site: HA, fenceMode: 0o755 }), { ha: { fencing: [/fence\.sh now/] } })
  await t.rejects(plan(t, { site: HA, fenceMode: 0o775 }), {
    code: 'UNSAFE',
    message:
      /^tajo\.master\.ha\.fencing\.methods \S+\/conf\/fence\.sh is not .*chmod go-w \S+\/fence\.sh$/,
  })
  const elsewhere = mkdtempSync(join(tmpdir(), 'tajo-fence-'))
  t.teardown(() => rmSync(elsewhere, { recursive: true }))
  const script = join(elsewhere, 'own', 'fence.sh')
  mkdirSync(join(elsewhere, 'own'))
  writeFileSync(script, '')
  const by = (method: string) => plan(t, { site: { ...HA, [FENCING]: method } })
  const spellings = [
    `shell(/bin/sh ${script})`,
    `shell(${elsewhere}/./own/../own/fence.sh now)`,
    `shell(/usr/bin/env WITH=${script} /bin/true 2>/dev/null)`,
    `sshfence\nshell(/bin/sh -c "${script}")`,
  ]
  for (const method of spellings) {
    t.ok((await by(method)).ha, method)
    chmodSync(script, 0o757)
    await t.rejects(by(method), { code: 'UNSAFE', message: /own\/fence\.sh is not this user's/ })
    chmodSync(script, 0o755)
    chmodSync(join(elsewhere, 'own'), 0o777)
    await t.rejects(by(method), { message: /\/own is not this user's alone \(mode 0777/ }, method)
    chmodSync(join(elsewhere, 'own'), 0o755)
  }
  const open = { confMode: 0o777, siteMode: 0o666 }
  t.ok((await plan(t, { site: HA, ...open })).ha, 'no command, no danger')
  const site = { ...HA, [FENCING]: 'sshfence' }
  const dir = /^TAJO_CONF_DIR \S+\/conf is not .*Mend it: chmod go-w \S+\/conf$/
  await t.rejects(plan(t, { site, confMode: 0o777 }), { code: 'UNSAFE', message: dir })
  const file = /^tajo-site\.xml \S+\/tajo-site\.xml is not .*chmod go-w \S+\/tajo-site\.xml$/
  await t.rejects(plan(t, { site, siteMode: 0o666 }), { code: 'UNSAFE', message: file })
})
