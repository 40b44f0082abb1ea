/**
 * Schedules of a cut network whose storage lives. One world of links after the other stands still for a while, so that
 * what must become of the role in it can be said:
 *
 * Workers die, come back and have their own cables pulled in between; a change of theirs is one of the world's.
 *
 * - worse: nobody hands over to a master that is no better off, or that could not make its files;
 * - flap: while no link changes the role moves a few times at most, and in a whole network not at all;
 * - vain: while no link changes nobody is offered the role again and again, and never takes it;
 * - dead: in the end nobody stays active whose network is worse than another living backup's;
 * - and whatever the network does, somebody serves.
 *
 * What is "better off" is told here by the links themselves, not by what masters believe. The auditor watches all of it.
 */
import { compareRanks, type Rank } from '../../lib/ha/rules/network-rank.ts'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import type { SimWorker } from './ears.ts'
import type { Master } from './master.ts'
import { type Course, runCourse } from './network-courses.ts'
import { drawProfile, type Profile, slowestMs, WITHOUT_FAULTS } from './profile.ts'
import { Random } from './world/random.ts'

export interface NetworkOutcome {
  readonly seed: number
  /** `rule: what happened`, or null. */
  readonly violation: string | null
  readonly handOvers: number
  /** So often were answers kept from a backup that was offered the role. */
  readonly late: number
  readonly acks: number
}

export interface NetworkOptions {
  readonly seed: number
  readonly breaks?: Breaks
  /** The disk is full for this master from the start: it can neither claim nor keep a reserve to claim with. */
  readonly full?: string
  /** In place of worlds that stand still. */
  readonly course?: Course
  /** A break that takes something out of each keeper's memory at each turn. */
  readonly forget?: (master: Master) => void
  /** Of the masters in turn, ms; drawn by default. */
  readonly monitorsMs?: readonly [number, ...number[]]
  readonly write?: ((line: string) => void) | null
}

/** Where workers are. */
const WORKERS: readonly (readonly ('apart' | number)[])[] = [
  ['apart'],
  ['apart', 'apart'],
  [1],
  [1, 2],
  ['apart', 2],
  [],
]
const STATES: readonly SimWorker['state'][] = ['up', 'ended', 'off']
const describe = (workers: readonly SimWorker[]): string =>
  workers.map(({ address, end, state }) => `${address} on ${end} ${state}`).join(', ')
/** Worlds of links in one schedule. */
const WORLDS = 3
const SETTLED_M = 5
const HELD_M = 16
/** What was decided just before a link changed may still be carried out. */
const CARRIED_OUT_M = 1
/** The same where only the age of the answer puts it off: 2Q, and what it takes to publish and to look. */
const ANSWERED_M = 0.25
const MOST_MOVES = 3
/** Of one active to one backup while nothing changes: three at once, after M, 2M, 4M, 8M, and some that were asked for anew. */
const MOST_OFFERS = 10

export async function runNetwork(options: NetworkOptions): Promise<NetworkOutcome> {
  const { seed, breaks = {}, write = null } = options
  const random = new Random(seed, 'network')
  const cluster = new Cluster(profileOf(options, random), breaks, write)
  const run = new Run(cluster, random, options)
  const violation = await run.whole()
  return { seed, violation, handOvers: run.handOvers, late: run.late, acks: cluster.auditor.acks }
}

/** One for all, or, while an operator is changing it, two. */
function drawMonitors(seed: number, random: Random): readonly [number, ...number[]] {
  const monitorMs = random.pick([1000, 5000])
  const other = monitorMs === 1000 ? 5000 : 1000
  return new Random(seed, 'network timings').chance(0.3) ? [monitorMs, other] : [monitorMs]
}

function profileOf({ seed, monitorsMs, course }: NetworkOptions, random: Random): Profile {
  const profile = profileOfWorlds(seed, random, monitorsMs)
  if (course === undefined) return profile
  const { timing } = profile
  const network = { workers: ['apart'] as const, witness: profile.network?.witness === true }
  return { ...profile, timings: [timing], masters: 2, hosts: 2, network }
}

