/**
 * For sbin/start-tajo.sh and sbin/stop-tajo.sh: which master of conf/masters is active?
 *
 *     cluster-active.js wait    asks all of them until one is, at most TAJO_START_TIMEOUT seconds, and tells people
 *     cluster-active.js name    asks each once and prints the active one's line of conf/masters, or nothing
 *
 * Exit code 1 when none is active.
 */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatHostPort, type HostPort, splitHostPort } from '../conf/address.ts'
import type { Addresses } from '../conf/master-addresses.ts'
import { type PlannedMaster, planCluster } from './cluster-plan.ts'
import { describeError } from './exit.ts'
import { exchange, NoAnswer } from './http.ts'
import { plain } from './print.ts'

/** A master that does not answer a health check within this is not serving anybody. */
const ANSWER_MS = 2000
const PAUSE_MS = 100
const DEFAULT_WAIT_S = 60

/** Where an active master answers. */
interface Active {
  readonly umbilical: string
  readonly clientRpc: string
  readonly info: HostPort
}

/** Whether the master at that place says that it is active. */
function isActive(info: HostPort): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get({ ...info, path: '/health/active', agent: false }, (response) => {
      resolve(response.statusCode === 200)
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

async function findListed(masters: readonly PlannedMaster[]): Promise<PlannedMaster | null> {
  const answers = await Promise.all(masters.map(({ info }) => isActive(info)))
  return masters[answers.indexOf(true)] ?? null
}

/** What a master tells of the cluster, or why it can't be asked. */
async function ask({ name, info }: PlannedMaster): Promise<ClusterAnswer | string> {
  try {
    const options = { method: 'GET', deadlineMs: ANSWER_MS } as const
    const { status, body } = await exchange(info, '/api/v1/cluster', options)
    if (status !== 200) return `${name} answers with status ${status}`
    const told = body as ClusterAnswer
    return told.problem === null ? told : { ...told, problem: `${name} says: ${told.problem}` }
  } catch (error) {
    if (error instanceof NoAnswer) return `${name} does not answer: ${error.message}`
    throw error
  }
}

/** What is used of /api/v1/cluster. */
interface ClusterAnswer {
  readonly active: string | null
  readonly problem: string | null
  readonly masters: readonly { readonly address: string; readonly addresses: Addresses }[]
}

/** The active master according to the others: it may be one that this conf/masters does not list. */
async function findTold(answers: readonly (ClusterAnswer | string)[]): Promise<Active | null> {
  for (const answer of answers) {
    if (typeof answer === 'string' || answer.active === null) continue
    const told = answer.masters.find(({ address }) => address === answer.active)?.addresses
    const info = told === undefined ? null : splitHostPort(told.infoHttp)
    if (told === undefined || info === null || typeof info === 'string' || info.port === null)
      continue
    const place = { host: info.host, port: info.port }
    if (await isActive(place)) return { ...told, info: place }
  }
  return null
}

function tell({ umbilical, clientRpc, info }: Active): number {
  process.stdout.write(
    `Active master:  ${plain(umbilical)}\n` +
      `Web page:       http://${plain(formatHostPort(info))}/\n` +
      `Client address: ${plain(clientRpc)}\n`,
  )
  return 0
}

async function waitForActive(masters: readonly PlannedMaster[]): Promise<number> {
  const seconds = Number(process.env.TAJO_START_TIMEOUT ?? DEFAULT_WAIT_S)
  const end = performance.now() + seconds * 1000
  for (;;) {
    const listed = await findListed(masters)
    if (listed !== null) return tell({ ...listed.addresses, info: listed.info })
    const answers = await Promise.all(masters.map(ask))
    const told = await findTold(answers)
    if (told !== null) return tell(told)
    if (performance.now() >= end) {
      const reasons = answers.flatMap((one) =>
        typeof one === 'string' ? one : (one.problem ?? []),
      )
      const why = plain(reasons.join('; ')) || 'none says why'
      process.stderr.write(`no master is active after ${seconds} s: ${why}\n`)
      return 1
    }
    await sleep(PAUSE_MS)
  }
}

async function printName(masters: readonly PlannedMaster[]): Promise<number> {
  const active = await findListed(masters)
  if (active !== null) process.stdout.write(`${active.name}\n`)
  return active === null ? 1 : 0
}

try {
  const { masters } = await planCluster(process.env.TAJO_CONF_DIR ?? 'conf', process.env)
  const wait = process.argv[2] === 'wait'
  process.exitCode = await (wait ? waitForActive(masters) : printName(masters))
} catch (thrown) {
  process.stderr.write(`${describeError(thrown).message}\n`)
  process.exitCode = 1
}
