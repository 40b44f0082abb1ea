/**
 * The keeper's hand on the publications of the network (network-publication.ts) makes its own, one change after the
 * other, and reads the others', each once.
 *
 * It costs nothing at rest: the names come with the listing of the backups' files, which is made anyway. What this member
 * has left in an earlier life is swept at its first look; a publication that could not be made is tried again at the next.
 */
import {
  decodePublication,
  inBackups,
  type Publication,
  prefixOf,
  publicationFile,
  publicationOf,
} from '../directory/network-publication.ts'
import { messageOf } from '../words/errors.ts'
import { encode, type Holder } from '../words/layout.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'

interface BulletinOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly self: Holder
  /** Called after each look that could be made: the newest publication of every other member. */
  readonly onPosted: (publications: readonly Publication[], begunMs: number) => void
}

type Said = Omit<Publication, 'address' | 'nonce'>

export class Bulletin {
  readonly #o: BulletinOptions
  /** New with every keeper, so that no name is used twice. */
  readonly #life: string
  readonly #prefix: string
  #n = 0
  /** Of this life: the one that stands, and others that may. */
  #standing: string[] = []
  #wanted: Said | null = null
  #said: Said | null = null
  #busy: Promise<void> | null = null
  #stopped = false
  /** By name, and the newest that could be read of each life. */
  #known = new Map<string, Publication>()
  #lives = new Map<string, Publication>()

  constructor(options: BulletinOptions) {
    const { self, clock } = options
    this.#o = options
    this.#life = `${self.nonce}.${Math.round(clock.nowMs())}`
    this.#prefix = prefixOf(self.address).replace(/^.*\//, '')
  }

  /** Publishes this in place of what is published now. */
  publish(said: Said): void {
    this.#wanted = said
    this.#work()
  }

  /** Takes the names that were found among the backups. Rejects with DiskError; what was known is kept then. */
  async scan(names: readonly string[], begunMs: number): Promise<void> {
    this.#work()
    const next = new Map<string, Publication>()
    const lives = new Map<string, Publication>()
    const newest = new Map<string, { n: number; name: string }>()
    for (const name of names) {
      const found = publicationOf(name)
      if (found === null) continue
      if (name.startsWith(this.#prefix)) {
        await this.#sweep(name)
        continue
      }
      const before = newest.get(found.life)
      if (before === undefined || before.n < found.n) newest.set(found.life, { n: found.n, name })
    }
    for (const [life, { name }] of newest) {
      const read = await this.#read(name)
      if (read !== null) next.set(name, read)
      // A torn one may be just being written: until then the one before it stands.
      const stands = read ?? this.#lives.get(life)
      if (stands !== undefined) lives.set(life, stands)
    }
    this.#known = next
    this.#lives = lives
    this.#o.onPosted([...lives.values()], begunMs)
  }

  /** Nothing of this member is left behind, if the storage answers. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#busy
    try {
      for (const path of this.#standing) await this.#o.disk.unlink('publish', path)
    } catch (error) {
      this.#o.log('warn', `a publication of the network stays: ${messageOf(error)}`, {
        event: 'publication-left',
      })
    }
  }

  /** Torn ones are read again: their author may be just writing them. */
  async #read(name: string): Promise<Publication | null> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const text = await this.#o.disk.read('publish', inBackups(name))
    return text === 'missing' ? null : decodePublication(text)
  }

  async #sweep(name: string): Promise<void> {
    const path = inBackups(name)
    const { address } = this.#o.self
    const ours = path.startsWith(publicationFile(address, this.#life, 0).slice(0, -1))
    if (!ours && !this.#stopped) await this.#o.disk.unlink('publish', path)
  }

  #work(): void {
    if (this.#busy !== null || this.#stopped || this.#wanted === this.#said) return
    this.#busy = this.#write().finally(() => {
      this.#busy = null
    })
  }

  async #write(): Promise<void> {
    const { disk, log, self } = this.#o
    while (this.#wanted !== this.#said && this.#wanted !== null && !this.#stopped) {
      const said = this.#wanted
      this.#n += 1
      const path = publicationFile(self.address, this.#life, this.#n)
      const before = this.#standing
      // Even a failed create may have made it.
      this.#standing = [...before, path]
      try {
        const { address, nonce } = self
        const publication: Publication = { address, nonce, ...said }
        if ((await disk.create('publish', path, encode(publication))) === 'missing') return
        this.#said = said
        for (const old of before) await disk.unlink('publish', old)
        this.#standing = [path]
      } catch (error) {
        log('warn', `what this master hears could not be published: ${messageOf(error)}`, {
          event: 'publication-failed',
        })
        return
      }
    }
  }
}
