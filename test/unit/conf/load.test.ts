// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as they stand in the files
/** From the site files to typed values: what is read, and the sentence for each thing that is wrong. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { describeError } from '../../../lib/cli/exit.ts'
import { run as getconf } from '../../../lib/cli/getconf.ts'
import { splitHostPort } from '../../../lib/conf/address.ts'
import { generatedFiles } from '../../../lib/conf/generate.ts'
import {
  ALL_KEYS,
  buildConfiguration,
  ConfError,
  type Configuration,
  formatHostPort,
  formatValue,
  haTiming,
  isKey,
  type Key,
  loadConfiguration,
  specOf,
  surroundingsOf,
} from '../../../lib/conf/index.ts'
import { formatBytes, formatMs, parseValue } from '../../../lib/conf/types.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { fc } from '../../support/properties.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const SURROUNDINGS = {
  env: { HOME: '/home/ann', CLUSTER: 'blue', EMPTY: '', TAJO_HOME: '/opt/tajo' },
  userName: 'ann',
}

const site = (...lines: string[]): string =>
  ['<configuration>', ...lines, '</configuration>'].join('\n')
const property = (name: string, value: string): string =>
  `<property><name>${name}</name><value>${value}</value></property>`

/** The configuration of such a tajo-site.xml (and catalog-site.xml). */
function built(tajoSite: string | null, catalogSite: string | null = null): Configuration {
  const file = (name: string, text: string | null) => (text === null ? null : { file: name, text })
  return buildConfiguration(
    {
      confDir: '/conf',
      tajoSite: file('/conf/tajo-site.xml', tajoSite),
      catalogSite: file('/conf/catalog-site.xml', catalogSite),
    },
    SURROUNDINGS,
  )
}

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfError) return error.problems
    throw error
  }
  throw new Error('nothing was refused')
}
const refusal = (tajoSite: string): string => problemsOf(() => built(tajoSite)).join('\n')

async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ConfError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

t.test('defaults are those of the contract', async (t) => {
  const conf = built(site())
  const expected: Readonly<Record<string, string>> = {
    'tajo.rootdir': '/opt/tajo/data',
    'tajo.warehouse.directory': '/opt/tajo/data/warehouse',
    'tajo.query.allowed-paths': '',
    'tajo.master.umbilical-rpc.address': 'localhost:26001',
    'tajo.master.client-rpc.address': 'localhost:26002',
    'tajo.resource-tracker.rpc.address': 'localhost:26003',
    'tajo.catalog.client-rpc.address': 'localhost:26005',
    'tajo.master.info-http.address': '0.0.0.0:26080',
    'tajo.worker.info-http.address': '0.0.0.0:28080',
    'tajo.worker.peer-rpc.address': '0.0.0.0:28091',
    'tajo.worker.client-rpc.address': '0.0.0.0:28092',
    'tajo.worker.qm-rpc.address': '0.0.0.0:28093',
    'tajo.worker.tmpdir.locations': '/opt/tajo/data/tmpdir',
    'tajo.worker.heartbeat.idle.interval': '10000',
    'tajo.worker.heartbeat.active.interval': '1000',
    'tajo.master.query.queue.limit': '1000',
    'tajo.history.expiry-time-day': '7',
    'tajo.history.query.max-entries': '10000',
    'tajo.master.ha.enable': 'false',
    'tajo.master.ha.monitor.interval': '5000',
    'tajo.master.ha.client.read.retry.max-num': '120',
    'tajo.master.ha.client.read.retry.pause-time': '500',
    'tajo.master.ha.priority': '100',
    'tajo.master.ha.fencing.methods': '',
    'tajo.catalog.store.class': 'DerbyStore',
    'tajo.catalog.uri': 'jdbc:derby:/opt/tajo/data/system/derby;create=true',
  }
  for (const [key, text] of Object.entries(expected)) {
    t.ok(isKey(key), key)
    if (isKey(key)) t.equal(formatValue(conf.get(key)), text, key)
  }
  t.same(conf.warnings, [])
  t.notOk(conf.isSet('tajo.rootdir'))
  t.same(conf.get('tajo.master.umbilical-rpc.address'), { host: 'localhost', port: 26001 })
  t.same(conf.get('tajo.master.ha.fencing.methods'), [])
  const witnesses = property(
    'tajo.master.ha.network.witness',
    ' 10.0.0.1, gateway:22\n[fd00::1]:53',
  )
  t.same(built(site(witnesses)).get('tajo.master.ha.network.witness'), [
    '10.0.0.1',
    'gateway:22',
    '[fd00::1]:53',
  ])

  const withHa = built(site(property('tajo.master.ha.enable', 'true')))
  t.equal(withHa.get('tajo.catalog.store.class'), 'SharedStore')
  t.equal(withHa.get('tajo.catalog.uri'), '')
})

