/**
 * Removes in the background what no table names any more, when nobody can still be reading it: a while after it became
 * litter, and after all queries that began before that.
 *
 * It trusts no path: only what lies inside the allowed directories is removed, never one of them as a whole, and
 * nothing in which a table of the catalog lives or has a file.
 */
import { realpath, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path/posix'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { messageOf } from '../../base/message-of.ts'
import type { Litter } from '../../catalog/model.ts'
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
      const due = dueOf(catalog.state(), this.#latestMs()).slice(0, MOST_AT_ONCE)
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
 * nobody waited for any more, and that had won) must not take them away from who still reads them. Exported for its test.
 */
export function dueOf(state: CatalogState, latestMs: number): Litter[] {
  const old: Litter[] = []
  const young: Litter[] = []
  for (const litter of state.litter()) (litter.sinceMs < latestMs ? old : young).push(litter)
  if (old.length === 0) return []
  const taken = new Set<string>()
  const claim = (path: string): void => {
    // With all directories above it: none of them may be removed as a whole.
    for (let at = path; at !== '/' && !taken.has(at); at = dirname(at)) taken.add(at)
  }
  for (const database of state.databaseNames()) {
    for (const table of state.tablesOf(database) ?? []) {
      claim(table.location)
      for (const file of table.files) claim(absolutePath(table, file.path))
    }
  }
  for (const { staging } of state.publications()) claim(staging)
  for (const { path } of young) claim(path)
  return old.filter(({ path }) => !taken.has(path))
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
