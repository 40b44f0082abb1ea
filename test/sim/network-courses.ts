/**
 * Courses of a cut network that do not stand still, each for a rule that no standing world shows:
 *
 * - cuts: where the active's host is cut off, another serves within M, also if the answers to its own questions are late;
 * - short flaps: a cut shorter than M/2 moves nothing;
 * - swings: where the network swings between two masters the role moves ever more rarely;
 * - old answers: nobody hands the role over for an answer that his storage has kept from him.
 */
import type { Publication } from '../../lib/ha/directory/network-publication.ts'
import type { Cluster } from './cluster.ts'
import type { Master } from './master.ts'
import type { Random } from './world/random.ts'

export const COURSES = ['cuts', 'short flaps', 'swings', 'old answers'] as const
export type Course = (typeof COURSES)[number]

/** One schedule, as its course uses it. */
export interface Schedule {
  readonly cluster: Cluster
  readonly random: Random
  /** Of both masters, ms. */
  readonly monitorMs: number
  readonly hold: (forM: number) => Promise<void>
  /** To be called when a link was cut or mended. */
  readonly changed: () => void
  /** So often has the role moved by the network's rule. */
  readonly moves: () => number
  /** To be called when answers were kept from a backup. */
  readonly late: () => void
  readonly fail: (why: string) => void
}

const CUTS = 5
/** Between two of them: at rest, and while everybody measures still. */
const PEACE_M = [1.5, 5] as const
/** From a cut until another serves: the promise is M, and what was late comes on top. */
const SERVED_WITHIN_M = 1
const STEP_M = 0.01
const MOST_STEPS = 300
/** Nearly the 2P after which a silence is one. */
const LATE_M = 0.19

const FLAPS = 12
/** Not shorter than it takes to find a silence, to offer the role and to be answered, but than M/2. */
const FLAP_M = [0.42, 0.47] as const
/** Too short for anybody to calm down in between. */
const WHOLE_M = [0.15, 0.4] as const

const SWINGS = 12
const SWING_M = 2
/** After the first one waits are M, 2M, 4M, 8M. */
const MOST_SWUNG = 5

const ANSWERS = 4
/** Of the active's storage: longer than 2Q, and over before the offer is withdrawn. */
const STALL_M = [0.29, 0.34] as const

export async function runCourse(course: Course, schedule: Schedule): Promise<void> {
  if (course === 'cuts') await cutAway(schedule)
  else if (course === 'short flaps') await flap(schedule)
  else if (course === 'swings') await swing(schedule)
  else await answerLate(schedule)
}

async function cutAway(schedule: Schedule): Promise<void> {
  const { cluster, random, hold, changed, monitorMs, fail } = schedule
  const { timeline } = cluster.world
  for (let i = 0; i < CUTS; i += 1) {
    const { active } = cluster
    if (active === null) return
    cutOff(cluster, active)
    changed()
    const cutMs = timeline.nowMs
    const others = cluster.masters.filter((one) => one !== active)
    const late = random.chance(0.5) ? new LateAnswers(schedule, active, others) : null
    for (let steps = 0; steps < MOST_STEPS && !others.some(({ serves }) => serves); steps += 1) {
      await hold(STEP_M)
    }
    late?.end()
    const tookM = (timeline.nowMs - cutMs) / monitorMs
    cluster.world.trace(() => `SERVED after ${tookM.toFixed(2)} M`)
    if (tookM > SERVED_WITHIN_M + (late?.happened ? LATE_M : 0)) {
      fail(`late: another serves ${tookM.toFixed(2)} M after the cut, or nobody does`)
      return
    }
    cluster.network?.links.mend()
    changed()
    await hold(random.between(...PEACE_M))
  }
}

/** It knows of an offer, and has not answered. */
const isAsked = ({ life }: Master): boolean =>
  life?.keeperCore?.state.network.answering?.answered === false

/** The requests of the first one that is asked are lost for a while, as on a busy host they are answered too late. */
class LateAnswers {
  happened = false
  readonly #schedule: Schedule
  readonly #cut: Master
  readonly #others: readonly Master[]
  readonly #afterTurn: () => void
  #untilMs: number | null = null

  /** `cut`: whose host stays cut off. */
  constructor(schedule: Schedule, cut: Master, others: readonly Master[]) {
    this.#schedule = schedule
    this.#cut = cut
    this.#others = others
    const { timeline } = schedule.cluster.world
    this.#afterTurn = timeline.afterTurn
    // Whoever is not kept from it has answered within a few ms.
    timeline.afterTurn = () => {
      this.#afterTurn()
      this.#look()
    }
  }

