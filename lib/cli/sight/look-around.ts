/**
 * Fetches what `sight.ts` puts together: asks every known master for its state, and the shared directory for what it
 * shows, all at once and each with a deadline. A master that is silent or a directory that hangs costs its deadline,
 * never the answer of the others.
 *
 * A master's answer to the umbilical status request (`umbilical.status` in lib/contract), read by hand: the contract's
 * own parser costs more time to load than everything else that `haadmin -getState` does.
 *
 * Without address, state and term it is no master's answer. Everything else may be missing, so that this tool can ask
 * masters of other versions.
 */
import { WHY_UNREACHABLE } from '../../base/failures.ts'
import type { DirectoryPicture, MasterState } from '../../ha/index.ts'
import { clusterNamed, handshakeFault, NAMES_NONE, SPEAKS_PLAIN } from '../../rpc/index.ts'
import { type Address, isAddress, parseAddress } from '../address.ts'
import type { Cluster } from '../cluster.ts'
import { askDirectory } from '../daemon/directory.ts'
import { describeError } from '../exit.ts'
import { exchange, NoAnswer } from './http.ts'
import { type Asked, addressesOf, type MasterAnswer, type Sight, sightOf } from './sight.ts'

const STATES: Readonly<Record<MasterState, true>> = {
  starting: true,
  backup: true,
  activating: true,
  active: true,
  suspended: true,
  'stepping-down': true,
  stopped: true,
}
const isState = (value: unknown): value is MasterState =>
  typeof value === 'string' && Object.hasOwn(STATES, value)

/** Null for what is no master's answer. */
export function readAnswer(body: unknown): MasterAnswer | null {
  if (typeof body !== 'object' || body === null) return null
  const { address, state, serving, epoch, ...rest } = body as Record<string, unknown>
  if (typeof address !== 'string' || !isState(state)) return null
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch)) return null
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  return {
    address,
    // An active master whose lease has run out serves nobody: its keeper is about to tell it so.
    state: state === 'active' && serving === false ? 'suspended' : state,
    epoch,
    clusterId: text(rest.clusterId),
    rootDirectory: text(rest.rootDirectory),
    hostname: text(rest.hostname),
    version: text(rest.version),
    priority: typeof rest.priority === 'number' ? rest.priority : null,
    adminSocket: text(rest.adminSocket),
    problem: text(rest.problem),
    failure: failureOf(rest.failure),
    directories: notesOf(rest.directories),
    warnings: textsOf(rest.warnings),
    critical: textsOf(rest.critical),
    heartbeatAgesMs: agesOf(rest.heartbeatAgesMs),
  }
}

const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : []).filter((one) => typeof one === 'string')

function notesOf(value: unknown): MasterAnswer['directories'] {
  return (Array.isArray(value) ? value : []).flatMap((one: unknown) => {
    const { address, level, text } = (one ?? {}) as Record<string, unknown>
    if (typeof address !== 'string' || typeof text !== 'string') return []
    return [{ address, text, level: level === 'critical' ? 'critical' : 'warning' } as const]
  })
}

function failureOf(value: unknown): MasterAnswer['failure'] {
  const { term, text } = (value ?? {}) as { term?: unknown; text?: unknown }
  return typeof term === 'number' && typeof text === 'string' ? { term, text } : null
}

function agesOf(value: unknown): Record<string, number> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries(entries.filter(([, age]) => typeof age === 'number'))
}

/** What a directory may need beyond the watch itself: starting a process, and a file server that is slow. */
const DIRECTORY_EXTRA_MS = 6000

/** How long a master may take to answer: a healthy one needs a few ms, a stopped one never answers. */
export const askMs = (cluster: Cluster): number =>
  Math.min(2000, Math.max(500, cluster.timing.deadlineMs))

/** It is long enough to see a live heartbeat move at least twice: each moves by its own master's renewal period. */
export function watchMs(cluster: Cluster, picture: DirectoryPicture): number {
  const theirs = picture.masters.map(({ periods }) => periods?.renewMs ?? 0)
  return Math.ceil(Math.max(cluster.timing.renewMs, ...theirs) * 2.5)
}

