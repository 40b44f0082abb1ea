/**
 * A master in the simulated world: two processes that run the real `MemberCore` and `Keeper`, a catalog, and a client
 * that asks it for changes. A life ends with its master process; the next one has a new nonce and the same address.
 */

import { Keeper } from '../../lib/ha/keeper/keeper.ts'
import { MemberCore, type MemberStart } from '../../lib/ha/member/member.ts'
import type { KeeperHandle } from '../../lib/ha/member/supervised-keeper.ts'
import type { Timing } from '../../lib/ha/rules/timing.ts'
import { DiskError } from '../../lib/ha/words/errors.ts'
import type { Holder } from '../../lib/ha/words/layout.ts'
import type { Start, ToKeeper, ToMaster } from '../../lib/ha/words/messages.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import {
  HDFS_GATEWAY,
  PLAIN,
  profiledDisk,
  type StorageProfile,
} from '../../lib/ha/world/storage-profile.ts'
import type { Auditor } from './auditor.ts'
import type { Breaks, Inside } from './breaks.ts'
import { Catalog } from './catalog.ts'
import { listen, type SimNetwork } from './ears.ts'
import { carryLetters, type LettersOptions } from './letters.ts'
import { channel } from './world/channel.ts'
import { SimDisk, type Spy } from './world/disk.ts'
import { clockOf, type Host } from './world/host.ts'
import type { SimProcess } from './world/process.ts'
import type { Storage } from './world/storage.ts'
import type { World } from './world/world.ts'

export interface MasterOptions {
  readonly world: World
  readonly host: Host
  readonly address: string
  readonly priority: number
  /** One for each of its lives, in turn. */
  readonly timings: readonly Timing[]
  readonly fencing: boolean
  /** A client asks for a change about so often. */
  readonly changeEveryMs: number
  readonly auditor: Auditor
  readonly breaks: Breaks
  readonly spy: (master: Master) => Spy
  readonly fence: (holder: Holder) => Promise<{ fenced: boolean; detail: string }>
  /** Null: nothing is known of the network. */
  readonly network: SimNetwork | null
  readonly masters: () => readonly Master[]
  /** The directory that its host sees, where that is not everybody's. */
  readonly storage?: Storage
  /** Which of these directories its host has mounted now, where that may change under a running master. */
  readonly mount?: { readonly storages: readonly Storage[]; at(): { nth: number; name: string } }
  /** Its letters to the others, where there are any; the rest is told in `letters.ts`. */
  readonly letters?: LettersOptions
  /** It finds no room for a claim's files, nor for its reserve. */
  readonly isFull: () => boolean
  /** Why its catalog can't be opened; null when it can. */
  readonly refuses: () => string | null
}

/** What all masters of a cluster share. */
export const CATALOG = { class: 'journal', uri: '' } as const
export const SECRET = 'x'.repeat(64)

/** From the fork to the first line of the keeper's code. */
const KEEPER_STARTS_MS = [25, 60] as const

interface Life {
  readonly process: SimProcess
  readonly core: MemberCore
  readonly catalog: Catalog
  readonly inside: Inside
  keeper: SimProcess | null
  keeperCore: Keeper | null
}

export class Master {
  readonly options: MasterOptions
  readonly host: Host
  readonly address: string
  life: Life | null = null
  #lives = 0
  #onEnd: (() => void)[] = []

  constructor(options: MasterOptions) {
    this.options = options
    this.host = options.host
    this.address = options.address
  }

  get alive(): boolean {
    return this.life?.process.alive === true
  }
  get serves(): boolean {
    return this.alive && this.life?.core.mayServe() === true
  }
  get awake(): boolean {
    return this.alive && this.life?.process.asleep === false
  }
  /** The newest term of which its keeper holds the lease, as the simulation may peek; 0 for none. */
  get heldTerm(): number {
    return this.alive ? (this.life?.keeperCore?.state.lease?.term ?? 0) : 0
  }

