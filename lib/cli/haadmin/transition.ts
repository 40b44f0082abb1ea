/**
 * `haadmin -transitionToActive` and `-transitionToBackup`: moving the role.
 *
 * The order goes to the admin socket of one master: the active one for a planned hand-over, else the one that is to take
 * over. If that master lives on another host, this whole command runs there over ssh and its exit code comes back; if
 * the network to it is cut, the order goes through the shared directory. The command is done when the masters themselves
 * say so, within a bound.
 *
 * haadmin on another host: where a master lives, and running this same command there.
 */
import { dirname, join } from 'node:path'
import { pause, waitingClock } from '../../base/time.ts'
import {
  type Address,
  formatAddress,
  type HostFacts,
  parseAddress,
  sameAddress,
  sameMachine,
  thisHost,
} from '../address.ts'
import type { CommandContext } from '../arguments.ts'
import { type Cluster, loadCluster } from '../cluster.ts'
import { askDirectory } from '../daemon/directory.ts'
import { CliError, EXIT, failure, Refusal } from '../exit.ts'
import { json } from '../print.ts'
import { giveOrder, type Order, orderedBy } from '../sight/admin.ts'
import { askMaster, askMs, lookAround, watchMs } from '../sight/look-around.ts'
import {
  activeAddress,
  answeringActive,
  begunTerm,
  foreignWords,
  isRefused,
  type KnownMaster,
  type MasterAnswer,
  type Sight,
} from '../sight/sight.ts'
import { runOverSsh } from '../start/ssh.ts'
import type { HaadminCall } from './call.ts'
import { findMaster, unknownMaster } from './known-master.ts'

/** Tells the host to run the command on, or null for this one. */
async function whereToGo(master: KnownMaster, facts: HostFacts): Promise<string | null> {
  const { host } = parseAddress(master.address, 'master')
  const told = master.asked.answered ? master.asked.answer.hostname : null
  const hostname = told ?? master.inspected?.hostname ?? null
  if (await sameMachine(host, hostname, facts)) return null
  // `localhost` of another machine can only be reached by that machine's own name.
  const onlyLocal = await sameMachine(host, null, facts)
  return onlyLocal && hostname !== null ? hostname : host
}

/** Runs `tajo haadmin` with these words there: same install path, same configuration directory, same exit code. */
const runThere = (
  { home, confDir, env, json }: CommandContext,
  host: string,
  words: readonly string[],
  deadlineMs: number,
): Promise<number> =>
  runOverSsh(
    {
      host,
      sshOptions: env.TAJO_SSH_OPTS ?? '',
      env: { TAJO_HOME: home, TAJO_CONF_DIR: confDir },
      pathDir: dirname(process.execPath),
      words: [join(home, 'bin', 'tajo'), 'haadmin', ...words, ...(json ? ['--json'] : [])],
    },
    deadlineMs,
  )

type Call = Extract<HaadminCall, { verb: 'transitionToActive' | 'transitionToBackup' }>

/** A failover may cross the command: it looks again, but not for ever. */
const MOST_LOOKS = 3
const POLL_MS = 20

/** Nobody's heartbeat has to be watched: who is silent may be cut off, or stand still, and only that tells. */
const isEnough = (sight: Sight): boolean =>
  answeringActive(sight) !== null &&
  sight.masters.every(
    ({ asked, foreign }) => asked.answered || isRefused(asked) || foreign !== null,
  )

/**
 * Looking for the successor takes less than half a monitor interval, draining at most the lease's deadline; then the
 * successor has its own time. Of the masters' intervals the longest counts: theirs may differ from this configuration's.
 */
function boundMs({ timing }: Cluster, { picture }: Sight): number {
  const theirs = (picture?.masters ?? []).map(({ periods }) => periods?.monitorMs ?? 0)
  return timing.deadlineMs + 2 * Math.max(timing.monitorMs, ...theirs) + 1000
}

