/**
 * Which cluster a list of masters was, the last time it was spoken with: one small file for each list in ~/.tajo/clusters,
 * for the eyes of its user only. Where the cluster's directory can't be read this is all that tells a mistyped or a moved
 * address from the cluster that is meant.
 *
 * Where no file is, nothing is remembered, as before a first call. One that is torn or can't be read is something else: what
 * it knew is lost, and whoever went on would let in the very cluster that it was to tell apart.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/message-of.ts'

export interface Remembered {
  readonly clusterId: string
  /** `tajo.rootdir` of the configuration that was used then. */
  readonly rootDirectory: string
  /** ISO 8601. */
  readonly since: string
}

/** Lists of masters; the ones that were learnt first are forgotten first. */
const MOST_LISTS = 100

export class ClusterMemory {
  /** Of this list of masters. */
  readonly path: string
  readonly #directory: string
  readonly #masters: readonly string[]

  /** `masters`: client RPC addresses; their order is of no account. */
  constructor(home: string, masters: readonly string[]) {
    this.#masters = [...masters].sort()
    this.#directory = join(home, '.tajo', 'clusters')
    const name = createHash('sha256').update(this.#masters.join('\n')).digest('hex').slice(0, 16)
    this.path = join(this.#directory, `${name}.json`)
  }

  /** Null: nothing is remembered. Rejects with an Error for people where what is there can't be read. */
  async recall(): Promise<Remembered | null> {
    try {
      const { clusterId, rootDirectory, since } = JSON.parse(await readFile(this.path, 'utf8'))
      const all = [clusterId, rootDirectory, since]
      if (all.every((one) => typeof one === 'string')) return { clusterId, rootDirectory, since }
      throw new Error('it is torn or foreign')
    } catch (error) {
      // A home that is none (/dev/null of a service's user) remembers nothing.
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
      const why = error instanceof SyntaxError ? 'it is torn or foreign' : messageOf(error)
      throw new Error(
        `${this.path}, which tells which cluster these masters were, can't be read: ${why}`,
        {
          cause: error,
        },
      )
    }
  }

  /** Written whole beside it first: two shells that learn at once leave one of their words. Rejects where it can't. */
  async remember(learnt: Remembered): Promise<void> {
    // Modes of directories that are there already are their user's business, but for ours.
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const draft = `${this.path}.${process.pid}`
    const text = JSON.stringify({ masters: this.#masters, ...learnt })
    await writeFile(draft, `${text}\n`, { mode: 0o600 })
    await rename(draft, this.path)
    await this.#forgetOldest()
  }

  async #forgetOldest(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.json'))
    if (names.length <= MOST_LISTS) return
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#directory, name)
        return { path, atMs: (await stat(path).catch(() => null))?.mtimeMs ?? 0 }
      }),
    )
    const oldest = files.sort((a, b) => a.atMs - b.atMs).slice(0, files.length - MOST_LISTS)
    for (const { path } of oldest) await rm(path, { force: true })
  }
}