function profileOfWorlds(
  seed: number,
  random: Random,
  monitorsMs: readonly [number, ...number[]] | undefined,
): Profile {
  const masters = random.chance(0.5) ? 2 : 3
  const drawn = drawProfile(seed)
  const [first, ...others] = monitorsMs ?? drawMonitors(seed, random)
  const timing = makeTiming(first)
  return {
    ...drawn,
    ...WITHOUT_FAULTS,
    timing,
    timings: [timing, ...others.map((ms) => makeTiming(ms))],
    masters,
    hosts: masters,
    fencing: false,
    auditReads: true,
    changeEveryMs: timing.monitorMs / 3,
    storage: {
      ...drawn.storage,
      peakShare: 0,
      delegations: false,
      latencyMs: random.between(0.2, 2),
    },
    network: {
      workers: random.pick(WORKERS),
      witness: random.chance(0.5),
    },
  }
}

class Run {
  readonly #cluster: Cluster
  readonly #random: Random
  readonly #full: string | null
  readonly #course: Course | null
  readonly #forget: ((master: Master) => void) | null
  readonly #given = new Map<Master, object>()
  readonly #offers = new Map<string, Set<string>>()
  handOvers = 0
  late = 0
  #changedMs = 0
  #moves = 0
  #violation: string | null = null

  constructor(cluster: Cluster, random: Random, { full, course, forget }: NetworkOptions) {
    this.#cluster = cluster
    this.#full = full ?? null
    this.#course = course ?? null
    this.#forget = forget ?? null
    this.#random = random
    const { timeline } = cluster.world
    const audit = timeline.afterTurn
    timeline.afterTurn = () => {
      audit()
      this.#watch()
    }
  }

  /** What was violated, or null. */
  async whole(): Promise<string | null> {
    const { masters, network } = this.#cluster
    if (this.#full !== null) this.#cluster.full.add(this.#full)
    for (const master of masters) master.start()
    await this.#hold(SETTLED_M)
    if (this.#course !== null) {
      await this.#run(this.#course)
      return this.#over
    }
    await this.#stall()
    if (this.#moves > 0) this.#break('flap: the role has moved though no link was ever cut')
    for (let i = 0; i < WORLDS && this.#over === null; i += 1) {
      this.#cut()
      if (this.#random.chance(0.5)) {
        await this.#hold(this.#random.between(0.1, 2))
        this.#strikeWorker()
      }
      await this.#hold(HELD_M)
      this.#judge()
    }
    network?.links.mend()
    for (const worker of network?.workers ?? []) worker.state = 'up'
    this.#changed()
    await this.#hold(SETTLED_M)
    if (this.#moves > 1) this.#break('flap: the role has moved in a network that is whole')
    this.#judge()
    return this.#over
  }

  async #run(course: Course): Promise<void> {
    await runCourse(course, {
      cluster: this.#cluster,
      random: this.#random,
      monitorMs: this.#m,
      hold: (forM) => this.#hold(forM),
      changed: () => this.#changed(),
      moves: () => this.handOvers,
      late: () => {
        this.late += 1
      },
      fail: (why) => this.#break(why),
    })
  }

  get #over(): string | null {
    return this.#cluster.auditor.violation?.message ?? this.#violation
  }

  get #m(): number {
    return slowestMs(this.#cluster.profile)
  }

  async #hold(forM: number): Promise<void> {
    if (this.#over !== null) return
    const { timeline } = this.#cluster.world
    await timeline.runUntil(timeline.nowMs + forM * this.#m)
  }

  /** Its own stall is no silence of the others. */
  async #stall(): Promise<void> {
    const { active, random } = this.#cluster
    const process = active?.life?.process
    if (active === null || process === undefined || !random.chance(0.5)) return
    process.stop()
    // A longer one would have its keeper kill it.
    await this.#hold((0.3 * active.timing.monitorMs) / this.#m)
    process.continue()
    await this.#hold(2)
  }

  #changed(): void {
    this.#changedMs = this.#cluster.world.timeline.nowMs
    this.#moves = 0
    this.#offers.clear()
  }

