/**
 * What a process knows of the catalog from one look to the next, whether it is a backup or has the term: a state and the
 * place that it is the state of. It is good for nothing but reading on from there, where that place lies on the chain of
 * whatever is read next (chain.ts), or in the history of the database (sql-history.ts).
 *
 * A backup that has just joined knows nothing before its first look is over, and that one reads the whole catalog. A
 * take-over of the shared catalog meanwhile takes what it comes to, since it would only read the same, beside it and from
 * the beginning.
 */
import type { Known } from './chain.ts'
import type { KnownRows } from './sql-known.ts'
import type { Progress } from './store.ts'

/** A look that is stuck in a call that is never answered is not waited for. */
const STUCK_MS = 1000

export class Memory {
  known: Known | null = null
  /** Of a catalog in a database, instead. */
  rows: KnownRows | null = null
  #openings = 0
  #look: Promise<void> = Promise.resolve()
  #onProgress = (_: Progress): void => {}

  /** How often a term was opened: a look that began before must not put back what is in the term's hands. */
  get openings(): number {
    return this.#openings
  }

  /** Takes in what a look comes to, which is given what is known and what to tell of its progress. */
  async learn(
    look: (known: Known | null, onProgress: (progress: Progress) => void) => Promise<Known | null>,
  ): Promise<void> {
    const openings = this.#openings
    const looking = look(this.known, (progress) => this.#onProgress(progress)).then((known) => {
      // A term that was opened meanwhile knows more.
      if (known !== null && this.#openings === openings) this.known = known
    })
    this.#look = looking.catch(() => undefined)
    await looking
  }

  /** What is known; where nothing is, what the look under way comes to, as long as that gets on. */
  async knownSoon(onProgress: (progress: Progress) => void = () => {}): Promise<Known | null> {
    if (this.known !== null) return this.known
    let giveUp = (): void => {}
    const stuck = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    let timer = setTimeout(giveUp, STUCK_MS)
    this.#onProgress = (progress) => {
      onProgress(progress)
      clearTimeout(timer)
      timer = setTimeout(giveUp, STUCK_MS)
    }
    await Promise.race([this.#look, stuck])
    clearTimeout(timer)
    this.#onProgress = () => {}
    return this.known
  }

  /** It goes on in an open term; what it was before would only be kept. */
  handOver(): void {
    this.known = null
    this.rows = null
    this.#openings += 1
  }
}
