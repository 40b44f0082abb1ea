/**
 * `haadmin -status` and `-history`: the cluster as it is and as it came to be. Both work when every master is down.
 *
 * What `haadmin -status` says: one row a master, and why none is active where none is. Pure.
 */
import type { DirectoryNote, HistoryEntry } from '../../ha/index.ts'
import { sameAddress } from '../address.ts'
import type { CommandContext } from '../arguments.ts'
import { loadCluster } from '../cluster.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { duration, json, plain, table } from '../print.ts'
import { allAnswer, lookAround } from '../sight/look-around.ts'
import {
  activeAddress,
  begunTerm,
  type Foreign,
  foreignMasters,
  foreignWords,
  isRefused,
  type KnownMaster,
  type MasterAnswer,
  newestTerm,
  problemOf,
  type Sight,
} from '../sight/sight.ts'
import { historyTable, transitionsTable } from './state.ts'

interface MasterRow {
  readonly address: string
  /** Its own word; else the directory's where its heartbeat moves; else `foreign`, `stopped`, `silent` or `unknown`. */
  readonly state: string
  readonly epoch: number | null
  readonly heartbeatAgeMs: number | null
  readonly priority: number | null
  readonly version: string | null
  readonly hostname: string | null
  readonly answers: boolean
  /** Its own cluster, where that is another one: nothing else that it says is shown. */
  readonly foreign: Foreign | null
  /** What is not as it should be with this master; null when all is well. */
  readonly note: string | null
}

interface StatusReport {
  readonly clusterId: string | null
  readonly directory: string
  readonly directoryError: string | null
  readonly epoch: number
  readonly active: string | null
  readonly problem: string | null
  readonly masters: readonly MasterRow[]
  /** What masters say of each other's directories, where these are not one, or not known to be. */
  readonly directories: readonly DirectoryWord[]
  /** What else each of them says that somebody should look at: of its storage, of the active's workers. */
  readonly warnings: readonly Word[]
  readonly transitions: readonly HistoryEntry[]
}

interface DirectoryWord extends DirectoryNote {
  /** Umbilical address of the master that says it. */
  readonly by: string
}

type Word = Pick<DirectoryWord, 'by' | 'level' | 'text'>

export function statusReport(sight: Sight, transitions: readonly HistoryEntry[]): StatusReport {
  return {
    clusterId: sight.clusterId,
    directory: sight.directory,
    directoryError: sight.directoryError,
    epoch: newestTerm(sight),
    active: activeAddress(sight),
    problem: problemOf(sight),
    masters: sight.masters.map((master) => rowOf(sight, master)),
    directories: sight.masters.flatMap(({ address: by, asked }) =>
      asked.answered ? asked.answer.directories.map((note) => ({ by, ...note })) : [],
    ),
    warnings: sight.masters.flatMap(({ address: by, asked, foreign }) =>
      asked.answered && foreign === null ? wordsOf(by, asked.answer) : [],
    ),
    transitions,
  }
}

const wordsOf = (
  by: string,
  { warnings, critical }: Pick<MasterAnswer, 'warnings' | 'critical'>,
): Word[] =>
  warnings.map((text) => ({ by, level: critical.includes(text) ? 'critical' : 'warning', text }))

function rowOf(sight: Sight, master: KnownMaster): MasterRow {
  const { asked, inspected, address } = master
  const answer = asked.answered ? asked.answer : null
  return {
    address,
    state: answer?.state ?? (master.foreign === null ? silentState(sight, master) : 'foreign'),
    epoch: answer?.epoch ?? inspected?.epoch ?? null,
    heartbeatAgeMs: heartbeatAge(sight, master),
    priority: answer?.priority ?? inspected?.priority ?? null,
    version: answer?.version ?? inspected?.version ?? null,
    hostname: answer?.hostname ?? inspected?.hostname ?? null,
    answers: asked.answered,
    foreign: master.foreign,
    note: noteOf(sight, master),
  }
}

/** The state of a master that doesn't answer, from the directory alone. */
function silentState(sight: Sight, { asked, inspected }: KnownMaster): string {
  if (sight.picture === null) return 'unknown'
  if (inspected === null) return isRefused(asked) ? 'not started' : 'unknown'
  if (inspected.pulse === 'live') return inspected.state
  return inspected.pulse === 'released' ? 'stopped' : 'silent'
}

/**
 * The age that this command saw itself, else the one that a master tells of its neighbour. A master that nobody has
 * looked at yet, and that says itself how it is, is heard from now.
 */
