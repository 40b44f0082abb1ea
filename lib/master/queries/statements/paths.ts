/**
 * Where SQL may point at: the warehouse and the directories that the operator has allowed, and nothing that a symbolic
 * link inside them leads out to, nor the cluster's own files, should an allowed directory hold them. A path is judged by
 * where it really is, as far down as it exists.
 *
 * INSERT OVERWRITE INTO LOCATION takes a directory's place as a whole, so it may not be one in which a table keeps
 * files by name: those would be missing from then on. An external table that is nothing but what stands in its directory
 * is not hurt; it has the new files. Asked when the query is planned, and again in the transaction that decides it. Pure.
 */
import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize, relative } from 'node:path/posix'
import { type Clock, within } from '../../../base/time.ts'
import type { CatalogState, Table } from '../../../catalog/index.ts'
import { absolutePath } from '../../../catalog/index.ts'
import { spell } from './names.ts'

/** Why the directory may not be replaced; null when it may. */
export function whyTaken(state: CatalogState, path: string): string | null {
  const table = state.findTable((one) => keepsFilesAt(one, path))
  if (table === null) return null
  const name = spell(table)
  return `'${path}' belongs to table ${name}: write INSERT OVERWRITE INTO ${name}, or name another directory`
}

function keepsFilesAt(table: Table, path: string): boolean {
  const { kind, location, wholeDirectory, files } = table
  const keeps = kind === 'managed' || !wholeDirectory || files.length > 0
  if (keeps && overlap(path, location)) return true
  // The others are below its location, which is elsewhere.
  if (files.outside === 0) return false
  for (const file of files) if (isInside(absolutePath(table, file.path), path)) return true
  return false
}

interface PathOptions {
  readonly warehouse: string
  readonly allowed: readonly string[]
  /** The cluster's own (HA, secret, catalog, query log): neither in it nor above it may anything be named. */
  readonly systemDirectory: string
  readonly clock: Clock
}

/** What a statement's path comes to. */
export interface Confined {
  /** Absolute, and below its root free of symbolic links: one place has one path, the one that managed tables have. */
  readonly path: string
  readonly is: 'directory' | 'file' | 'nothing'
}

/** A path that SQL may not name, or that can't be looked at. `message` is for the user. */
export class PathError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'PathError'
  }
}

const LONGEST_PATH = 4096
const LOOK_MS = 10_000

export const isInside = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`)

/** One inside the other, or the same. */
export const overlap = (a: string, b: string): boolean => isInside(a, b) || isInside(b, a)

export class PathRules {
  readonly #options: PathOptions

  constructor(options: PathOptions) {
    this.#options = options
  }

  get warehouse(): string {
    return this.#options.warehouse
  }

  get roots(): readonly string[] {
    const { warehouse, allowed } = this.#options
    return [warehouse, ...allowed]
  }

  /**
   * `location` as the user wrote it: a path or a `file:` URI. A root of the operator's itself is only a place for what lies
   * below it: `or: 'a root'` takes it too. Rejects PathError.
   */
  async confine(location: string, or?: 'a root'): Promise<Confined> {
    const wanted = pathOf(location)
    return this.#inTime(location, async () => {
      const path = await reallyAt(wanted)
      const roots = await Promise.all(this.roots.map(reallyAt))
      const at = roots.findIndex((one) => isInside(path, one))
      const root = roots[at]
      if (root === undefined) {
        const names = this.roots.join(', ')
        throw new PathError(
          `'${location}' is outside of what SQL may name: ${names} (tajo.warehouse.directory, tajo.query.allowed-paths)`,
        )
      }
      if (path === root && (or === undefined || at === 0))
        throw new PathError(`'${location}' is a root itself: name something in it`)
      const { systemDirectory } = this.#options
      if (overlap(path, await reallyAt(systemDirectory))) {
        throw new PathError(
          `'${location}' holds or lies in the cluster's own files (${systemDirectory}), which SQL may not name`,
        )
      }
      const own = join(this.roots[at] ?? root, relative(root, path))
      return { path: own, is: await kindOf(path) }
    })
  }

  async #inTime<T>(location: string, work: () => Promise<T>): Promise<T> {
    const late = (): never => {
      throw new PathError(`the file system of '${location}' does not answer`)
    }
    try {
      return await within(this.#options.clock, LOOK_MS, work(), late)
    } catch (error) {
      if (error instanceof PathError) throw error
      const { code } = error as NodeJS.ErrnoException
      throw new PathError(`'${location}' can't be looked at: ${code ?? error}`, { cause: error })
    }
  }
}

function pathOf(location: string): string {
  const path = location.startsWith('file:') ? uriPath(location) : location
  if (path.length > LONGEST_PATH || path.includes('\0') || !isAbsolute(path)) {
    throw new PathError(`'${location.slice(0, 200)}' must be an absolute path or a file:// URI`)
  }
  const clean = normalize(path)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}

/** `file:///a` and `file:/a`; a host in it is not ours to reach. */
function uriPath(uri: string): string {
  const rest = uri.slice('file:'.length)
  return rest.startsWith('//') ? rest.slice(2) : rest
}

/** Where it is, or would be: links are followed in what exists of it. */
async function reallyAt(path: string): Promise<string> {
  for (let exists = path; ; exists = dirname(exists)) {
    try {
      return join(await realpath(exists), relative(exists, path))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT' || exists === '/') throw error
    }
  }
}

async function kindOf(path: string): Promise<Confined['is']> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) return 'directory'
    if (found.isFile()) return 'file'
    throw new PathError(`'${path}' is neither a directory nor a file`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'nothing'
    throw error
  }
}

const LONGEST_NAME = 80

/** A name of SQL as a part of a path: whatever it holds, it stays one part, and no hidden one. */
export function pathPart(name: string): string {
  const safe = encodeURIComponent(name).replaceAll(/[.!'()*~]/g, (char) => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  })
  return safe.slice(0, LONGEST_NAME)
}
