/**
 * For sbin/start-tajo.sh and sbin/stop-tajo.sh: which master of conf/masters is active?
 *
 *     cluster-active.js wait    asks all of them until one is, at most TAJO_START_TIMEOUT seconds, and tells people
 *     cluster-active.js name    asks each once and prints the active one's line of conf/masters, or nothing
 *
 * Exit code 1 when none is active.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { formatHostPort } from '../conf/address.ts'
import { type PlannedMaster, planCluster } from './cluster-plan.ts'
import { describeError } from './exit.ts'
import { type Answer, exchange, NoAnswer } from './http.ts'
import { plain } from './print.ts'

/** A master that does not answer a health check within this is not serving anybody. */
const ANSWER_MS = 2000
const PAUSE_MS = 100
const DEFAULT_WAIT_S = 60

/** One GET; a master that can't be asked is answered by the reason. */
async function ask({ info }: PlannedMaster, path: string): Promise<Answer | NoAnswer> {
  try {
    return await exchange(info, path, { method: 'GET', deadlineMs: ANSWER_MS })
  } catch (error) {
    if (error instanceof NoAnswer) return error
    throw error
  }
}

async function findActive(masters: readonly PlannedMaster[]): Promise<PlannedMaster | null> {
  const answers = await Promise.all(masters.map((master) => ask(master, '/health/active')))
  const index = answers.findIndex((answer) => 'status' in answer && answer.status === 200)
  return masters[index] ?? null
}

/** Why nobody is active: what a master says of it, else why the first one can't be asked. */
async function problemOf(masters: readonly PlannedMaster[]): Promise<string> {
  const answers = await Promise.all(masters.map((master) => ask(master, '/api/v1/cluster')))
  const told = answers.map((answer, index) => {
    const name = masters[index]?.name
    if (answer instanceof NoAnswer) return { asked: false, text: `${name}: ${answer.message}` }
    const problem = (answer.body as { problem?: unknown } | null)?.problem
    const text = typeof problem === 'string' ? `${name} says: ${plain(problem)}` : ''
    return { asked: true, text }
  })
  const best = told.find((one) => one.asked && one.text !== '') ?? told.find((one) => !one.asked)
  return best === undefined ? '' : `: ${best.text}`
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
      const why = await problemOf(masters)
      process.stderr.write(`no master is active after ${seconds} s${why}\n`)
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
