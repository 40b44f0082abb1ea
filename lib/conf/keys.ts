// biome-ignore-all lint/suspicious/noTemplateCurlyInString: defaults are written as they would stand in the file
/**
 * Every configuration key: type, default, who reads it, one sentence. The template, the manual, `tajo getconf` and the
 * checks all come from this table; a key that isn't here doesn't exist.
 *
 * It is one piece because it is a table. A default that depends on other keys says so in words and as a function.
 */
import { availableParallelism, totalmem } from 'node:os'
import type { HostPort } from './address.ts'
import type { ValueType } from './types.ts'

export type Daemon = 'master' | 'worker' | 'client' | 'all'

export interface Derived {
  /** For people, as in "monitor interval / 10". */
  readonly words: string
  /**
   * From the values of other keys, which must not derive from this one: a number is the value itself, which may be a
   * fraction; a text is read as if it stood in the file.
   */
  readonly from: (value: (key: string) => unknown) => string | number
}

export type KeySpec = ValueType & {
  /** As it would stand in the file. */
  readonly default: string | Derived
  /** One sentence. */
  readonly doc: string
  readonly usedBy: Daemon
  /** Whether a running daemon takes over a change of the file; the rest needs a restart. */
  readonly reloadable: boolean
  /** Never shown in a message. */
  readonly secret?: true
  readonly group: string
}

const LONGEST_MS = 3_600_000
const MONITOR = 'tajo.master.ha.monitor.interval'
const RENEW = 'tajo.master.ha.renew.interval'
const DEADLINE = 'tajo.master.ha.deadline'

/** What a container allows counts, not what the machine below it has. */
function halfOfMemoryMb(): number {
  const allowed = process.constrainedMemory()
  const bytes = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
  return Math.max(64, Math.floor(bytes / 2 / 1024 ** 2))
}

/** A period of the protocol. The inequalities among them are the protocol's own and are checked where it starts. */
const period = (
  words: string,
  from: (monitorMs: number, of: (key: typeof RENEW | typeof DEADLINE) => number) => number,
) => ({
  type: 'duration' as const,
  min: 1,
  max: LONGEST_MS,
  default: {
    words,
    from: (value: (key: string) => unknown) =>
      from(Number(value(MONITOR)), (key) => Number(value(key))),
  },
  usedBy: 'master' as const,
  reloadable: false,
  group: 'High availability: periods of the protocol',
})

const address = (of: 'master' | 'worker', defaultAddress: string, doc: string) => ({
  type: 'address' as const,
  default: defaultAddress,
  doc,
  usedBy: of,
  reloadable: false,
  group: of === 'master' ? 'Addresses of a master' : 'Addresses of a worker',
})

const ha = { usedBy: 'master', reloadable: false, group: 'High availability' } as const
const web = { usedBy: 'master', reloadable: false, group: 'Addresses of a master' } as const
const haClient = { usedBy: 'client', reloadable: true, group: 'High availability' } as const
const catalog = { usedBy: 'master', reloadable: false, group: 'Catalog' } as const
const storage = { usedBy: 'all', reloadable: false, group: 'Storage' } as const
const query = { usedBy: 'master', reloadable: false, group: 'Queries' } as const
const compaction = { usedBy: 'master', reloadable: false, group: 'Small files' } as const
const resource = { usedBy: 'worker', reloadable: false, group: 'Resources of a worker' } as const
const log = { usedBy: 'all', reloadable: true, group: 'Logs' } as const

