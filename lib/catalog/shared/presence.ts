/**
 * Is all that a term rests on still there, under its name? Where a hand has removed files, what is in memory may be the only
 * copy; where the mount is gone nothing was removed, and nothing may be written in its place. What only says that other files
 * count is made again.
 *
 * A backup follows the shared catalog in its memory, look by look, so that an opening has little left to read. While nothing
 * has come a look is a glance: a few names and a length.
 */
import { join } from 'node:path'
import type { Log } from '../../base/log.ts'
import type { Turns } from '../../base/slices.ts'
import { CatalogError } from '../errors.ts'
import { makeMark } from './begin-part.ts'
import { markFile } from './begun.ts'
import { isAt } from './chain.ts'
import { makeSign } from './checkpoint.ts'
import type { Files } from './files.ts'
import type { Place } from './journal.ts'
import type { Memory } from './memory.ts'
import { glanceAt, readNewest } from './newest.ts'
import { linksAbove, type Session } from './session.ts'

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

export class Presence {
  readonly #files: Files
  readonly #directory: string
  readonly #log: Log
  /** Where the term was opened; null where that can't be told. */
  device: number | null = null

  constructor(files: Files, directory: string, log: Log) {
    this.#files = files
    this.#directory = directory
    this.#log = log
  }

  /** A sentence, or null where nothing is. Rejects with FileError. */
  async whyGone(session: Session, what: 'appended' | 'everything'): Promise<string | null> {
    const { journal, below, ground } = session
    const { base } = ground
    if (what === 'everything') await this.#markAgain(session)
    const rests = [...linksAbove(below.links, base), ...(base === null ? [] : [base])]
    const found = [journal.whyGone(what), ...rests.map((one) => one.whyGone())]
    const why = (await Promise.all(found)).find((one) => one !== null) ?? null
    if (why === null && what === 'everything') await this.#signAgain(base?.sign ?? null)
    return why
  }

  /**
   * Nothing at all on another device is a mount that was taken away, not a hand that removed files: what is written there
   * would be seen by nobody, and hidden when the mount is back.
   */
  async requireMount(): Promise<void> {
    if (this.device === null || (await this.#files.list(this.#directory)) !== 'missing') return
    if ((await this.deviceNow()) === this.device) return
    throw new CatalogError(
      'UNAVAILABLE',
      `${this.#directory} is not there, and what is above it is on another file system than when this term was opened: its mount is gone. Mount it again`,
    )
  }

  async deviceNow(): Promise<number | null> {
    return (await this.#files.deviceOf?.(this.#directory)) ?? null
  }

  async #markAgain({ term, part }: Session): Promise<void> {
    const path = join(this.#directory, markFile(term, part))
    if ((await this.#files.lookAt(path)) !== 'missing') return
    await this.requireMount()
    this.#log('warn', `${path} is gone: somebody has removed it; it is made again`, {
      event: 'catalog-sign-put-back',
      term,
      part,
    })
    await this.#files.makeDirs(this.#directory)
    await makeMark({ files: this.#files, directory: this.#directory }, { term, part })
    await this.#files.syncDir(this.#directory)
  }

  /** Nobody would read a checkpoint without it. */
  async #signAgain(sign: string | null): Promise<void> {
    if (sign === null || (await this.#files.lookAt(sign)) !== 'missing') return
    this.#log('warn', `${sign} is gone: somebody has removed it; it is made again`, {
      event: 'catalog-sign-put-back',
    })
    await makeSign(this.#files, sign)
  }
}
