/**
 * A simulated master's ear at the network: the real `NetworkEar`, whose requests travel over the world's links. Streams
 * between masters are lines each 2P; their silence only makes it ask.
 */
import type { MemberCore } from '../../lib/ha/member/member.ts'
import { type Answer, NetworkEar, type Target } from '../../lib/ha/member/network-ear.ts'
import type { KnownWorker } from '../../lib/ha/rules/network-rank.ts'
import type { Timing } from '../../lib/ha/rules/timing.ts'
import { KnownWorkers } from '../../lib/master/network/astray-workers.ts'
import type { Master } from './master.ts'
import { clockOf } from './world/host.ts'
import type { Links } from './world/links.ts'
import type { SimProcess } from './world/process.ts'
import type { World } from './world/world.ts'

/** A worker or a witness. `end`: the host that it is on, or a place of its own. */
export interface Station {
  readonly address: string
  readonly end: string
}

export interface SimWorker extends Station {
  /** `ended`: its process, so that its host refuses whoever asks. `off`: nothing is there that could answer. */
  state: 'up' | 'ended' | 'off'
}

export interface SimNetwork {
  readonly links: Links
  readonly workers: readonly SimWorker[]
  readonly witnesses: readonly Station[]
}

export type Ask = (target: Target, limitMs: number) => Promise<Answer>

export interface EarsOptions {
  readonly world: World
  readonly network: SimNetwork
  readonly master: Master
  readonly process: SimProcess
  readonly core: MemberCore
  readonly timing: Timing
  readonly masters: () => readonly Master[]
  /** The network that this master believes to be on. */
  readonly own: string
  readonly wrapAsk: (ask: Ask, receives: (target: Target) => boolean) => Ask
  /** A break: an active forgets at once whom it has lost. */
  readonly forgetsLost: boolean
}

/** One way of a message. */
const TRAVELS_MS = [0.1, 1] as const

export function listen(options: EarsOptions): NetworkEar {
  const { process, core, timing, master } = options
  const clock = clockOf(process)
  const endOf = (target: Target): string => endOfTarget(options, target)
  const receives = (target: Target): boolean =>
    options.network.links.reaches(endOf(target), master.host.name)
  const streams = new Streams(options)
  const ear = new NetworkEar({
    clock,
    timing,
    network: options.own,
    ask: options.wrapAsk((target, limitMs) => ask(options, target, limitMs), receives),
    quietSinceMs: (limitMs) => streams.quietSinceMs(limitMs),
    tell: (hearing) => core.hears(hearing),
  })
  core.onMeasure((wanted) => ear.want(wanted))
  const registry = new Registry(options)
  core.onState(() => follow(options, registry, ear))
  const look = (): void => {
    registry.hear()
    if (core.mayServe()) follow(options, registry, ear)
    clock.after(REPORT_PERIODS * timing.renewMs, look)
  }
  look()
  streams.watch(ear)
  return ear
}

/** Workers report to the active so often; who has missed three reports is lost. */
const REPORT_PERIODS = 2
const MISSED = 3

/** The workers as a master has them: registered with it while it serves, remembered and let known as the product does. */
class Registry {
  readonly #options: EarsOptions
  /** By address, when it last reported. */
  readonly #reported = new Map<string, number>()
  #known = new KnownWorkers()

  constructor(options: EarsOptions) {
    this.#options = options
  }

  hear(): void {
    const { core, process, network, master } = this.#options
    if (!core.mayServe()) return
    for (const { address, end, state } of network.workers) {
      if (state !== 'up' || !network.links.both(end, master.host.name)) continue
      this.#reported.set(address, clockOf(process).nowMs())
    }
  }