t.test(
  'the warehouse follows the root directory, the resources of a worker its host',
  async (t) => {
    const moved = built(site(property('tajo.rootdir', 'file:///shared/my%20tajo/')))
    t.equal(moved.get('tajo.warehouse.directory'), '/shared/my tajo/warehouse')
    const own = built(site(property('tajo.warehouse.directory', '/data/wh')))
    t.equal(own.get('tajo.warehouse.directory'), '/data/wh')
    t.same(
      built(site(property('tajo.query.allowed-paths', '\n /a/,\n file:///b%2Cc , /a\n'))).get(
        'tajo.query.allowed-paths',
      ),
      ['/a', '/b,c'],
    )
    t.match(
      refusal(site(property('tajo.worker.tmpdir.locations', ' , '))),
      /tajo\.worker\.tmpdir\.locations: .* names no directory: allowed is absolute paths/,
    )
    const cores = (text: string) =>
      built(site(property('tajo.worker.resource.cpu-cores', text))).get(
        'tajo.worker.parallel-queries',
      )
    t.equal(cores('1'), 2)
    t.equal(cores('12'), 12)
    const here = built(site())
    t.equal(here.get('tajo.worker.resource.cpu-cores'), availableParallelism())
    const memoryMb = here.get('tajo.worker.resource.memory-mb')
    t.ok(memoryMb >= 64 && memoryMb <= totalmem() / 2 ** 21, String(memoryMb))
  },
)

t.test('the periods derive as the HA library derives them', async (t) => {
  t.match(
    refusal(site(property('tajo.master.ha.monitor.interval', '499'))),
    /monitor\.interval: '499' .*from 500 ms/,
  )
  t.throws(() => makeTiming(499), { code: 'BAD_TIMING' }, 'the protocol says so as well')
  for (const monitorMs of [500, 777, 1000, 5000, 60_000]) {
    const conf = built(site(property('tajo.master.ha.monitor.interval', String(monitorMs))))
    const timing = haTiming(conf)
    t.same(timing, { monitorMs, overrides: {} }, 'only what is set is handed over')
    const made = makeTiming(monitorMs)
    const periods: Readonly<Record<keyof typeof made, Key>> = {
      monitorMs: 'tajo.master.ha.monitor.interval',
      renewMs: 'tajo.master.ha.renew.interval',
      deadlineMs: 'tajo.master.ha.deadline',
      patienceMs: 'tajo.master.ha.patience',
      pollMs: 'tajo.master.ha.poll.interval',
      settleMs: 'tajo.master.ha.settle',
      activationMs: 'tajo.master.ha.activation',
      hangMs: 'tajo.master.ha.hang-limit',
      graceMs: 'tajo.master.ha.handover.grace',
      rankStepMs: 'tajo.master.ha.rank.step',
    }
    for (const [name, key] of Object.entries(periods)) {
      t.equal(conf.get(key), made[name as keyof typeof made], `${key} at ${monitorMs}`)
    }
  }
  const set = built(
    site(
      property('tajo.master.ha.renew.interval', '300'),
      property('tajo.master.ha.deadline', '2s'),
    ),
  )
  t.same(haTiming(set), { monitorMs: 5000, overrides: { renewMs: 300, deadlineMs: 2000 } })
  t.equal(set.get('tajo.master.ha.settle'), 400, 'settling follows the renewal')
  t.equal(set.get('tajo.master.ha.patience'), 2250, 'the patience follows the deadline')
})