  end(): void {
    this.#schedule.cluster.world.timeline.afterTurn = this.#afterTurn
  }

  #look(): void {
    const { cluster, changed, monitorMs, late } = this.#schedule
    const { timeline } = cluster.world
    const asked = this.happened ? undefined : this.#others.find(isAsked)
    if (asked !== undefined) {
      cluster.world.trace(() => `LATE are the answers to ${asked.address}`)
      late()
      this.happened = true
      this.#untilMs = timeline.nowMs + LATE_M * monitorMs
      cutOff(cluster, asked)
    } else if (this.#untilMs !== null && this.#untilMs <= timeline.nowMs) {
      this.#untilMs = null
      cluster.network?.links.mend()
      cutOff(cluster, this.#cut)
    } else return
    changed()
  }
}

async function flap({ cluster, random, hold, changed, moves, fail }: Schedule): Promise<void> {
  const before = moves()
  // At rest a silence is as old as the last sign of life before it. From here on everybody measures.
  for (const { name } of cluster.world.hosts) cutFromWorkers(cluster, name)
  changed()
  await hold(1)
  cluster.network?.links.mend()
  changed()
  await hold(0.2)
  for (let i = 0; i < FLAPS; i += 1) {
    if (cluster.active !== null) cutOff(cluster, cluster.active)
    changed()
    await hold(random.between(...FLAP_M))
    cluster.network?.links.mend()
    changed()
    await hold(random.between(...WHOLE_M))
  }
  await hold(1)
  const moved = moves() - before
  if (moved > 0) fail(`flap: the role has moved ${moved} times for cuts that were shorter than M/2`)
}

async function swing({ cluster, hold, changed, moves, fail }: Schedule): Promise<void> {
  const before = moves()
  for (let i = 0; i < SWINGS; i += 1) {
    const { active, network } = cluster
    network?.links.mend()
    if (active !== null) cutFromWorkers(cluster, active.host.name)
    changed()
    await hold(SWING_M)
  }
  const moved = moves() - before
  const text = `the role has moved ${moved} times in ${SWINGS * SWING_M} M`
  if (moved > MOST_SWUNG) fail(`flap: ${text}`)
  if (moved < 2) fail(`dead: ${text}, and its network was the worse one`)
}

async function answerLate(schedule: Schedule): Promise<void> {
  const { cluster, random, hold, changed, monitorMs } = schedule
  for (let i = 0; i < ANSWERS; i += 1) {
    const { active, masters, network, world } = cluster
    const backup = masters.find((one) => one !== active)
    if (active === null || backup === undefined) return
    cutFromWorkers(cluster, active.host.name)
    changed()
    const stallMs = monitorMs * random.between(...STALL_M)
    cluster.onCall = (master, call) => {
      if (master !== active || call.verb !== 'read' || !isAnswer(cluster, call.path)) return
      cluster.onCall = () => {}
      // On its way, there, or on its way back.
      world.after(random.between(0, 2 * cluster.profile.storage.latencyMs), () => {
        world.trace(() => `STALL of ${active.address}, and ${backup.address} is cut off`)
        world.storage.hang(active.host)
        cluster.disturb(active.host)
        cutOff(cluster, backup)
        changed()
        world.after(stallMs, () => {
          world.storage.recoverHost(active.host)
          cluster.disturb(active.host)
        })
      })
    }
    await hold(2.5)
    cluster.onCall = () => {}
    network?.links.mend()
    changed()
    await hold(2.5)
  }
}

const isAnswer = ({ world }: Cluster, path: string): boolean => {
  const text = path.includes('.network-') ? world.storage.server.file(path)?.text : undefined
  return text !== undefined && text !== '' && (JSON.parse(text) as Publication).answer !== null
}

function cutFromWorkers({ network }: Cluster, host: string): void {
  for (const { end } of network?.workers ?? []) cutBoth(network, host, end)
}

/** From everybody. */
function cutOff({ network, world }: Cluster, { host }: Master): void {
  const places = [...(network?.workers ?? []), ...(network?.witnesses ?? [])].map(({ end }) => end)
  for (const end of [...world.hosts.map(({ name }) => name), ...places]) {
    cutBoth(network, host.name, end)
  }
}

function cutBoth(network: Cluster['network'], a: string, b: string): void {
  network?.links.cut(a, b)
  network?.links.cut(b, a)
}
