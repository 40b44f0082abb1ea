/**
 * Removes in the background what no table names any more, when nobody can still be reading it: a while after it became
 * litter, and after all queries that began before that.
 *
 * It trusts no path: only what lies inside the allowed directories is removed, never one of them as a whole, and
 * nothing in which a table of the catalog lives or has a file.
 */
import { realpath, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path/posix'
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { background, inSlices } from '../../../base/slices.ts'
import type { Clock } from '../../../base/time.ts'
import type { CatalogState, Litter, Table } from '../../../catalog/index.ts'
import { absolutePath, OWN_PREFIX } from '../../../catalog/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import { isInside } from '../statements/paths.ts'

interface SweeperOptions {
  readonly catalog: CatalogPort
  readonly by: string
  readonly roots: readonly string[]
  readonly graceMs: number
  /** When the oldest query that still runs was submitted; null when none runs. */
  readonly oldestQueryMs: () => number | null
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  readonly signal: AbortSignal
}

const LONGEST_PERIOD_MS = 60_000
/** A term has inherited what the one before had no time for: where terms are short nobody else would ever remove it. */
const FIRST_MS = 10_000
/** In one round, so that each begins with a look at what tables have by then. */
const MOST_A_ROUND = 10_000
/** In one change of the catalog. */
const MOST_A_CHANGE = 1000
/** A file server has more than one hand, and others need some of them. */
const MOST_AT_ONCE = 4
const MORE_MS = 1000

export class Sweeper {
  readonly #options: SweeperOptions
  #cancel = (): void => {}
  readonly #orphans = new Set<string>()
  /** The last round has left some: the next one comes soon. */
  #more = false
  #rounds = 0

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, graceMs, signal } = this.#options
    if (signal.aborted) return
    const longestMs = this.#rounds === 0 ? FIRST_MS : LONGEST_PERIOD_MS
    const periodMs = this.#more ? MORE_MS : Math.min(longestMs, Math.max(100, graceMs))
    this.#cancel = clock.after(periodMs, () => {
      this.#rounds += 1
      void this.sweep().finally(() => this.start())
    })
  }

  stop(): void {
    this.#cancel()
  }

  /** What an attempt left that is recorded nowhere yet: litter from the next round on. */
  add(path: string): void {
    this.#orphans.add(path)
  }

  /** One round; never rejects. */
  async sweep(): Promise<void> {
    const { catalog, wallMs, log, signal } = this.#options
    try {
      await this.#recordOrphans()
      const { due: all, waits } = await dueOf(() => catalog.state(), {
        latestMs: this.#latestMs(),
        nowMs: wallMs(),
        restorableMs: await this.#restorableMs(),
      })
      if (waits) catalog.checkpointSoon?.()
      this.#more = false
      let removed = 0
      for (let at = 0; at < Math.min(all.length, MOST_A_ROUND); at += MOST_A_CHANGE) {
        const paths = await this.#removeAll(all.slice(at, at + MOST_A_CHANGE))
        if (signal.aborted) return
        if (paths.length > 0) await this.#transact([{ do: 'litter-removed', paths }])
        removed += paths.length
      }
      if (removed === 0) return
      this.#more = all.length > MOST_A_ROUND
      log('info', `removed ${removed} left-over paths`, { event: 'litter-removed' })
    } catch (error) {
      if (!signal.aborted)
        log('warn', `the sweep broke off: ${messageOf(error)}`, { event: 'sweep-failed' })
    }
  }

  async #recordOrphans(): Promise<void> {
    const paths = [...this.#orphans]
    if (paths.length === 0) return
    await this.#transact([{ do: 'add-litter', paths }])
    for (const path of paths) this.#orphans.delete(path)
  }

  async #transact(changes: Parameters<typeof changesOf>[0]): Promise<void> {
    const { catalog, by, wallMs } = this.#options
    await catalog.transact(() => ({ by, atMs: wallMs(), changes, outcome: null }))
  }

  /** Litter that is younger may be read by somebody. */
  #latestMs(): number {
    const { graceMs, oldestQueryMs, wallMs } = this.#options
    return Math.min(wallMs() - graceMs, oldestQueryMs() ?? Number.POSITIVE_INFINITY)
  }

  /** Nothing asks for it where nothing was joined. */
  async #restorableMs(): Promise<number> {
    const { catalog } = this.#options
    if (catalog.oldestRestorableMs === undefined) return Number.POSITIVE_INFINITY
    return (await catalog.oldestRestorableMs()) ?? Number.NEGATIVE_INFINITY
  }

  /** Those of which nothing is left. */
  async #removeAll(litter: readonly Litter[]): Promise<string[]> {
    const { roots, signal } = this.#options
    const within = await Promise.all(roots.map((root) => realpath(root).catch(() => root)))
    const removed: string[] = []
    const left = litter.values()
    const one = async (): Promise<void> => {
      for (const { path } of left) {
        if (signal.aborted) return
        if (await this.#remove(path, within)) removed.push(path)
      }
    }
    await Promise.all(Array.from({ length: MOST_AT_ONCE }, one))
    return removed
  }

  /** True when nothing is left of it. */
  async #remove(path: string, within: readonly string[]): Promise<boolean> {
    const { log } = this.#options
    try {
      const real = await reallyIn(path)
      if (real === null) return true
      const root = within.find((one) => isInside(real, one) && real !== one)
      if (root === undefined) {
        log('warn', `${path} is left where it is: it lies outside of the allowed directories`, {
          event: 'litter-left',
        })
        return true
      }
      await rm(real, { recursive: true, force: true })
      for (const directory of emptied(real, root)) {
        // Others are in it, or somebody was faster.
        if (!(await rmdir(directory).then(...ANSWERED))) break
      }
      return true
    } catch (error) {
      log('warn', `${path} can't be removed yet: ${messageOf(error)}`, { event: 'litter-left' })
      return false
    }
  }
}