t.test('a real site file, with all that Hadoop allows in it', async (t) => {
  const fixture = join(ROOT, 'test/fixtures/conf/shared-cluster.xml')
  for (const text of [readFileSync(fixture, 'utf8'), crlf(readFileSync(fixture, 'utf8'))]) {
    const conf = built(text)
    t.equal(conf.get('tajo.rootdir'), '/shared/blue')
    t.equal(conf.get('tajo.master.ha.monitor.interval'), 2000)
    t.equal(conf.get('tajo.master.ha.enable'), true)
    t.same(conf.get('tajo.master.ha.fencing.methods'), [
      'sshfence(tajo:2222)',
      'shell(/opt/fence --host "${target}" && true)',
    ])
    t.equal(conf.get('tajo.catalog.connection.password'), 'a&bAB')
    t.same(conf.setting('tajo.rootdir').source, { file: '/conf/tajo-site.xml', line: 7 })
    t.equal(conf.setting('tajo.master.ha.monitor.interval').source?.line, 13)
    t.equal(conf.setting('tajo.master.ha.enable').source?.line, 18)
    t.same(conf.warnings, [], 'a name that a value refers to is not unknown')
  }
})
const crlf = (text: string): string => text.replaceAll('\n', '\r\n')

/** What no key of the type accepts, with the complaint. */
const WRONG: Readonly<Record<string, readonly (readonly [string, RegExp])[]>> = {
  address: [
    ['', /is not an address/],
    ['host2', /has no port/],
    ['host2:', /a port from 1 to 65535/],
    [':26001', /is not an address/],
    ['host2:0', /a port from 1 to 65535/],
    ['host2:65536', /a port from 1 to 65535/],
    ['host2:26001x', /a port from 1 to 65535/],
    ['::1:26001', /needs brackets|is not an address/],
    ['[::1', /is not an address/],
    ['[host2]:26001', /must be an IPv6 address/],
    ['-oProxyCommand=x:22', /is not an address/],
    ['a b:26001', /is not an address/],
    ['host$(id):26001', /is not an address/],
    ['1.2.3:26001', /is not an address/],
  ],
  duration: [
    ['', /is not a duration/],
    ['fast', /is not a duration/],
    ['-5', /is not a duration/],
    ['5 sec', /is not a duration/],
    ['1.5', /is not a duration/],
    ['0.0001s', /is not a duration/],
    ['1e3', /is not a duration/],
    ['0', /is too small/],
    ['25d', /is too large/],
  ],
  integer: [
    ['', /is not a whole number/],
    ['many', /is not a whole number/],
    ['1.5', /is not a whole number/],
    ['0x10', /is not a whole number/],
    ['-1', /is too small/],
    ['99999999999', /is too large/],
    ['99999999999999999999', /is not a whole number/],
  ],
  size: [
    ['', /is not a size/],
    ['big', /is not a size/],
    ['-1', /is not a size/],
    ['1.5m', /is not a size/],
    ['1', /is too small/],
    ['999t', /is too large/],
  ],
  boolean: [
    ['', /neither true nor false/],
    ['yes', /neither true nor false/],
    ['1', /neither true nor false/],
    ['truee', /neither true nor false/],
  ],
  choice: [
    ['', /is not known/],
    ['HiveCatalogStore', /is not known/],
  ],
  directory: [
    ['', /is not an absolute path/],
    ['tmp/tajo', /is not an absolute path/],
    ['hdfs://name:8020/tajo', /is no local path: mount hdfs:/],
    ['s3a://bucket/x', /is no local path/],
    ['file://host7/tajo', /names a host/],
    ['file:tajo', /names a host or no absolute path/],
    ['file:///a%zz', /has a %/],
    ['file:///a%00b', /control character/],
    ['/tmp/a\nb', /control character/],
  ],
  directories: [
    ['data', /is not an absolute path/],
    ['/data, s3a://bucket/x', /holds s3a:\/\/bucket\/x, which is no local path/],
    ['/data\n../x', /holds \.\.\/x, which is not an absolute path/],
    ['file://host7/x', /names a host/],
  ],
  jdbc: [
    ['derby:/x', /is not a JDBC URI/],
    ['jdbc:oracle:thin:@x', /is not a JDBC URI/],
    ['jdbc:postgresql:db', /is not a JDBC URI/],
    ['jdbc:derby:', /is not a JDBC URI/],
    ['jdbc:postgresql://a b/c', /holds a blank/],
  ],
  text: [],
  lines: [
    ['shell()', /is not known/],
    ['shell(fence.sh --now)', /is not known/],
    ['sshfence(a b)', /is not known/],
    ['sshfence\nshell(', /has a line that is not known: shell\(/],
  ],
}

const ONE_WORD: [string, RegExp][] = [
  ['ssh', /is not known/],
  ['shell', /is not known/],
]

const leastOf = (key: Key): number | null => {
  const spec = specOf(key)
  return 'min' in spec ? spec.min : null
}

t.test('every key with a wrong value: file, line, key, value and what is allowed', async (t) => {
  for (const key of ALL_KEYS) {
    const { type } = specOf(key)
    // A host may be called anything that is one word.
    const words = key === 'tajo.master.ha.fencing.methods' ? ONE_WORD : []
    for (const [value, why] of [...(WRONG[type] ?? []), ...words]) {
      // Of some keys it means that there is no bound.
      if (/^[01]$/.test(value) && leastOf(key) === 0) continue
      const message = refusal(site('', property(key, value)))
      t.ok(message.startsWith(`/conf/tajo-site.xml:3: ${key}: '`), message)
      t.match(message, why, `${key}: ${JSON.stringify(value)}`)
      t.match(message, /: allowed is \S/, message)
      t.notMatch(message, /allowed is .*undefined|NaN/)
      t.equal(message.split('\n').length, 1, 'one sentence')
    }
  }
  t.match(
    refusal(site(property('tajo.catalog.store.class', 'org.apache.tajo.catalog.store.DerbyStor'))),
    /did you mean DerbyStore\?: allowed is DerbyStore, SharedStore, .*each also as org\.apache\.tajo/,
  )
})

t.test('all wrong values are told at once, each with its own line', async (t) => {
  const wrong = ALL_KEYS.filter((key) => specOf(key).type === 'duration')
  const problems = problemsOf(() => built(site(...wrong.map((key) => property(key, 'x')))))
  t.equal(problems.length, wrong.length)
  problems.forEach(
    (problem) => void t.match(problem, /tajo-site\.xml:\d+: tajo\.(master\.ha|worker|table|query)/),
  )
  t.match(new ConfError(problems).message, /and \d+ more$/)
})

t.test('spellings that are accepted', async (t) => {
  const value = (key: Key, text: string) => formatValue(built(site(property(key, text))).get(key))
  const duration = (text: string) => value('tajo.master.ha.monitor.interval', text)
  t.equal(duration(' 5s '), '5000')
  t.equal(duration('500ms'), '500')
  t.equal(duration('2m'), '120000')
  t.equal(duration('1.1 s'), '1100')
  t.equal(duration('4.35s'), '4350')
  t.equal(duration('0.5h'), '1800000')
  t.equal(value('tajo.log.max-size', '1048576'), '1048576')
  t.equal(value('tajo.log.max-size', '64MB'), String(64 * 1024 * 1024))
  t.equal(value('tajo.log.max-size', '1 GiB'), String(1024 ** 3))
  t.equal(value('tajo.master.ha.enable', 'TRUE'), 'true')
  t.equal(value('tajo.rootdir', '/shared//tajo/./x/..'), '/shared/tajo')
  t.equal(value('tajo.rootdir', 'file:/shared/tajo'), '/shared/tajo')
  t.equal(value('tajo.rootdir', 'file://localhost/shared/my%20tajo/'), '/shared/my tajo')
  t.equal(value('tajo.rootdir', '/'), '/')
  t.equal(value('tajo.master.umbilical-rpc.address', '[2001:db8::2]:26001'), '[2001:db8::2]:26001')
  t.equal(
    value('tajo.master.umbilical-rpc.address', 'node_7.x-y.example:1'),
    'node_7.x-y.example:1',
  )
  const sql = built(
    site(
      property('tajo.catalog.store.class', 'org.apache.tajo.catalog.store.PostgreSQLStore'),
      property('tajo.catalog.uri', 'jdbc:postgresql://db:5432/tajo?ssl=true'),
    ),
  )
  t.equal(sql.get('tajo.catalog.store.class'), 'PostgreSQLStore')
})

t.test('references', async (t) => {
  const rootdir = (text: string, ...more: string[]) =>
    built(site(property('tajo.rootdir', text), ...more)).get('tajo.rootdir')
  t.equal(rootdir('/d/${user.name}'), '/d/ann')
  t.equal(rootdir('/d/${env.CLUSTER}'), '/d/blue')
  t.equal(rootdir('/d/${env.NOPE-green}'), '/d/green')
  t.equal(rootdir('/d/${env.EMPTY:-green}${env.EMPTY-red}'), '/d/green')
  t.equal(rootdir('/d/${a}/${a}', property('a', 'x${b}'), property('b', 'y')), '/d/xy/xy')
  t.equal(rootdir('/d/${tajo.log.level}'), '/d/info', 'a default of another key')
  t.equal(rootdir('/d/${tajo.catalog.store.class}'), '/d/DerbyStore', 'a derived default')

  const refused = (text: string, ...more: string[]) =>
    refusal(site(property('tajo.rootdir', text), ...more))
  t.match(
    refused('/d/${env.NOPE}'),
    /^\/conf\/tajo-site\.xml:2: tajo\.rootdir: nobody knows '\$\{env\.NOPE\}'/,
  )
  t.match(refused('/d/${nope}'), /nobody knows '\$\{nope\}': allowed are \$\{user\.name\}/)
  t.match(refused('/d/${tajo.rootdir}'), /it refers to itself: tajo\.rootdir → tajo\.rootdir/)
  t.match(
    refused('/d/${a}', property('a', '${b}'), property('b', '${a}')),
    /it refers to itself: tajo\.rootdir → a → b → a/,
  )
  const chain = Array.from({ length: 40 }, (_, i) => property(`k${i}`, `\${k${i + 1}}`))
  t.match(refused('/d/${k0}', ...chain), /more than 20 keys in a row/)
  const bomb = Array.from({ length: 19 }, (_, i) => property(`k${i}`, `\${k${i + 1}}`.repeat(20)))
  t.match(refused('/d/${k0}', ...bomb, property('k19', 'lol')), /more than 65536 characters/)

  t.match(
    refusal(site(property('tajo.master.ha.monitor.interval', '${tajo.master.ha.renew.interval}'))),
    /tajo\.master\.ha\.monitor\.interval: the value can't be worked out: it refers to itself/,
    'a default that derives from the key itself',
  )
  t.match(
    refusal(site(property('tajo.master.ha.enable', '${tajo.catalog.uri}'))),
    /tajo\.master\.ha\.enable: the value can't be worked out: it refers to itself/,
  )
  const kept = built(site(property('tajo.catalog.connection.password', 'pa${ss')))
  t.equal(kept.get('tajo.catalog.connection.password'), 'pa${ss')
  const text = built(site(property('tajo.catalog.connection.id', 'u${x}')))
  t.equal(text.get('tajo.catalog.connection.id'), 'u${x}')
  t.match(text.warnings, [/left as written/])
})

t.test('final, duplicates and two files', async (t) => {
  const twice = built(site(property('tajo.log.level', 'warn'), property('tajo.log.level', 'debug')))
  t.equal(twice.get('tajo.log.level'), 'debug')
  t.same(twice.warnings, [
    "/conf/tajo-site.xml:3: 'tajo.log.level' is set again: this one counts, not /conf/tajo-site.xml:2",
  ])
  const final = built(
    site('<property name="tajo.log.level" value="warn" final="true"/>'),
    site(property('tajo.log.level', 'debug')),
  )
  t.equal(final.get('tajo.log.level'), 'warn')
  t.match(final.warnings, [
    /catalog-site\.xml:2: .* is left out: it is final in .*tajo-site\.xml:2/,
  ])
  const later = built(null, site(property('tajo.catalog.connection.id', 'cat')))
  t.equal(later.get('tajo.catalog.connection.id'), 'cat')
  t.match(later.warnings, [/tajo-site\.xml does not exist: every key has its default/])
})

t.test('a key that nobody knows is a warning with the nearest one', async (t) => {
  const conf = built(
    site(property('tajo.master.ha.enabled', 'true'), property('something.else.entirely', '1')),
  )
  t.same(conf.warnings, [
    "/conf/tajo-site.xml:2: nobody knows the key 'tajo.master.ha.enabled', did you mean tajo.master.ha.enable?",
    "/conf/tajo-site.xml:3: nobody knows the key 'something.else.entirely'",
  ])
  const many = built(site(...Array.from({ length: 500 }, (_, i) => property(`x${i}`, '1'))))
  t.equal(many.warnings.length, 21)
  t.equal(many.warnings.at(-1), '480 more keys that nobody knows')
})

t.test('settings that contradict each other', async (t) => {
  t.match(
    refusal(site(property('tajo.catalog.client-rpc.address', 'localhost:26001'))),
    /^\/conf\/tajo-site\.xml:2: tajo\.catalog\.client-rpc\.address: 'localhost:26001' has the same port as tajo\.master\.umbilical-rpc\.address \(the default\)/,
  )
  t.match(
    refusal(site(property('tajo.catalog.store.class', 'MySQLStore'))),
    /tajo-site\.xml:2: tajo\.catalog\.uri is not set, but tajo\.catalog\.store\.class is MySQLStore/,
  )
  t.match(
    refusal(
      site(
        property('tajo.catalog.store.class', 'PostgreSQLStore'),
        property('tajo.catalog.uri', 'jdbc:mysql://h/d'),
      ),
    ),
    /tajo-site\.xml:3: tajo\.catalog\.uri is a mysql URI, .*allowed is jdbc:postgresql:/,
  )
  t.match(
    refusal(
      site(
        property('tajo.master.ha.enable', 'true'),
        property('tajo.catalog.uri', 'jdbc:mysql://h/d'),
      ),
    ),
    /tajo-site\.xml:3: tajo\.catalog\.uri is a mysql URI, but .*store\.class is not set, .*SharedStore .*allowed is tajo\.catalog\.store\.class MySQLStore with it/,
  )
})

t.test('passwords are in no message', async (t) => {
  const messages = [
    refusal(
      site(property('tajo.catalog.uri', 'jdbc:oracle://u:geheim@h/d?password=geheim&amp;a=b')),
    ),
    refusal(site(property('tajo.catalog.uri', 'jdbc:nothing:x;password=geheim'))),
    ...built(
      site(
        property('tajo.catalog.connection.password', 'geheim'),
        property('tajo.catalog.connection.password', 'geheim${x}'),
      ),
    ).warnings,
  ]
  t.equal(messages.length, 4)
  for (const message of messages) t.notMatch(message, /geheim/)
})

t.test('XML that is no configuration: file and line', async (t) => {
  const refused = (text: string) => refusal(text).replace('/conf/tajo-site.xml:', '')
  const lol =
    '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>\n<configuration>&lol2;</configuration>'
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /^1: the file is empty/],
    [' \n ', /^1: the file is empty/],
    [lol, /^1: DOCTYPE and entity declarations are not allowed/],
    [`<?xml version="1.0"?>\n<!-- x -->\n${lol}`, /^3: DOCTYPE/],
    ['<!DOCTYPE c SYSTEM "file:///etc/passwd"><configuration/>', /^1: DOCTYPE/],
    [site(property('a', '&xxe;')), /^2: '&' must be written &amp;/],
    [site(property('a', 'b & c')), /^2: '&' must be written &amp;/],
    [site(property('a', '&#xZZ;')), /^2: '&' must be/],
    ['<config>\n</config>', /^1: the outermost element is <config>: it must be <configuration>/],
    ['<configuration>\n</configuration>\n<configuration/>', /^3: <configuration> stands after/],
    ['\n<html><body/></html>', /^2: the outermost element is <html>/],
    ['<configuration>\n<property>\n', /^3: the file ends, but <property> is not closed/],
    ['<configuration>\n', /^1: the file is not well-formed XML: unclosed tag 'configuration'/],
    [
      '<configuration>\n</property>\n</configuration>',
      /^2: .*expected closing tag 'configuration'/,
    ],
    [site(), /NONE/],
    [`${site()}\n${site()}`, /^3: .*root nodes/],
    ['tajo.rootdir=/tmp', /^1: the file is not well-formed XML/],
    ['{"tajo.rootdir": "/tmp"}', /^1: the file is not well-formed XML/],
    [site('<!-- never closed'), /^2: the comment is not closed/],
    [
      site('<property><name>a</name><value><![CDATA[x</value>'),
      /^2: the CDATA section is not closed/,
    ],
    ['<?xml version="1.0"\n<configuration/>', /^1: the processing instruction is not closed/],
    [
      '<?xml version="1.0" encoding="EUC-KR"?><configuration/>',
      /^1: encoding 'EUC-KR' is not supported/,
    ],
    [site('<property a=b></property>'), /^2: the file is not well-formed XML/],
    [site('', 'loose words'), /^3: text outside of a property: 'loose'/],
    [site('<property>tajo.rootdir=/x</property>'), /^2: the property holds bare text/],
    [site('', '<property><value>1</value></property>'), /^3: the property has no <name>/],
    [site('<property><name> </name><value>1</value></property>'), /^2: the property has no <name>/],
    [site('<property><name>a</name></property>'), /^2: the property 'a' has no <value>/],
    [
      site('<property><name>a</name><vaule>1</vaule></property>'),
      /^2: the property 'a' has no <value>/,
    ],
    [
      site('<property><name>a</name><name>b</name><value>1</value></property>'),
      /^2: .* second <name>/,
    ],
    [
      site('<property><name>a</name><value>1<b/></value></property>'),
      /^2: <value> holds an element <b>/,
    ],
    [
      site('<property><name>a</name>', '<value>1</value>', '<final>yes</final></property>'),
      /^4: <final> is 'yes'/,
    ],
    [site('', '<xi:include href="other.xml"/>'), /^3: <xi:include> is not supported/],
    [site('<constructor>1</constructor>'), /^2: the element <constructor> is not allowed/],
    [site('<__proto__><x/></__proto__>'), /^2: the element <__proto__> is not allowed/],
    [
      site(property('a', 'x'.repeat(65_537))),
      /^2: the value of 'a' has 65537 characters: at most 65536/,
    ],
    [
      '<a>'.repeat(60) + '</a>'.repeat(60),
      /^1: the file can't be read as a configuration: .*nested/i,
    ],
  ]
  for (const [text, message] of cases) {
    if (message.source === 'NONE') t.same(built(text).warnings, [])
    else t.match(refused(text), message, text.slice(0, 60))
  }
  const odd = built(
    site(
      '<properties/>',
      '<property><name>tajo.log.level</name><value>warn</value><comment/></property>',
    ),
  )
  t.match(odd.warnings, [/:2: <properties> in <configuration>/, /:3: <comment> in <property>/])
})

