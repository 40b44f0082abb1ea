/**
 * INSERT OVERWRITE INTO LOCATION, carried out: the complete staging directory takes the location's place.
 *
 * The catalog has decided it before (`publish`), so whoever is active does it until it is done: each step can be done
 * again, by this master or by the next. What stood there is moved aside first and becomes litter. A directory can't be
 * exchanged in one step here, so readers of the location (no tables of the catalog) may find nothing for a moment.
 *
 * A master that was stopped between two steps and wakes after another has done them: the staging directory is gone by
 * then, and where the old content was moved to is taken, so that neither of its renames can succeed.
 *
 * INSERT OVERWRITE INTO LOCATION that is decided and not carried out yet: its result will take the directory's place, and
 * what stands there, above or below it is moved. Whoever would change a table whose files are there waits for that, and so
 * does another result for a directory around it or inside. Of one and the same directory they take turns anyway.
 * That part is pure.
 */
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path/posix'
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { type Clock, pause } from '../../../base/time.ts'
import type { CatalogState, Change, Publication, Transaction } from '../../../catalog/index.ts'
import { absolutePath, FileList } from '../../../catalog/index.ts'
import { makeDirs, syncIfKnown, withFile } from '../../../ha/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import { overlap } from '../statements/paths.ts'
import { Held } from './holds.ts'

/** Throws Held. `now` is the newest state at any time. */
export function refuseMoving(
  state: CatalogState,
  { changes }: Pick<Transaction, 'changes'>,
  now: () => CatalogState,
): void {
  const moving = state.publications()
  if (moving.length === 0) return
  for (const change of changes) {
    const one = moving.find((publication) => meets(state, change, publication))
    if (one !== undefined) throw movedBy(one, now)
  }
}

function movedBy({ queryId, location }: Publication, now: () => CatalogState): Held {
  const does = `puts its result in the place of '${location}'`
  const isOver = (): boolean =>
    now()
      .publications()
      .every((one) => one.queryId !== queryId)
  return new Held({ queryId, does, what: does, isOver })
}

const meets = (state: CatalogState, change: Change, { location }: Publication): boolean =>
  change.do === 'publish'
    ? change.publication.location !== location && overlap(change.publication.location, location)
    : placesOf(state, change).some((path) => overlap(path, location))

function placesOf(state: CatalogState, change: Change): string[] {
  if (change.do === 'create-table') return [change.table.location]
  const table = 'tableId' in change ? state.table(change.tableId) : null
  if (table === null) return []
  const files = change.do === 'write' ? FileList.of(change.files) : FileList.EMPTY
  // The others lie below the table's location, and there may be a million of them.
  const elsewhere = files.outside === 0 ? [] : [...files]
  return [table.location, ...elsewhere.map(({ path }) => absolutePath(table, path))]
}

interface PublisherOptions {
  readonly catalog: CatalogPort
  readonly by: string
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  readonly signal: AbortSignal
  readonly onPublished: (queryId: string) => void
}

const RETRY_MS = 1000

export class Publisher {
  readonly #options: PublisherOptions
  readonly #running = new Map<string, Promise<void>>()
  /** The last one at each location: two that changed places with each other's steps would never come to an end. */
  readonly #last = new Map<string, Promise<void>>()
  #carriedOut = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** How many this term has carried out: files that were looked at before one more may be elsewhere by now. */
  get carriedOut(): number {
    return this.#carriedOut
  }

  isPending(queryId: string): boolean {
    return this.#pending(queryId) !== null
  }

  /** Those that an earlier term has left. */
  redo(): void {
    for (const { queryId } of this.#options.catalog.state().publications())
      void this.publish(queryId)
  }

  /** Resolves when it is in place and recorded, or when the term is over. */
  publish(queryId: string): Promise<void> {
    const running = this.#running.get(queryId)
    if (running !== undefined) return running
    const location = this.#pending(queryId)?.location ?? ''
    const before = this.#last.get(location) ?? Promise.resolve()
    const begun = before
      .catch(() => undefined)
      .then(() => this.#publish(queryId))
      .finally(() => {
        this.#running.delete(queryId)
        if (this.#last.get(location) === begun) this.#last.delete(location)
      })
    this.#running.set(queryId, begun)
    this.#last.set(location, begun)
    return begun
  }

  #pending(queryId: string): Publication | null {
    const pending = this.#options.catalog.state().publications()
    return pending.find((one) => one.queryId === queryId) ?? null
  }

  async #publish(queryId: string): Promise<void> {
    const { clock, log, signal, onPublished } = this.#options
    for (;;) {
      if (signal.aborted) return
      const publication = this.#pending(queryId)
      if (publication === null) return
      try {
        await carryOut(publication, signal)
        // Before it is recorded: from then on nobody waits for it.
        this.#carriedOut += 1
        await this.#record(publication)
        onPublished(queryId)
        return
      } catch (error) {
        if (signal.aborted) return
        log(
          'warn',
          `the result of ${queryId} is not in ${publication.location} yet: ${messageOf(error)}`,
          { event: 'result-unpublished' },
        )
        await pause(clock, RETRY_MS)
      }
    }
  }

  async #record(publication: Publication): Promise<void> {
    const { catalog, by, wallMs } = this.#options
    const { queryId } = publication
    await catalog.transact((state) => {
      const isPending = state.publications().some((one) => one.queryId === queryId)
      const done = { by, atMs: wallMs(), outcome: null }
      if (!isPending) return { ...done, changes: [] }
      return {
        ...done,
        changes: [
          { do: 'published', queryId },
          { do: 'add-litter', paths: [asideOf(publication)] },
        ],
      }
    })
  }
}

/** Where what stood at the location goes. */
export const asideOf = ({ queryId, location }: Publication): string =>
  join(dirname(location), `.${basename(location)}-${queryId}-old`)

/** It is idempotent. Rejects with the file system's error, or when the term is over. It is exported for its test. */
export async function carryOut(publication: Publication, signal: AbortSignal): Promise<void> {
  const { staging, location } = publication
  const aside = join(asideOf(publication), 'content')
  const isAside = await exists(aside)
  if (!(await exists(staging))) {
    // By its name: what was staged may have been removed instead of renamed.
    if (isAside && (await exists(location))) return syncDirectory(dirname(location))
    signal.throwIfAborted()
    if (isAside) await putBack(aside, location)
    throw new Error(`${staging}, which should take its place, is gone`)
  }
  if (!isAside) {
    // Beside the location, which is not made where its mount has gone meanwhile.
    await makeDirs(dirname(aside), 0o700, dirname(location))
    signal.throwIfAborted()
    if (await exists(location)) await rename(location, aside)
    else await mkdir(aside, 0o700)
    // From now on nothing can be moved here, not even if what stood there was empty.
    await writeFile(join(aside, MOVED), '', { mode: 0o600 })
  }
  signal.throwIfAborted()
  await rename(staging, location)
  await syncDirectory(dirname(location))
}

/** Puts back what stood at the location, so that its readers have it; nothing where nothing did. */
async function putBack(aside: string, location: string): Promise<void> {
  const names = await readdir(aside)
  if (names.every((name) => name === MOVED)) return
  await rename(aside, location)
  await rm(join(location, MOVED), { force: true })
  await syncDirectory(dirname(location))
}

const MOVED = '_moved'

/** It is recorded as done after that: a host that loses power must not have it undone. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path)
  await withFile(directory, () => syncIfKnown(directory))
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
