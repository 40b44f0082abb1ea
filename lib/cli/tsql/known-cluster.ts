/**
 * What tsql knows of its cluster before it speaks with it: the id in the configuration's own directory where that can be
 * read, whatever the masters answer for; else what is remembered of this list of masters. The directory is asked in a
 * process of its own, which takes its time, so it is asked only where nothing is remembered under the same configuration,
 * or where the masters answer for another cluster.
 *
 * Whoever names a master himself (`-h`, `-p`) means that address, whichever directory the configuration has: only what is
 * remembered of it counts. When it has become another cluster's, the directory may still say that this is right.
 *
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
import { messageOf } from '../../base/failures.ts'
import { type ClusterKnowledge, QueryError } from '../../client/index.ts'

interface Remembered {
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

  /**
   * It is written whole beside it first: two shells that learn at once leave one of their words. Rejects where it can't.
   */
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

interface KnownClusterOptions {
  readonly memory: ClusterMemory
  /** `tajo.rootdir`. */
  readonly rootDirectory: string
  /** The master was named, not taken from the configuration. */
  readonly named: boolean
  /** The id in the directory; null where it can't be read, or holds none. Never rejects. */
  readonly readDirectory: () => Promise<string | null>
  /** What was remembered is lost, and the directory has told the cluster instead. */
  readonly onLost: (why: string) => void
  /** What was learnt can't be written down. */
  readonly onUnwritten: (error: unknown) => void
  readonly now: () => Date
}

export function tsqlKnowledge(options: KnownClusterOptions): ClusterKnowledge {
  const { memory, rootDirectory, named, readDirectory, onLost, onUnwritten, now } = options
  let remembered: Remembered | null = null
  let inDirectory: string | null = null
  return {
    async expected() {
      try {
        remembered = await memory.recall()
      } catch (error) {
        inDirectory = await readDirectory()
        if (inDirectory === null) throw lost(messageOf(error), memory.path)
        onLost(
          `${messageOf(error)}. tajo.rootdir ${rootDirectory} holds cluster ${inDirectory}: that one is meant`,
        )
        return inDirectory
      }
      const sameConfiguration = named || remembered?.rootDirectory === rootDirectory
      if (remembered !== null && sameConfiguration) return remembered.clusterId
      if (named) return null
      inDirectory = await readDirectory()
      return inDirectory ?? remembered?.clusterId ?? null
    },
    async instead(answering) {
      inDirectory = await readDirectory()
      // Made anew since it was remembered: its own directory says so.
      if (inDirectory === answering) return answering
      if (inDirectory !== null && !named)
        throw otherDirectory(inDirectory, answering, rootDirectory)
      if (remembered === null) throw new QueryError('refused', `they are of cluster ${answering}`)
      throw wasAnother(remembered, answering, memory.path)
    },
    async confirmed(clusterId) {
      // What a named address has taught is no word about a directory, and the next one asks that.
      const root = named ? (remembered?.rootDirectory ?? '') : rootDirectory
      if (remembered?.clusterId === clusterId && remembered.rootDirectory === root) return
      const since = now().toISOString()
      await memory.remember({ clusterId, rootDirectory: root, since }).catch(onUnwritten)
    },
  }
}

const lost = (why: string, path: string): QueryError =>
  new QueryError(
    'refused',
    `${why}; and tajo.rootdir here does not tell it either. Nothing was sent. Mend the file's rights, or, if the list of masters is surely right, remove ${path} and try again`,
  )

const otherDirectory = (own: string, answering: string, rootDirectory: string): QueryError =>
  new QueryError(
    'refused',
    `tajo.rootdir here, ${rootDirectory}, holds cluster ${own}, and a master of conf/masters belongs to cluster ${answering}: take it out of conf/masters, or give it the same tajo.rootdir. Nothing was sent to it`,
  )

const wasAnother = (was: Remembered, answering: string, path: string): QueryError =>
  new QueryError(
    'refused',
    `until now these masters were cluster ${was.clusterId} (known since ${was.since}), and now one answers for cluster ${answering}. Nothing was sent to it. If the cluster was made anew, remove ${path} and try again; otherwise the list of masters names one of another cluster`,
  )
