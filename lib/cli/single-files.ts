/**
 * What a master without high availability keeps in the HA directory, and puts back where somebody removes it: the cluster's
 * id and the secret. Workers look for both there, and a start that finds neither would give the cluster another id. With
 * high availability the holder of the term does the same (lib/ha/keeper-upkeep.ts); this master has the directory to
 * itself.
 */
import type { Log } from '../base/log.ts'
import { messageOf } from '../base/message-of.ts'
import { readSecret } from '../ha/index.ts'
import { clusterIdOf, SINGLE_FILE } from './cluster-identity.ts'
import { SECRET_NAME } from './single-secret.ts'
import { writeOnce } from './write-once.ts'

export interface SingleFilesOptions {
  readonly haDirectory: string
  readonly clusterId: string
  readonly secret: string
  readonly everyMs: number
  readonly log: Log
}

export class SingleFiles {
  readonly #o: SingleFilesOptions
  #timer: NodeJS.Timeout | null = null
  #busy = false
  #told: readonly string[] = []

  constructor(options: SingleFilesOptions) {
    this.#o = options
  }

  /** Looks from now on, once a period. */
  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#o.everyMs)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** A sentence for each file that was put back. */
  get warnings(): readonly string[] {
    return this.#told
  }

  /** Never rejects: what can't be looked at now is looked at a period later. */
  async look(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const { haDirectory, clusterId, secret, log } = this.#o
    try {
      if ((await clusterIdOf(haDirectory)) === null) {
        await writeOnce(haDirectory, SINGLE_FILE, clusterId)
        this.#tell("the cluster's id")
      }
      if ((await readSecret(haDirectory)) === null) {
        await writeOnce(haDirectory, SECRET_NAME, secret)
        this.#tell('the secret')
      }
    } catch (error) {
      log('warn', `the files of ${haDirectory} can't be looked for: ${messageOf(error)}`)
    } finally {
      this.#busy = false
    }
  }

  #tell(what: string): void {
    const { haDirectory, log } = this.#o
    const text = `${what} was put back in ${haDirectory} (${new Date().toISOString()}): something removes files there, an age cleaner or another cluster`
    log('warn', text)
    this.#told = [...this.#told, text].slice(-MOST_TOLD)
  }
}

const MOST_TOLD = 5