  toAsk(): readonly KnownWorker[] {
    const { core, process, network, timing, forgetsLost } = this.#options
    const nowMs = clockOf(process).nowMs()
    const lostMs = MISSED * REPORT_PERIODS * timing.renewMs
    const isRegistered = ({ address }: SimWorker): boolean =>
      nowMs - (this.#reported.get(address) ?? Number.NEGATIVE_INFINITY) < lostMs
    const registered = network.workers
      .filter(isRegistered)
      .map(({ address, end }) => ({ address, network: end }))
    if (forgetsLost) this.#known = new KnownWorkers()
    const published = core.view().network.workers
    return this.#known.toAsk({ serving: core.mayServe(), registered, published }, nowMs)
  }
}

function endOfTarget({ network, masters }: EarsOptions, { kind, address }: Target): string {
  const { workers, witnesses } = network
  if (kind === 'master') {
    return masters().find((one) => one.address === address)?.host.name ?? ''
  }
  return (kind === 'worker' ? workers : witnesses).find((one) => one.address === address)?.end ?? ''
}

function follow({ core, network }: EarsOptions, registry: Registry, ear: NetworkEar): void {
  const view = core.view()
  const workers = registry.toAsk()
  const others = [...view.peers, ...(view.active === null ? [] : [view.active])]
  const targets: Target[] = [
    ...workers.map((worker): Target => ({ kind: 'worker', ...worker })),
    ...network.witnesses.map(
      ({ address }): Target => ({ kind: 'witness', address, network: null }),
    ),
    ...others
      .filter(({ address }) => address !== view.self.address)
      .map(
        (peer): Target => ({
          kind: 'master',
          address: peer.address,
          network: peer.network ?? null,
        }),
      ),
  ]
  ear.follow(targets, core.mayServe() ? workers : [])
}

function ask(options: EarsOptions, target: Target, limitMs: number): Promise<Answer> {
  const { world, network, master, process, masters } = options
  const me = master.host.name
  const end = endOfTarget(options, target)
  const travel = (): number => world.random.between(...TRAVELS_MS)
  return new Promise((resolve) => {
    clockOf(process).after(limitMs, () => resolve('silent'))
    const back = (answer: Answer): void =>
      world.after(travel(), () => {
        if (!network.links.reaches(end, me)) return
        process.deliver({
          kind: 'message',
          run: () => {
            resolve(answer)
            return true
          },
        })
      })
    world.after(travel(), () => {
      if (!network.links.reaches(me, end)) return
      if (target.kind !== 'master') {
        const worker = network.workers.find(({ address }) => address === target.address)
        const state = worker?.state ?? 'up'
        if (state !== 'off') back(state === 'up' ? 'answered' : 'refused')
        return
      }
      const other = masters().find((one) => one.address === target.address)
      if (other === undefined || !other.host.up) return
      if (!other.alive) back('refused')
      else other.life?.process.whenAwake(() => back('answered'))
    })
  })
}

/** Signs of life on a stream come each 2P, and a silence above 3P is one, as in the product (lib/master/network/network.ts). */
const SIGN_PERIODS = 2
const QUIET_PERIODS = 3

/** The streams of the other masters, as this one hears them. */
class Streams {
  readonly #options: EarsOptions
  readonly #signMs = new Map<string, number>()

  constructor(options: EarsOptions) {
    this.#options = options
    this.#hear()
  }

  /** It looks each Q, as the product does. */
  watch(ear: NetworkEar): void {
    const { process, timing } = this.#options
    const sinceMs = this.quietSinceMs(QUIET_PERIODS * timing.renewMs)
    if (sinceMs !== null) ear.suspect(sinceMs)
    clockOf(process).after(timing.pollMs, () => this.watch(ear))
  }

  quietSinceMs(limitMs: number): number | null {
    const latest = clockOf(this.#options.process).nowMs() - limitMs
    const quiet = [...this.#signMs.values()].filter((ms) => ms < latest)
    return quiet.length === 0 ? null : Math.min(...quiet)
  }

  #hear(): void {
    const { process, timing, masters, master, network } = this.#options
    const clock = clockOf(process)
    for (const other of masters()) {
      if (other === master) continue
      if (other.awake && network.links.both(other.host.name, master.host.name)) {
        this.#signMs.set(other.address, clock.nowMs())
      }
    }
    clock.after(SIGN_PERIODS * timing.renewMs, () => this.#hear())
  }
}
