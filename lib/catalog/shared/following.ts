/**
 * A backup follows the shared catalog in its memory, look by look, so that an opening has little left to read. While nothing
 * has come a look is a glance: a few names and a length.
 */
import type { Turns } from '../../base/slices.ts'
import { isAt } from './chain.ts'
import type { Files } from './files.ts'
import type { Place } from './journal.ts'
import type { Memory } from './memory.ts'
import { glanceAt, readNewest } from './newest.ts'

/** What a glance does not show is seen at one look of so many. */
const GLANCES = 10

export class Following {
  readonly #where: { readonly files: Files; readonly directory: string }
  readonly #memory: Memory
  /** Where the last look came to, and the glance from which it began. */
  #followed: { readonly to: Place; readonly glance: string | null } | null = null
  /** So many looks in a row have seen the same. */
  #glances = 0

  constructor(where: { readonly files: Files; readonly directory: string }, memory: Memory) {
    this.#where = where
    this.#memory = memory
  }

  /** Brings the memory up to what is there now. Rejects as `readNewest`. */
  async look(turns?: Turns): Promise<void> {
    const memory = this.#memory
    const look = { ...this.#where, takesOver: false, besideMasters: true, turns }
    const { known } = memory
    // Before the reading: what comes meanwhile is another glance.
    const glance = known === null ? null : await glanceAt(look, known)
    // A term that was opened meanwhile knows more.
    if (memory.known !== known) return
    const last = this.#followed
    const isSame = known !== null && last !== null && isAt(known, last.to) && glance === last.glance
    this.#glances = isSame ? this.#glances + 1 : 0
    if (this.#glances % GLANCES > 0) return
    await memory.learn((from, onProgress) => {
      const term = Number.MAX_SAFE_INTEGER
      return readNewest({ look: { ...look, onProgress }, term, served: null, known: from })
    })
    // Not the state itself, which a term that is opened here goes on from and lets go.
    this.#followed = memory.known === null ? null : { to: placeOf(memory.known), glance }
  }
}

const placeOf = ({ term, part, position }: Place): Place => ({ term, part, position })
