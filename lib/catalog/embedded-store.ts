/**
 * DerbyStore: the embedded catalog of a single master, in a directory of its own. Tajo keeps it in Apache Derby, here it
 * is a file of another engine; what stays is its rule, one process only (`derby-guard.ts`).
 *
 * The engine goes on writing into a file that somebody has removed, so the file is looked for by its name before a change
 * is acknowledged, and its write-ahead log too: where only that is gone, a checkpoint brings all of it into the file. A mark
 * beside them says that there was a catalog, so that its absence is not taken for a first start.
 */
import { open as openPath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../base/message-of.ts'
import type { ProcessGuard } from '../daemon/index.ts'
import { comesOfNoSpace, errnoOf, makeDirs, syncIfKnown, withFile } from '../ha/index.ts'
import { takeDerbyGuard } from './derby-guard.ts'
import { type DerbyAddress, parseDerby, requireDerby } from './derby-uri.ts'
import { DUCKDB_DIALECT, type OpenFile, openFile } from './embedded-duckdb.ts'
import { CatalogError } from './errors.ts'
import type { SqlServer } from './sql-connection.ts'
import { type SqlKeeping, SqlStore } from './sql-store.ts'
import type { CatalogState } from './state.ts'

export interface EmbeddedOptions {
  readonly uri: string
  /** How this process is known to its users, for others who find the catalog in use: a master's address. */
  readonly holder?: string
  readonly keeping?: SqlKeeping
}

const MARK = 'tajo-catalog.made'

export class EmbeddedStore extends SqlStore {
  readonly #server: EmbeddedServer

  /** Throws CatalogError BAD_STORE when the URI is none. Touches the directory at `open` only. */
  constructor({ uri, holder = 'a Tajo process', keeping }: EmbeddedOptions) {
    const server = embeddedServer(parseDerby(uri), holder)
    super({ server, ...keeping })
    this.#server = server
  }

  /** The same for either: there are two files only. */
  override async prove(): Promise<void> {
    await this.#server.prove()
  }

  override async replace(term: number, state: CatalogState): Promise<string> {
    await this.close()
    await this.#server.forget()
    return super.replace(term, state)
  }
}

interface EmbeddedServer extends SqlServer {
  /** Rejects CatalogError: GONE, or UNAVAILABLE where nobody can tell now. */
  prove(): Promise<void>
  /** What is not there any more is made anew at the next `connect`. */
  forget(): Promise<void>
}

interface OpenCatalog {
  readonly guard: ProcessGuard
  file: OpenFile
  /** Tells the file that is open apart from another one of its name. */
  fileId: string | null
}

function embeddedServer(address: DerbyAddress, holder: string): EmbeddedServer {
  const { directory, file } = address
  const mark = join(directory, MARK)
  let open: OpenCatalog | null = null

  const openGuarded = async (): Promise<OpenCatalog> => {
    const guard = await takeDerbyGuard(address, holder)
    try {
      return { guard, file: await openFile(file), fileId: await idOf(file) }
    } catch (error) {
      guard.release()
      throw error
    }
  }

  return {
    name: file,
    async connect({ mayCreate }) {
      if (open === null) {
        if (requireDerby(address) === 'missing') {
          if ((await idOf(mark)) !== null) throw removed(file, mark)
          if (!mayCreate) return null
          await makeDirectory(directory)
        }
        open = await openGuarded()
        if (mayCreate) await makeMark(directory, mark)
      } else if (open.file.broken) {
        await open.file.close()
        open.file = await openFile(file)
        open.fileId = await idOf(file)
      }
      return { connection: await open.file.connect(), dialect: DUCKDB_DIALECT }
    },
    async prove() {
      if (open === null) return
      const { fileId } = open
      if ((await idOf(`${file}.wal`)) === null) await checkpoint(open.file)
      const found = await idOf(file)
      if (found === fileId) return
      const how = found === null ? 'is gone: somebody has removed it' : 'is another file: replaced'
      throw new CatalogError('GONE', `${file} ${how}`)
    },
    async forget() {
      await rm(mark, { force: true })
    },
    async close() {
      const closing = open
      open = null
      await closing?.file.close()
      closing?.guard.release()
    },
  }
}

/** The inode under that name; null for none. Rejects CatalogError UNAVAILABLE. */
async function idOf(path: string): Promise<string | null> {
  try {
    const found = await openPath(path)
    return await withFile(found, async () => String((await found.stat({ bigint: true })).ino))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw new CatalogError('UNAVAILABLE', `can't look at ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

async function checkpoint(file: OpenFile): Promise<void> {
  const connection = await file.connect()
  try {
    await connection.query('CHECKPOINT')
  } catch (error) {
    throw new CatalogError('UNAVAILABLE', messageOf(error), { cause: error })
  } finally {
    connection.destroy()
  }
}

/** Before anything is acknowledged. */
async function makeMark(directory: string, mark: string): Promise<void> {
  try {
    await writeFile(mark, '', { flag: 'a', mode: 0o600 })
    const parent = await openPath(directory)
    await withFile(parent, () => syncIfKnown(parent))
  } catch (error) {
    const code = comesOfNoSpace(error) ? 'FULL' : 'UNAVAILABLE'
    throw new CatalogError(code, `can't make ${mark}: ${messageOf(error)}`, { cause: error })
  }
}

const removed = (file: string, mark: string): CatalogError =>
  new CatalogError(
    'CORRUPT',
    `${file} is gone, though a catalog was made there (${mark}): somebody has removed it. Put it back, or 'tajo catalog load FILE --force' a dump; where it was removed on purpose, remove ${mark} as well`,
  )

async function makeDirectory(directory: string): Promise<void> {
  try {
    await makeDirs(directory)
  } catch (error) {
    const text = `can't make the catalog's directory ${directory}: ${messageOf(error)}`
    throw new CatalogError('UNAVAILABLE', text, { cause: error })
  }
}
