/**
 * Looks at a place that this user alone may own and write (own-place.ts), and throws where it isn't so. For places of this
 * host: the calls are synchronous, so nothing of the shared directory is looked at here.
 *
 * A link is looked at as well as what it leads to: whoever made the link decides where it leads.
 */
import { lstatSync, type Stats, statSync } from 'node:fs'
import { OwnPlaceError, objectionTo, type Place, type Trust } from './own-place.ts'

/** What the name itself is, and, of a link, what it leads to. Throws the system's error; none where nothing is there. */
function placesAt(what: string, path: string): Place[] {
  const itself = lstatSync(path, { throwIfNoEntry: false })
  if (itself === undefined) return []
  const own = placeOf(what, path, itself)
  return own.kind === 'link' ? [own, placeOf(what, path, statSync(path))] : [own]
}

export function placeOf(what: string, path: string, found: Pick<Stats, 'uid' | 'mode'>): Place {
  const { uid, mode } = found
  const format = mode & FORMAT
  const kind = format === LINK ? 'link' : format === DIRECTORY ? 'directory' : 'file'
  return { what, path, kind, uid, mode }
}

const FORMAT = 0o170_000
const LINK = 0o120_000
const DIRECTORY = 0o040_000

/** Throws OwnPlaceError, or the system's error. What is not there is no danger. */
export function requireOwn(what: string, path: string, more: Omit<Trust, 'uid'> = {}): void {
  const trust = { ...more, uid: ownUid() }
  for (const place of placesAt(what, path)) {
    const objection = objectionTo(place, trust)
    if (objection !== null) throw new OwnPlaceError(objection)
  }
}

/** Of this process; root's where the system has no users. */
export const ownUid = (): number => process.getuid?.() ?? 0
