/**
 * What an operator should look at, a sentence each, the gravest first. Pure: thresholds and words are all there is.
 *
 * What an operator is told of the room in the shared directory, before it is used up and when it is. Pure.
 */
import {
  type DirectoryNote,
  LATENCIES_PER_RENEWAL,
  type SpaceReport,
  type StorageState,
  type Timing,
} from '../../ha/index.ts'
import type { Alert, MasterRow, WorkerRow } from '../../web/view.ts'
import { unlistedText } from '../queries/run/admission.ts'

/** `takeOvers`: there are terms to claim; without high availability there are none. */
export function spaceAlerts(
  space: SpaceReport | null,
  { takeOvers }: { readonly takeOvers: boolean },
): Alert[] {
  if (space === null) return []
  const { freeBytes, totalBytes, freeFiles, totalFiles, need, low, refused } = space
  const uses = takeOvers
    ? 'the next claim of a term, the opening of the catalog and its next checkpoint'
    : "the catalog's next checkpoint"
  const what = `${uses}. Remove or move something, or enlarge it`
  const found: Alert[] = []
  if (refused !== null) {
    const text = `the shared directory takes nothing more${takeOvers ? ', and no master can take over' : ', and no change is kept'}: ${refused}`
    found.push({ kind: 'storage-full', level: 'critical', text })
  }
  if (low.bytes) {
    const text = `the shared directory has ${size(freeBytes)} of ${size(totalBytes)} left, which is below 2 % or below the ${size(need.bytes)} that are kept free for ${what}`
    found.push({ kind: 'storage-low', level: 'warning', text })
  }
  if (low.files && freeFiles !== null) {
    const text = `the shared directory has ${freeFiles} of ${totalFiles} inodes left, which is below 2 % or below the ${need.files} that are kept free for ${what}`
    found.push({ kind: 'storage-low', level: 'warning', text })
  }
  return found
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`
}

interface AlertFacts {
  readonly masters: readonly MasterRow[]
  /** Umbilical addresses of the masters that conf/masters lists and that take no part. */
  readonly missing: readonly string[]
  readonly active: string | null
  readonly problem: string | null
  readonly storage: StorageState
  /** Null: not measured yet. */
  readonly space: SpaceReport | null
  readonly timing: Timing | null
  /** The election's own: of the storage and its mount. */
  readonly storageWarnings: readonly string[]
  /** Those that endanger the cluster until somebody mends them. */
  readonly storageDangers: readonly string[]
  /** Masters in conf/masters, here or there, that are another cluster's: a sentence each. */
  readonly foreign: readonly string[]
  /** Of masters whose directory is another one, or not known to be this one. */
  readonly directories: readonly DirectoryNote[]
  /** That two masters served at once. */
  readonly splitBrain: readonly string[]
  /** What is wrong with the clients' network; null when nothing is. */
  readonly network: string | null
  readonly workers: readonly Pick<
    WorkerRow,
    'address' | 'host' | 'trouble' | 'spill' | 'unlisted'
  >[]
  /** Workers that can't register, since their directory is another one: a sentence each. */
  readonly astray: readonly string[]
  /** The slowest renewal of the last minute, of each master. */
  readonly slowest: ReadonlyMap<string, number>
  /** That the activation took longer than the monitor interval leaves for it; null: it did not, or this is no active. */
  readonly slowActivation: string | null
  readonly queued: number
  /** Null: not known. */
  readonly liveWorkers: number | null
}

/** Histories and logs of several hosts can't be read side by side beyond this. */
const CLOCKS_APART_MS = 1000
const MANY_QUEUED = 10

const RANK = { critical: 0, warning: 1, info: 2 } as const

export function alertsOf(facts: AlertFacts): Alert[] {
  const all = [
    ...facts.splitBrain.map((text): Alert => ({ kind: 'split-brain', level: 'critical', text })),
    ...facts.foreign.map((text): Alert => ({ kind: 'other-cluster', level: 'critical', text })),
    ...facts.directories.map(
      ({ level, text }): Alert => ({
        kind: level === 'critical' ? 'other-directory' : 'directory-unproven',
        level,
        text,
      }),
    ),
    ...(facts.network === null
      ? []
      : [{ kind: 'network', level: 'critical', text: facts.network } as const]),
    ...ofTheElection(facts),
    ...ofTheActive(facts),
    ...ofBackups(facts),
    ...facts.workers.flatMap(ofWorker),
    ...facts.astray.map((text): Alert => ({ kind: 'worker-storage', level: 'warning', text })),
    ...facts.storageDangers.map((text): Alert => ({ kind: 'storage', level: 'critical', text })),
    ...facts.storageWarnings.map((text): Alert => ({ kind: 'storage', level: 'warning', text })),
    ...spaceAlerts(facts.space, { takeOvers: facts.timing !== null }),
    ...ofLatency(facts),
    ...(facts.slowActivation === null
      ? []
      : [{ kind: 'activation-slow', level: 'warning', text: facts.slowActivation } as const]),
    ...facts.masters.flatMap(ofOneMaster),
    ...ofQueries(facts),
  ]
  return all.sort((a, b) => RANK[a.level] - RANK[b.level])
}

function ofWorker({
  address,
  host,
  trouble,
  spill,
  unlisted,
}: AlertFacts['workers'][number]): Alert[] {
  const found: Alert[] = []
  if (unlisted === true) {
    const text = unlistedText({ address, host })
    found.push({ kind: 'worker-unlisted', level: 'warning', text })
  }
  for (const text of troubleOf({ address, host, trouble })) {
    found.push({ kind: 'worker-storage', level: 'warning', text })
  }
  if (spill != null) {
    const text = `worker ${address} on ${host}: ${spill}`
    found.push({ kind: 'worker-spill', level: 'warning', text })
  }
  return found
}

/** Why it gets no queries, if it gets none. */
export const troubleOf = ({
  address,
  host,
  trouble,
}: Pick<WorkerRow, 'address' | 'host' | 'trouble'>): string[] =>
  trouble == null ? [] : [`worker ${address} on ${host} gets no queries: ${trouble}`]

function ofTheElection(facts: AlertFacts): Alert[] {
  const { masters, missing, active, problem, storage, timing, directories } = facts
  const found: Alert[] = []
  if (problem !== null) {
    const kind = storage === 'ok' ? 'no-active' : 'storage'
    const level = active === null || storage !== 'ok' ? 'critical' : 'warning'
    found.push({ kind, level, text: problem })
  }
  // Each master has its own reason, and only some of them can be mended from here.
  for (const row of active === null ? masters : []) {
    if (row.self || row.problem === null || row.problem === problem) continue
    const text = `${row.address} says: ${row.problem}`
    found.push({ kind: 'no-active', level: 'critical', text })
  }
  if (timing === null) {
    const text = 'high availability is off (tajo.master.ha.enable): nobody takes over'
    found.push({ kind: 'one-master', level: 'warning', text })
    return found
  }
  // One that works on another directory runs: sbin/start-tajo.sh is no cure.
  const astray = directories.flatMap(({ level, address }) =>
    level === 'critical' ? [address] : [],
  )
  for (const address of missing.filter((one) => !astray.includes(one))) {
    const text = `${address} is in conf/masters and takes no part: it was not started, has ended, or is out of reach. sbin/start-tajo.sh starts what is missing`
    found.push({ kind: 'master-missing', level: 'warning', text })
  }
  if (masters.length === 1) {
    const what =
      missing.length > 0 ? '' : ': add a line to conf/masters and start it, and it can fail'
    found.push({ kind: 'one-master', level: 'warning', text: `this is the only master${what}` })
  }
  return found
}

/** They go by its own word, on every master's page. */
function ofTheActive({ masters, active, problem }: AlertFacts): Alert[] {
  const said = masters.find(({ address }) => address === active)?.problem ?? null
  if (said === null || said === problem) return []
  return [{ kind: 'active-hindered', level: 'critical', text: `${active} is active: ${said}` }]
}

/** Tells of those that can't use the shared directory, by their own word: nobody else knows why. */
function ofBackups({ masters, active, timing }: AlertFacts): Alert[] {
  if (active === null || timing === null) return []
  return masters.flatMap(({ address, hostname, self, problem, heartbeatAgeMs }): Alert[] => {
    const isStill = heartbeatAgeMs !== null && heartbeatAgeMs > timing.patienceMs
    if (self || address === active || problem === null || !isStill) return []
    const text = `${address} on ${hostname} can't take over: ${problem}`
    return [{ kind: 'backup-hindered', level: 'warning', text }]
  })
}

