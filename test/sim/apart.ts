/**
 * Schedules of masters whose directories may be two, though each believes to stand on the others': a directory of its own
 * for each host, a copy with the same ids, files of the other that come late, in one direction only, or never; a copy that
 * is mounted under a running master. Links between hosts are cut and mended, masters are killed and start again.
 *
 * - beside: nobody claims while another directory's master serves, and has served for a while over a link that is whole;
 * - known: nor where the two had the time to find out in these lives, and its directory has no higher served term;
 * - lasting: two of them don't go on serving over a link that is whole;
 * - blocked: in the end the directory with the highest served term is served, and one shared by all is in any case;
 * - and within each directory the auditor watches as ever.
 */
import { makeTiming, type Timing } from '../../lib/ha/rules/timing.ts'
import { Auditor } from './auditor.ts'
import type { Breaks } from './breaks.ts'
import { CATALOG_DIR } from './catalog.ts'
import { Master } from './master.ts'
import { drawProfile } from './profile.ts'
import type { Host } from './world/host.ts'
import { Links } from './world/links.ts'
import { Random } from './world/random.ts'
import { Replica } from './world/replica.ts'
import { Storage } from './world/storage.ts'
import { World } from './world/world.ts'

export const GROUNDS = [
  'same',
  'apart',
  'strangers',
  'late',
  'oneway',
  'typo',
  'hung',
  'stuck',
  'moved',
] as const
export type GroundName = (typeof GROUNDS)[number]

export interface ApartOptions {
  readonly seed: number
  readonly ground: GroundName
  readonly breaks?: Breaks
  /** A break that takes what it wants out of a keeper's memory at each turn. */
  readonly forget?: (master: Master) => void
  readonly write?: ((line: string) => void) | null
}

export interface ApartOutcome {
  readonly violation: string | null
  readonly claims: number
  readonly acks: number
}

const STEPS = 12
/** So long does a whole link have to stand before what was to be found out over it counts as known. */
const KNOWN_M = 2.5

/** Which directory each master has, by its number. */
const DIRECTORIES: Readonly<Record<GroundName, readonly number[]>> = {
  same: [0, 0],
  apart: [0, 1],
  strangers: [0, 1],
  late: [0, 1],
  oneway: [0, 1],
  typo: [0, 1, 0],
  hung: [0, 1],
  stuck: [0, 0],
  moved: [0, 0],
}

/** Kinds of strikes, where they are more than links and lives. */
const CHOICES: Partial<Record<GroundName, number>> = { hung: 8, stuck: 6 }

export async function runApart(options: ApartOptions): Promise<ApartOutcome> {
  const run = new Run(options)
  const violation = await run.whole()
  return { violation, claims: run.claims, acks: run.acks }
}

class Run {
  readonly #o: ApartOptions
  readonly #world: World
  readonly #timing: Timing
  readonly #random: Random
  readonly #links = new Links()
  readonly #masters: Master[] = []
  readonly #directories: number[]
  readonly #storages: readonly Storage[]
  /** How often each host has mounted the other directory. */
  readonly #moves: number[]
  readonly #auditors: readonly Auditor[]
  readonly #cut = new Set<string>()
  /** Since when the link of a pair is whole, and both its lives run. */
  readonly #wholeMs = new Map<string, number>()
  /** When each link was last cut or mended. */
  readonly #mendedMs = new Map<string, number>()
  /** Pairs of lives that have had the time. */
  readonly #met = new Set<string>()
  readonly #phases = new Map<Master, string>()
  readonly #servesMs = new Map<Master, number>()
  /** The newest term that each directory's masters have served. */
  readonly #served: number[]
  readonly #heldLast: Master[] = []
  /** What the first directory shows of the second is brought up to date. */
  #fresh = (): void => {}
  claims = 0
  #violation: string | null = null

