/**
 * Files named by a nonce, by which two processes find out whether they have one directory: the active master's own, which
 * workers look for, and a worker's, whose name the master tries to create. For the masters' own contest see contest.ts.
 *
 * A name that nobody has asked for before is asked for by an open; one that was asked for in vain is looked for in the
 * listing from then on, since its absence is remembered for half a minute on NFS.
 *
 * `DirectoryProof` is what a process that takes part in no election can prove of its directory, as a keeper does by its
 * heartbeat and its reserve: that something new can be written there, and how much room is left. One small file is made, filled and removed
 * each time, since a file that is there already can be renewed on a full disk.
 */
import type { NonceCheck } from '../rules/contest-state.ts'
import { judgeSpace, type Need, NOTHING_LOW, type SpaceReport } from '../rules/space.ts'
import { comesOfNoSpace, DiskError, messageOf } from '../words/errors.ts'
import { makeDirs, makeOpenDirs, OWN_DIRECTORY } from '../world/directories.ts'
import { openDisk } from '../world/disk.ts'
import type { Disk } from '../world/ports.ts'

const NAME = 'proof'
const BYTES = 4096

/** Proves now and then that something new can be written into a directory, for a process that takes part in no election. */
export class DirectoryProof {
  readonly #directory: string
  readonly #disk: ReturnType<typeof openDisk>
  readonly #needBytes: () => Promise<number>
  #report: SpaceReport | null = null

  /** `needBytes`: how much room the next checkpoint of whatever is kept there takes. Nothing is touched before `prove`. */
  constructor(directory: string, needBytes: () => Promise<number>) {
    this.#directory = directory
    this.#disk = openDisk(directory)
    this.#needBytes = needBytes
  }

  /** What the last proof has found of the room in the directory; null before the first one. */
  get space(): SpaceReport | null {
    return this.#report
  }

  /**
   * Makes a small file, fills it and removes it. Rejects with DiskError: ENOENT where the directory is gone; that there is no
   * room is told by `space` as well.
   */
  async prove(): Promise<void> {
    const space = await this.#disk.space()
    const need: Need = { bytes: BYTES + (await this.#needBytes()), files: 2 }
    const low = judgeSpace(space, need, this.#report?.low ?? NOTHING_LOW)
    const refused = this.#report?.refused ?? null
    this.#report = { ...space, need, low, refused }
    try {
      await this.#write()
      this.#report = { ...this.#report, refused: null }
    } catch (error) {
      if (error instanceof DiskError && comesOfNoSpace(error)) {
        this.#report = { ...this.#report, refused: messageOf(error) }
      }
      throw error
    }
  }

  async #write(): Promise<void> {
    // One that a crash has left, or a full disk.
    await this.#disk.unlink('reserve', NAME)
    if ((await this.#disk.occupy('reserve', NAME, BYTES)) === 'missing') {
      throw new DiskError(
        'ENOENT',
        this.#directory,
        `${this.#directory} is not there: somebody has removed it`,
      )
    }
    await this.#disk.unlink('reserve', NAME)
  }
}

/** How the directory of nonces is made where it is missing. */
export interface MadeThrough {
  /** Absolute path of the directory that it lies in, which is made too. */
  readonly path: string
  /** A parent of that one, which is not made: it may be on a mount that is gone. */
  readonly below: string
  /** Of the directories; left out, nobody else may enter them. */
  readonly mode?: number | undefined
}

/** Files named by a nonce, by which two processes find out whether what each calls the directory is one and the same. */
export class NonceFiles {
  readonly #disk: Disk
  readonly #name: string
  readonly #missed = new Set<string>()

  /**
   * The nonces are kept in `name`, in `directory` (absolute). Nothing is touched before the first call; all calls reject with
   * DiskError, `make` with the system's error where a directory can't be made.
   */
  constructor(directory: string, name: string) {
    this.#disk = openDisk(directory)
    this.#name = name
  }

  /** Makes the nonce's file with that text, if there is none of that name, and the directories that are missing. */
  async make(nonce: string, text: string, made: MadeThrough): Promise<void> {
    if (await this.add(nonce, text)) return
    const { path, below, mode } = made
    const directory = `${path}/${this.#name}`
    await (mode === undefined
      ? makeDirs(directory, OWN_DIRECTORY, below)
      : makeOpenDirs(directory, mode, below))
    if (!(await this.add(nonce, text))) throw new Error(`${this.#name} can't be made`)
  }

  /** The same without making a directory; false where the directory of the nonces isn't there. */
  async add(nonce: string, text: string): Promise<boolean> {
    return (await this.#disk.create('contest', this.#at(nonce), text)) !== 'missing'
  }

  /** Whether that nonce is here. An absence that a file system remembers (NFS: half a minute) is not believed. */
  async has(nonce: string): Promise<boolean> {
    if (this.#missed.has(nonce)) return (await this.list())?.includes(nonce) ?? false
    if ((await this.#disk.glimpse('contest', this.#at(nonce))) !== 'missing') return true
    this.#missed.add(nonce)
    return (await this.list())?.includes(nonce) ?? false
  }

  /** The nonces that are here; null: there is no directory of nonces. */
  async list(): Promise<string[] | null> {
    const names = await this.#disk.list('contest', this.#name)
    return names === 'missing' ? null : names
  }

  /** A nonce's text; null: it isn't here. */
  async read(nonce: string): Promise<string | null> {
    const text = await this.#disk.read('contest', this.#at(nonce))
    return text === 'missing' ? null : text
  }

  /** Removes a nonce, if it is here. */
  async remove(nonce: string): Promise<void> {
    await this.#disk.unlink('contest', this.#at(nonce))
  }

  /**
   * What an exclusive create of another's nonce finds here, which no cache can answer. One that fails may stand for "exists"
   * (HDFS's gateway says EIO): the listing decides.
   */
  async check(nonce: string, text: string): Promise<NonceCheck> {
    try {
      const made = await this.#disk.create('contest', this.#at(nonce), '')
      if (made === 'missing') return 'unknown'
      if (made === 'created') {
        await this.remove(nonce)
        return 'created'
      }
    } catch (error) {
      if (!(await this.list())?.includes(nonce)) throw error
    }
    return (await this.read(nonce)) === text ? 'exists' : 'unknown'
  }

  #at(nonce: string): string {
    return `${this.#name}/${nonce}`
  }
}
