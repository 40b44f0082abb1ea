/**
 * Files of which this host's NFS gateway gives only the beginning. HDFS's gateway answers EIO for everything beyond the
 * length that a file had when it was read first, until the gateway is restarted or nobody has asked it for the file for ten
 * minutes (seen with Hadoop 3.4.2). Each try starts those minutes anew, so a file that was met like that is not asked for
 * until they are surely over.
 */
import type { Clock } from '../base/clock.ts'

/** What the gateway takes to forget it, and a minute. */
const FORGOTTEN_MS = 11 * 60_000

export class SpoiltFiles {
  readonly #clock: Clock
  readonly #metMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether it must be left alone now. */
  has(path: string): boolean {
    const metMs = this.#metMs.get(path)
    if (metMs === undefined) return false
    if (this.#clock.nowMs() - metMs < FORGOTTEN_MS) return true
    this.#metMs.delete(path)
    return false
  }

  /** It was met just now. */
  add(path: string): void {
    this.#metMs.set(path, this.#clock.nowMs())
  }
}

/** What it is, and the cure, for people. */
export const spoiltText = (path: string): string =>
  `can't read ${path} to its end (EIO), though its beginning can be read: somebody read it through this host's NFS gateway while it still grew, and for its end the gateway has nothing but that error until it is restarted. Restart the gateway, then this process; or have nobody read the file for 11 minutes, after which it is tried again. Masters of other hosts, with gateways of their own, can open it`
