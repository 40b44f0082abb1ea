/**
 * The storage of a master without high availability: proven once a period, since no heartbeat and no lease does it. What a
 * hang, an error or a full disk means is told in the words of the view that status, alerts, page and metrics are made of.
 */

import type { Log } from '../base/log.ts'
import { StorageLook } from '../base/storage-look.ts'
import type { Clock } from '../base/time.ts'
import { DiskError, type MemberView } from '../ha/index.ts'

interface SingleStorageOptions {
  readonly directory: string
  /** Rejects with DiskError where something new can't be written. */
  readonly prove: () => Promise<void>
  readonly space: () => MemberView['space']
  readonly everyMs: number
  /** A proof that takes longer hangs. */
  readonly limitMs: number
  readonly clock: Clock
  readonly log: Log
}

/** It answers and takes nothing: read-only, not permitted, or full. */
const REFUSES = ['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT']

export class SingleStorage {
  readonly #options: SingleStorageOptions
  readonly #look: StorageLook
  #onChange = (): void => {}
  /** Of the last proof that has ended. */
  #failure: unknown = null

  constructor(options: SingleStorageOptions) {
    this.#options = options
    this.#look = new StorageLook({
      ...options,
      means: 'nothing new can be kept in tajo.rootdir',
      look: () => this.#proof(),
      onChange: () => this.#onChange(),
    })
  }

  /** Proves from now on. `onChange`: what is told of it is another. */
  start(onChange: () => void): void {
    this.#onChange = onChange
    this.#look.start()
  }

  stop(): void {
    this.#look.stop()
  }

  view(): Pick<MemberView, 'storage' | 'space' | 'problem'> {
    const { trouble } = this.#look
    const space = this.#options.space()
    if (trouble === null) return { storage: 'ok', space, problem: null }
    const problem = `${this.#options.directory} takes nothing new: ${trouble}`
    // While the next proof hangs it is another trouble.
    const refuses =
      this.#failure instanceof DiskError &&
      this.#failure.message === trouble &&
      REFUSES.includes(this.#failure.errno)
    return refuses
      ? { storage: 'unwritable', space, problem }
      : { storage: 'unreadable', space, problem: trouble }
  }

  async #proof(): Promise<void> {
    try {
      await this.#options.prove()
      this.#failure = null
    } catch (error) {
      this.#failure = error
      throw error
    }
  }
}
