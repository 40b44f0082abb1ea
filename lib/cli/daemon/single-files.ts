/**
 * What a master without high availability keeps in the HA directory, and puts back where somebody removes or replaces it:
 * the cluster's id and the secret. Workers look for both there, and a start that finds neither would give the cluster
 * another id. With high availability the holder of the term does the same (lib/ha/keeper/upkeep.ts); this master has the
 * directory to itself.
 *
 * The id is in the file where the start found it: cluster.json, where masters with high availability were here before. A
 * directory in a file's place is moved aside; nothing is removed.
 *
 * The secret of a cluster without high availability: in the same file as with it, since workers look for it there, and
 * kept when high availability is switched on later.
 */
import { randomBytes } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import {
  CLUSTER_FILE,
  isDirectory,
  isSecret,
  readSecret,
  requireNew,
  SECRET_FILE,
} from '../../ha/index.ts'
import { SINGLE_FILE } from './cluster-identity.ts'
import { writeOnce, writeOver } from './write-once.ts'

/**
 * `directory` exists. Rejects with the file system's error, where the secret of other masters was removed, and where what
 * is there is none: whoever takes that for the cluster's secret lets everybody in who guesses it.
 */
export async function ownSecret(directory: string): Promise<string> {
  const known = await wholeSecret(directory)
  if (known !== null) return known
  await requireNew(directory, SECRET_FILE)
  await writeOnce(directory, SECRET_FILE, randomBytes(32).toString('hex'))
  const secret = await wholeSecret(directory)
  if (secret === null) throw new Error(`${join(directory, SECRET_FILE)} can't be read`)
  return secret
}

async function wholeSecret(directory: string): Promise<string | null> {
  const path = join(directory, SECRET_FILE)
  const secret = await readSecret(directory).catch((error: unknown) => {
    if (!isDirectory(error)) throw error
    throw new Error(`${path} is a directory, where the cluster's secret has to be: ${AGAIN}`, {
      cause: error,
    })
  })
  if (secret === null || isSecret(secret)) return secret
  throw new Error(`${path} is torn or foreign (${secret.length} characters): ${AGAIN}`)
}

const AGAIN = 'restore it, or move it away and start again, which makes a new one'

interface SingleFilesOptions {
  readonly haDirectory: string
  readonly clusterId: string
  readonly secret: string
  readonly everyMs: number
  readonly log: Log
}

interface Kept {
  readonly name: string
  readonly what: string
  readonly text: string
}

export class SingleFiles {
  readonly #o: SingleFilesOptions
  readonly #kept: readonly Kept[]
  /** The id is not in a cluster.json: one that comes would hide it. */
  readonly #hidden: boolean
  #timer: NodeJS.Timeout | null = null
  #busy = false
  #told: readonly string[] = []
  /** What this master can't mend; null for nothing. */
  #trouble: string | null = null

  private constructor(options: SingleFilesOptions, clusterText: string | null) {
    this.#o = options
    const { clusterId, secret } = options
    const id =
      clusterText === null
        ? { name: SINGLE_FILE, text: clusterId }
        : { name: CLUSTER_FILE, text: clusterText.trim() }
    this.#kept = [
      { ...id, what: "the cluster's id" },
      { name: SECRET_FILE, text: secret, what: 'the secret' },
    ]
    this.#hidden = clusterText === null
  }

  /** Both files are there. Rejects with the file system's error. */
  static async of(options: SingleFilesOptions): Promise<SingleFiles> {
    return new SingleFiles(options, await textOf(join(options.haDirectory, CLUSTER_FILE)))
  }

  /** Looks from now on, once a period. */
  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#o.everyMs)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** A sentence for each file that was put back, and for what can't be. */
  get warnings(): readonly string[] {
    return this.#trouble === null ? this.#told : [this.#trouble, ...this.#told]
  }

  /** Never rejects: what can't be looked at or mended now is told once, and tried again a period later. */
  async look(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    try {
      for (const file of this.#kept) await this.#keep(file)
      this.#trouble = this.#hidden ? await this.#stranger() : null
    } catch (error) {
      const text = `the files of ${this.#o.haDirectory} can't be looked for: ${messageOf(error)}`
      if (text !== this.#trouble) this.#o.log('warn', text, { event: 'single-files-unproven' })
      this.#trouble = text
    } finally {
      this.#busy = false
    }
  }

  async #keep({ name, what, text }: Kept): Promise<void> {
    const { haDirectory } = this.#o
    const path = join(haDirectory, name)
    let was = 'was gone'
    try {
      const found = await textOf(path)
      if (found?.trim() === text) return
      if (found !== null) was = 'was another one, or torn,'
    } catch (error) {
      if (!isDirectory(error)) throw error
      const aside = `${path}.directory-${Date.now()}`
      await rename(path, aside)
      was = `had a directory in its place, which is ${aside} now,`
    }
    await writeOver(haDirectory, name, text)
    this.#tell(`${what} (${name}) ${was} and was put back`)
  }

  /** Who looks for the cluster's id reads that file first. */
  async #stranger(): Promise<string | null> {
    const path = join(this.#o.haDirectory, CLUSTER_FILE)
    const found = await textOf(path).catch((error: NodeJS.ErrnoException) => error.code ?? '')
    if (found === null) return null
    const text = `${path} has come while this master, without high availability, uses the directory alone for cluster ${this.#o.clusterId}: workers and clients would take the cluster's id from there. Move it away`
    if (text !== this.#trouble) this.#o.log('error', text, { event: 'cluster-file-foreign' })
    return text
  }

  #tell(done: string): void {
    const { haDirectory, log } = this.#o
    const text = `${done} in ${haDirectory} (${new Date().toISOString()}): something removes or replaces files there, an age cleaner or another cluster`
    log('warn', text, { event: 'single-file-put-back' })
    this.#told = [...this.#told, text].slice(-MOST_TOLD)
  }
}

const MOST_TOLD = 5

/** Null where it is not there. Rejects with the file system's error. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
