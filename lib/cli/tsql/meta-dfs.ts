/**
 * `\dfs`: the file commands of Hadoop's that are of use with a mounted directory. They run as whoever runs the shell and
 * can do no more than he could; removing is kept to what lies inside the warehouse, because a slip there is dear enough,
 * and never takes a table's files: DROP TABLE does that, and the catalog knows.
 */
import { createReadStream } from 'node:fs'
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { failure, usageError } from '../exit.ts'
import { plain, table } from '../print.ts'
import { byteText } from './shell.ts'
import type { Terminal } from './terminal.ts'

interface DfsPlace {
  readonly warehouse: string
  readonly terminal: Terminal
  /** Where each table of the catalog keeps its files, by its full name. Asked before something is removed. */
  readonly tableLocations: () => Promise<ReadonlyMap<string, string>>
}

/** Rejects with a CliError. */
export async function dfs(words: readonly string[], place: DfsPlace): Promise<void> {
  const { warehouse } = place
  const [verb = '', ...rest] = words
  const options = rest.filter((word) => word.startsWith('-'))
  const paths = rest
    .filter((word) => !word.startsWith('-'))
    .map((path) => resolve(warehouse, local(path)))
  try {
    await verbOf(verb)({ ...place, paths, recursive: options.includes('-r') })
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (typeof code !== 'string' || path === undefined) throw error
    throw failure(`${path}: ${WHY[code] ?? code}`, error)
  }
}

interface Request extends DfsPlace {
  readonly paths: readonly string[]
  readonly recursive: boolean
}

function verbOf(verb: string): (request: Request) => Promise<void> {
  switch (verb) {
    case '-ls':
      return list
    case '-du':
      return usage
    case '-cat':
      return cat
    case '-mkdir':
      return make
    case '-rm':
      return remove
    default:
      throw usageError(
        '\\dfs -ls | -du | -cat | -mkdir | -rm [-r]  PATH ... (paths are below the warehouse)',
      )
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'it is no directory',
  EEXIST: 'it exists already',
}

const local = (path: string): string => path.replace(/^file:(\/\/)?(?=\/)/, '')

async function list({ paths, warehouse, terminal }: Request): Promise<void> {
  for (const path of paths.length > 0 ? paths : [warehouse]) {
    const own = await stat(path)
    const names = own.isDirectory() ? (await readdir(path)).sort() : [basename(path)]
    const rows = await Promise.all(
      names.map(async (name) => {
        const found = await stat(own.isDirectory() ? join(path, name) : path).catch(() => null)
        const size = found === null || found.isDirectory() ? '-' : byteText(found.size)
        const when = found?.mtime.toISOString().slice(0, 19).replace('T', ' ') ?? '-'
        return [size, when, `${name}${found?.isDirectory() === true ? '/' : ''}`]
      }),
    )
    const text = table(
      [{ title: 'SIZE', align: 'right' }, { title: 'CHANGED' }, { title: 'NAME' }],
      rows,
    )
    await terminal.out(`${text}\n`)
  }
}

async function usage({ paths, warehouse, terminal }: Request): Promise<void> {
  for (const path of paths.length > 0 ? paths : [warehouse]) {
    await terminal.out(`${byteText(await sizeOf(path))}  ${plain(path)}\n`)
  }
}

async function sizeOf(path: string): Promise<number> {
  const own = await stat(path)
  if (!own.isDirectory()) return own.size
  let bytes = 0
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    // A file that a query removes meanwhile counts for nothing.
    bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0
  }
  return bytes
}

async function cat({ paths, terminal }: Request): Promise<void> {
  for (const path of needed(paths)) {
    const text = createReadStream(path, 'utf8')
    for await (const chunk of text) await terminal.out(String(chunk))
  }
}

async function make({ paths }: Request): Promise<void> {
  for (const path of needed(paths)) await mkdir(path, { recursive: true })
}

async function remove({ paths, recursive, warehouse, tableLocations }: Request): Promise<void> {
  const root = await realpath(warehouse)
  const locations = await tableLocations()
  for (const path of needed(paths)) {
    const real = await realpath(path)
    if (real === root || !isWithin(root, real)) {
      throw failure(`${path} is not inside the warehouse ${root}: it is not removed here`)
    }
    for (const [name, location] of locations) {
      if (!isWithin(location, real) && !isWithin(real, location)) continue
      throw failure(`${path} holds files of table ${name}: DROP TABLE removes them`)
    }
    await rm(path, { recursive })
  }
}

function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path)
  return below !== '..' && !below.startsWith('../')
}

function needed(paths: readonly string[]): readonly string[] {
  if (paths.length === 0) throw usageError('a path is missing')
  return paths
}
