/**
 * Whether a directory or file that a daemon trusts is this user's alone. Whoever else owns it, or may write there, can put
 * commands, links and data of his own in place of the cluster's, and they would be run, followed and served as this
 * user's. So it is refused as PostgreSQL refuses its data directory, with the facts, what is allowed, and the one command
 * that mends it.
 *
 * Root may own anything: it can do all of this anyhow, and owns what packages and mounts have made. Who may *read* a place
 * is its owner's business.
 *
 * Pure: what the system says of a place goes in, a sentence or null comes out. `require_own` in sbin/tajo-config.sh is the
 * same for what is needed before Node is known, word for word; a test compares the two.
 */

/** What the system says of a place. */
export interface Place {
  /** Which setting names it, such as `TAJO_PID_DIR`. */
  readonly what: string
  readonly path: string
  readonly kind: 'directory' | 'file' | 'link'
  readonly uid: number
  /** Of a link it says nothing. */
  readonly mode: number
}

/** Who may be let in, and how a place is mended. */
export interface Trust {
  /** Of this process. */
  readonly uid: number
  /** Further names of this very user: a mount may show what he makes as another one's. */
  readonly also?: readonly number[]
  /** Write bits that are allowed, such as 0o020. Where the group's is, another owner is allowed as well. */
  readonly writers?: number
  /** All that is made in it is judged itself: names that a sticky bit keeps from being replaced are enough. */
  readonly isJudgedBelow?: boolean
  /** The directory that is mended as a whole, with all that is in it. */
  readonly tree?: string
  /** Another way than the command, with the comma before it. */
  readonly otherwise?: string
}

const ROOT = 0
const STICKY = 0o1000
const FOR_ALL = 0o002
const FOR_GROUP = 0o020

/** Refused because it would be unsafe: exit code 4. */
export class OwnPlaceError extends Error {
  override readonly name = 'OwnPlaceError'
  readonly code = 'UNSAFE'
}

/** Null where the place may be trusted; else the sentence for people. */
export function objectionTo(place: Place, trust: Trust): string | null {
  const { what, path, kind, uid, mode } = place
  const { writers = 0, also = [], otherwise = '' } = trust
  const isStrange = uid !== ROOT && uid !== trust.uid && !also.includes(uid)
  const isOthers = isStrange && (writers & FOR_GROUP) === 0
  const isKept = trust.isJudgedBelow === true && (mode & STICKY) !== 0
  const isOpen = kind !== 'link' && !isKept && (mode & (FOR_GROUP | FOR_ALL) & ~writers) !== 0
  if (!isOthers && !isOpen) return null
  const has = kind === 'link' ? 'a symbolic link, ' : `mode ${octal(mode)}, `
  const noun = kind === 'file' ? 'a file' : 'a directory'
  return (
    `${what} ${path} is not this user's alone (${has}owner uid ${uid}; this runs as uid ${trust.uid}): ` +
    "whoever else may write there can put his own commands, links and data in place of the cluster's. " +
    `Allowed is ${noun} of uid ${trust.uid} or root that nobody else may write. ` +
    `Mend it: ${commandFor(place, trust, { isOthers, isOpen })}${otherwise}`
  )
}

function commandFor(
  place: Place,
  { uid, tree }: Trust,
  { isOthers, isOpen }: { readonly isOthers: boolean; readonly isOpen: boolean },
): string {
  const { what, path, kind, mode } = place
  if (kind === 'link') return `rm ${shellWord(path)}`
  // Made for everybody, as /tmp is: it stays as it is.
  if (isOpen && (mode & STICKY) !== 0 && (mode & FOR_ALL) !== 0) {
    const own = `${path.replace(/\/$/, '')}/tajo-${uid}`
    return `mkdir -m 700 ${shellWord(own)}, and name that in ${what}`
  }
  const at = `${tree === undefined ? '' : '-R '}`
  const word = shellWord(tree ?? path)
  // Without its group's bit this user could not write into root's directory any more.
  const isLost = isOpen && kind === 'directory' && place.uid === ROOT && uid !== ROOT
  const commands = [
    ...(isOthers || isLost ? [`chown ${at}${uid} ${word}`] : []),
    ...(isOpen ? [`chmod ${at}go-w ${word}`] : []),
  ]
  const command = commands.join(' && ')
  // All that is in it would be the wrong user's, most often root's, who only forgot whose cluster it is.
  if (!isOthers || kind !== 'directory' || tree !== undefined) return command
  return `run this as uid ${place.uid}, whose it is, or make it this user's: ${command}`
}

/** As chmod takes it, with four digits. */
export const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0')

/** One word for a POSIX shell. */
export const shellWord = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
