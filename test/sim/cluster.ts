/** All masters of one simulated world, and what faults need to find their way among them. */
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  type ClusterFile,
  claimFile,
  encode,
  FORMAT_VERSION,
  HISTORY_DIR,
  type Holder,
  historyFile,
  SECRET_FILE,
  servedFile,
  termDir,
  termOf,
} from '../../lib/ha/words/layout.ts'
import { Auditor } from './auditor.ts'
import type { Breaks } from './breaks.ts'
import { CATALOG_DIR } from './catalog.ts'
import type { SimNetwork } from './ears.ts'
import { CATALOG, Master, SECRET } from './master.ts'
import { type Profile, slowestMs } from './profile.ts'
import { SLOW_MS } from './world/channel.ts'
import type { Call } from './world/disk.ts'
import type { Host } from './world/host.ts'
import { Links } from './world/links.ts'
import { Random } from './world/random.ts'
import { split } from './world/server.ts'
import { calm } from './world/storage.ts'
import { World } from './world/world.ts'

/** A host that was thawed has met its next renewal after so many renewal periods, if the storage answers it. */
const THAW_PERIODS = 1.5
/** Files that are gone are put back once in M. */
const MENDED_WITHIN_M = 1

export class Cluster {
  readonly profile: Profile
  readonly world: World
  readonly auditor: Auditor
  readonly masters: Master[]
  /** The clients' network, where the profile has one. */
  readonly network: SimNetwork | null
  /** For faults only. */
  readonly random: Random
  /** Network between hosts is cut for these: hints don't reach them. */
  readonly unheard = new Set<Host>()
  /** Addresses of masters for whose claims the disk is full. */
  readonly full = new Set<string>()
  /** Why no master can open the catalog; null when each can. */
  refused: string | null = null
  onCall: (master: Master, call: Call) => void = () => {}
  /** When the newest renewal of a master's lease began. */
  readonly #renewedMs = new Map<Master, number>()
  #removedMs = Number.NEGATIVE_INFINITY
  #healed = false
  /** When a host was last kept from renewing by more than its thaw. */
  readonly #disturbedMs = new Map<Host, number>()
  /** Those whose keepers wait for a renewal, and when each was last seen to, ms. */
  readonly #late = new Set<Master>()
  readonly #lateMs = new Map<Master, number>()

