/**
 * For sbin/start-tajo.sh and sbin/stop-tajo.sh: which master of conf/masters is active, and do the workers know it?
 *
 *     cluster-active.js wait WORKERS    asks all of them until one is active and that many workers have registered with
 *                                       it, at most TAJO_START_TIMEOUT seconds, and tells people
 *     cluster-active.js name            asks each once and prints the active one's line of conf/masters, or nothing
 *
 * Only masters of the cluster in this host's `tajo.rootdir` count; where that says nothing yet, or can't be read, those of
 * the one cluster that the masters tell of. One of another cluster is named on stderr: its `tajo.rootdir` differs.
 *
 * Exit code 1 when none is active, when workers are missing, or when a listed master belongs to another cluster.
 */
import { get } from 'node:http'
import { join } from 'node:path'
import { pause, waitingClock } from '../../base/time.ts'
import type { Addresses, HostPort } from '../../conf/index.ts'
import { formatHostPort, splitHostPort } from '../../conf/index.ts'
import { clusterNamed, NAMES_NONE } from '../../rpc/index.ts'
import { parseAddress } from '../address.ts'
import { askDirectory } from '../daemon/directory.ts'
import { plain, standardOutput } from '../print.ts'
import { runProgram } from '../program.ts'
import { exchange, NoAnswer } from '../sight/http.ts'
import { askMaster } from '../sight/look-around.ts'
import { foreignMasters, type Sight, sightOf } from '../sight/sight.ts'
import { type Plan, type PlannedMaster, planCluster } from './cluster-plan.ts'
import { waitForWorkers } from './cluster-workers.ts'

/** A master that does not answer a health check within this is not serving anybody. */
const ANSWER_MS = 2000
const PAUSE_MS = 100
const DEFAULT_WAIT_S = 60
/** For one small file of a directory whose mount may hang. */
const DIRECTORY_MS = 3000

/** Where an active master answers. */
interface Active {
  readonly umbilical: string
  readonly clientRpc: string
  readonly info: HostPort
}

/** Whether the master at that place says that it is active, and of that cluster (null: of any). One of an older state is none. */
function isActive(info: HostPort, clusterId: string | null): Promise<boolean> {
  const path = `/health/active${clusterId === null ? '' : `?cluster=${clusterId}`}`
  return new Promise((resolve) => {
    const call = get({ ...info, path, agent: false }, (response) => {
      const named = clusterNamed(response.headers) ?? null
      const isOurs = named !== null && (clusterId === null || named === clusterId)
      resolve(response.statusCode === 200 && isOurs)
      response.destroy()
    })
    call.on('error', () => resolve(false))
    // Over the whole of it: a frozen master still accepts connections.
    const timer = setTimeout(() => call.destroy(), ANSWER_MS)
    call.on('close', () => {
      clearTimeout(timer)
      resolve(false)
    })
  })
}

async function findListed(
  masters: readonly PlannedMaster[],
  clusterId: string | null,
): Promise<PlannedMaster | null> {
  const answers = await Promise.all(masters.map(({ info }) => isActive(info, clusterId)))
  return masters[answers.indexOf(true)] ?? null
}

/** What a master tells of the cluster, or why it can't be asked. */
async function ask({ name, info }: PlannedMaster): Promise<ClusterAnswer | string> {
  try {
    const options = { method: 'GET', deadlineMs: ANSWER_MS } as const
    const { status, headers, body } = await exchange(info, '/api/v1/cluster', options)
    if (status !== 200) return `${name} answers with status ${status}`
    if (clusterNamed(headers) === undefined) return `${name} ${NAMES_NONE}`
    const told = body as ClusterAnswer
    return told.problem === null ? told : { ...told, problem: `${name} says: ${told.problem}` }
  } catch (error) {
    if (error instanceof NoAnswer) return `${name} does not answer: ${error.message}`
    throw error
  }
}

/** What is used of /api/v1/cluster. */
interface ClusterAnswer {
  readonly clusterId: string | null
  readonly active: string | null
  readonly problem: string | null
  readonly masters: readonly { readonly address: string; readonly addresses: Addresses }[]
}

/** The active master according to the others: it may be one that this conf/masters does not list. */
async function findTold(
  answers: readonly (ClusterAnswer | string)[],
  clusterId: string | null,
): Promise<Active | null> {
  for (const answer of answers) {
    if (typeof answer === 'string' || answer.active === null) continue
    if (clusterId !== null && answer.clusterId !== clusterId) continue
    const told = answer.masters.find(({ address }) => address === answer.active)?.addresses
    const info = told === undefined ? null : splitHostPort(told.infoHttp)
    if (told === undefined || info === null || typeof info === 'string' || info.port === null)
      continue
    const place = { host: info.host, port: info.port }
    if (await isActive(place, clusterId)) return { ...told, info: place }
  }
  return null
}

