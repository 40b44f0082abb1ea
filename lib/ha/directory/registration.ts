/**
 * A keeper's own file among the backups, while it wants to be listed there.
 *
 *     backup/host2_26001.NONCE-7.json     the seventh of that life of host2:26001
 *
 * Each one that is made has a new name: another host may remember for half a minute that a name was not there, and would
 * take a backup that is there again for absent. One that is whole is left alone. What earlier lives have left, and earlier
 * versions under one name for ever, is swept.
 */
import { isNoSpace, messageOf } from '../words/errors.ts'
import {
  BACKUP_DIR,
  CLUSTER_FILE,
  encode,
  type Holder,
  isRegistrationOf,
  refusedFile,
  registrationFile,
} from '../words/layout.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'
import type { Reserve } from './reserve.ts'

export interface RegistrationOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly self: Holder
  readonly reserve: Pick<Reserve, 'spend'>
}

export class Registration {
  readonly #o: RegistrationOptions
  /** New with every keeper. */
  readonly #life: string
  #n = 0
  #path: string | null = null
  #wanted = false
  /** Made, or being made, and nothing is known to be wrong with it. */
  #whole = false
  #work: Promise<void> = Promise.resolve()
  #trouble: string | null = null

  constructor(options: RegistrationOptions) {
    this.#o = options
    this.#life = `${options.self.nonce}.${Math.round(options.clock.nowMs())}`
  }

  get wanted(): boolean {
    return this.#wanted
  }

  /** Our file, as far as one may be there. */
  get path(): string | null {
    return this.#path
  }

  /** Why it could not be made or removed; null when it could. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** Resolves when the last change of it is done. */
  get settled(): Promise<void> {
    return this.#work
  }

  /** Be listed, or not. One change after the other. */
  want(wanted: boolean): void {
    if (wanted && this.#whole) return
    this.#wanted = wanted
    this.#whole = wanted
    this.#work = this.#work.then(() => this.#change(wanted))
  }

  /** It is gone, or says nothing (a full disk, a crash between create and write). */
  again(): void {
    this.#whole = false
    if (this.#wanted) this.want(true)
  }

  /** Our names but for the one that stands, among those that were listed. Rejects with DiskError. */
  async sweep(names: readonly string[]): Promise<void> {
    const { disk, self } = this.#o
    for (const name of names) {
      const path = `${BACKUP_DIR}/${name}`
      if (path === this.#path || !isRegistrationOf(self.address, name)) continue
      await disk.unlink('register', path)
    }
  }

  async #change(wanted: boolean): Promise<void> {
    const { disk, log, self } = this.#o
    const before = this.#trouble
    try {
      // First, since on a full disk it gives the room for the next one.
      if (this.#path !== null) await disk.unlink('register', this.#path)
      this.#path = null
      const names = await disk.list('register', BACKUP_DIR)
      await this.sweep(names === 'missing' ? [] : names)
      this.#trouble = null
      if (!wanted) return
      await this.#make()
      // Of an earlier start: this one was right.
      await disk.unlink('register', refusedFile(self.address))
    } catch (error) {
      this.#whole = false
      const what = wanted ? 'made' : 'removed'
      this.#trouble = `this master's file in ${BACKUP_DIR}/ could not be ${what}: ${messageOf(error)}`
      if (this.#trouble !== before) log('warn', this.#trouble)
    }
  }

  async #make(): Promise<void> {
    const { disk, reserve, self } = this.#o
    const text = encode(self)
    this.#n += 1
    const path = registrationFile(self.address, this.#life, this.#n)
    // Even a failed create may have made it.
    this.#path = path
    try {
      if ((await disk.create('register', path, text)) !== 'missing') return
      // Removed under the cluster; where all of it is gone, it may only not be mounted.
      const names = await disk.list('register', '.')
      if (names === 'missing' || !names.includes(CLUSTER_FILE)) return
      await disk.makeDirs('register', BACKUP_DIR)
      await disk.create('register', path, text)
    } catch (error) {
      if (!isNoSpace(error) || !(await reserve.spend())) throw error
      if (error.made) await disk.fill('register', path, text)
      else await disk.create('register', path, text)
    }
  }
}
