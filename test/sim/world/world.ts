/**
 * The simulated world of one seed: hosts, one shared directory, and time. Knows nothing of masters.
 */
import { Host } from './host.ts'
import { Random } from './random.ts'
import { Storage, type StorageKind } from './storage.ts'
import { Timeline } from './timeline.ts'

export type Trace = (text: () => string) => void

export class World {
  readonly seed: number
  readonly timeline = new Timeline()
  readonly random: Random
  readonly storage: Storage
  readonly hosts: Host[]
  readonly #holding = new Set<() => void>()
  /** Written only when a run is replayed. */
  readonly trace: Trace

  constructor(
    options: { seed: number; hosts: number; maxDrift: number; storage: StorageKind },
    write: ((line: string) => void) | null,
  ) {
    this.seed = options.seed
    this.random = new Random(options.seed, 'world')
    this.storage = new Storage(options.storage, this.timeline, new Random(options.seed, 'storage'))
    this.hosts = Array.from({ length: options.hosts }, (_, i) => {
      const random = new Random(options.seed, `host ${i}`)
      const drift = random.chance(0.3) ? options.maxDrift * (random.chance(0.5) ? 1 : -1) : 0
      const rate = 1 + (drift === 0 ? random.between(-options.maxDrift, options.maxDrift) : drift)
      return new Host(`host${i + 1}`, this.timeline, random, rate)
    })
    this.trace =
      write === null
        ? () => {}
        : (text) => write(`${this.timeline.nowMs.toFixed(2).padStart(10)}  ${text()}`)
  }

  /** Something of the world itself, that runs no code under test. */
  after(delayMs: number, run: () => void): void {
    this.timeline.after(delayMs, () => {
      run()
      return true
    })
  }

  /** Some other program of the host has a file open for a while. */
  holdOpen(host: Host, path: string, forMs: number): void {
    const { server } = this.storage
    const file = server.file(path)
    if (file === undefined || !host.up) return
    const { client } = host
    this.trace(() => `${host.name} holds ${path} open for ${Math.round(forMs)} ms`)
    server.open(file, client)
    const close = (): void => {
      if (!this.#holding.delete(close)) return
      if (host.up && host.client === client) server.close(file, path, client)
    }
    this.#holding.add(close)
    this.after(forMs, close)
  }

  /** All that other programs hold open is closed. */
  releaseHeld(): void {
    for (const close of this.#holding) close()
  }
}
