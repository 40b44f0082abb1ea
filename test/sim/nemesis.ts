/**
 * Who decides when a fault strikes and whom: at random moments, and at chosen file calls, where the protocol is most
 * vulnerable: just before a call or while it is under way.
 */
import type { Cluster } from './cluster.ts'
import { FAULTS, type FaultName } from './faults.ts'
import type { Master } from './master.ts'
import type { Call } from './world/disk.ts'

/** How often a fault is aimed at the active, or at whoever is about to be. */
const AIMED = 0.7

interface Trigger {
  readonly purpose: Call['purpose']
  /** Strikes at this call of that purpose. */
  left: number
  readonly fault: FaultName
  readonly delayMs: number
  readonly forMs: number
}

export class Nemesis {
  readonly #cluster: Cluster
  readonly #triggers: Trigger[]
  #active = true

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    const { random, profile } = cluster
    this.#triggers = Array.from({ length: profile.triggers }, () => {
      const [purpose, most] = random.pick(profile.aims)
      return {
        purpose,
        left: 1 + random.below(most),
        fault: random.pick(profile.strikes),
        delayMs: random.chance(0.4) ? 0 : random.logBetween(0.05, 10 * profile.storage.latencyMs),
        forMs: this.#length(),
      }
    })
    cluster.onCall = (master, call) => this.#onCall(master, call)
    this.#next()
  }

  end(): void {
    this.#active = false
    this.#cluster.onCall = () => {}
  }

  #length(): number {
    const { random, profile } = this.#cluster
    return random.logBetween(profile.shortestMs, profile.longestMs)
  }

  #next(): void {
    const { world, profile, random } = this.#cluster
    world.after(-Math.log(1 - random.next()) * profile.faultEveryMs, () => {
      if (!this.#active) return
      const aimed = random.chance(AIMED) ? this.#cluster.active : null
      this.#strike(random.pick(profile.faults), aimed ?? random.pick(this.#cluster.masters))
      this.#next()
    })
  }

  #strike(fault: FaultName, target: Master, forMs = this.#length()): void {
    const { world } = this.#cluster
    world.trace(() => `FAULT ${fault} at ${target.address} for ${Math.round(forMs)} ms`)
    FAULTS[fault]({ cluster: this.#cluster, target, forMs })
  }

  #onCall(master: Master, call: Call): void {
    for (const trigger of this.#triggers) {
      if (trigger.purpose !== call.purpose || trigger.left === 0) continue
      trigger.left -= 1
      if (trigger.left > 0) continue
      const { world } = this.#cluster
      world.trace(() => `TRIGGER at ${call.verb} ${call.path} (${call.purpose})`)
      const strike = (): void => {
        if (this.#active) this.#strike(trigger.fault, master, trigger.forMs)
      }
      if (trigger.delayMs === 0) strike()
      else world.after(trigger.delayMs, strike)
    }
  }
}