t.test('whatever the bytes, the answer is a configuration or a ConfError', async () => {
  const piece = fc.constantFrom(
    '<configuration>',
    '</configuration>',
    '<property>',
    '</property>',
    '<name>',
    '</name>',
    'tajo.rootdir',
    '<value>',
    '</value>',
    '/x',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?xml',
    '?>',
    '&amp;',
    '&',
    '<',
    '>',
    '"',
    '${',
    '}',
    'user.name',
    '\n',
    ' ',
    '<!DOCTYPE',
    '/>',
    '<a b="c"/>',
    'constructor',
    '__proto__',
    'toString',
  )
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.array(piece, { maxLength: 30 }).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(text, (inner) => {
      for (const whole of [inner, `<configuration>${inner}</configuration>`]) {
        try {
          built(whole)
        } catch (error) {
          if (!(error instanceof ConfError)) throw error
          if (!/^\/conf\/tajo-site\.xml:[1-9]/.test(error.problems[0] ?? '')) throw error
        }
      }
    }),
    { numRuns: 500 },
  )
})

t.test('values survive being written and read', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_600_000 }), (ms) => {
      const parsed = parseValue({ type: 'duration', min: 1, max: 3_600_000 }, formatMs(ms))
      return parsed.ok && parsed.value === ms
    }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (bytes) => {
      const parsed = parseValue({ type: 'size', min: 0, max: 2 ** 41 }, formatBytes(bytes))
      return parsed.ok && parsed.value === bytes
    }),
  )
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((ip) => !ip.includes('%')),
    fc.domain(),
  )
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65535 }), (name, port) => {
      const split = splitHostPort(formatHostPort({ host: name, port }))
      return typeof split === 'object' && split.host === name && split.port === port
    }),
  )
  const xmlText = fc.string({ unit: 'grapheme', maxLength: 50 })
  fc.assert(
    fc.property(xmlText, (text) => {
      const clean = text
        .replaceAll(/[\p{Cc}\ufffd\ufffe\uffff]/gu, '')
        .replaceAll('$', '')
        .trim()
      const escaped = clean.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
      const conf = built(site(property('tajo.catalog.connection.id', escaped)))
      return conf.get('tajo.catalog.connection.id') === clean
    }),
  )
})

