/**
 * Keys of what SQL works with: where the catalog is kept, how queries and changes wait for each other, when small files are
 * joined, and how long the history of it all is kept.
 */
import { type KeySpec, LONGEST_MS } from './spec.ts'

const catalog = { usedBy: 'master', reloadable: false, group: 'Catalog' } as const
const query = { usedBy: 'master', reloadable: false, group: 'Queries' } as const
const compaction = { usedBy: 'master', reloadable: false, group: 'Small files' } as const

export const SQL_KEYS = {
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
  'tajo.master.query.queue.max-size': {
    type: 'size',
    min: 400_000,
    max: 4 * 1024 ** 3,
    default: '8m',
    doc: 'How many characters the long statements (above 2,100) that wait for a worker, or write, have together, half of them those of one user; the next one is refused.',
    ...query,
  },
  'tajo.query.queue.per-user': {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: {
      words: 'half of queue.limit',
      from: (value: (key: string) => unknown) =>
        Math.ceil(Number(value('tajo.master.query.queue.limit')) / 2),
    },
    doc: 'How many queries of one user may wait for a worker; the next one is refused.',
    ...query,
  },
  'tajo.query.max-per-user': {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: '0',
    doc: 'How many queries of one user run at a time, on all workers together; the next one waits, and others have their turn. 0: as many as there are slots.',
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
} as const satisfies Readonly<Record<string, KeySpec>>
