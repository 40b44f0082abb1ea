/**
 * Whose the way to a directory is. Whoever owns a directory on it, or a link, or may write where no sticky bit protects
 * others' names, can put something else in its place at any time: another cluster, or an older state of this one. That is
 * no reason to refuse (file servers that map users show strange owners), but it is told.
 */
import { lstat, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What counts of one directory or link on the way. */
export interface Step {
  readonly path: string
  readonly uid: number
  readonly mode: number
}

const ROOT = 0
const STICKY = 0o1000
const WRITABLE_FOR_ALL = 0o002
const FORMAT = 0o170_000
const LINK = 0o120_000

/** A sentence for each step that others can replace. Pure. */
export function replaceable(steps: readonly Step[], ownUid: number): string[] {
  return steps.flatMap(({ path, uid, mode }) => {
    if (uid !== ownUid && uid !== ROOT) {
      return `${path} belongs to another user (uid ${uid}), who can put something else in its place at any time: chown it to the user that runs the cluster`
    }
    // A link's own mode says nothing.
    const isOpen = (mode & WRITABLE_FOR_ALL) !== 0 && (mode & STICKY) === 0
    if ((mode & FORMAT) === LINK || !isOpen) return []
    return `everybody may write into ${path}, and put something else in the place of what is there: chmod o-w ${path}`
  })
}

/** Of the path as it is written and of where it leads. Rejects with the file system's error. */
export async function stepsTo(path: string): Promise<Step[]> {
  const all = new Set([...upFrom(path), ...upFrom(await realpath(path))])
  return Promise.all(
    [...all].map(async (one) => {
      const { uid, mode } = await lstat(one)
      return { path: one, uid, mode }
    }),
  )
}

const upFrom = (path: string): string[] =>
  path === dirname(path) ? [path] : [path, ...upFrom(dirname(path))]
