/**
 * A mount may show one and the same user as another one: root as nobody (root squash), everybody as the one who mounted
 * (FUSE), with one mode for all files. So where something looks wrong, what this process makes there now tells: whose it
 * is shown to be is a name of this user's there, and a mode that it gets though it asked for none says nothing of others.
 * Only then is a file made for it, and removed at once.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { OwnPlaceError, objectionTo, type Place, type Trust } from '../../base/own-place.ts'
import { ownUid } from '../../base/own-place-look.ts'

/** What a mount shows of this process's own files. */
export type Shown = Pick<Trust, 'also' | 'writers'>

/**
 * Judges a place by what its mount shows of a file in `directory`, where it would be refused otherwise. Gives with what it
 * is trusted. Rejects with OwnPlaceError.
 */
export async function requireAsShown(
  place: Place,
  trust: Trust,
  directory: string,
): Promise<Trust> {
  if (objectionTo(place, trust) === null) return trust
  const known = { ...trust, ...(await shownIn(directory, trust)) }
  const objection = objectionTo(place, known)
  if (objection !== null) throw new OwnPlaceError(objection)
  return known
}

/** Whose a directory is, where what this process makes there would be another user's; else null. */
export async function strangeOwnerOf(directory: string): Promise<number | null> {
  const found = await orNull(stat(directory))
  if (found === null || found.uid === ownUid()) return null
  const { also = [] } = await shownIn(directory, {})
  return also.includes(found.uid) ? null : found.uid
}

async function shownIn(directory: string, { writers = 0 }: Shown): Promise<Shown> {
  const path = join(directory, `.whose-${randomUUID()}`)
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants
  const file = await open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600).catch(() => null)
  // What can't be written is judged by what is shown.
  if (file === null) return {}
  try {
    const { uid, mode } = await file.stat()
    return { also: [uid], writers: writers | (mode & 0o022) }
  } finally {
    await file.close()
    await unlink(path)
  }
}

const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ESTALE', 'ELOOP'])

/** Null where nothing is there, or a link that leads nowhere. */
export async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return null
    throw error
  }
}
