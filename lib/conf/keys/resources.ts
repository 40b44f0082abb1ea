// biome-ignore-all lint/suspicious/noTemplateCurlyInString: defaults are written as they would stand in the file
/**
 * Keys of what daemons may use up of their hosts: cores, memory and disk for the queries of a worker, and room for logs. The
 * defaults look at the host, so that a worker fits on any.
 */
import { availableParallelism, totalmem } from 'node:os'
import { type KeySpec, LONGEST_MS } from './spec.ts'

/** What a container allows counts, not what the machine below it has. */
function halfOfMemoryMb(): number {
  const allowed = process.constrainedMemory()
  const bytes = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
  return Math.max(64, Math.floor(bytes / 2 / 1024 ** 2))
}

/** A query may run for longer than anything else is waited for: as long as a timer can count. */
const LONGEST_RUN_MS = 24 * 24 * 3_600_000

const resource = { usedBy: 'worker', reloadable: false, group: 'Resources of a worker' } as const
const log = { usedBy: 'all', reloadable: true, group: 'Logs' } as const
const audit = { usedBy: 'master', reloadable: true, group: 'Logs' } as const

export const RESOURCE_KEYS = {
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
    doc: 'How much memory, in MB, the queries of a worker use together before they spill to disk: half of it in equal parts for `tajo.worker.parallel-queries`, the other half by halves to those who come first. Each query runs in a process, which needs room besides (docs/operations.md, Memory).',
    ...resource,
  },
  'tajo.worker.tmpdir.locations': {
    type: 'directories',
    atLeast: 1,
    default: '${env.TAJO_HOME}/data/tmpdir',
    doc: 'Where queries spill what does not fit into memory; of several directories the one with the most free space when the worker starts.',
    ...resource,
  },
  'tajo.worker.spill.max-size': {
    type: 'size',
    min: 0,
    max: 512 * 1024 ** 4,
    default: '0',
    doc: 'How much the queries of a worker may spill together, each an equal part for `tajo.worker.parallel-queries`; the query that needs more is ended. 0: nine tenths of the size of the disk.',
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
  'tajo.query.max-run-time': {
    type: 'duration',
    min: 0,
    max: LONGEST_RUN_MS,
    default: '0',
    doc: 'How long a query may run on its worker; then it is ended, a change without any effect. 0: as long as it takes.',
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
  'tajo.audit.enabled': {
    type: 'boolean',
    default: 'true',
    doc: 'Whether a master keeps an audit log: who ran what and from where, who was refused, who moved the role.',
    ...{ ...audit, reloadable: false },
  },
  'tajo.audit.text': {
    type: 'boolean',
    default: 'false',
    doc: 'Whether the audit log has the texts of statements and of their errors, which may hold what only their users should know.',
    ...audit,
  },
  'tajo.audit.max-size': {
    type: 'size',
    min: 64 * 1024,
    max: 100 * 1024 ** 3,
    default: '64m',
    doc: 'An audit log that grew to this size is put aside and a new one begun.',
    ...audit,
  },
  'tajo.audit.max-files': {
    type: 'integer',
    min: 1,
    max: 1000,
    default: '20',
    doc: 'How many files of the audit log are kept, the current one included.',
    ...audit,
  },
} as const satisfies Readonly<Record<string, KeySpec>>
