/**
 * Directories of this host that a daemon makes files in by names that can be guessed: pid file, socket, log. Whoever else
 * can write there could have made that name before, as a link to another file of this user's, or could put a file of his
 * own in its place. So such a directory is made for its user alone, and one that isn't his alone is refused.
 */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { requireOwn } from '../base/own-place-look.ts'

const OWN_MODE = 0o700

/**
 * Makes it, with what is missing above it, for this user alone. Throws OwnPlaceError, which names the setting `what` and the
 * command that mends it, or the system's error.
 */
export function makeOwnDirectory(what: string, path: string): void {
  makeMissing(path)
  requireOwn(what, path)
}

function makeMissing(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return
  makeMissing(dirname(path))
  try {
    mkdirSync(path, OWN_MODE)
  } catch (error) {
    // Another daemon was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