function heartbeatAge(sight: Sight, { address, asked, inspected }: KnownMaster): number | null {
  if (inspected?.pulse === 'live' && inspected.heartbeatAgeMs !== null) {
    return inspected.heartbeatAgeMs
  }
  const ages = sight.masters.flatMap(({ asked }) => {
    const all = asked.answered ? Object.entries(asked.answer.heartbeatAgesMs) : []
    return all.filter(([name]) => sameAddress(name, address)).map(([, ms]) => ms)
  })
  if (ages.length > 0) return Math.min(...ages)
  const state = asked.answered ? asked.answer.state : null
  return state === 'active' || state === 'backup' ? 0 : (inspected?.heartbeatAgeMs ?? null)
}

function noteOf(
  sight: Sight,
  { asked, foreign, inspected, configured }: KnownMaster,
): string | null {
  const notes: string[] = []
  if (foreign !== null) notes.push(foreignWords(foreign))
  else if (!asked.answered) {
    notes.push(`does not answer: ${asked.why}`)
    if (inspected?.pulse === 'live') notes.push('but its heartbeat moves')
    if (inspected?.pulse === 'released') notes.push('said goodbye')
  } else if (asked.answer.problem !== null) {
    notes.push(asked.answer.problem)
  } else if (asked.answer.state === 'active' && asked.answer.epoch < begunTerm(sight)) {
    notes.push('not the newest epoch: it is not the active master')
  }
  if (!configured) notes.push('not in conf/masters')
  return notes.length > 0 ? notes.join(', ') : null
}

export function statusText(report: StatusReport): string {
  const rows = report.masters.map((row) => [
    row.address,
    row.state,
    row.epoch === null ? '-' : String(row.epoch),
    row.heartbeatAgeMs === null ? '-' : duration(row.heartbeatAgeMs),
    row.priority === null ? '-' : String(row.priority),
    row.version ?? '-',
    row.note ?? '',
  ])
  const columns = [
    { title: 'MASTER' },
    { title: 'STATE' },
    { title: 'EPOCH', align: 'right' as const },
    { title: 'HEARTBEAT', align: 'right' as const },
    { title: 'PRIORITY', align: 'right' as const },
    { title: 'VERSION' },
    { title: '' },
  ]
  const parts = [
    plain(
      `Cluster ${report.clusterId ?? '(none yet)'} in ${report.directory}, epoch ${report.epoch}`,
    ),
    table(columns, rows),
  ]
  if (report.directoryError !== null) parts.push(plain(`Directory: ${report.directoryError}`))
  if (report.problem !== null) parts.push(plain(`No master is active: ${report.problem}`))
  for (const { by, level, text } of [...report.directories, ...report.warnings]) {
    parts.push(plain(`${level === 'critical' ? 'CRITICAL' : 'Warning'}, ${by} says: ${text}`))
  }
  if (report.transitions.length > 0) {
    parts.push(`Last transitions:\n${transitionsTable(report.transitions)}`)
  }
  return parts.join('\n\n')
}

const TRANSITIONS_SHOWN = 5
const HISTORY_DEADLINE_MS = 8000

export async function status(context: CommandContext): Promise<number> {
  const cluster = await loadCluster(context)
  const directory = cluster.haDirectory
  const [sight, transitions] = await Promise.all([
    lookAround(cluster, allAnswer),
    askDirectory(
      { op: 'history', directory, limit: TRANSITIONS_SHOWN },
      HISTORY_DEADLINE_MS,
      // lookAround tells of the same directory why it can't be read.
    ).catch(() => []),
  ])
  const report = statusReport(sight, transitions)
  context.output.out(context.json ? json(report) : statusText(report))
  if (sight.picture === null && report.masters.every((master) => !master.answers)) {
    throw failure(`no master answers, and the directory can't be read: ${sight.directoryError}`)
  }
  const foreign = foreignMasters(sight)
  if (foreign.length > 0) throw failure(foreign.join('; '))
  return EXIT.done
}

export async function history(context: CommandContext, limit: number): Promise<number> {
  const { haDirectory: directory } = await loadCluster(context)
  const deadlineMs = HISTORY_DEADLINE_MS + limit * MS_PER_TERM
  const entries = await askDirectory({ op: 'history', directory, limit }, deadlineMs)
  if (context.json) context.output.out(json({ directory, terms: entries }))
  else if (entries.length > 0) context.output.out(historyTable(entries))
  else context.output.out(`no master has ever been active in ${directory}`)
  return EXIT.done
}

/** Two small files a term, on a file server that is slow. */
const MS_PER_TERM = 40
