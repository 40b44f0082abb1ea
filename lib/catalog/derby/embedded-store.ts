/**
 * DerbyStore is the embedded catalog of a single master, in a directory of its own. Tajo keeps it in Apache Derby, here it
 * is a file of another engine; what stays is its rule, one process only (`embedded-files.ts`).
 *
 * The engine goes on writing into a file that somebody has removed or cut off, so the file is looked for by its name
 * before a change is acknowledged, and its write-ahead log too (embedded-files.ts): where only that is gone, a
 * checkpoint brings all of it into the file. A mark beside them says that there was a catalog, so that its absence is
 * not taken for a first start. Written anew, the catalog gets a file of its own: what is damaged is moved aside.
 */
import { constants } from 'node:fs'
import { open as openPath, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { ProcessGuard } from '../../daemon/index.ts'
import { comesOfNoSpace, makeDirs, syncIfKnown, withFile } from '../../ha/index.ts'
import type { SqlServer } from '../database/sql-connection.ts'
import { type ServedBy, type SqlKeeping, SqlStore } from '../database/sql-store.ts'
import { CatalogError } from '../errors.ts'
import type { CatalogState } from '../state.ts'
import type { Opened } from '../store.ts'
import { type DerbyAddress, parseDerby, requireDerby } from '../uri.ts'
import { DUCKDB_DIALECT, type OpenFile, openFile } from './embedded-duckdb.ts'
import {
  isLogWhole,
  isNamed,
  logOf,
  type Noted,
  noteFiles,
  takeDerbyGuard,
  whyFileGone,
} from './embedded-files.ts'

export interface EmbeddedOptions {
  readonly uri: string
  /** How this process is known to its users, for others who find the catalog in use: a master's address. */
  readonly holder?: string
  readonly keeping?: SqlKeeping
  /** `<rootdir>/system`: a catalog in it is made only where that is there, since its mount may be gone. */
  readonly systemDirectory?: string
}

const MARK = 'tajo-catalog.made'
/** A log that has got as long is brought into the file. */
const LOG_BYTES = 16 * 1024 * 1024

export class EmbeddedStore extends SqlStore {
  readonly #server: EmbeddedServer

  /** Throws CatalogError BAD_STORE when the URI is none. Touches the directory at `open` only. */
  constructor({ uri, holder = 'a Tajo process', keeping, systemDirectory }: EmbeddedOptions) {
    const address = parseDerby(uri)
    const isInside = address.directory.startsWith(`${systemDirectory}/`)
    const server = embeddedServer(address, { holder, below: isInside ? systemDirectory : '/' })
    super({ server, ...keeping, served: servedOrMarked(server, keeping?.served) })
    this.#server = server
  }

  override async open(term: number, signal: AbortSignal): Promise<Opened> {
    const opened = await super.open(term, signal)
    // After the tables, which it promises, and before anything is acknowledged.
    await this.#server.makeMark()
    return opened
  }

  override async prove(what: 'appended' | 'everything'): Promise<void> {
    await this.#server.prove(what)
  }

  override async replace(term: number, state: CatalogState): Promise<string> {
    await this.close()
    await this.#server.forget()
    const note = await super.replace(term, state)
    await this.#server.makeMark()
    return note
  }
}

/** What the history says; where that knows nothing of it (a master without high availability), what the mark does. */
const servedOrMarked =
  (server: EmbeddedServer, served: ServedBy | undefined): ServedBy =>
  async (upTo, store) => {
    const history = (await served?.(upTo, store)) ?? { begun: null, recorded: false }
    if (history.begun !== null) return history
    const mark = await server.findMark()
    if (mark === null) return history
    return { ...history, begun: { term: 0, part: null, by: `${mark} says that one was made` } }
  }

interface EmbeddedServer extends SqlServer {
  /** Says from now on that there is a catalog. Rejects CatalogError: FULL, UNAVAILABLE. */
  makeMark(): Promise<void>
  /** Returns its path; null stands for none. Rejects CatalogError UNAVAILABLE. */
  findMark(): Promise<string | null>
  /** Rejects CatalogError: GONE, or UNAVAILABLE where nobody can tell now. */
  prove(what: 'appended' | 'everything'): Promise<void>
  /** What is not there any more is made anew at the next `connect`, and what is damaged is moved aside. */
  forget(): Promise<void>
}

interface OpenCatalog {
  readonly guard: ProcessGuard
  file: OpenFile
  noted: Noted
}

function embeddedServer(
  address: DerbyAddress,
  { holder, below }: { readonly holder: string; readonly below: string | undefined },
): EmbeddedServer {
  const { directory, file } = address
  const mark = join(directory, MARK)
  let open: OpenCatalog | null = null
  let isDamaged = false
  let isMadeAnew = false
  /** One look at a time: a checkpoint changes what it compares. */
  let looking: Promise<void> = Promise.resolve()

  const requireWhole = async (noted: Noted): Promise<void> => {
    const why = await whyFileGone(file, noted)
    if (why === null) return
    isDamaged = true
    throw new CatalogError('GONE', why)
  }

  /** Nothing of what somebody has cut off or put there is written over. */
  const openAnew = async (): Promise<OpenFile> => {
    if (isDamaged) await moveAside(address)
    try {
      return await openFile(file)
    } catch (error) {
      if (!CatalogError.is(error, 'CORRUPT')) throw error
      await moveAside(address)
      return openFile(file)
    }
  }

  const openGuarded = async (): Promise<OpenCatalog> => {
    const guard = await takeDerbyGuard(address, holder)
    try {
      const opened = isMadeAnew ? await openAnew() : await openFile(file)
      isDamaged = false
      isMadeAnew = false
      return { guard, file: opened, noted: await noteFiles(file) }
    } catch (error) {
      guard.release()
      throw error
    }
  }

  const look = async (what: 'appended' | 'everything'): Promise<void> => {
    const held = open
    if (held === null) return
    await requireWhole(held.noted)
    const isWhole = await isLogWhole(file, held.noted, what === 'appended')
    // A broken one is opened anew at the next change, and has its log brought into the file then.
    if (isWhole && (held.file.broken || (held.noted.log?.bytes ?? 0) < LOG_BYTES)) return
    if (held.file.broken) throw new CatalogError('GONE', `${logOf(file)}: somebody has cut it off`)
    // Where only the log is gone, this brings all of it into the file.
    await checkpoint(held.file)
    const noted = await noteFiles(file)
    if (noted.file?.fileId !== held.noted.file?.fileId) await requireWhole(held.noted)
    held.noted = noted
  }

  return {
    name: file,
    async connect({ mayCreate }) {
      if (open === null) {
        if (requireDerby(address) === 'missing') {
          if (await isNamed(mark)) throw removed(file, mark)
          if (!mayCreate) return null
          await makeDirectory(directory, below)
        }
        open = await openGuarded()
      } else if (open.file.broken) {
        // What broke it may be that the file is not ours any more: another one must not be gone on with.
        await requireWhole(open.noted)
        await open.file.close()
        open.file = await openFile(file)
        open.noted = await noteFiles(file)
      }
      return { connection: await open.file.connect(), dialect: DUCKDB_DIALECT }
    },
    prove(what) {
      const looked = looking.then(() => look(what))
      looking = looked.catch(() => undefined)
      return looked
    },
    makeMark: () => makeMark(directory, mark),
    findMark: async () => ((await isNamed(mark)) ? mark : null),
    async forget() {
      isMadeAnew = true
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

/** Beside its place, under a name that nothing reads. Rejects CatalogError UNAVAILABLE. */
async function moveAside({ directory, file }: DerbyAddress): Promise<void> {
  try {
    const names = await readdir(directory)
    let number = 1
    while (names.some((name) => name.endsWith(`.damaged-${number}`))) number += 1
    for (const path of [file, logOf(file)]) {
      if (names.includes(basename(path))) await rename(path, `${path}.damaged-${number}`)
    }
  } catch (error) {
    const text = `can't move ${file} aside, which is damaged: ${messageOf(error)}`
    throw new CatalogError('UNAVAILABLE', text, { cause: error })
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
    const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants
    await writeFile(mark, '', { flag: O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600 })
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

async function makeDirectory(directory: string, below: string | undefined): Promise<void> {
  try {
    await makeDirs(directory, 0o700, below)
  } catch (error) {
    const text = `can't make the catalog's directory ${directory}: ${messageOf(error)}`
    throw new CatalogError('UNAVAILABLE', text, { cause: error })
  }
}
