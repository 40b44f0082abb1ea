/**
 * DerbyStore: the embedded catalog of a single master, in a directory of its own. Tajo keeps it in Apache Derby, here it
 * is a file of another engine; what stays is its rule, one process only (`derby-guard.ts`).
 */
import { messageOf } from '../base/message-of.ts'
import type { ProcessGuard } from '../daemon/index.ts'
import { makeDirs } from '../ha/index.ts'
import { takeDerbyGuard } from './derby-guard.ts'
import { type DerbyAddress, parseDerby, requireDerby } from './derby-uri.ts'
import { DUCKDB_DIALECT, type OpenFile, openFile } from './embedded-duckdb.ts'
import { CatalogError } from './errors.ts'
import type { SqlServer } from './sql-connection.ts'
import { SqlStore } from './sql-store.ts'

export interface EmbeddedOptions {
  readonly uri: string
  /** How this process is known to its users, for others who find the catalog in use: a master's address. */
  readonly holder?: string
}

export class EmbeddedStore extends SqlStore {
  /** Throws CatalogError BAD_STORE when the URI is none. Touches the directory at `open` only. */
  constructor({ uri, holder = 'a Tajo process' }: EmbeddedOptions) {
    super({ server: embeddedServer(parseDerby(uri), holder) })
  }
}

interface OpenCatalog {
  readonly guard: ProcessGuard
  file: OpenFile
}

function embeddedServer(address: DerbyAddress, holder: string): SqlServer {
  const { directory, file } = address
  let open: OpenCatalog | null = null

  const openGuarded = async (): Promise<OpenCatalog> => {
    const guard = await takeDerbyGuard(address, holder)
    try {
      return { guard, file: await openFile(file) }
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
          if (!mayCreate) return null
          await makeDirectory(directory)
        }
        open = await openGuarded()
      } else if (open.file.broken) {
        await open.file.close()
        open.file = await openFile(file)
      }
      return { connection: await open.file.connect(), dialect: DUCKDB_DIALECT }
    },
    async close() {
      const closing = open
      open = null
      await closing?.file.close()
      closing?.guard.release()
    },
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await makeDirs(directory)
  } catch (error) {
    const text = `can't make the catalog's directory ${directory}: ${messageOf(error)}`
    throw new CatalogError('UNAVAILABLE', text, { cause: error })
  }
}