const ANSWERED = [() => true, () => false] as const

/** From below: the directories of an attempt in which that was, of its partition too, once its last file has gone. */
function emptied(path: string, root: string): string[] {
  const above: string[] = []
  for (let at = dirname(path); at !== root && at.length > 1; at = dirname(at)) {
    above.push(at)
    if (basename(at).startsWith(OWN_PREFIX)) return above
  }
  return []
}

const changesOf = (
  changes: readonly (
    | { readonly do: 'add-litter'; readonly paths: readonly string[] }
    | { readonly do: 'litter-removed'; readonly paths: readonly string[] }
  )[],
) => changes

/**
 * Old enough, no table's, and nothing younger in it: a directory that was litter before its files were (an attempt that
 * nobody waited for any more, and that had won) must not take them away from who still reads them. In slices, since it
 * looks at all tables and their files; `now` is the newest state at any time. It is exported for its test.
 *
 * What is litter only later, `nowMs` included, was joined into another file and is kept for `tajo catalog restore`, but not
 * against whoever drops its table: it keeps the directory of its attempt and no more. So is what was joined since
 * `restorableMs`, as of which the oldest catalog is that can be brought back: something `waits` for a newer one where it
 * was to be kept no longer but for that.
 */
export async function dueOf(
  now: () => CatalogState,
  { latestMs, nowMs, restorableMs }: Latest,
): Promise<{ due: Litter[]; waits: boolean }> {
  const state = now()
  const due = new Map<string, Litter>()
  /** Directories with something due in them: a table elsewhere has no file that matters. */
  const around = new Set<string>()
  /** Nothing may be removed that is one of these, or holds it. */
  const young = stagingsOf(state)
  /** Nor any of these. */
  const later: string[] = []
  let waits = false
  const sort = (litter: Litter): void => {
    const isNamed = (litter.joinedMs ?? Number.NEGATIVE_INFINITY) >= restorableMs
    waits ||= isNamed && litter.sinceMs < latestMs
    if (litter.sinceMs > nowMs || isNamed) later.push(...attemptOf(litter.path))
    else if (litter.sinceMs >= latestMs) young.push(litter.path)
    else {
      due.set(litter.path, litter)
      for (const at of upwards(litter.path)) around.add(at)
    }
  }
  await inSlices(state.allLitter(), sort, background)
  if (due.size === 0) return { due: [], waits }
  const keep = (path: string): void => {
    for (const at of upwards(path)) due.delete(at)
  }
  await inSlices(young, keep, background)
  await inSlices(later, (path) => void due.delete(path), background)
  await inSlices(keptBy(state.allTables(), around), keep, background)
  // What became a table's meanwhile, or is to become somebody's result.
  const last = now()
  await inSlices(stagingsOf(last), keep)
  await inSlices(keptBy(last.tablesChangedSince(state), around), keep)
  return { due: [...due.values()], waits }
}

const stagingsOf = (state: CatalogState): string[] =>
  state.publications().map(({ staging }) => staging)

interface Latest {
  readonly latestMs: number
  readonly nowMs: number
  readonly restorableMs: number
}

function* keptBy(tables: Iterable<Table>, around: ReadonlySet<string>): Iterable<string> {
  for (const table of tables) {
    yield table.location
    const isAround = around.has(table.location)
    if (!isAround && table.files.outside === 0) continue
    for (const { path } of table.files) {
      // Nothing, for one that does not matter: among millions of them there has to be a place to stop at.
      yield isAround || isAbsolute(path) ? absolutePath(table, path) : ''
    }
  }
}

/** A file and the directories above it up to that of the attempt that wrote it. */
function attemptOf(path: string): string[] {
  const found = [path]
  for (let at = dirname(path); at.length > 1; at = dirname(at)) {
    found.push(at)
    if (basename(at).startsWith(OWN_PREFIX)) return found
  }
  return [path]
}

/** Yields a path and all directories above it. */
function* upwards(path: string): Iterable<string> {
  for (let at = path; at.length > 1; at = dirname(at)) yield at
}

/** Where it really is, by the directory that holds it: a link is removed, not followed. Null: it is gone. */
async function reallyIn(path: string): Promise<string | null> {
  try {
    return join(await realpath(dirname(path)), basename(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