/** Asks one master who it is and how it stands. Never rejects. */
export async function askMaster(at: Address, deadlineMs: number): Promise<Asked> {
  try {
    const path = '/rpc/umbilical/status'
    const options = { method: 'POST', body: {}, deadlineMs } as const
    const { status, headers, body } = await exchange({ ...at, isKeyed: true }, path, options)
    const answer = status === 200 ? readAnswer(body) : null
    const clusterId = clusterNamed(headers)
    if (clusterId === null) {
      return { answered: false, why: 'it has not joined its cluster yet', refused: false }
    }
    if (answer !== null) {
      return clusterId === undefined
        ? { answered: false, why: NAMES_NONE, refused: false, namesNone: true }
        : { answered: true, answer: { ...answer, clusterId } }
    }
    const why = `what listens there is no master (HTTP ${status})`
    return { answered: false, why, refused: false }
  } catch (error) {
    if (error instanceof NoAnswer) {
      if (handshakeFault(error.cause) === 'plain') {
        return { answered: false, why: SPEAKS_PLAIN, refused: false, namesNone: true }
      }
      return { answered: false, why: whyOf(error), refused: error.errno === 'ECONNREFUSED' }
    }
    throw error
  }
}

const whyOf = (error: NoAnswer): string => WHY_UNREACHABLE[error.errno] ?? error.message

/**
 * Everything that can be known within the deadlines. Never rejects for a silent master or a dead directory.
 *
 * The directory is read at once; only if what is known then is not `enough` is it also watched for a while, which tells
 * of a silent master whether its heartbeat moves. Without the watch no heartbeat has an age.
 */
export async function lookAround(
  cluster: Cluster,
  enough: (sight: Sight) => boolean,
): Promise<Sight> {
  const asked = new Map<string, Promise<Asked>>()
  const ask = (address: string): void => {
    if (!asked.has(address)) {
      asked.set(address, askMaster(parseAddress(address, 'master'), askMs(cluster)))
    }
  }
  const see = async (watchMs: number): Promise<Sight> => {
    for (const address of cluster.masters) ask(address)
    const { picture, directoryError } = await pictureOf(cluster, watchMs)
    for (const address of addressesOf(cluster.masters, picture)) ask(address)
    const answers = new Map<string, Asked>()
    for (const [address, answer] of asked) answers.set(address, await answer)
    const { haDirectory: directory, masters: configured } = cluster
    return sightOf({ directory, configured, asked: answers, picture, directoryError })
  }
  const atOnce = await see(0)
  // A directory that couldn't be read at once is not asked again: it has had its deadline.
  if (atOnce.picture === null || enough(atOnce)) return atOnce
  asked.clear()
  return see(watchMs(cluster, atOnce.picture))
}

/** Whether every master there is has answered, for whichever cluster: then nothing is to be judged from heartbeats. */
export const allAnswer = ({ masters }: Sight): boolean =>
  masters.every(({ asked, foreign }) => asked.answered || foreign !== null)

async function pictureOf(
  { haDirectory: directory }: Cluster,
  watchMs: number,
): Promise<{ picture: DirectoryPicture | null; directoryError: string | null }> {
  try {
    const request = { op: 'inspect' as const, directory, watchMs }
    const picture = await askDirectory(request, watchMs + DIRECTORY_EXTRA_MS)
    return { picture: tidied(picture, watchMs > 0), directoryError: null }
  } catch (error) {
    return { picture: null, directoryError: describeError(error).message }
  }
}

/** Without what is no master: the mark that formatHA leaves behind, a foreign file. */
function tidied(picture: DirectoryPicture, watched: boolean): DirectoryPicture {
  const masters = picture.masters.filter(({ address }) => isAddress(address))
  return watched
    ? { ...picture, masters }
    : { ...picture, masters: masters.map((master) => ({ ...master, heartbeatAgeMs: null })) }
}