  /** Each pair of ends is whole, cut, or cut in one direction; sometimes it is just one host. */
  #cut(): void {
    const { network, world, active } = this.#cluster
    if (network === null) return
    const { links } = network
    const random = this.#random
    links.mend()
    const places = network.workers.filter(({ end }) => end.startsWith('worker'))
    const ends = [...world.hosts, ...places.map(({ end }) => ({ name: end }))].map(
      ({ name }) => name,
    )
    ends.push('witness')
    for (const worker of network.workers) {
      if (random.chance(0.3)) worker.state = random.pick(STATES)
    }
    if (random.chance(0.4)) {
      const host = random.chance(0.7) && active !== null ? active.host : random.pick(world.hosts)
      for (const end of ends) {
        links.cut(host.name, end)
        links.cut(end, host.name)
      }
    } else {
      for (const [i, a] of ends.entries()) {
        for (const b of ends.slice(i + 1)) {
          const way = random.below(6)
          if (way === 0 || way === 1) links.cut(a, b)
          if (way === 0 || way === 2) links.cut(b, a)
        }
      }
    }
    this.#changed()
    world.trace(() => `LINKS ${links.describe()}; WORKERS ${describe(network.workers)}`)
  }

  /** One dies, comes back, or has its cable pulled, while the masters are still at the last change. */
  #strikeWorker(): void {
    const { network, world } = this.#cluster
    const random = this.#random
    if (network === null || network.workers.length === 0 || this.#over !== null) return
    const worker = random.pick(network.workers)
    if (worker.end.startsWith('worker') && random.chance(0.4)) {
      for (const { name } of world.hosts) {
        network.links.cut(name, worker.end)
        network.links.cut(worker.end, name)
      }
    } else worker.state = worker.state === 'up' ? random.pick(['ended', 'off'] as const) : 'up'
    this.#changed()
    world.trace(() => `LINKS ${network.links.describe()}; WORKERS ${describe(network.workers)}`)
  }

  #watch(): void {
    const { masters, world } = this.#cluster
    for (const master of masters) {
      this.#forget?.(master)
      this.#watchOffer(master)
      const given = master.life?.keeperCore?.state.network.given ?? null
      if (given === null || this.#given.get(master) === given) continue
      this.#given.set(master, given)
      this.#onGiven(master, given.to)
      world.trace(() => `GIVEN by ${master.address} to ${given.to}`)
    }
    if (this.#violation !== null) world.timeline.stop()
  }

  #watchOffer(from: Master): void {
    const offer = from.life?.keeperCore?.state.network.offer ?? null
    if (offer === null) return
    const key = `${from.address} to ${offer.to}`
    const nonces = this.#offers.get(key) ?? new Set()
    this.#offers.set(key, nonces.add(offer.nonce))
    if (nonces.size <= MOST_OFFERS) return
    this.#break(`vain: the role is offered by ${key} for the ${nonces.size}th time`)
  }

  #onGiven(from: Master, address: string): void {
    const { masters, world } = this.#cluster
    const to = masters.find((one) => one.address === address)
    if (to === undefined) return
    this.handOvers += 1
    this.#moves += 1
    if (!this.#canClaim(to)) this.#break(`worse: ${address} got the role and can't make its files`)
    const lateM = this.#course === 'old answers' ? ANSWERED_M : CARRIED_OUT_M
    if (world.timeline.nowMs - this.#changedMs < lateM * this.#m) return
    if (this.#moves > MOST_MOVES) this.#break('flap: the role moves on and no link has changed')
    if (compareRanks(this.#truth(to, from), this.#truth(from, from)) > 0) return
    this.#break(`worse: ${from.address} handed over to ${address}, which is no better off`)
  }

  #judge(): void {
    if (this.#over !== null) return
    const active = this.#cluster.masters.find((one) => one.serves)
    if (active === undefined) {
      this.#break('an active: nobody serves, though the storage lives')
      return
    }
    const own = this.#truth(active, active)
    for (const master of this.#cluster.masters) {
      if (master === active || !this.#canClaim(master)) continue
      if (compareRanks(this.#truth(master, active), own) <= 0) continue
      this.#break(`dead: ${active.address} stays active, and ${master.address} is better off`)
    }
  }

  /** Whom its requests reach and who answers them; without what is on the active's own host. */
  #truth({ host }: Master, { host: active }: Master): Rank {
    const { network, masters } = this.#cluster
    const me = host.name
    const hears = (end: string): boolean => end !== me && network?.links.both(me, end) === true
    return {
      worker:
        network?.workers.some(
          ({ end, state }) => state === 'up' && end !== active.name && hears(end),
        ) === true,
      witness: network?.witnesses.some(({ end }) => hears(end)) === true,
      master: masters.some((one) => one.alive && hears(one.host.name)),
    }
  }

  #canClaim({ address }: Master): boolean {
    return !this.#cluster.full.has(address)
  }

  #break(why: string): void {
    this.#violation ??= why
    this.#cluster.world.trace(() => `VIOLATION ${why}`)
  }
}