/** Tells who is active at once, and waits on for the workers. */
async function greet({ umbilical, clientRpc, info }: Active, goal: Goal): Promise<number> {
  const { out, err } = standardOutput
  out(
    `Active master:  ${plain(umbilical)}\n` +
      `Web page:       http://${plain(formatHostPort(info))}/\n` +
      `Client address: ${plain(clientRpc)}`,
  )
  const found = await waitForWorkers(info, goal.workers, goal.endMs)
  if (found !== null) out(`Workers:        ${found}`)
  out(`SQL shell:      ${shellCommand(process.env)}`)
  if (found === null || found >= goal.workers) return 0
  err(
    `${found} of ${goal.workers} started workers registered with ${plain(umbilical)} within ${goal.seconds} s: see their logs`,
  )
  return 1
}

/** What to type for it; a configuration directory other than the install's must be named. */
function shellCommand({ TAJO_HOME = '.', TAJO_CONF_DIR = '' }: NodeJS.ProcessEnv): string {
  const command = quoteWord(join(TAJO_HOME, 'bin/tsql'))
  const usual = ['', join(TAJO_HOME, 'conf')].includes(TAJO_CONF_DIR)
  return usual ? command : `${command} --config ${quoteWord(TAJO_CONF_DIR)}`
}

const quoteWord = (word: string): string =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${plain(word).replaceAll("'", "'\\''")}'`

/** What the start waits for, and how long. */
interface Goal {
  readonly workers: number
  readonly seconds: number
  /** Of `performance.now()`. */
  readonly endMs: number
}

/** Its id in the directory; null where none is there yet, or it can't be read in time. */
const readClusterId = (directory: string): Promise<string | null> =>
  // Whatever keeps it from being read is for the masters to tell: they need it to start.
  askDirectory({ op: 'cluster', directory }, DIRECTORY_MS).catch(() => null)

/** Which cluster each listed master belongs to, as far as they answer. */
async function whoIsWho({ masters, haDirectory }: Plan): Promise<Sight> {
  const known = masters.map(({ addresses }) => addresses.umbilical)
  const asked = await Promise.all(
    known.map(async (address) => {
      const answer = await askMaster(parseAddress(address, 'master'), ANSWER_MS)
      return [address, answer] as const
    }),
  )
  return sightOf({
    directory: haDirectory,
    clusterId: await readClusterId(haDirectory),
    configured: known,
    asked: new Map(asked),
    picture: null,
    directoryError: null,
  })
}

/** Returns the exit code. */
async function waitForActive(plan: Plan, goal: Goal): Promise<number> {
  const { masters, haDirectory } = plan
  let clusterId: string | null = null
  for (;;) {
    clusterId ??= await readClusterId(haDirectory)
    if (clusterId === null) {
      const sight = await whoIsWho(plan)
      clusterId = sight.clusterId
      const foreign = foreignMasters(sight)
      if (foreign.length > 0) {
        standardOutput.err(
          `the masters of conf/masters belong to several clusters, and ${haDirectory} does not tell which is meant: ${plain(foreign.join('; '))}`,
        )
        return 1
      }
    }
    const listed = await findListed(masters, clusterId)
    const found = listed === null ? null : { ...listed.addresses, info: listed.info }
    const answers = found === null ? await Promise.all(masters.map(ask)) : []
    const active = found ?? (await findTold(answers, clusterId))
    if (active !== null) {
      const code = await greet(active, goal)
      return (await nameForeign(plan)) ? 1 : code
    }
    if (performance.now() >= goal.endMs) {
      const reasons = answers.flatMap((one) =>
        typeof one === 'string' ? one : (one.problem ?? []),
      )
      const why = plain(reasons.join('; ')) || 'none says why'
      standardOutput.err(`no master is active after ${goal.seconds} s: ${why}`)
      await nameForeign(plan)
      return 1
    }
    await pause(waitingClock, PAUSE_MS)
  }
}

/** Names the masters of other clusters; false: there are none. */
async function nameForeign(plan: Plan): Promise<boolean> {
  const foreign = foreignMasters(await whoIsWho(plan))
  for (const sentence of foreign) standardOutput.err(plain(sentence))
  return foreign.length > 0
}

async function printName({ masters, haDirectory }: Plan): Promise<number> {
  const active = await findListed(masters, await readClusterId(haDirectory))
  if (active !== null) standardOutput.out(active.name)
  return active === null ? 1 : 0
}

async function main([what, workers]: readonly string[]): Promise<number> {
  const plan = await planCluster(process.env.TAJO_CONF_DIR ?? 'conf', process.env)
  const seconds = Number(process.env.TAJO_START_TIMEOUT ?? DEFAULT_WAIT_S)
  const endMs = performance.now() + seconds * 1000
  const goal = { workers: Number(workers ?? 0), seconds, endMs }
  return what === 'wait' ? waitForActive(plan, goal) : printName(plan)
}

await runProgram({ name: 'tajo', main })
