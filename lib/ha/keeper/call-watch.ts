/**
 * The file calls that are under way, so that one which is never answered is told with its file, and a lost one is told from
 * a storage that is away: while others are answered, a touch that isn't is lost. That happens on HDFS's gateway, to the
 * utimes of a file that another host has just removed, and nobody can take such a call back.
 */
import type { Clock, Disk, Purpose } from '../world/ports.ts'

interface Call {
  readonly verb: keyof Disk
  readonly purpose: Purpose
  readonly path: string
  readonly sinceMs: number
  readonly wallMs: number
}

/** So many are told at once: what hangs longest hangs for the reason of the others, too. */
const TOLD = 3

export class CallWatch {
  readonly #clock: Clock
  readonly #calls = new Set<Call>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns the same disk, watched. */
  over(disk: Disk): Disk {
    const noted = <T>(
      verb: keyof Disk,
      [purpose, path]: readonly [Purpose, string],
      answer: Promise<T>,
    ): Promise<T> => {
      const [sinceMs, wallMs] = [this.#clock.nowMs(), this.#clock.wallMs()]
      const call: Call = { verb, purpose, path, sinceMs, wallMs }
      this.#calls.add(call)
      const over = (): void => void this.#calls.delete(call)
      answer.then(over, over)
      return answer
    }
    return {
      makeTermDir: (...at) => noted('makeTermDir', at, disk.makeTermDir(...at)),
      makeDirs: (...at) => noted('makeDirs', at, disk.makeDirs(...at)),
      create: (purpose, path, text) =>
        noted('create', [purpose, path], disk.create(purpose, path, text)),
      fill: (purpose, path, text) => noted('fill', [purpose, path], disk.fill(purpose, path, text)),
      occupy: (purpose, path, bytes) =>
        noted('occupy', [purpose, path], disk.occupy(purpose, path, bytes)),
      space: () => noted('space', ['reserve', '.'], disk.space()),
      touch: (purpose, path, ...more) =>
        noted('touch', [purpose, path], disk.touch(purpose, path, ...more)),
      glimpse: (...at) => noted('glimpse', at, disk.glimpse(...at)),
      read: (...at) => noted('read', at, disk.read(...at)),
      list: (...at) => noted('list', at, disk.list(...at)),
      unlink: (...at) => noted('unlink', at, disk.unlink(...at)),
      replace: (purpose, path, by) =>
        noted('replace', [purpose, path], disk.replace(purpose, path, by)),
      removeDir: (...at) => noted('removeDir', at, disk.removeDir(...at)),
      syncDir: (...at) => noted('syncDir', at, disk.syncDir(...at)),
    }
  }

  /**
   * The touch that has been without an answer for `limitMs` when a look began, at `lookedMs`, that was answered; null for
   * none. A renewal, or a backup's sign of life: everything else may wait for its turn for long (a server's grace period).
   */
  lostTouch(lookedMs: number, limitMs: number): { readonly path: string; text: string } | null {
    for (const call of this.#calls) {
      if (call.verb !== 'touch' || lookedMs - call.sinceMs < limitMs) continue
      return { path: call.path, text: this.#text(call) }
    }
    return null
  }

  /** What has been without an answer for so long, a sentence that stays the same while it hangs; null for nothing. */
  hanging(limitMs: number, directory: string): string | null {
    const nowMs = this.#clock.nowMs()
    const found = [...this.#calls].filter(({ sinceMs }) => nowMs - sinceMs >= limitMs)
    if (found.length === 0) return null
    const told = found.slice(0, TOLD).map((call) => this.#text(call))
    const more = found.length > TOLD ? ` and ${found.length - TOLD} more` : ''
    return `calls on ${directory} are not answered: ${told.join(', ')}${more}`
  }

  #text({ verb, purpose, path, wallMs }: Call): string {
    return `${verb} ${path} (${purpose}, since ${new Date(wallMs).toISOString()})`
  }
}
