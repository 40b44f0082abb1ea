/**
 * The directories that queries may reach: the warehouse and what the operator has allowed besides, less what is the
 * cluster's own should it lie in one of them. A path is judged by where it really leads, so that a symbolic link below
 * them is no way out.
 */
import { realpath } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import type { Confinement } from '../contract/index.ts'
import { QueryFault } from './query-error.ts'

const isIn = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === sep ? sep : `${directory}${sep}`)

export class Roots {
  /** Absolute, symbolic links resolved. */
  readonly directories: readonly string[]
  readonly #closed: readonly string[]
  /** What a path that leads out of them does, for people. */
  readonly #leavingIt: string

  /** `closed`: of the same kind; whatever lies in one of them is out of reach. */
  constructor(
    directories: readonly string[],
    closed: readonly string[] = [],
    leavingIt = 'is outside of the directories that queries may reach (tajo.warehouse.directory, tajo.query.allowed-paths)',
  ) {
    this.directories = directories
    this.#closed = closed
    this.#leavingIt = leavingIt
  }

  /** Of these, what is in those directories as well. One that is not there leads nowhere. */
  async narrowed({ owner, within }: Confinement): Promise<Roots> {
    const real = await Promise.all(within.map((one) => realpath(one).catch(() => null)))
    const inside = real.filter((one) => one !== null).filter((one) => this.has(one))
    const text = `leads out of what its owner ${owner} may name (SHOW GRANTS FOR ${owner})`
    return new Roots(inside, this.#closed, text)
  }

  has(realPath: string): boolean {
    const isAround = (root: string): boolean => isIn(realPath, root)
    return this.directories.some(isAround) && !this.#closed.some(isAround)
  }

  /** Whether all that can lie in this directory is within reach. */
  isOpen(directory: string): boolean {
    return this.has(directory) && !this.#closed.some((one) => isIn(one, directory))
  }

  /** The nearest one that the path is in; `/` where none is. */
  around(realPath: string): string {
    const all = this.directories.filter((root) => root !== realPath && isIn(realPath, root))
    return all.reduce((nearest, one) => (one.length > nearest.length ? one : nearest), sep)
  }

  /** Throws QueryFault for a path that leads out of them. */
  require(realPath: string, what: string): void {
    if (this.has(realPath)) return
    throw new QueryFault('user', `${what} ${this.#leavingIt}`)
  }
}

/** What is left of them for whoever is confined; undefined: all. */
export const within = async (roots: Roots, confined: Confinement | undefined): Promise<Roots> =>
  confined === undefined ? roots : roots.narrowed(confined)

/** Where a path leads that may not exist yet: its longest part that does, resolved, and the rest of it. */
export async function realPathOf(path: string): Promise<string> {
  const absolute = resolve(path)
  const missing: string[] = []
  for (let at = absolute; ; at = dirname(at)) {
    try {
      return join(await realpath(at), ...missing)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === dirname(at)) throw error
      missing.unshift(at.slice(dirname(at).length).replace(sep, ''))
    }
  }
}