function ofLatency({ slowest, timing }: AlertFacts): Alert[] {
  if (timing === null) return []
  const limitMs = timing.renewMs / LATENCIES_PER_RENEWAL
  return [...slowest].flatMap(([address, ms]): Alert[] => {
    if (ms <= limitMs) return []
    const text = `a renewal by ${address} took ${ms.toFixed(0)} ms in the last minute, above ${limitMs.toFixed(0)} ms, a quarter of the renewal period: the storage is slow for this monitor interval`
    return [{ kind: 'storage-slow', level: 'warning', text }]
  })
}

function ofOneMaster({ address, self, connected, clockOffsetMs }: MasterRow): Alert[] {
  const found: Alert[] = []
  if (!self && !connected) {
    const text = `no connection to ${address}: its death is noticed by the shared directory only, which takes longer`
    found.push({ kind: 'not-connected', level: 'warning', text })
  }
  if (clockOffsetMs !== null && Math.abs(clockOffsetMs) > CLOCKS_APART_MS) {
    const seconds = (Math.abs(clockOffsetMs) / 1000).toFixed(1)
    const which = clockOffsetMs > 0 ? 'ahead of' : 'behind'
    const text = `the clock of ${address} is ${seconds} s ${which} this host's: no lease rests on it, but times in histories and logs do`
    found.push({ kind: 'clocks-apart', level: 'warning', text })
  }
  return found
}

function ofQueries({ queued, liveWorkers, workers, active }: AlertFacts): Alert[] {
  if (queued === 0 || active === null) return []
  const many = queued === 1 ? '1 query waits' : `${queued} queries wait`
  if (liveWorkers === 0) {
    const text =
      workers.length === 0
        ? `${many} and no worker is registered: start one`
        : `${many} and none of the registered workers (${workers.length}) takes any`
    return [{ kind: 'queries-queued', level: 'warning', text }]
  }
  const level = queued >= MANY_QUEUED ? 'warning' : 'info'
  return [{ kind: 'queries-queued', level, text: `${many} for a free worker` }]
}
