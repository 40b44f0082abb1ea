// biome-ignore-all lint/suspicious/noTemplateCurlyInString: defaults are written as they would stand in the file
/**
 * Keys of places: which directories the cluster has, and the addresses at which masters and workers answer. They differ
 * from one cluster to the next, while the defaults of most other keys fit everywhere.
 */
import type { KeySpec } from './spec.ts'

const address = (of: 'master' | 'worker', defaultAddress: string, doc: string) => ({
  type: 'address' as const,
  default: defaultAddress,
  doc,
  usedBy: of,
  reloadable: false,
  group: of === 'master' ? 'Addresses of a master' : 'Addresses of a worker',
})

const storage = { usedBy: 'all', reloadable: false, group: 'Storage' } as const
const web = { usedBy: 'master', reloadable: false, group: 'Addresses of a master' } as const

export const PLACE_KEYS = {
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
  'tajo.warehouse.umask': {
    type: 'umask',
    // Hadoop's own (fs.permissions.umask-mode), and what tables' files have been made with.
    default: '022',
    doc: "What files and directories of tables are made without: 022 lets everybody read and nobody else write, 027 nobody but the group read, 002 the group write as well. The tables' directory may belong to another user, and be written by the group or by everybody, only where this lets them write.",
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
  'tajo.master.info-http.names': {
    type: 'lines',
    line: /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/,
    commas: true,
    allowed:
      'host names without a port, separated by commas or line ends, such as tajo.example.com',
    default: '',
    doc: "Further names by which browsers may ask the info ports of masters and workers, such as a proxy's or an alias; names in conf/masters, this host's name and IP addresses always may, and health and metrics answer to any name. Workers take a change with their next start.",
    ...{ usedBy: 'all', reloadable: true, group: 'Addresses of a master' },
  },
  'tajo.worker.admission': {
    type: 'choice',
    of: ['any', 'listed'],
    default: 'any',
    doc: "Who may be a worker: any worker that has the cluster's secret, with an alert that names each one which is not in conf/workers, or only those that are listed there.",
    ...{ usedBy: 'master', reloadable: true, group: 'Addresses of a worker' },
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
  'tajo.connections.per-address': {
    type: 'integer',
    min: 1,
    max: 4096,
    default: '3072',
    doc: 'How many connections to one port one address may have, of 4,096 in all; of IPv6 a network of 64 bits. More are closed, and the log tells of it. A proxy is one address.',
    ...{ usedBy: 'all', reloadable: false, group: 'Addresses of a master' },
  },
} as const satisfies Readonly<Record<string, KeySpec>>
