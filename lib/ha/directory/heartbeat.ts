/**
 * The heartbeat of a term that this process holds: renewed by its name, and told from another file of that name.
 *
 * A heartbeat's name is used once, as long as nobody removes what keeps its number taken. Where somebody does, a contender
 * that was paused for long may make a heartbeat under the number of a holder that was ended meanwhile, and that holder
 * would find its file living. So a renewal compares the inode with that of the file which this process made.
 *
 * (Where a freed inode goes to the next file at once, as on ext4, that may tell nothing; there mkdir is exclusive, and a
 * number can't be taken twice as long as its directory stands.)
 *
 * There are mounts that number their files anew. There claim.json has another inode as well, and still says that the term is ours;
 * where it has the one that it had, or names somebody else, the heartbeat is not ours any more.
 *
 * The mtimes that a keeper writes grow strictly, and are near the wall clock only so that `ls -l` reads well.
 */

import { DiskError } from '../words/errors.ts'
import { claimFile, heartbeatFile, LOWEST_COUNTER_MS } from '../words/layout.ts'
import type { Clock, Disk, Touched } from '../world/ports.ts'
import { decodeClaim } from './decode.ts'

export class Counter {
  readonly #clock: Clock
  readonly #stepMs: number
  #lastMs = LOWEST_COUNTER_MS

  /** `stepMs`: the file system tells mtimes apart from this difference on. */
  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock
    this.#stepMs = stepMs
  }

  next(): number {
    this.#lastMs = Math.max(this.#lastMs + this.#stepMs, this.#clock.wallMs())
    return this.#lastMs
  }
}

interface Own {
  readonly term: number
  /** Of the master process that holds it. */
  readonly nonce: string
}

export class Heartbeat {
  readonly #disk: Disk
  readonly #own: Own
  #beatId: string | null = null
  #claimId: string | null = null
  #learning = false

  constructor(disk: Disk, own: Own) {
    this.#disk = disk
    this.#own = own
  }

  get term(): number {
    return this.#own.term
  }

  /** To be called when it has been made. Never rejects: what is not known then is asked again. */
  async noteMade(): Promise<void> {
    this.#beatId = await this.#idOf(heartbeatFile(this.term))
  }

  /** To be called when claim.json has been made, or put back. Never rejects. */
  async noteClaimed(): Promise<void> {
    this.#claimId = null
    this.#claimId = await this.#idOf(claimFile(this.term))
  }

  /** It goes by path, never through an open file. `replaced`: another file has its name. Rejects with DiskError. */
  async renew(mtimeMs: number): Promise<Touched> {
    const sameAs = this.#beatId ?? undefined
    const outcome = await this.#disk.touch('renew', heartbeatFile(this.term), mtimeMs, sameAs)
    // Of an earlier keeper's claim, or not known when it was asked for. An open can hang where a renewal works.
    if (outcome === 'touched' && this.#beatId === null) void this.#learn()
    if (outcome !== 'replaced') return outcome
    return (await this.#isNumberedAnew()) ? 'touched' : 'replaced'
  }

  async #learn(): Promise<void> {
    if (this.#learning) return
    this.#learning = true
    await this.noteMade()
    if (this.#claimId === null) await this.noteClaimed()
    this.#learning = false
  }

  async #isNumberedAnew(): Promise<boolean> {
    const { term, nonce } = this.#own
    const claimId = await this.#glimpsed(claimFile(term))
    if (this.#claimId === null || claimId === null || claimId === this.#claimId) return false
    const text = await this.#disk.read('renew', claimFile(term))
    const claim = text === 'missing' ? null : decodeClaim(text)
    if (claim?.state !== 'open' || claim.holder.nonce !== nonce) return false
    this.#beatId = await this.#glimpsed(heartbeatFile(term))
    this.#claimId = claimId
    return this.#beatId !== null
  }

  async #glimpsed(path: string): Promise<string | null> {
    const seen = await this.#disk.glimpse('renew', path)
    return seen === 'missing' ? null : seen.fileId
  }

  async #idOf(path: string): Promise<string | null> {
    try {
      return await this.#glimpsed(path)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return null
    }
  }
}