  constructor(profile: Profile, breaks: Breaks, write: ((line: string) => void) | null) {
    this.profile = profile
    this.world = new World(profile, write)
    const { world } = this
    this.random = new Random(profile.seed, 'faults')
    this.auditor = new Auditor(() => world.timeline.nowMs)
    this.auditor.follow(world.storage)
    world.storage.server.makeDirectories(CATALOG_DIR)
    if (!profile.fresh) this.#form()
    const n = profile.timings.length
    this.network = networkOf(profile, this.world)
    this.masters = Array.from({ length: profile.masters }, (_, i) => {
      const master = new Master({
        world,
        host: world.hosts[i % world.hosts.length] as Host,
        address: `m${i + 1}:26001`,
        priority: profile.priorities[i] ?? 100,
        timings: [...profile.timings.slice(i % n), ...profile.timings.slice(0, i % n)],
        fencing: profile.fencing,
        changeEveryMs: profile.changeEveryMs,
        auditor: this.auditor,
        breaks,
        spy: (own) => (call) => this.#spy(own, call),
        fence: (holder) => this.#fence(holder),
        network: this.network,
        isFull: () => this.full.has(`m${i + 1}:26001`),
        refuses: () => this.refused,
        masters: () => this.masters,
      })
      master.onEnd(() => {
        this.#streamBroke(master)
        if (this.#healed) world.after(profile.timing.monitorMs / 10, () => master.start())
      })
      return master
    })
    world.timeline.afterTurn = () => this.#audit()
  }

  /** Who serves now, else whoever holds the newest lease. */
  get active(): Master | null {
    const { masters } = this
    const serving = masters.find((master) => master.serves)
    if (serving !== undefined) return serving
    const holders = masters.filter((master) => master.heldTerm > 0)
    return holders.sort((a, b) => b.heldTerm - a.heldTerm)[0] ?? null
  }

  disturb(host: Host): void {
    this.#disturbedMs.set(host, this.world.timeline.nowMs)
  }

  wake(host: Host): void {
    if (!host.asleep) return
    host.wake()
    this.world.storage.flush()
  }

  powerOn(host: Host): void {
    if (host.up) return
    host.powerOn()
    this.world.storage.flush()
    for (const master of this.masters) if (master.host === host) master.start()
  }

  /** Whether the holder has had the time to put back what was removed before: one file at a time is what it can mend. */
  get mayRemove(): boolean {
    return this.world.timeline.nowMs - this.#removedMs > MENDED_WITHIN_M * slowestMs(this.profile)
  }

  /** By somebody who is no master. */
  remove(path: string): void {
    this.#removedMs = this.world.timeline.nowMs
    this.world.storage.server.unlink(path, 'somebody')
  }

  removeDirectory(path: string): void {
    const { server } = this.world.storage
    for (const name of server.names(path) ?? []) {
      if (server.entry(`${path}/${name}`) === 'directory') this.removeDirectory(`${path}/${name}`)
      else this.remove(`${path}/${name}`)
    }
    server.removeDirectory(path)
  }

  /** All is well again: nothing is stopped, hung, cut or down, and whatever ends late is started anew. */
  heal(graceMs: number): void {
    this.#healed = true
    const { storage, hosts } = this.world
    storage.weather = calm()
    this.unheard.clear()
    this.network?.links.mend()
    this.world.releaseHeld()
    for (const host of hosts) {
      this.wake(host)
      storage.cut.delete(host)
    }
    storage.recover(storage.down ? graceMs : 0)
    for (const host of hosts) this.powerOn(host)
    for (const { life } of this.masters) {
      life?.process.continue()
      life?.keeper?.continue()
    }
    for (const master of this.masters) master.start()
    // Who was handed over to nobody waits for the operator.
    const stoodDown = this.masters.find((m) => m.life?.keeperCore?.state.standDown != null)
    this.world.after(slowestMs(this.profile) / 4, () => {
      if (this.active === null) {
        stoodDown?.order((core) => core.takeOver({ force: false, by: 'operator' }))
      }
    })
  }

  /** As an earlier start would have left the directory. */
  #form(): void {
    const { server } = this.world.storage
    for (const name of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) server.makeDirectories(name)
    const cluster: ClusterFile = {
      format: FORMAT_VERSION,
      clusterId: 'formed',
      catalog: CATALOG,
      createdAt: '',
    }
    server.write(CLUSTER_FILE, encode(cluster))
    server.write(SECRET_FILE, `${SECRET}\n`)
    for (let term = 1; term <= this.profile.past; term += 1) {
      server.makeDirectories(termDir(term))
      for (const path of [claimFile(term), historyFile(term), servedFile(term)]) {
        server.write(path, '{}\n')
      }
    }
  }

