/**
 * What a process that takes part in no election can prove of its directory, as a keeper does by its heartbeat and its
 * reserve: that something new can be written there, and how much room is left. One small file is made, filled and removed
 * each time, since a file that is there already can be renewed on a full disk.
 */

import { judgeSpace, type Need, NOTHING_LOW, type SpaceReport } from '../rules/space.ts'
import { comesOfNoSpace, DiskError, messageOf } from '../words/errors.ts'
import { openDisk } from '../world/disk.ts'

const NAME = 'proof'
const BYTES = 4096

export class DirectoryProof {
  readonly #directory: string
  readonly #disk: ReturnType<typeof openDisk>
  readonly #needBytes: () => Promise<number>
  #report: SpaceReport | null = null

  /** `needBytes`: what the next checkpoint of whatever is kept there takes. */
  constructor(directory: string, needBytes: () => Promise<number>) {
    this.#directory = directory
    this.#disk = openDisk(directory)
    this.#needBytes = needBytes
  }

  /** Null before the first proof. */
  get space(): SpaceReport | null {
    return this.#report
  }

  /** Rejects with DiskError; that there is no room is told by `space` as well. */
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
