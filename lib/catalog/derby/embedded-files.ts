/**
 * Whether the database's file and its write-ahead log are still what their names lead to. The engine holds both open and
 * goes on after somebody has removed, cut off or replaced them: it notices at the next start, when all is lost.
 *
 * Between two checkpoints, which nobody makes but `embedded-store.ts`, the file keeps its headers and gets no shorter, and
 * the log only grows. So a look compares the inode, the length, the headers, and the last bytes that the log had before.
 *
 * The Derby guard: at most one process has an embedded catalog open. Where the holder can't be looked at, the engine's own
 * file lock decides, which the kernel takes away from the dead.
 */
import { open as openPath } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import {
  GuardError,
  type Guarded,
  type GuardWorld,
  type ProcessGuard,
  realWorld,
  requireUnheld,
  takeGuard,
} from '../../daemon/index.ts'
import { errnoOf, withFile } from '../../ha/index.ts'
import { CatalogError } from '../errors.ts'
import { type DerbyAddress, parseDerby } from '../uri.ts'
import { isFree } from './embedded-duckdb.ts'

/** `directory` is the catalog's. */
const derbyGuard = (directory: string): Guarded => ({
  path: join(directory, 'tajo-catalog.guard'),
  what: 'this catalog',
  usedBy: 'this catalog is in use by',
  instead:
    'The embedded catalog (DerbyStore) is for one master only. For several, set tajo.catalog.store.class to SharedStore, PostgreSQLStore or MariaDBStore',
})

/** Its directory is there. Rejects CatalogError IN_USE naming the holder, UNAVAILABLE when it can't be written. */
export const takeDerbyGuard = (
  { directory, file }: DerbyAddress,
  holder: string,
): Promise<ProcessGuard> =>
  takeGuard(derbyGuard(directory), holder, worldOf(file)).catch(asCatalogError)

/** Rejects CatalogError IN_USE when another process has that catalog open, BAD_STORE for an URI that is none. */
export async function requireFreeDerby(uri: string): Promise<void> {
  const { directory, file } = parseDerby(uri)
  await requireUnheld(derbyGuard(directory), worldOf(file)).catch(asCatalogError)
}

const worldOf = (file: string): GuardWorld => realWorld(() => isFree(file))

function asCatalogError(error: unknown): never {
  if (!(error instanceof GuardError)) throw error
  const code = error.code === 'HELD' ? 'IN_USE' : 'UNAVAILABLE'
  throw new CatalogError(code, error.message, { cause: error })
}

/** The engine's main header and its two database headers, which each checkpoint writes in turn. */
const HEADERS = { at: 0, bytes: 3 * 4096 }
const TAIL_BYTES = 64

interface Seen {
  readonly fileId: string
  readonly bytes: number
  readonly part: Buffer
}
interface Part {
  readonly at: number
  readonly bytes: number
}

export interface Noted {
  readonly file: Seen | null
  log: Seen | null
}

export const logOf = (file: string): string => `${file}.wal`

/** After the file was opened, and after each checkpoint. Rejects CatalogError UNAVAILABLE. */
export async function noteFiles(file: string): Promise<Noted> {
  return { file: await look(file, () => HEADERS), log: await look(logOf(file), tailOf) }
}

/** Why the file is not what it was, as a sentence; null when it is. Rejects CatalogError UNAVAILABLE. */
export async function whyFileGone(file: string, noted: Noted): Promise<string | null> {
  const before = noted.file
  const found = await look(file, () => HEADERS)
  if (found === null || before === null) return `${file} is gone: somebody has removed it`
  if (found.fileId !== before.fileId) return `${file} is another file: somebody has replaced it`
  if (found.bytes < before.bytes) {
    return `${file} has ${found.bytes} bytes of ${before.bytes}: somebody has cut it off`
  }
  if (found.part.equals(before.part)) return null
  return `${file} has other contents than were written: somebody has replaced them`
}

/**
 * Whether all that was in the log still is; then what is in it now is noted. `mustGrow`: something was appended since.
 * Rejects CatalogError UNAVAILABLE.
 */
export async function isLogWhole(file: string, noted: Noted, mustGrow: boolean): Promise<boolean> {
  const before = noted.log
  const path = logOf(file)
  const now = await look(path, tailOf)
  if (now === null) return before === null && !mustGrow
  if (mustGrow && now.bytes <= (before?.bytes ?? 0)) return false
  if (before !== null) {
    const { part, bytes } = before
    const then = await look(path, () => ({ at: bytes - part.length, bytes: part.length }))
    if (then?.fileId !== before.fileId || !then.part.equals(part)) return false
  }
  noted.log = now
  return true
}

const tailOf = (size: number): Part => {
  const bytes = Math.min(size, TAIL_BYTES)
  return { at: size - bytes, bytes }
}

/** Opens it by its name; null stands for none. `partOf`: what to read of a file of so many bytes. */
async function look(path: string, partOf: (size: number) => Part): Promise<Seen | null> {
  try {
    const found = await openPath(path)
    return await withFile(found, async () => {
      const { ino, size } = await found.stat({ bigint: true })
      const { at, bytes } = partOf(Number(size))
      const { buffer, bytesRead } = await found.read(Buffer.alloc(bytes), 0, bytes, at)
      return {
        fileId: String(ino),
        bytes: Number(size),
        part: buffer.subarray(0, bytesRead),
      }
    })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error))) return null
    throw new CatalogError('UNAVAILABLE', `can't look at ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Whether something has that name. Rejects CatalogError UNAVAILABLE. */
export const isNamed = async (path: string): Promise<boolean> =>
  (await look(path, () => ({ at: 0, bytes: 0 }))) !== null
