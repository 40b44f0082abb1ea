/**
 * Removes in the background what no table names any more, when nobody can still be reading it: a while after it became
 * litter, and after all queries that began before that.
 *
 * It trusts no path: only what lies inside the allowed directories is removed, never one of them as a whole, and
 * nothing in which a table of the catalog lives or has a file.
 */
import { realpath, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path/posix'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { messageOf } from '../../base/message-of.ts'
import { inSlices } from '../../base/slices.ts'
import type { Litter, Table } from '../../catalog/model.ts'
import { OWN_PREFIX } from '../../catalog/own-prefix.ts'
import { absolutePath, type CatalogState } from '../../catalog/state.ts'
import type { CatalogPort } from './catalog-port.ts'
import { isInside } from './paths.ts'

export interface SweeperOptions {
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
/** In one round, so that a round ends. */
const MOST_AT_ONCE = 1000

export class Sweeper {
  readonly #options: SweeperOptions
  #cancel = (): void => {}
  readonly #orphans = new Set<string>()

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, graceMs, signal } = this.#options
    if (signal.aborted) return
    this.#cancel = clock.after(Math.min(LONGEST_PERIOD_MS, Math.max(100, graceMs)), () => {
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
    const { catalog, log, signal } = this.#options
    try {
      await this.#recordOrphans()
      const due = (await dueOf(() => catalog.state(), this.#latestMs())).slice(0, MOST_AT_ONCE)
      const removed: string[] = []
      for (const { path } of due) {
        if (signal.aborted) return
        if (await this.#remove(path)) removed.push(path)
      }
      if (removed.length === 0) return
      await this.#transact([{ do: 'litter-removed', paths: removed }])
      log('info', `removed ${removed.length} left-over paths`)
    } catch (error) {
      if (!signal.aborted) log('warn', `the sweep broke off: ${messageOf(error)}`)
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

  /** True when nothing is left of it. */
  async #remove(path: string): Promise<boolean> {
    const { roots, log } = this.#options
    try {
      const real = await reallyIn(path)
      if (real === null) return true
      const within = await Promise.all(roots.map((root) => realpath(root).catch(() => root)))
      if (!within.some((root) => isInside(real, root) && real !== root)) {
        log('warn', `${path} is left where it is: it lies outside of the allowed directories`)
        return true
      }
      await rm(real, { recursive: true, force: true })
      // The directory of an attempt, once its last file has gone.
      const parent = dirname(real)
      if (basename(parent).startsWith(OWN_PREFIX)) await rmdir(parent).catch(() => undefined)
      return true
    } catch (error) {
      log('warn', `${path} can't be removed yet: ${messageOf(error)}`)
      return false
    }
  }
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
 * looks at all tables and their files; `now` is the newest state at any time. Exported for its test.
 */
export async function dueOf(now: () => CatalogState, latestMs: number): Promise<Litter[]> {
  const state = now()
  const due = new Map<string, Litter>()
  /** Directories with something due in them: a table elsewhere has no file that matters. */
  const around = new Set<string>()
  /** Nothing may be removed that is one of these, or holds it. */
  const young = state.publications().map(({ staging }) => staging)
  await inSlices(state.allLitter(), (litter) => {
    if (litter.sinceMs >= latestMs) young.push(litter.path)
    else {
      due.set(litter.path, litter)
      for (const at of upwards(litter.path)) around.add(at)
    }
  })
  if (due.size === 0) return []
  const keep = (path: string): void => {
    for (const at of upwards(path)) due.delete(at)
  }
  await inSlices(young, keep)
  await inSlices(keptBy(state.allTables(), around), keep)
  // What became a table's meanwhile.
  await inSlices(keptBy(now().tablesChangedSince(state), around), keep)
  return [...due.values()]
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

/** A path and all directories above it. */
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
