/**
 * Which files a table consists of now, each one looked at before DuckDB is sent there: it exists, it is as long as the
 * catalog says, and it leads nowhere outside of the allowed directories.
 *
 * An external table that was never overwritten is whatever stands in its directory, except names that begin with `.` or
 * `_`, and except `data-*` directories, which are written by queries and count only when the catalog lists their files.
 * The values of partition columns are the catalog's, or those in the names of directories (`c=value`).
 */
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import type { DataFile, PartitionTest, Table } from '../catalog/index.ts'
import { isHidden, OWN_PREFIX } from '../catalog/index.ts'
import { QueryFault } from './query-error.ts'
import type { Roots } from './roots.ts'
import { canBeRead } from './sql-text.ts'

export interface FoundFile {
  /** Absolute, of its directory the symbolic links resolved. */
  readonly path: string
  readonly partition: readonly (string | null)[]
  /** Written by this software: columns are found by their number, not by their name. */
  readonly own: boolean
}

const AT_A_TIME = 8
const MOST_FILES = 200_000

interface FoundFiles {
  readonly files: readonly FoundFile[]
  /** The table has none, also where the query needs none. */
  readonly isEmpty: boolean
}

/**
 * Lists those of the partitions that pass; null stands for all. Rejects with QueryFault, naming table and file, for what
 * is missing, half-written or out of reach.
 */
export async function filesOf(
  table: Table,
  roots: Roots,
  test: PartitionTest = null,
): Promise<FoundFiles> {
  const listed = table.wholeDirectory ? await directoryFiles(table) : []
  const all = [...table.files, ...listed]
  const wanted = test === null ? all : all.filter(({ partition }) => test(partition))
  return { files: await found(wanted, new Looker(table, roots)), isEmpty: all.length === 0 }
}

async function found(wanted: readonly DataFile[], looker: Looker): Promise<FoundFile[]> {
  const found: FoundFile[] = new Array(wanted.length)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < wanted.length; i = next++) {
      const file = wanted[i]
      if (file !== undefined) found[i] = await looker.look(file)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return found
}

export const tableName = ({ database, name }: Pick<Table, 'database' | 'name'>): string =>
  `${database}.${name}`

class Looker {
  readonly #table: Table
  readonly #roots: Roots
  /** Real paths of directories: a table has few, and many files in each. */
  readonly #directories = new Map<string, Promise<string>>()

  constructor(table: Table, roots: Roots) {
    this.#table = table
    this.#roots = roots
  }

  async look(file: DataFile): Promise<FoundFile> {
    const { location } = this.#table
    const path = isAbsolute(file.path) ? file.path : join(location, file.path)
    const own = !isAbsolute(file.path) && file.path.startsWith(OWN_PREFIX)
    const real = await this.#real(path)
    if (own && real.size !== file.bytes) {
      throw this.#fault(
        path,
        `has ${real.size} bytes, and had ${file.bytes} when it was written: it is damaged or was changed`,
      )
    }
    if (!canBeRead(real.path)) {
      throw this.#fault(path, "can't be read: its path has a backslash and one of [ * ?; rename it")
    }
    return { path: real.path, partition: file.partition, own }
  }

  async #real(path: string): Promise<{ path: string; size: number }> {
    try {
      const directory = dirname(path)
      const known = this.#directories.get(directory) ?? realpath(directory)
      this.#directories.set(directory, known)
      const plain = join(await known, basename(path))
      const found = await lstat(plain)
      const real = found.isSymbolicLink() ? await realpath(plain) : plain
      this.#roots.require(real, `${path}, a data file of ${tableName(this.#table)},`)
      const { size } = found.isSymbolicLink() ? await stat(real) : found
      if (!found.isSymbolicLink() && !found.isFile()) throw this.#fault(path, 'is no file')
      return { path: real, size }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') throw this.#fault(path, 'is missing')
      if (code === 'EACCES') throw this.#fault(path, 'may not be read by the user of this worker')
      throw error
    }
  }

  #fault(path: string, what: string): QueryFault {
    return new QueryFault('user', `${path}, a data file of ${tableName(this.#table)}, ${what}`)
  }
}

async function directoryFiles(table: Table): Promise<DataFile[]> {
  const { location } = table
  let whole: Awaited<ReturnType<typeof stat>>
  try {
    whole = await stat(location)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const text = `${location}, the location of ${tableName(table)}, does not exist`
    throw new QueryFault('user', text, null, error)
  }
  if (whole.isFile()) return [{ path: location, rows: null, bytes: whole.size, partition: [] }]
  const paths: string[] = []
  await collect(table, location, paths)
  // Always in the same order, so that rows come in the same order.
  return paths.sort().map((path) => ({
    path,
    rows: null,
    bytes: 0,
    partition: partitionIn(table, relative(location, path)),
  }))
}

async function collect(table: Table, directory: string, paths: string[]): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (isHidden(entry.name)) continue
    const path = join(directory, entry.name)
    // A link may point at either; where it leads is judged with the file.
    const isDirectory = entry.isSymbolicLink()
      ? (await stat(path).catch(() => null))?.isDirectory() === true
      : entry.isDirectory()
    if (!isDirectory) paths.push(path)
    else if (entry.isSymbolicLink()) throw linkedDirectory(table, path)
    else if (!entry.name.startsWith(OWN_PREFIX)) await collect(table, path, paths)
    if (paths.length > MOST_FILES) throw tooMany(table)
  }
}

/** The error of a link that could lead in a circle. */
const linkedDirectory = (table: Table, path: string): QueryFault =>
  new QueryFault(
    'user',
    `${path}, in the location of ${tableName(table)}, is a symbolic link to a directory: put the data itself there`,
  )

const tooMany = (table: Table): QueryFault =>
  new QueryFault('user', `${tableName(table)} has more than ${MOST_FILES} files in its location`)

const NULL_DIRECTORY = '__HIVE_DEFAULT_PARTITION__'

/** Reads them from `a=1/b=x/file`. */
function partitionIn(table: Table, path: string): (string | null)[] {
  const values = new Map<string, string | null>()
  for (const segment of path.split(sep).slice(0, -1)) {
    const at = segment.indexOf('=')
    if (at <= 0) continue
    const value = segment.slice(at + 1)
    values.set(
      decoded(segment.slice(0, at)).toLowerCase(),
      value === NULL_DIRECTORY ? null : decoded(value),
    )
  }
  return table.partitionColumns.map(({ name }) => {
    const value = values.get(name.toLowerCase())
    if (value !== undefined) return value
    throw new QueryFault(
      'user',
      `${join(table.location, path)}, a data file of ${tableName(table)}, is in no directory ${name}=…, and the table is partitioned by ${name}`,
    )
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that encodes nothing.
    return text
  }
}
