/**
 * A directory's names, and ENOENT only where that is true now: NFS remembers for up to a minute that a name was not there,
 * and a backup has asked for what the first active makes before it was made. To read the directory above asks the server,
 * and what that one shows is asked for anew.
 */
import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

export async function listAnew(
  path: string,
  read: (path: string) => Promise<string[]> = (path) => readdir(path),
): Promise<string[]> {
  try {
    return await read(path)
  } catch (error) {
    const above = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error
    if (!(await listAnew(above, read)).includes(basename(path))) throw error
    return read(path)
  }
}
