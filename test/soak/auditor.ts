/**
 * Watches a cluster from outside, all the time: asks every master's client port in turn for its word, and every health
 * check. Says when two were active, and between which answers one term followed another.
 *
 * What counts as two: a master that serves an older term in answer to a request that was sent after a newer term had
 * answered somebody; or two health checks that say "active" in two rounds running.
 */
import { Agent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, type TestMaster } from '../support/test-masters.ts'

const PAUSE_MS = 5

export class Auditor {
  /** A sentence each. */
  readonly violations: string[] = []
  /** First and last moment at which each term answered, in ms of performance.now(). */
  readonly terms = new Map<number, { firstMs: number; lastMs: number; address: string }>()
  requests = 0
  served = 0
  readonly #masters: readonly TestMaster[]
  readonly #agents: readonly Agent[]
  readonly #stop = new AbortController()
  #newest = { epoch: 0, answeredMs: 0 }
  #bothBefore = false

  constructor(masters: readonly TestMaster[]) {
    this.#masters = masters
    this.#agents = masters.map(() => new Agent({ keepAlive: true, maxSockets: 1 }))
  }

  /** Goes on until `stop`. */
  async run(): Promise<void> {
    const asking = this.#masters.map((master, index) => this.#askForEver(master, index))
    await Promise.all([...asking, this.#watchHealth()])
    for (const agent of this.#agents) agent.destroy()
  }

  stop(): void {
    this.#stop.abort()
  }

  async #askForEver(master: TestMaster, index: number): Promise<void> {
    const agent = this.#agents[index]
    while (!this.#stop.signal.aborted) {
      const sentMs = performance.now()
      const answer = await master.clientStatus(agent)
      this.requests += 1
      if (answer.status === 200) this.#judge(master, JSON.parse(answer.text), sentMs)
      await sleep(PAUSE_MS)
    }
  }

  #judge({ address }: TestMaster, { epoch }: { epoch: number }, sentMs: number): void {
    const nowMs = performance.now()
    this.served += 1
    const term = this.terms.get(epoch)
    if (term === undefined) this.terms.set(epoch, { firstMs: nowMs, lastMs: nowMs, address })
    else {
      term.lastMs = nowMs
      if (term.address !== address) {
        this.violations.push(`term ${epoch} was served by ${term.address} and by ${address}`)
      }
    }
    if (epoch < this.#newest.epoch && sentMs > this.#newest.answeredMs) {
      this.violations.push(
        `${address} served term ${epoch} to a request sent ${Math.round(sentMs - this.#newest.answeredMs)} ms after term ${this.#newest.epoch} had answered`,
      )
    }
    if (epoch > this.#newest.epoch) this.#newest = { epoch, answeredMs: nowMs }
  }

  async #watchHealth(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const ports = this.#masters.map(({ ports }) => ports.info)
      const answers = await Promise.all(ports.map((port) => ask(port, '/health/active')))
      const active = this.#masters.filter((_, index) => answers[index]?.status === 200)
      if (active.length > 1 && this.#bothBefore) {
        this.violations.push(`${active.map(({ address }) => address).join(' and ')} are healthy`)
      }
      this.#bothBefore = active.length > 1
      await sleep(PAUSE_MS)
    }
  }

  /** Time in which nobody was served between the last answer of one term and the first of a later one. */
  gapMs(from: number, to: number): number {
    return (
      (this.terms.get(to)?.firstMs ?? Number.NaN) - (this.terms.get(from)?.lastMs ?? Number.NaN)
    )
  }
}