  constructor(options: ApartOptions) {
    const { seed, ground, breaks = {}, write = null } = options
    this.#o = options
    this.#random = new Random(seed, 'apart')
    this.#timing = makeTiming(this.#random.pick([1000, 5000]))
    this.#directories = [...DIRECTORIES[ground]]
    this.#moves = this.#directories.map(() => 0)
    const drawn = drawProfile(seed)
    const kind = {
      ...drawn.storage,
      peakShare: 0,
      delegations: false,
      latencyMs: this.#random.between(0.2, 2),
    }
    const hosts = this.#directories.length
    this.#world = new World({ ...drawn, hosts, storage: kind }, write)
    const { timeline } = this.#world
    const count = ground === 'moved' ? 2 : Math.max(...this.#directories) + 1
    const storages = Array.from({ length: count }, (_, i) =>
      i === 0 ? this.#world.storage : new Storage(kind, timeline, new Random(seed, `storage ${i}`)),
    )
    this.#storages = storages
    for (const { server } of storages) server.makeDirectories(CATALOG_DIR)
    this.#auditors = storages.map(() => new Auditor(() => timeline.nowMs))
    for (const [i, auditor] of this.#auditors.entries()) auditor.follow(storages[i] as Storage)
    this.#served = storages.map(() => 0)
    const addresses = this.#directories.map((_, i) => `m${i + 1}:26001`)
    for (const [i, address] of addresses.entries()) {
      const directory = this.#directories[i] ?? 0
      this.#masters.push(
        new Master({
          world: this.#world,
          host: this.#world.hosts[i] as Host,
          address,
          priority: 100,
          timings: [this.#timing],
          fencing: false,
          changeEveryMs: this.#timing.monitorMs / 3,
          auditor: this.#auditors[directory] as Auditor,
          breaks,
          spy: () => (call) => {
            if (directory === 0 && call.purpose === 'contest') this.#fresh()
          },
          fence: async () => ({ fenced: false, detail: 'nobody fences here' }),
          network: null,
          isFull: () => false,
          refuses: () => null,
          masters: () => this.#masters,
          storage: storages[directory] as Storage,
          ...(ground === 'moved' && {
            mount: {
              storages,
              at: () => ({ nth: this.#directories[i] ?? 0, name: `mount ${this.#moves[i]}` }),
            },
          }),
          letters: {
            links: this.#links,
            listed: addresses.filter((one) => one !== address),
            clusterId: ground === 'strangers' ? `of directory ${directory}` : 'one',
          },
        }),
      )
    }
    this.#replicate(storages)
    timeline.afterTurn = () => this.#watch()
  }

  get #mixed(): boolean {
    return ['late', 'oneway', 'moved'].includes(this.#o.ground)
  }

  get acks(): number {
    return this.#auditors.reduce((sum, { acks }) => sum + acks, 0)
  }

  async whole(): Promise<string | null> {
    const random = this.#random
    for (const master of this.#masters) {
      master.start()
      if (random.chance(0.5)) await this.#hold(random.between(0.01, 3))
    }
    for (let i = 0; i < STEPS && this.#violation === null; i += 1) {
      this.#strike()
      await this.#hold(random.logBetween(0.05, 5))
    }
    await this.#end()
    return this.#violation
  }

  /** Files of the other directory, as a cache shows them: later than any answer over the network, or only one way. */
  #replicate(storages: readonly Storage[]): void {
    const { ground } = this.#o
    const [x, y] = storages
    if (x === undefined || y === undefined) return
    const { timeline } = this.#world
    const every = (replica: Replica, delayMs: () => number): void => {
      timeline.after(delayMs(), () => {
        replica.sync()
        every(replica, delayMs)
        return false
      })
    }
    if (ground === 'oneway') {
      const atOnce = new Replica(y.server, x.server, 0)
      this.#fresh = () => atOnce.sync()
      every(atOnce, () => this.#timing.pollMs)
    }
    if (ground !== 'late') return
    const lateMs = this.#timing.monitorMs * this.#random.pick([0.6, 1, 4])
    for (const [from, to] of [
      [x, y],
      [y, x],
    ] as const) {
      every(new Replica(from.server, to.server, 1), () => lateMs * (0.5 + this.#random.next()))
    }
  }

  #strike(): void {
    const random = this.#random
    const [a, b] = this.#pair()
    const master = random.pick(this.#masters)
    if (this.#o.ground === 'moved' && random.chance(0.3)) {
      this.#move(this.#masters.indexOf(master))
      return
    }
    switch (random.below(CHOICES[this.#o.ground] ?? 4)) {
      case 0:
        this.#setLink(a, b, false)
        return
      case 1:
        this.#setLink(a, b, true)
        return
      case 2:
        master.life?.process.kill()
        return
      case 3:
        master.start()
        return
      case 4:
        this.#storageOf(master).hang(master.host)
        return
      case 6:
      case 7:
        this.#restartServer(this.#storageOf(master))
        return
      default:
        this.#storageOf(master).recoverHost(master.host)
    }
  }

  /** Away for less than D; then for long only old files can be used: who serves goes on, and nobody makes anything. */
  #restartServer(storage: Storage): void {
    const { monitorMs } = this.#timing
    storage.hangAll()
    const graceMs = this.#random.between(1, 8) * monitorMs
    this.#world.timeline.after(this.#random.between(0.02, 0.3) * monitorMs, () => {
      storage.recover(graceMs)
      return false
    })
  }

  #storageOf(master: Master): Storage {
    const nth = this.#directories[this.#masters.indexOf(master)] ?? 0
    return this.#storages[nth] ?? this.#world.storage
  }

  /** A copy of the directory as it is now, under the same path, or the directory again. */
  #move(i: number): void {
    const [x, y] = this.#storages
    if (x === undefined || y === undefined) return
    const to = this.#directories[i] === 0 ? 1 : 0
    if (to === 1 && !this.#directories.includes(1)) new Replica(x.server, y.server, 0).sync()
    this.#directories[i] = to
    this.#moves[i] = (this.#moves[i] ?? 0) + 1
    const master = this.#masters[i] as Master
    for (const other of this.#masters) {
      if (other === master) continue
      const pair = pairOf(master, other)
      for (const key of this.#met) if (key.startsWith(`${pair} `)) this.#met.delete(key)
      for (const key of this.#wholeMs.keys()) {
        if (key.startsWith(`${pair} `)) this.#wholeMs.delete(key)
      }
    }
    this.#world.trace(() => `MOUNT ${master.address} has directory ${to} now`)
  }

  #pair(): readonly [Master, Master] {
    const a = this.#random.pick(this.#masters)
    return [a, this.#random.pick(this.#masters.filter((one) => one !== a))]
  }

  #setLink(a: Master, b: Master, whole: boolean): void {
    const pair = pairOf(a, b)
    if (whole === !this.#cut.has(pair)) return
    if (whole) this.#cut.delete(pair)
    else this.#cut.add(pair)
    this.#mendedMs.set(pair, this.#world.timeline.nowMs)
    this.#links.mend()
    for (const other of this.#cut) {
      const [one = '', two = ''] = other.split(' ')
      this.#links.cut(one, two)
      this.#links.cut(two, one)
    }
    this.#world.trace(() => `LINK ${pair} ${whole ? 'whole' : 'cut'}`)
  }

  /** All is mended, and whoever may serve has to. */
  async #end(): Promise<void> {
    for (const [a, b] of this.#pairs()) this.#setLink(a, b, true)
    for (const master of this.#masters) {
      this.#storageOf(master).recoverHost(master.host)
      master.start()
    }
    await this.#hold(8)
    const { ground } = this.#o
    if (ground === 'stuck') await this.#getStuck()
    const serving = this.#masters.filter(({ serves }) => serves)
    if ((ground === 'same' || ground === 'stuck') && serving.length !== 1) {
      this.#break(`blocked: ${serving.length} serve, in one directory`)
    }
    if (ground !== 'typo') return
    const [right = 0, typo = 0] = this.#served
    if (right <= typo) return
    // The mistyped one may be active, and is heard then.
    this.#masters[1]?.life?.process.kill()
    await this.#hold(8)
    if (!this.#masters.some((one, i) => i !== 1 && one.serves)) {
      this.#break(`blocked: nobody serves in the directory that served ${right}, the other ${typo}`)
    }
  }

  /** One whose storage hangs is heard and can't be judged: the other has to serve again all the same. */
  async #getStuck(): Promise<void> {
    const [one, other] = this.#masters as [Master, Master]
    const { timeline } = this.#world
    other.life?.process.kill()
    await this.#hold(3)
    other.start()
    await this.#hold(3)
    this.#world.storage.hang(other.host)
    await timeline.runUntil(timeline.nowMs + 0.1 * this.#timing.monitorMs)
    one.life?.process.kill()
    one.start()
    await this.#hold(5)
    if (!one.serves) this.#break(`blocked: ${one.address} waits for one whose storage hangs`)
    this.#storageOf(other).recoverHost(other.host)
    await this.#hold(3)
  }

  async #hold(forM: number): Promise<void> {
    if (this.#violation !== null) return
    const { timeline } = this.#world
    await timeline.runUntil(timeline.nowMs + forM * this.#timing.monitorMs)
  }

  #pairs(): (readonly [Master, Master])[] {
    return this.#masters.flatMap((a, i) => this.#masters.slice(i + 1).map((b) => [a, b] as const))
  }

  #watch(): void {
    const nowMs = this.#world.timeline.nowMs
    for (const master of this.#masters) {
      this.#o.forget?.(master)
      if (!master.serves) this.#servesMs.delete(master)
      else if (!this.#servesMs.has(master)) this.#servesMs.set(master, nowMs)
    }
    for (const [a, b] of this.#pairs()) this.#meet(a, b, nowMs)
    for (const [i, master] of this.#masters.entries()) {
      const keeper = master.alive ? (master.life?.keeperCore ?? null) : null
      const phase = keeper?.state.phase.name ?? ''
      if (phase === 'claiming' && this.#phases.get(master) !== phase) this.#onClaim(i, nowMs)
      this.#phases.set(master, phase)
      if (master.serves) this.#note(i)
    }
    for (const [i, auditor] of this.#auditors.entries()) {
      const ours = this.#masters.filter((_, m) => this.#directories[m] === i)
      auditor.look(
        ours.map((one) => ({
          name: one.address,
          awake: one.awake,
          serves: one.serves,
          term: one.life?.core.term() ?? null,
          excused: false,
          slept: false,
          renewedThenStalledMs: null,
        })),
      )
      // Where files are shown late the two directories are not apart: nothing holds there but what is watched above.
      if (this.#mixed) continue
      if (auditor.violation !== null) this.#break(auditor.violation.message)
    }
    if (this.#violation !== null) this.#world.timeline.stop()
  }

  #note(i: number): void {
    const directory = this.#directories[i] ?? 0
    const master = this.#masters[i]
    if (master === undefined || master.heldTerm < (this.#served[directory] ?? 0)) return
    this.#served[directory] = master.heldTerm
    this.#heldLast[directory] = master
  }

  #meet(a: Master, b: Master, nowMs: number): void {
    const pair = pairOf(a, b)
    const lives = livesOf(a, b)
    const key = `${pair} ${lives}`
    for (const old of this.#wholeMs.keys()) {
      if (old.startsWith(`${pair} `) && old !== key) this.#wholeMs.delete(old)
    }
    // While a server lets nobody make a file, nothing can be found out.
    const isMute = [a, b].some((one) => nowMs < this.#storageOf(one).graceUntilMs)
    if (lives === null || isMute || !this.#links.both(a.host.name, b.host.name)) {
      this.#wholeMs.delete(key)
      return
    }
    const sinceMs = this.#wholeMs.get(key) ?? nowMs
    this.#wholeMs.set(key, sinceMs)
    if (nowMs - sinceMs < KNOWN_M * this.#timing.monitorMs) return
    this.#met.add(key)
    const both = [a, b].map((one) => this.#servesMs.get(one) ?? Number.POSITIVE_INFINITY)
    const longMs = Math.max(...both, sinceMs)
    if (!this.#isApart(a, b) || nowMs - longMs < KNOWN_M * this.#timing.monitorMs) return
    this.#break(`lasting: ${a.address} and ${b.address} serve, and hear each other`)
  }

  #isApart(a: Master, b: Master): boolean {
    const of = (one: Master): number => this.#directories[this.#masters.indexOf(one)] ?? 0
    return of(a) !== of(b)
  }

  #onClaim(i: number, nowMs: number): void {
    const master = this.#masters[i] as Master
    this.claims += 1
    this.#world.trace(() => `CLAIM by ${master.address}`)
    const longMs = KNOWN_M * this.#timing.monitorMs
    for (const other of this.#masters) {
      if (other === master || !this.#isApart(master, other) || !other.serves) continue
      const servesMs = nowMs - (this.#servesMs.get(other) ?? nowMs)
      const whole = this.#linkWholeMs(master, other, nowMs)
      if (whole >= longMs && servesMs >= longMs) {
        this.#break(`beside: ${master.address} claims, and hears ${other.address} serve`)
      }
      const own = this.#directories[i] ?? 0
      const theirs = this.#directories[this.#masters.indexOf(other)] ?? 0
      const lives = livesOf(master, other)
      const known = lives !== null && this.#met.has(`${pairOf(master, other)} ${lives}`)
      const lower = (this.#served[own] ?? 0) <= (this.#served[theirs] ?? 0)
      if (known && lower && this.#heldLast[own] !== master) {
        this.#break(`known: ${master.address} claims beside ${other.address}, which is known`)
      }
    }
  }

  /** The link alone: a master that starts has to try it. */
  #linkWholeMs(a: Master, b: Master, nowMs: number): number {
    const pair = pairOf(a, b)
    if (!this.#links.both(a.host.name, b.host.name)) return 0
    return nowMs - (this.#mendedMs.get(pair) ?? 0)
  }
  #break(why: string): void {
    this.#violation ??= why
    this.#world.trace(() => `VIOLATION ${why}`)
  }
}

const pairOf = (a: Master, b: Master): string => [a.host.name, b.host.name].sort().join(' ')

/** Null where one of the two does not run. */
function livesOf(a: Master, b: Master): string | null {
  if (!a.alive || !b.alive) return null
  return [a, b]
    .map((one) => `${one.address} ${one.life?.process.identity.pid}`)
    .sort()
    .join(' ')
}
