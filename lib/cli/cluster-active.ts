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
import { formatHostPort } from '../conf/address.ts'
import { type PlannedMaster, planCluster } from './cluster-plan.ts'
import { describeError } from './exit.ts'
import { exchange, NoAnswer } from './http.ts'
import { plain } from './print.ts'

/** A master that does not answer a health check within this is not serving anybody. */
const ANSWER_MS = 2000
const PAUSE_MS = 100
const DEFAULT_WAIT_S = 60

/** Whether it says so itself. */
function isActive({ info }: PlannedMaster): Promise<boolean> {
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

async function findActive(masters: readonly PlannedMaster[]): Promise<PlannedMaster | null> {
  const answers = await Promise.all(masters.map(isActive))
  return masters[answers.indexOf(true)] ?? null
}

/** What one master says of it, or why it can't be asked. */
async function problemOf({ name, info }: PlannedMaster): Promise<string | null> {
  try {
    const options = { method: 'GET', deadlineMs: ANSWER_MS } as const
    const { body } = await exchange(info, '/api/v1/cluster', options)
    const problem = (body as { problem?: unknown } | null)?.problem
    return typeof problem === 'string' ? `${name} says: ${plain(problem)}` : null
  } catch (error) {
    if (error instanceof NoAnswer) return `${name} does not answer: ${error.message}`
    throw error
  }
}

async function waitForActive(masters: readonly PlannedMaster[]): Promise<number> {
  const seconds = Number(process.env.TAJO_START_TIMEOUT ?? DEFAULT_WAIT_S)
  const end = performance.now() + seconds * 1000
  for (;;) {
    const active = await findActive(masters)
    if (active !== null) {
      process.stdout.write(
        `Active master:  ${active.addresses.umbilical}\n` +
          `Web page:       http://${formatHostPort(active.info)}/\n` +
          `Client address: ${active.addresses.clientRpc}\n`,
      )
      return 0
    }
    if (performance.now() >= end) {
      const told = await Promise.all(masters.map(problemOf))
      const reasons = told.filter((one) => one !== null).join('; ')
      process.stderr.write(
        `no master is active after ${seconds} s: ${reasons || 'none says why'}\n`,
      )
      return 1
    }
    await sleep(PAUSE_MS)
  }
}

async function printName(masters: readonly PlannedMaster[]): Promise<number> {
  const active = await findActive(masters)
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