  #spy(master: Master, call: Call): void {
    if (call.purpose === 'end-below' && call.verb === 'glimpse') {
      const term = termOf(split(split(call.path)[0])[1])
      if (term !== null) this.auditor.onLastLook(term, 4 * this.profile.storage.latencyMs + 1)
    }
    this.onCall(master, call)
  }

  #audit(): void {
    const { auditor, world, masters } = this
    auditor.look(masters.map((master) => this.#servingOf(master)))
    if (auditor.violation !== null) world.timeline.stop()
  }

  #servingOf(master: Master) {
    const serves = master.awake && master.serves
    const late = serves && this.#renewsLate(master)
    // Also of one that is stopped: its keeper may renew meanwhile.
    const renewedThenStalledMs = this.#renewedThenStalledMs(master, late)
    return {
      name: master.address,
      awake: master.awake,
      serves,
      term: serves ? (master.life?.core.term() ?? null) : null,
      excused: serves && this.#excused(master, { late, renewedThenStalledMs }),
      slept: this.world.timeline.nowMs - master.host.thawedMs < slowestMs(this.profile),
      renewedThenStalledMs: serves ? renewedThenStalledMs : null,
    }
  }

  /**
   * Its renewal fails or hangs on the storage; until the word of how it ended has come to the master, too. Not any more once
   * its keeper has seen a higher term serve: it has heard by other means.
   */
  #renewsLate(master: Master): boolean {
    const { life, host } = master
    const { nowMs } = this.world.timeline
    const { lease, above } = life?.keeperCore?.state ?? { lease: null, above: null }
    const { latencyMs } = this.profile.storage
    // Two legs of half to one and a half of it each are nothing to speak of.
    const hangs = lease?.renewing && host.monotonicMs() > lease.dueMs + 3 * latencyMs + 1
    const late = lease?.failing === true || hangs === true
    // Also at the moment in which it ends: between two looks of the auditor nothing happens, however long that is.
    if (late || this.#late.has(master)) this.#lateMs.set(master, nowMs)
    if (late) this.#late.add(master)
    else this.#late.delete(master)
    const sinceHeardMs = above === null ? 0 : (host.monotonicMs() - above.seenMs) / host.rate
    const sinceLateMs = nowMs - (this.#lateMs.get(master) ?? Number.NEGATIVE_INFINITY)
    return Math.max(sinceHeardMs, sinceLateMs) <= SLOW_MS
  }

  #renewedThenStalledMs(master: Master, late: boolean): number | null {
    const { life, host } = master
    if (life === null) return null
    const { storage, timeline } = this.world
    const lease = life.keeperCore?.state.lease
    // Once deposed the keeper has none, and its word is on the way to the master.
    if (lease != null) {
      const startedMs = lease.untilMs - master.timing.deadlineMs
      this.#renewedMs.set(master, timeline.nowMs - (host.monotonicMs() - startedMs) / host.rate)
    }
    const renewedMs = this.#renewedMs.get(master) ?? Number.NEGATIVE_INFINITY
    const wokenMs = Math.max(life.process.wokenMs, life.keeper?.wokenMs ?? 0)
    const disturbedMs = this.#disturbedMs.get(host) ?? 0
    const stalled = late || life.keeper?.asleep === true || storage.blocked(host)
    // No lease is longer, not even on the slowest clock.
    if (timeline.nowMs - renewedMs > master.timing.deadlineMs * 1.02) return null
    return stalled || Math.max(wokenMs, disturbedMs) > renewedMs ? renewedMs : null
  }

  /**
   * Reads may be old on a host that was thawed, until its next renewal; the same where a hostile world shows masters
   * heartbeats of a minute ago. A disturbance of that host meanwhile can put the renewal off to the lease's end, and so
   * can a slow call.
   */
  #excused(
    master: Master,
    { late, renewedThenStalledMs }: { late: boolean; renewedThenStalledMs: number | null },
  ): boolean {
    const { auditReads } = this.profile
    if (auditReads === false) return true
    if (auditReads === 'to the deadline' && late && renewedThenStalledMs !== null) return true
    const { host } = master
    const { renewMs, deadlineMs } = master.timing
    const sinceMs = this.world.timeline.nowMs - host.thawedMs
    if (sinceMs < THAW_PERIODS * renewMs) return true
    const { storage } = this.world
    const disturbed =
      late ||
      (this.#disturbedMs.get(host) ?? 0) > host.frozeMs - deadlineMs ||
      storage.blocked(host) ||
      master.life?.keeper?.stopped === true
    return disturbed && sinceMs < deadlineMs * 1.02
  }

  /** The others' streams to a master break when it dies, and they look at once. */
  #streamBroke(ended: Master): void {
    for (const master of this.masters) {
      if (master === ended || this.unheard.has(master.host) || this.unheard.has(ended.host))
        continue
      if (this.random.chance(0.3)) continue
      this.world.after(this.random.between(0.2, 3), () =>
        master.order((core) => core.hint('the stream broke')),
      )
    }
  }

  async #fence(holder: Holder): Promise<{ fenced: boolean; detail: string }> {
    const target = this.masters.find((master) => master.address === holder.address)
    await new Promise<void>((done) =>
      this.world.timeline.after(this.random.between(20, 200), () => {
        done()
        return true
      }),
    )
    const process = target?.life?.process
    if (target === undefined || this.unheard.has(target.host)) {
      return { fenced: false, detail: 'no route to host' }
    }
    if (!target.host.up || target.host.asleep) return { fenced: false, detail: 'no answer' }
    if (process?.alive && process.identity.pid === holder.master.pid) {
      if (process.identity.bootId === holder.master.bootId) process.kill()
    }
    return { fenced: true, detail: 'it is dead' }
  }
}

function networkOf({ network }: Profile, world: World): SimNetwork | null {
  if (network === null) return null
  return {
    links: new Links(),
    workers: network.workers.map((place, i) => ({
      address: `w${i + 1}:28091`,
      end: place === 'apart' ? `worker${i + 1}` : (world.hosts[place - 1]?.name ?? ''),
      state: 'up',
    })),
    witnesses: network.witness ? [{ address: 'gateway', end: 'witness' }] : [],
  }
}