export async function transitionToActive(context: CommandContext, call: Call): Promise<number> {
  const cluster = await loadCluster(context)
  for (let look = 1; ; look++) {
    const sight = await lookAround(cluster, isEnough)
    const target = await masterOf(call.address, sight, cluster)
    const active = activeAddress(sight)
    // By its own word or by the directory's: the network to it may be cut.
    if (active !== null && sameAddress(active, target.address)) {
      return tell(context, target.address, `${target.address} is already active.`)
    }
    const from = call.force || active === null ? target : known(sight, active)
    if (from !== target) await requireLife(target)
    const by = call.by ?? orderedBy()
    const order: Order =
      from === target
        ? { name: 'takeOver', force: call.force, by }
        : { name: 'handOver', successor: target.address, force: false, by }
    try {
      const elsewhere = await send(context, call, { cluster, sight, to: from, order })
      if (elsewhere !== null) return elsewhere
    } catch (error) {
      if (error instanceof Refusal && error.code === 'NOT_ACTIVE' && look < MOST_LOOKS) continue
      throw error
    }
    const waiting = { cluster, sight, tries: new Tries(begunTerm(sight)) }
    await waitFor(waiting, `${target.address} serves`, () => is(waiting, target, 'active'))
    const former = active === null ? '' : `, ${active} was it before`
    return tell(context, target.address, `${target.address} is active${former}.`)
  }
}

/** One that stands still has a fresh heartbeat for a while: nobody would serve until the active had taken it back. */
async function requireLife(master: KnownMaster): Promise<void> {
  const { address, asked } = master
  if (asked.answered) return
  // Of a master on another host the directory shows a pulse only while it answers its own keeper.
  if (isCutOff(master) && (await whereToGo(master, thisHost())) !== null) return
  throw new CliError(
    EXIT.unsafe,
    `${address} does not answer (${asked.why}): the role is not handed to it`,
  )
}

export async function transitionToBackup(context: CommandContext, call: Call): Promise<number> {
  const cluster = await loadCluster(context)
  const sight = await lookAround(cluster, isEnough)
  const target = await masterOf(call.address, sight, cluster)
  if (isBackup(target)) {
    return tell(context, activeAddress(sight), `${target.address} is a backup already.`)
  }
  const order: Order = {
    name: 'handOver',
    successor: null,
    force: call.force,
    by: call.by ?? orderedBy(),
  }
  const elsewhere = await send(context, call, { cluster, sight, to: target, order })
  if (elsewhere !== null) return elsewhere
  const waiting = { cluster, sight, tries: new Tries(begunTerm(sight)) }
  await waitFor(waiting, `${target.address} is a backup`, () => is(waiting, target, 'backup'))
  const others = sight.masters.filter((one) => one !== target)
  const heir = others.length === 0 ? null : await heirOf(waiting, others, call.force)
  const now = heir === null ? 'no master is active now' : `${heir} is active`
  return tell(context, heir, `${target.address} is a backup, ${now}.`)
}

/** Who serves after the hand-over; with force it may be nobody, and that is given a moment only. */
async function heirOf(
  waiting: Waiting,
  others: readonly KnownMaster[],
  force: boolean,
): Promise<string | null> {
  let heir: string | null = null
  const found = async (): Promise<boolean> => {
    const states = await Promise.all(others.map((one) => is(waiting, one, 'active')))
    heir = others.find((_, i) => states[i])?.address ?? null
    return heir !== null
  }
  if (force) {
    const endMs = performance.now() + waiting.cluster.timing.graceMs
    while (!(await found()) && performance.now() < endMs) await pause(waitingClock, POLL_MS)
  } else {
    await waitFor(waiting, 'a backup serves', found)
  }
  return heir
}

async function masterOf(wanted: Address, sight: Sight, cluster: Cluster): Promise<KnownMaster> {
  const addresses = sight.masters.map((master) => master.address)
  const address = await findMaster(wanted, addresses, thisHost())
  const where = `${cluster.confDir}/masters and ${cluster.haDirectory}`
  if (address !== null) return known(sight, address)
  if (sight.picture !== null) throw unknownMaster(wanted, addresses, where)
  throw failure(
    `${formatAddress(wanted)} is not in conf/masters, and the shared directory can't be asked: ${sight.directoryError}`,
  )
}

/** Throws for a master of another cluster: it takes no orders of ours. */
function known(sight: Sight, address: string): KnownMaster {
  const found = sight.masters.find((master) => sameAddress(master.address, address))
  if (found === undefined) throw failure(`${address} is active, but not among the known masters`)
  if (found.foreign === null) return found
  throw new CliError(EXIT.unsafe, `${address} ${foreignWords(found.foreign)}`)
}

/** It lives, by the directory, and does not answer: the network between is cut. */
const isCutOff = ({ asked, inspected }: KnownMaster): boolean =>
  !asked.answered && inspected?.pulse === 'live'

