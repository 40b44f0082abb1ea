/**
 * What a process knows of the catalog from one look to the next, whether it is a backup or has the term: a state and the
 * place that it is the state of. It is good for nothing but reading on from there, where that place lies on the chain of
 * whatever is read next (chain.ts), or in the history of the database (sql-changes.ts).
 *
 * A backup that has just joined knows nothing before its first look is over, and that one reads the whole catalog. A
 * take-over of the shared catalog meanwhile takes what it comes to, since it would only read the same, beside it and from
 * the beginning.
 */
import { type Clock, systemClock } from '../../base/time.ts'
import type { KnownRows } from '../database/sql-known.ts'
import { CatalogError } from '../errors.ts'
import type { Progress } from '../store.ts'
import type { Known } from './chain.ts'

/**
 * A look that is stuck in a call that is never answered is not waited for. It is asked twice in this time, so that one
 * pause of this process, in which nothing could be told, does not count.
 */
const STUCK_MS = 1000
const ASKED = 2

/** Some reading of the catalog that is under way. */
interface Look {
  readonly ended: Promise<unknown>
  /** Hears of its progress from now on, in place of whoever did. */
  listen(onProgress: (progress: Progress) => void): void
}

export class Memory {
  known: Known | null = null
  /** Of a catalog in a database, instead. */
  rows: KnownRows | null = null
  readonly #clock: Clock
  #openings = 0
  #look: Look | null = null

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** How often a term was opened: a look that began before must not put back what is in the term's hands. */
  get openings(): number {
    return this.#openings
  }

  /**
   * Takes in what a look comes to, which is given what is known and what to tell of its progress. That throws as soon as
   * an opening has given the look up and reads by itself: the two would only slow each other.
   */
  async learn(
    look: (known: Known | null, onProgress: (progress: Progress) => void) => Promise<Known | null>,
  ): Promise<void> {
    const openings = this.#openings
    let onProgress = (_: Progress): void => {}
    const looking = look(this.known, (progress) => onProgress(progress)).then((known) => {
      // A term that was opened meanwhile knows more.
      if (known !== null && this.#openings === openings) this.known = known
    })
    this.#look = {
      ended: looking.catch(() => undefined),
      listen: (listener) => {
        onProgress = listener
      },
    }
    await looking
  }

  /** What is known; where nothing is, what the look under way comes to, as long as that gets on. */
  async knownSoon(onProgress: (progress: Progress) => void = () => {}): Promise<Known | null> {
    const look = this.#look
    if (this.known !== null || look === null) return this.known
    let silent = 0
    let cancel = (): void => {}
    look.listen((progress) => {
      silent = 0
      onProgress(progress)
    })
    const stuck = new Promise<'stuck'>((resolve) => {
      const ask = (): void => {
        silent += 1
        if (silent > ASKED) resolve('stuck')
        else cancel = this.#clock.after(STUCK_MS / ASKED, ask)
      }
      ask()
    })
    const found = await Promise.race([look.ended, stuck])
    cancel()
    look.listen(found === 'stuck' ? givenUp : () => {})
    return this.known
  }

  /** It goes on in an open term; what it was before would only be kept. */
  handOver(): void {
    this.known = null
    this.rows = null
    this.#openings += 1
  }
}

function givenUp(): never {
  throw new CatalogError('NOT_ACTIVE', 'whoever takes over reads the catalog by itself')
}
