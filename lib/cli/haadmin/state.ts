/**
 * `haadmin -getState ADDR`: active or backup?
 *
 * The master's own answer decides. Where it gives none, the shared directory does, if it shows a heartbeat that moves;
 * otherwise the state can't be told, and this says so instead of guessing.
 *
 * The history of terms as rows for people: who, from whom, why, by whom, how long each phase took. Pure.
 */
import type { HistoryEntry } from '../../ha/index.ts'
import { whyOf } from '../../web/term-words.ts'
import { type Address, formatAddress, thisHost } from '../address.ts'
import type { CommandContext } from '../arguments.ts'
import { type Cluster, loadCluster } from '../cluster.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { type Column, duration, json, table } from '../print.ts'
import { allAnswer, askMaster, askMs, lookAround } from '../sight/look-around.ts'
import {
  type Asked,
  foreignIn,
  foreignWords,
  isRefused,
  type KnownMaster,
  type MasterAnswer,
  type Sight,
} from '../sight/sight.ts'
import { findMaster, unknownMaster } from './known-master.ts'

/** Who asked for it, where somebody did; `-` for what happened by itself. */
export function byWhom(entry: HistoryEntry): string {
  const end = entry.served?.previousEnd ?? null
  if (entry.afterFormat) return entry.term.orderedBy ?? '-'
  if (end !== null && (end.reason === 'handed-over' || end.reason === 'stopped')) return end.by
  return entry.term.orderedBy ?? '-'
}

const PHASES = ['noticed', 'decided', 'claimed', 'ended', 'settled', 'opened'] as const

function phaseCells(entry: HistoryEntry): string[] {
  const phases = entry.served?.phases
  const cells = PHASES.map((name) => phases?.[`${name}Ms`])
  return [...cells, phases?.totalMs].map((ms) => (typeof ms === 'number' ? duration(ms) : '-'))
}

const WHO: readonly Column[] = [
  { title: 'EPOCH', align: 'right' },
  { title: 'AT' },
  { title: 'MASTER' },
  { title: 'FROM' },
  { title: 'WHY' },
  { title: 'BY' },
]

const whoCells = (entry: HistoryEntry): string[] => [
  String(entry.term.term),
  entry.term.at || '-',
  entry.term.address,
  entry.afterFormat ? '-' : (entry.term.previousAddress ?? '-'),
  entry.served === null && entry.term.reason !== 'format'
    ? `${whyOf(entry)} (not known to have served)`
    : whyOf(entry),
  byWhom(entry),
]

/** It has one row a term with every phase. */
export function historyTable(entries: readonly HistoryEntry[]): string {
  const titles = [...PHASES, 'total'].map((title) => title.toUpperCase())
  const columns = [...WHO, ...titles.map((title): Column => ({ title, align: 'right' }))]
  return table(
    columns,
    entries.map((entry) => [...whoCells(entry), ...phaseCells(entry)]),
  )
}

/** This is the short form for `-status`. */
export function transitionsTable(entries: readonly HistoryEntry[]): string {
  return table(
    [...WHO, { title: 'TOOK', align: 'right' }],
    entries.map((entry) => [...whoCells(entry), phaseCells(entry).at(-1) ?? '-']),
  )
}

/** For one small file. */
const DIRECTORY_MS = 2000

export async function getState(context: CommandContext, wanted: Address): Promise<number> {
  const cluster = await loadCluster(context)
  const listed = await findMaster(wanted, cluster.masters, thisHost())
  const [asked, clusterId] = await Promise.all([
    askMaster(wanted, askMs(cluster)),
    readClusterId(cluster),
  ])
  requireOurs(formatAddress(wanted), asked, clusterId)
  // What conf/masters lists and what answers needs no look at the directory's terms: this is the answer of every day.
  if (listed !== null && asked.answered) return tellAnswer(context, listed, asked.answer)
  const sight = await lookAround(cluster, (seen) => asked.answered || allAnswer(seen))
  const known = sight.masters.map((master) => master.address)
  const address = await findMaster(wanted, known, thisHost())
  const master = sight.masters.find((one) => one.address === address)
  if (master === undefined) {
    if (sight.picture === null && asked.answered) {
      return tellAnswer(context, formatAddress(wanted), asked.answer)
    }
    throw sight.picture === null ? cantLook(wanted, sight) : notKnown(wanted, known, cluster)
  }
  return master.asked.answered
    ? tellAnswer(context, master.address, master.asked.answer)
    : judge(context, master, sight)
}

/** Null: the directory can't be read in time, or holds no cluster. */
const readClusterId = (cluster: Cluster): Promise<string | null> =>
  askDirectory(
    { op: 'cluster', directory: cluster.haDirectory },
    DIRECTORY_MS,
    // The master's own word counts then.
  ).catch(() => null)

function requireOurs(address: string, asked: Asked, clusterId: string | null): void {
  const foreign = foreignIn(asked, clusterId)
  if (foreign === null || (clusterId === null && foreign.clusterId !== null)) return
  const whose = clusterId === null ? 'this cluster' : `cluster ${clusterId}`
  throw failure(`${address} ${foreignWords(foreign)}; it is no master of ${whose}`)
}

const notKnown = (wanted: Address, known: readonly string[], cluster: Cluster): Error =>
  unknownMaster(wanted, known, `${cluster.confDir}/masters and ${cluster.haDirectory}`)

const cantLook = (wanted: Address, sight: Sight): Error =>
  failure(
    `${formatAddress(wanted)} is not in conf/masters, does not answer, and the shared directory can't be asked: ${sight.directoryError}`,
  )

/** The two states that this command knows; what is more exact goes into `detail`. */
function tellAnswer(context: CommandContext, address: string, answer: MasterAnswer): number {
  const state = answer.state === 'active' ? 'active' : 'backup'
  const detail = answer.state === state ? null : answer.state
  if (context.json) {
    const { epoch, clusterId } = answer
    context.output.out(json({ address, state, epoch, detail, clusterId, source: 'master' }))
  } else {
    context.output.out(`The master is ${state}.`)
    if (detail !== null) context.output.err(`${address} is ${detail} just now`)
  }
  return EXIT.done
}

/** Without the master's own word only a heartbeat that was seen to move tells something. */
function judge(context: CommandContext, master: KnownMaster, sight: Sight): number {
  const { address, asked, inspected } = master
  const silent = `${address} does not answer (${asked.answered ? '' : asked.why})`
  if (sight.picture === null) {
    throw failure(
      `${silent}, and the shared directory can't be asked: ${sight.directoryError}; its state can't be told`,
    )
  }
  if (inspected === null) {
    const trace = `${silent}, and it has left no trace in ${sight.directory}`
    throw failure(
      isRefused(asked)
        ? `${trace}: it is not running`
        : `${trace}: it may be frozen or cut off; its state can't be told`,
    )
  }
  if (inspected.pulse === 'live') {
    const { state } = inspected
    context.output.err(`${silent}; judged from its heartbeat in ${sight.directory}, which moves`)
    const epoch = inspected.epoch ?? sight.picture.epoch
    const document = { address, state, epoch, detail: null, clusterId: sight.picture.clusterId }
    context.output.out(
      context.json ? json({ ...document, source: 'directory' }) : `The master is ${state}.`,
    )
    return EXIT.done
  }
  const said =
    inspected.pulse === 'released'
      ? `it ended term ${inspected.epoch} in good order`
      : `its heartbeat in ${sight.directory} does not move: it is dead, frozen or cut off`
  throw failure(`${silent}, and ${said}; its state can't be told`)
}