  /** Of its newest life. */
  get timing(): Timing {
    const { timings } = this.options
    const timing = timings[Math.max(0, this.#lives - 1) % timings.length]
    if (timing === undefined) throw new Error(`${this.address} has no periods`)
    return timing
  }

  /** Called when a life ends, by whatever. */
  onEnd(run: () => void): void {
    this.#onEnd.push(run)
  }

  start(): void {
    if (this.alive || !this.host.up) return
    const { options, address, host } = this
    const { world, auditor, breaks } = options
    this.#lives += 1
    const process = host.start(`${address} master`)
    process.onDeath(() => {
      for (const run of this.#onEnd) run()
    })
    const own = clockOf(process)
    const clock = breaks.masterClock?.(own) ?? own
    const owner = `${address}#${this.#lives}`
    const spy = options.spy(this)
    const drawn = this.timing
    const timing = breaks.timing?.(drawn) ?? drawn
    const notes = new Map<string, unknown>()
    const catalog = new Catalog({
      owner,
      disk: this.#disk(process, spy),
      clock: own,
      auditor,
      ackFirst: breaks.ackFirst === true,
      readEarly: (term) => breaks.readEarly?.(inside, term) ?? null,
      refuses: options.refuses,
      profile: this.#profile,
    })
    const inside: Inside = { clock, timing, catalog, notes }
    const core = new MemberCore(
      {
        clock,
        service: catalog,
        log: (level, message) => world.trace(() => `${address} ${level}: ${message}`),
        spawnKeeper: () => this.#spawnKeeper(process, inside, spy),
      },
      this.#startMessage(process, owner, timing),
    )
    catalog.use(core)
    if (options.network !== null) this.#listen(options.network, { process, core, timing })
    if (options.letters !== undefined) {
      carryLetters({
        ...options.letters,
        world,
        master: this,
        process,
        core,
        masters: options.masters,
      })
    }
    this.life = { process, core, catalog, inside, keeper: null, keeperCore: null }
    world.trace(() => `${address} starts`)
    core.onState((view) => world.trace(() => `${address} is ${view.state}, epoch ${view.epoch}`))
    core.onFailure(() => process.kill())
    process.deliver({
      kind: 'timer',
      run: () => {
        core.join().catch((error: Error) => {
          world.trace(() => `${address} ends: ${error.message}`)
          process.kill()
        })
        this.#clients(process, catalog)
        return true
      },
    })
  }

  get #profile(): StorageProfile {
    const { breaks } = this.options
    return breaks.profile ?? (this.#storage.kind.hdfs ? HDFS_GATEWAY : PLAIN)
  }

  get #storage(): Storage {
    return this.options.storage ?? this.options.world.storage
  }

  #disk(process: SimProcess, spy: Spy): SimDisk {
    const { mount } = this.options
    if (mount === undefined) return new SimDisk(this.#storage, process, spy)
    const disks = mount.storages.map((storage) => new SimDisk(storage, process, spy))
    // A path means what is mounted at the moment of the call.
    return new Proxy(Object.create(SimDisk.prototype) as SimDisk, {
      get: (wrapped, key: keyof SimDisk) => {
        if (Object.hasOwn(wrapped, key)) return wrapped[key]
        return (...words: unknown[]) => {
          const now = disks[mount.at().nth] as SimDisk
          return (now[key] as (...words: unknown[]) => unknown).apply(now, words)
        }
      },
    })
  }

  #listen(
    network: SimNetwork,
    own: { process: SimProcess; core: MemberCore; timing: Timing },
  ): void {
    const { world, breaks, masters } = this.options
    listen({
      ...own,
      world,
      network,
      master: this,
      masters,
      own: breaks.ownNetwork ?? this.host.name,
      wrapAsk: breaks.ask ?? ((ask) => ask),
      forgetsLost: breaks.forgetsLost === true,
    })
  }

  /** Orderly stop; its process ends when the keeper has left. */
  leave(): void {
    const life = this.life
    this.order((core) => {
      void core.stop('asked for').then(() => life?.process.kill())
    })
  }

  /** Something said to the master process from outside; it may refuse. */
  order(say: (core: MemberCore) => Promise<void> | void): void {
    const life = this.life
    if (life === null) return
    const { world } = this.options
    world.timeline.after(0.1, () =>
      life.process.deliver({
        kind: 'message',
        run: () => {
          const done = say(life.core)
          done?.catch((error: Error) =>
            world.trace(() => `${this.address} refuses: ${error.message}`),
          )
          return true
        },
      }),
    )
  }

  #clients(process: SimProcess, catalog: Catalog): void {
    const { changeEveryMs, world } = this.options
    const clock = clockOf(process)
    const next = (): void => {
      clock.after(changeEveryMs * world.random.between(0.3, 1.7), () => {
        catalog.change()
        next()
      })
    }
    next()
  }