t.test('what lies in the directory instead of the files', async (t) => {
  const directory = t.testdir({})
  const load = (name: string) => loadConfiguration(join(directory, name), surroundingsOf({}))
  let made = 0
  const withSite = (bytes: string | Buffer): string => {
    const name = `conf${made++}`
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'tajo-site.xml'), bytes)
    return name
  }
  t.match(
    await rejection(load('nowhere')),
    /configuration directory .*nowhere can't be used: does not exist/,
  )
  writeFileSync(join(directory, 'file'), '')
  t.match(await rejection(load('file')), /can't be used: it is not a directory/)

  mkdirSync(join(directory, 'empty'))
  t.match((await load('empty')).warnings, [/does not exist: every key has its default/])

  mkdirSync(join(directory, 'pipe'))
  execFileSync('mkfifo', [join(directory, 'pipe', 'tajo-site.xml')])
  t.match(await rejection(load('pipe')), /tajo-site\.xml is not a regular file/)
  mkdirSync(join(directory, 'folder', 'tajo-site.xml'), { recursive: true })
  t.match(await rejection(load('folder')), /is not a regular file/)
  mkdirSync(join(directory, 'loop'))
  symlinkSync('tajo-site.xml', join(directory, 'loop', 'tajo-site.xml'))
  t.match(await rejection(load('loop')), /tajo-site\.xml can't be read: .*ELOOP/)

  const large = withSite(Buffer.alloc(1024 * 1024 + 1, 0x20))
  t.match(await rejection(load(large)), /has 1048577 bytes: at most 1048576/)
  const utf16 = withSite(Buffer.from(`\ufeff${site()}`, 'utf16le'))
  t.match(await rejection(load(utf16)), /tajo-site\.xml:1: the file is UTF-16: save it as UTF-8/)
  const latin = withSite(Buffer.from(site('<!-- M\u00fcller -->'), 'latin1'))
  t.match(await rejection(load(latin)), /tajo-site\.xml:2: the file is not valid UTF-8 there/)
  const binary = withSite(site('', '\u0000'))
  t.match(await rejection(load(binary)), /tajo-site\.xml:3: the file holds a control character/)
  const marked = withSite(`\ufeff${site(property('tajo.log.level', 'warn'))}`)
  t.equal((await load(marked)).get('tajo.log.level'), 'warn', 'a byte order mark is fine')

  // A file of the largest size with the most properties must not take long either.
  const full = withSite(site(...Array.from({ length: 15_000 }, (_, i) => property(`x${i}`, '1'))))
  t.equal((await load(full)).warnings.length, 21)
})

