/**
 * The holder's upkeep: once a monitor interval it looks, by their names, for the files that the cluster stands on, and
 * puts back those that it can make again. Who holds the lease of a term in this directory knows that the directory is
 * its cluster's; nobody else makes a cluster.json or a secret where terms have been.
 *
 *     cluster.json, secret                   made again; one that is torn, or names another cluster, is replaced; so is an
 *                                            empty directory of that name, and one that is not empty is told
 *     backup/, history/                      made again
 *     claim.json, history/n*.json            of the own term, as they were: others judge the holder by them
 *
 * The heartbeat is not among them: its name is never used twice, so a holder whose heartbeat is gone has lost its term.
 * What was put back is told for an hour: something removes files there.
 */
import { isSame, type Whose, whoseIsIt } from '../directory/cluster-file.ts'
import { decodeClaim, decodeClusterLoosely } from '../directory/decode.ts'
import { isDirectory, messageOf } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  claimFile,
  encode,
  HISTORY_DIR,
  historyFile,
  openedFile,
  SECRET_FILE,
  servedCopy,
  servedFile,
} from '../words/layout.ts'
import type { Joined } from '../words/messages.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'

/** By the keeper's own clock. */
const TOLD_MS = 60 * 60_000

interface UpkeepOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly directory: string
  readonly periodMs: number
  /** The term that this master holds and may act under, with what it knows of its own files; null for none. */
  readonly held: () => { readonly term: number; readonly files: ReadonlyMap<string, string> } | null
  /** One of the own term's files is another one now. */
  readonly onPutBack?: (path: string) => void
}

interface Told {
  readonly text: string
  readonly sinceMs: number
}

export class Upkeep {
  readonly #o: UpkeepOptions
  #joined: Joined | null = null
  /** Texts of the held term's files, as they were last seen or made. */
  #texts = new Map<string, string>()
  #term = 0
  #told: readonly Told[] = []
  /** What this master can't mend, by path. */
  readonly #standing = new Map<string, string>()

  constructor(options: UpkeepOptions) {
    this.#o = options
  }

  /** Looks from now on, once a period. */
  start(joined: Joined): void {
    this.#joined = joined
    this.#next()
  }

  /** A sentence for each file that was put back lately, and for each whose place is taken. */
  get warnings(): readonly string[] {
    const { clock } = this.#o
    this.#told = this.#told.filter(({ sinceMs }) => clock.nowMs() - sinceMs < TOLD_MS)
    return [...this.#standing.values(), ...this.#told.map(({ text }) => text)]
  }

  /** It is for a name that somebody else found missing and made again. */
  tell(what: string): void {
    const { clock, directory, log } = this.#o
    const at = new Date(clock.wallMs()).toISOString()
    const text = `${what} (${directory}, ${at}): something removes or replaces files there, an age cleaner or a second cluster`
    log('warn', text, { event: 'directory-file-put-back' })
    this.#told = [...this.#told, { text, sinceMs: clock.nowMs() }].slice(-MOST_TOLD)
  }

  /**
   * `active/` is gone, so nothing can be seen. It is made again where cluster.json stands beside it and is ours: then the
   * directory is mounted, and only that name was removed.
   */
  async remakeActive(): Promise<void> {
    try {
      if (await this.#remakeActive()) this.tell(`${ACTIVE_DIR}/ was gone and was made again`)
    } catch (error) {
      this.#o.log('warn', `${ACTIVE_DIR}/ can't be made again: ${messageOf(error)}`, {
        event: 'directory-file-lost',
      })
    }
  }

