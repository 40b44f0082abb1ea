/**
 * mkdir -p in a bounded number of calls. Node's own (`recursive: true`) never ends where an existing directory answers a
 * mkdir in it with ENOENT, as /proc does.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes `path` (absolute) and the parents that are missing; `mode` is for `path` alone, and changes nothing of a
 * directory that is there. `below`, a parent, is not made: it may be on a mount that is gone. Rejects with the system's
 * error.
 */
export async function makeDirs(path: string, mode = 0o777, below = '/'): Promise<void> {
  if (await makeOrKeepDir(path, mode)) return
  const parent = dirname(path)
  if (parent !== path && parent !== below) await makeDirs(parent, 0o777, below)
  if (await makeOrKeepDir(path, mode)) return
  throw Object.assign(new Error(`no directory can be made in ${dirname(path)}`), { code: 'ENOENT' })
}

/** False when the parent is missing. */
async function makeOrKeepDir(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, mode)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    if (code !== 'EEXIST') throw error
  }
  if ((await stat(path)).isDirectory()) return true
  throw Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR' })
}