/** It is one by its own word, else by the directory's. */
const isBackup = (master: KnownMaster): boolean =>
  master.asked.answered
    ? master.asked.answer.state === 'backup'
    : isCutOff(master) && master.inspected?.state === 'backup'

/** What was known when the order was given. */
interface Looking {
  readonly cluster: Cluster
  readonly sight: Sight
}

/** Gives the order here or through the directory (null), or runs this command on the master's host and resolves to its exit code. */
async function send(
  context: CommandContext,
  call: Call,
  { cluster, sight, to, order }: Looking & { to: KnownMaster; order: Order },
): Promise<number | null> {
  const host = await whereToGo(to, thisHost())
  if (host !== null && call.here) {
    throw failure(`${to.address} is not on this host (${thisHost().hostname}) but on ${host}`)
  }
  if (host !== null && isCutOff(to)) {
    await throughDirectory({ cluster, sight }, to, order)
    return null
  }
  if (host !== null) {
    const words = [`-${call.verb}`, formatAddress(call.address), '--here', '--by', order.by]
    if (call.force) words.push('--force')
    return runThere(context, host, words, 2 * boundMs(cluster, sight))
  }
  const adminSocket =
    (to.asked.answered ? to.asked.answer.adminSocket : null) ?? to.inspected?.adminSocket ?? null
  const { clusterId } = sight
  await giveOrder({ address: to.address, adminSocket, clusterId }, order, boundMs(cluster, sight))
  return null
}

async function throughDirectory(
  { cluster, sight }: Looking,
  { address: to }: KnownMaster,
  { by, ...order }: Order,
): Promise<void> {
  const { haDirectory: directory, timing } = cluster
  const limitMs = boundMs(cluster, sight)
  const request = { op: 'order' as const, directory, order: { to, by, order }, timing, limitMs }
  try {
    await askDirectory(request, limitMs + DIRECTORY_EXTRA_MS)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(error.code, `${to}, asked through the directory: ${error.message}`)
  }
}

/** The child's own start, and taking its files away again. */
const DIRECTORY_EXTRA_MS = 5000

/** For what an order leads to. */
interface Waiting extends Looking {
  readonly tries: Tries
}

/** What masters have told of attempts that came to nothing, in terms above that one. */
class Tries {
  readonly #term: number
  readonly #told = new Map<string, string>()

  constructor(term: number) {
    this.#term = term
  }

  hear({ address, failure }: MasterAnswer): void {
    if (failure !== null && failure.term > this.#term) this.#told.set(address, failure.text)
  }

  /** They are empty for none. */
  get words(): string {
    return [...this.#told].map(([address, text]) => `; ${address} ${text}`).join('')
  }
}

/** By its own word; where the network to it is cut, by a heartbeat that moves. */
async function is(
  { cluster, sight, tries }: Waiting,
  { address }: KnownMaster,
  state: 'active' | 'backup',
): Promise<boolean> {
  const asked = await askMaster(parseAddress(address, 'master'), askMs(cluster))
  if (asked.answered) {
    tries.hear(asked.answer)
    return asked.answer.state === state
  }
  if (isRefused(asked)) return false
  const { haDirectory: directory } = cluster
  const forMs =
    sight.picture === null ? 3 * cluster.timing.renewMs : watchMs(cluster, sight.picture)
  const request = { op: 'inspect' as const, directory, watchMs: forMs }
  const { masters } = await askDirectory(request, forMs + DIRECTORY_EXTRA_MS)
  const found = masters.find((one) => sameAddress(one.address, address))
  return found?.pulse === 'live' && found.state === state
}

async function waitFor(
  { cluster, sight, tries }: Waiting,
  what: string,
  done: () => Promise<boolean>,
): Promise<void> {
  const limitMs = boundMs(cluster, sight)
  const endMs = performance.now() + limitMs
  while (!(await done())) {
    if (performance.now() > endMs) {
      throw failure(
        `the order was accepted, but it has not been seen within ${Math.round(limitMs)} ms that ${what}${tries.words}. See 'tajo haadmin -status'`,
      )
    }
    await pause(waitingClock, POLL_MS)
  }
}

function tell(context: CommandContext, active: string | null, sentence: string): number {
  context.output.out(context.json ? json({ active, message: sentence }) : sentence)
  return EXIT.done
}