export const KEYS = {
  'tajo.rootdir': {
    type: 'directory',
    default: '${env.TAJO_HOME}/data',
    doc: 'Directory of the cluster; no default where the install lies under node_modules, belongs to another user or can not be written; with masters on several hosts the directory that all of them mount, with the HA directory system/ha in it. tsql looks there for masters that its conf/masters does not list.',
    ...storage,
  },
  'tajo.warehouse.directory': {
    type: 'directory',
    // Derived rather than `${tajo.rootdir}`: a wrong root directory is to be told once.
    default: {
      words: 'warehouse in tajo.rootdir',
      from: (value: (key: string) => unknown) => `${value('tajo.rootdir')}/warehouse`,
    },
    doc: 'Where tables without a LOCATION of their own are kept, as DATABASE/TABLE; every worker needs it under the same path.',
    ...storage,
  },
  'tajo.query.allowed-paths': {
    type: 'directories',
    atLeast: 0,
    default: '',
    doc: 'Directories besides the warehouse that LOCATION may name; SQL reaches no other files.',
    ...storage,
  },
  'tajo.master.umbilical-rpc.address': address(
    'master',
    'localhost:26001',
    "Where masters and workers talk to this master; it is the master's name in the cluster.",
  ),
  'tajo.master.client-rpc.address': address(
    'master',
    'localhost:26002',
    'Where clients talk to this master.',
  ),
  'tajo.resource-tracker.rpc.address': address(
    'master',
    'localhost:26003',
    'Where workers report their resources.',
  ),
  'tajo.catalog.client-rpc.address': address(
    'master',
    'localhost:26005',
    'Where the catalog answers.',
  ),
  'tajo.master.info-http.address': address(
    'master',
    '0.0.0.0:26080',
    'Web page, health checks and HTTP API of this master.',
  ),
  'tajo.master.info-http.sql': {
    type: 'choice',
    of: ['off', 'read', 'all'],
    default: 'read',
    doc: 'Which SQL the web page may run: none, what only reads, or all; for other hosts only where tajo.master.client-rpc.address is open to them too. The page may kill queries unless it is off.',
    ...web,
  },
  'tajo.master.info-http.admin': {
    type: 'boolean',
    default: 'false',
    doc: 'Whether the web page may hand over the active role, to whoever knows what tajo haadmin -token prints.',
    ...web,
  },
  'tajo.worker.info-http.address': address(
    'worker',
    '0.0.0.0:28080',
    'Web page and health checks of a worker.',
  ),
  'tajo.worker.peer-rpc.address': address(
    'worker',
    '0.0.0.0:28091',
    'Where workers talk to each other.',
  ),
  'tajo.worker.client-rpc.address': address(
    'worker',
    '0.0.0.0:28092',
    'Where clients fetch results from a worker.',
  ),
  'tajo.worker.qm-rpc.address': address(
    'worker',
    '0.0.0.0:28093',
    'Where the query master of a worker answers.',
  ),
  'tajo.master.ha.enable': {
    type: 'boolean',
    default: 'false',
    doc: 'Whether masters stand by for each other; the site file as shipped says true.',
    ...ha,
  },
  [MONITOR]: {
    type: 'duration',
    // The protocol's own smallest one.
    min: 500,
    max: LONGEST_MS,
    default: '5000',
    doc: 'Within this time a lost active master is noticed and replaced; every other period derives from it.',
    ...ha,
  },
  'tajo.master.ha.priority': {
    type: 'integer',
    min: 0,
    max: 1000,
    default: '100',
    doc: 'Among several backup masters the highest number takes over first; 0 means never.',
    ...ha,
  },
  'tajo.master.ha.fencing.methods': {
    type: 'lines',
    line: /^(sshfence(\([A-Za-z0-9_.-]*(:\d{1,5})?\))?|shell\(\s*\/\S.*\))$/,
    allowed: 'sshfence, sshfence([user][:port]) or shell(/path arguments), one a line',
    default: '',
    doc: 'How a master that does not answer is made sure to be dead, tried in this order; empty: its lease has to expire.',
    ...ha,
  },
  'tajo.master.ha.unproven-mount': {
    type: 'choice',
    of: ['refuse', 'warn'],
    default: 'refuse',
    doc: 'With masters on several hosts: what becomes of a start on a kind of mount that tajo haadmin -checkSharedDir --peer has not proven, or that is known to cache; warn goes on with a critical alert, at your own risk.',
    ...ha,
  },
  'tajo.master.ha.network.witness': {
    type: 'lines',
    // A name or an IP address, with a port or without.
    line: /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/,
    commas: true,
    allowed: 'host or host:port, separated by commas or line ends, such as 10.0.0.1 or gateway:22',
    default: '',
    doc: "Addresses of the clients' network that are no members of the cluster, such as its gateway: a master that hears them is preferred to one whose network is cut. Any answer counts, a refused connection too.",
    ...ha,
  },
  'tajo.master.ha.client.read.retry.max-num': {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: '120',
    doc: 'How often a client that finds no active master asks again.',
    ...haClient,
  },
  'tajo.master.ha.client.read.retry.pause-time': {
    type: 'duration',
    min: 1,
    max: LONGEST_MS,
    default: '500',
    doc: 'How long that client waits before it asks again.',
    ...haClient,
  },
  [RENEW]: {
    ...period('monitor interval / 10', (monitorMs) => monitorMs / 10),
    doc: 'Between two renewals of the lease by the active master.',
  },
  [DEADLINE]: {
    ...period('monitor interval × 9 / 20', (monitorMs) => (monitorMs * 9) / 20),
    doc: 'So long after its last renewal the active master goes on serving, and not a moment longer.',
  },
  'tajo.master.ha.patience': {
    ...period('deadline + monitor interval / 20', (monitorMs, of) => of(DEADLINE) + monitorMs / 20),
    doc: 'A lease that was not renewed for so long has expired for its observers.',
  },
  'tajo.master.ha.poll.interval': {
    ...period('monitor interval / 20', (monitorMs) => monitorMs / 20),
    doc: 'Between two looks of a backup master at the lease.',
  },
  'tajo.master.ha.settle': {
    ...period(
      'renew interval + monitor interval / 50',
      (monitorMs, of) => of(RENEW) + monitorMs / 50,
    ),
    doc: 'How long the successor waits after it took an expired lease away, so that its holder has noticed.',
  },
  'tajo.master.ha.activation': {
    ...period('monitor interval / 10', (monitorMs) => monitorMs / 10),
    doc: 'Planned for opening the catalog and starting to serve.',
  },
  'tajo.master.ha.hang-limit': {
    ...period('monitor interval × 3 / 5', (monitorMs) => (monitorMs * 3) / 5),
    doc: 'A master that does not answer its own keeper for so long is killed by it.',
  },
  'tajo.master.ha.handover.grace': {
    ...period('monitor interval / 5', (monitorMs) => monitorMs / 5),
    doc: 'How long the others hold back when the role is handed to a named successor.',
  },
  'tajo.master.ha.rank.step': {
    ...period('monitor interval / 500, at least 5 ms', (monitorMs) => Math.max(5, monitorMs / 500)),
    doc: 'A contender waits so long for each one that goes before it by priority.',
  },
  'tajo.catalog.store.class': {
    type: 'choice',
    of: ['DerbyStore', 'SharedStore', 'PostgreSQLStore', 'MariaDBStore', 'MySQLStore'],
    prefix: 'org.apache.tajo.catalog.store.',
    default: {
      words: 'DerbyStore; with HA SharedStore',
      from: (value: (key: string) => unknown) =>
        value('tajo.master.ha.enable') === true ? 'SharedStore' : 'DerbyStore',
    },
    doc: 'Where the catalog is kept; DerbyStore can be opened by one master only.',
    ...catalog,
  },
  'tajo.catalog.uri': {
    type: 'jdbc',
    default: {
      words: 'with DerbyStore system/derby in tajo.rootdir (jdbc:derby:DIR;create=true)',
      from: (value: (key: string) => unknown) => {
        if (value('tajo.catalog.store.class') !== 'DerbyStore') return ''
        const root = String(value('tajo.rootdir'))
        // Its directory would end at a semicolon: then nothing is a good default, and the key has to be set.
        return root.includes(';') ? 'jdbc:derby:' : `jdbc:derby:${root}/system/derby;create=true`
      },
    },
    doc: 'Which database keeps the catalog, the same for all masters; SharedStore needs none.',
    ...catalog,
  },
  'tajo.catalog.connection.id': {
    type: 'text',
    default: '',
    doc: "The catalog database's user.",
    ...catalog,
  },
  'tajo.catalog.connection.password': {
    type: 'text',
    default: '',
    doc: "That user's password.",
    secret: true,
    ...catalog,
  },
  'tajo.master.query.queue.limit': {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: '1000',
    doc: 'How many queries may wait for a worker; the next one is refused.',
    ...query,
  },
  'tajo.table.write.wait': {
    type: 'duration',
    min: 1,
    max: LONGEST_MS,
    default: '30000',
    doc: 'How long a change of a table waits for an INSERT OVERWRITE that reads it and was overtaken twice; then it is refused.',
    ...query,
  },
  'tajo.table.compaction.enabled': {
    type: 'boolean',
    default: 'true',
    doc: "Whether small files of tables are joined by themselves, while a worker has a slot that no query needs; external tables' files never are. OPTIMIZE TABLE works either way.",
    ...compaction,
  },
  'tajo.table.compaction.check-interval': {
    type: 'duration',
    min: 100,
    max: LONGEST_MS,
    default: '60000',
    doc: 'How often the active master looks for partitions with small files.',
    ...compaction,
  },
  'tajo.table.compaction.min-input-files': {
    type: 'integer',
    min: 2,
    max: 100_000,
    default: '10',
    doc: "A partition (or a table without partitions) with fewer small files to join is left as it is, unless those of all its table's partitions are as many together, and half of its files.",
    ...compaction,
  },
  'tajo.table.compaction.min-file-size': {
    type: 'size',
    min: 1024,
    max: 1024 ** 4,
    default: {
      words: 'target-file-size / 4',
      from: (value: (key: string) => unknown) =>
        Math.max(1024, Math.floor(Number(value('tajo.table.compaction.target-file-size')) / 4)),
    },
    doc: 'Files below it are small.',
    ...compaction,
  },
  'tajo.table.compaction.target-file-size': {
    type: 'size',
    min: 1024,
    max: 1024 ** 4,
    default: '128m',
    doc: 'Small files are joined into files of about this size.',
    ...compaction,
  },
  'tajo.table.compaction.max-concurrent': {
    type: 'integer',
    min: 1,
    max: 1000,
    default: '1',
    doc: 'In how many tables files are joined at a time.',
    ...compaction,
  },
  'tajo.table.compaction.retention-hour': {
    type: 'integer',
    min: 0,
    max: 8760,
    default: '24',
    doc: "For how many hours at least files that were joined into others are kept, besides what running queries need: for 'tajo catalog restore', which needs them for as long as it can bring back a catalog that names them, and for dumps. 0 keeps none of them for either.",
    ...compaction,
  },
  'tajo.history.expiry-time-day': {
    type: 'integer',
    min: 1,
    max: 36_500,
    default: '7',
    doc: 'For how many days the history of queries is kept.',
    ...query,
  },
  'tajo.history.query.max-entries': {
    type: 'integer',
    min: 100,
    max: 1_000_000,
    default: '10000',
    doc: 'How many finished queries the history holds at most; the oldest go first.',
    ...query,
  },
  'tajo.worker.resource.cpu-cores': {
    type: 'integer',
    min: 1,
    max: 4096,
    default: { words: "the host's cores", from: () => availableParallelism() },
    doc: 'How many threads the queries of a worker use together.',
    ...resource,
  },
  'tajo.worker.resource.memory-mb': {
    type: 'integer',
    min: 64,
    max: 64 * 1024 * 1024,
    default: { words: "half of the host's memory", from: () => halfOfMemoryMb() },
    doc: 'How much memory, in MB, the queries of a worker use together before they spill to disk.',
    ...resource,
  },
  'tajo.worker.tmpdir.locations': {
    type: 'directories',
    atLeast: 1,
    default: '${env.TAJO_HOME}/data/tmpdir',
    doc: 'Where queries spill what does not fit into memory; of several directories the one with the most free space when the worker starts.',
    ...resource,
  },
  'tajo.worker.parallel-queries': {
    type: 'integer',
    min: 1,
    max: 1000,
    default: {
      words: 'cpu-cores, at least 2',
      from: (value: (key: string) => unknown) =>
        Math.max(2, Number(value('tajo.worker.resource.cpu-cores'))),
    },
    doc: 'How many queries a worker runs at a time.',
    ...resource,
  },
  'tajo.worker.heartbeat.idle.interval': {
    type: 'duration',
    min: 10,
    max: LONGEST_MS,
    default: '10000',
    doc: 'Between two reports of a worker that runs no query.',
    ...resource,
    // The active master counts missing ones by it.
    usedBy: 'all',
  },
  'tajo.worker.heartbeat.active.interval': {
    type: 'duration',
    min: 10,
    max: LONGEST_MS,
    default: '1000',
    doc: 'Between two reports of a worker that runs queries; the end of one is reported at once.',
    ...resource,
    // The active master counts missing ones by it.
    usedBy: 'all',
  },
  'tajo.log.level': {
    type: 'choice',
    of: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    doc: 'The least important messages that are still logged.',
    ...log,
  },
  'tajo.log.max-size': {
    type: 'size',
    min: 64 * 1024,
    max: 100 * 1024 ** 3,
    default: '64m',
    doc: 'A log file that grew to this size is put aside and a new one begun.',
    ...log,
  },
  'tajo.log.max-files': {
    type: 'integer',
    min: 1,
    max: 1000,
    default: '10',
    doc: 'How many log files are kept, the current one included.',
    ...log,
  },
} as const satisfies Readonly<Record<string, KeySpec>>

export type Key = keyof typeof KEYS

/** The type of a key's value. */
export type ValueOf<K extends Key> = (typeof KEYS)[K] extends infer S
  ? S extends { type: 'address' }
    ? HostPort
    : S extends { type: 'duration' | 'integer' | 'size' }
      ? number
      : S extends { type: 'boolean' }
        ? boolean
        : S extends { type: 'lines' | 'directories' }
          ? readonly string[]
          : S extends { type: 'choice'; of: readonly (infer W)[] }
            ? W
            : string
  : never

export const ALL_KEYS = Object.keys(KEYS) as Key[]
export const isKey = (name: string): name is Key => Object.hasOwn(KEYS, name)
export const specOf = (key: Key): KeySpec => KEYS[key]