t.test('the committed files are those that the table generates', async (t) => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    t.equal(
      readFileSync(join(ROOT, path), 'utf8'),
      text,
      `${path}: run node build/lib/conf/generate.js`,
    )
  }
  const template = built(generatedFiles()['conf/tajo-site.xml.template'] ?? '')
  t.same(template.warnings, [])
  const defaults = built(site())
  for (const key of ALL_KEYS) {
    t.same(template.get(key), defaults.get(key), `${key}: the template holds the default`)
    t.ok(generatedFiles()['conf/tajo-site.xml.template']?.includes(`<name>${key}</name>`), key)
  }
})

t.test('the shipped directory: HA is on, all else by default', async (t) => {
  const conf = await loadConfiguration(join(ROOT, 'conf'), surroundingsOf({}))
  t.same(conf.warnings, [])
  t.same(
    conf
      .settings()
      .filter(({ source }) => source !== null)
      .map(({ key }) => key),
    ['tajo.master.ha.enable'],
  )
  t.equal(conf.get('tajo.master.ha.enable'), true)
})

t.test('tajo getconf', async (t) => {
  const confDir = t.testdir({
    'tajo-site.xml': site(
      property('tajo.master.ha.monitor.interval', '2s'),
      property('tajo.rotdir', '/x'),
    ),
  })
  const ask = async (args: readonly string[], json = false) => {
    const out: string[] = []
    const err: string[] = []
    const output = {
      out: (text: string) => void out.push(text),
      err: (text: string) => void err.push(text),
    }
    const context = { args, options: {}, json, confDir, home: '/', env: {}, output }
    const code = await getconf(context).catch((error: unknown) => {
      const { message, exitCode } = describeError(error)
      err.push(message)
      return exitCode
    })
    return { code, out: out.join('\n'), err: err.join('\n') }
  }
  const warning = "nobody knows the key 'tajo.rotdir', did you mean tajo.rootdir?"
  t.match(await ask(['tajo.master.ha.deadline']), { code: 0, out: '900', err: warning })
  const { out } = await ask(['tajo.master.ha.monitor.interval'], true)
  t.match(JSON.parse(out), {
    key: 'tajo.master.ha.monitor.interval',
    value: 2000,
    type: 'duration',
    source: { file: join(confDir, 'tajo-site.xml'), line: 2 },
  })
  t.match(await ask(['tajo.rootdirs']), {
    code: 1,
    out: '',
    err: /nobody knows the key 'tajo.rootdirs', did you mean tajo.rootdir\?/,
  })
  t.match(await ask([]), { code: 2, err: /needs one key/ })
  writeFileSync(join(confDir, 'tajo-site.xml'), '<configuration>')
  t.match(await ask(['tajo.rootdir']), {
    code: 1,
    out: '',
    err: /tajo-site\.xml:1: the file is not well-formed/,
  })
})