  /** One look now. What fails is told in the log, and tried again a period later. */
  async look(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.#o.log('warn', `the directory's files can't be looked for: ${messageOf(error)}`, {
        event: 'directory-files-unproven',
      })
    }
  }

  async #remakeActive(): Promise<boolean> {
    const { disk } = this.#o
    const joined = this.#joined
    const text = joined === null ? 'missing' : await disk.read('upkeep', CLUSTER_FILE)
    const found = text === 'missing' ? null : decodeClusterLoosely(text)
    if (joined === null || found === null || !isSame(found, joined.cluster)) return false
    await disk.makeDirs('upkeep', ACTIVE_DIR)
    return true
  }

  async #look(): Promise<void> {
    const { held } = this.#o
    const now = held()
    const joined = this.#joined
    if (now === null || joined === null) {
      this.#standing.clear()
      return
    }
    if (this.#term !== now.term) this.#texts = new Map()
    this.#term = now.term
    const names = await this.#o.disk.list('upkeep', '.')
    // Nothing at all: not mounted, or removed whole. What is made then would hide that.
    if (names === 'missing' || !names.includes(ACTIVE_DIR)) return
    await this.#inPlace(CLUSTER_FILE, () => this.#keepCluster(joined))
    await this.#inPlace(SECRET_FILE, () => this.#keepSecret(joined, names))
    for (const name of [BACKUP_DIR, HISTORY_DIR]) {
      if (names.includes(name)) continue
      await this.#o.disk.makeDirs('upkeep', name)
      this.tell(`${name}/ was gone and was made again`)
    }
    for (const path of ownFiles(now.term)) {
      await this.#inPlace(path, () => this.#keepOwn(path, now))
    }
  }

  #next(): void {
    const { clock, periodMs } = this.#o
    clock.after(periodMs, () => void this.look().then(() => this.#next()))
  }

  #holds(term: number): boolean {
    return this.#o.held()?.term === term
  }

  /** A directory in a file's place can't be replaced by the file: it is removed where it is empty, and told otherwise. */
  async #inPlace(path: string, keep: () => Promise<void>): Promise<void> {
    const { disk, directory, log } = this.#o
    try {
      await keep()
      this.#standing.delete(path)
      return
    } catch (error) {
      if (!isDirectory(error)) throw error
    }
    if (!this.#holds(this.#term)) return
    if ((await disk.removeDir('upkeep', path)) !== 'kept') {
      await keep()
      this.#standing.delete(path)
      return
    }
    const text = `${directory}/${path} is a directory, with something in it, where a file of the cluster has to be: move it away, and this master puts the file back. Until then no other master can be started or take over`
    if (!this.#standing.has(path)) log('error', text, { event: 'directory-file-blocked' })
    this.#standing.set(path, text)
  }

  async #keepCluster({ cluster, newest }: Joined): Promise<void> {
    const { disk, directory } = this.#o
    const knownTerm = Math.max(newest, this.#term)
    const whose: Whose = await whoseIsIt(disk, 'upkeep', { directory, cluster, knownTerm })
    // A format has ended this term already; the next renewal tells.
    if (whose.is === 'ours' || whose.is === 'formatted' || !this.#holds(this.#term)) return
    await disk.unlink('upkeep', CLUSTER_FILE)
    await disk.create('upkeep', CLUSTER_FILE, encode(cluster))
    this.tell(`${whose.why}: it was put back`)
  }

  async #keepSecret({ secret }: Joined, names: readonly string[]): Promise<void> {
    const { disk } = this.#o
    const text = names.includes(SECRET_FILE) ? await disk.read('upkeep', SECRET_FILE) : 'missing'
    if (text.trim() === secret || !this.#holds(this.#term)) return
    if (text !== 'missing') await disk.unlink('upkeep', SECRET_FILE)
    await disk.create('upkeep', SECRET_FILE, `${secret}\n`)
    const what = text === 'missing' ? 'was gone' : 'was another one, or torn'
    this.tell(`${SECRET_FILE} ${what} and was put back`)
  }

  async #keepOwn(
    path: string,
    { term, files }: { readonly term: number; readonly files: ReadonlyMap<string, string> },
  ): Promise<void> {
    const { disk } = this.#o
    const text = await disk.read('upkeep', path)
    // A claimant that gave up again may have closed the term while its claim.json was gone.
    const closed = text !== 'missing' && decodeClaim(text)?.state === 'closed'
    if (text !== 'missing' && !closed) {
      this.#texts.set(path, text)
      return
    }
    const known = files.get(path) ?? this.#texts.get(path)
    // A term that has just begun has no served record yet.
    if (known === undefined || !this.#holds(term)) return
    if (closed) await disk.unlink('upkeep', path)
    if ((await disk.create('upkeep', path, known)) === 'created') {
      this.#o.onPutBack?.(path)
      this.tell(`${path} was gone and was put back`)
    }
  }
}

const MOST_TOLD = 20

const ownFiles = (term: number): string[] => [
  claimFile(term),
  historyFile(term),
  openedFile(term),
  servedFile(term),
  servedCopy(term),
]