  #startMessage(process: SimProcess, nonce: string, timing: Timing): MemberStart {
    const { address, options } = this
    return {
      type: 'start',
      directory: '/ha',
      self: {
        address,
        addresses: {
          umbilical: address,
          clientRpc: address,
          resourceTracker: address,
          catalog: address,
          infoHttp: address,
        },
        nonce,
        master: process.identity,
        startedAt: '',
        version: '1',
        priority: options.priority,
        adminSocket: '',
        network: this.host.name,
      },
      hostname: this.host.name,
      timing,
      catalog: CATALOG,
      fencing: options.fencing ? ['simulated'] : [],
      severalHosts: true,
      openingDirectory: null,
      catalogTerm: 0,
      catalogCluster: null,
      listed: options.letters?.listed ?? [],
      fresh: { clusterId: options.letters?.clusterId ?? `cluster of ${nonce}`, secret: SECRET },
    }
  }

  #spawnKeeper(master: SimProcess, inside: Inside, spy: Spy): KeeperHandle {
    const { host, options, address } = this
    const { world, breaks } = options
    const process = host.start(`${address} keeper`)
    const [masterEnd, keeperEnd] = channel<ToKeeper, ToMaster>(master, process)
    const life = this.life
    if (life !== null) life.keeper = process
    const boot = (given: Start): void => {
      const { resumedTiming } = breaks
      const anew = given.resume !== null && resumedTiming !== undefined
      const start = anew ? { ...given, timing: resumedTiming(given.timing) } : given
      const own = clockOf(process)
      const bare = fullAtClaims(this.#disk(process, spy), options.isFull)
      const disk = this.#profile === PLAIN ? bare : profiledDisk(bare, () => this.#profile)
      const processes = {
        self: () => process.identity,
        verdict: (identity: Parameters<Host['verdict']>[0]) => host.verdict(identity),
      }
      const keeper = new Keeper(
        {
          clock: breaks.keeperClock?.(own) ?? own,
          disk: breaks.disk?.(disk, inside) ?? disk,
          processes: breaks.processes?.(processes) ?? processes,
          link: breaks.keeperLink?.(keeperEnd, inside) ?? keeperEnd,
          fence: options.fence,
          killMaster: () => master.kill(),
          masterCpu: () => null,
          exit: () => process.kill(),
          ...(breaks.proveClaim && { proveClaim: breaks.proveClaim }),
          mount: {
            trouble: async () => null,
            name: () => breaks.mountName ?? options.mount?.at().name ?? '',
          },
          storage: {
            granularityMs: this.#storage.kind.granularityMs,
            slowestRenewalMs: 0,
            network: true,
            warnings: [],
          },
          openingBytes: async () => 4096,
        },
        start,
      )
      if (life !== null) life.keeperCore = keeper
      void keeper.run()
    }
    world.timeline.after(world.random.between(...KEEPER_STARTS_MS), () =>
      process.deliver({
        kind: 'timer',
        run: () => {
          keeperEnd.onFirst((message) => boot(message as Start))
          return true
        },
      }),
    )
    return {
      pid: process.identity.pid,
      kill: () => process.kill(),
      link: breaks.masterLink?.(masterEnd, inside) ?? masterEnd,
    }
  }
}

/** No room for a claim, nor for a reserve that could be given up for one. */
function fullAtClaims(disk: SimDisk, isFull: () => boolean): Disk {
  const { create, occupy, space } = disk
  const noSpace = (path: string): Promise<never> =>
    Promise.reject(new DiskError('ENOSPC', path, 'no space left on device'))
  disk.create = (purpose, path, text) =>
    purpose === 'claim' && isFull() ? noSpace(path) : create.call(disk, purpose, path, text)
  disk.occupy = (purpose, path, bytes) =>
    isFull() ? noSpace(path) : occupy.call(disk, purpose, path, bytes)
  disk.space = async () => {
    const found = await space.call(disk)
    return isFull() ? { ...found, freeBytes: 0, freeFiles: 0 } : found
  }
  return disk
}
