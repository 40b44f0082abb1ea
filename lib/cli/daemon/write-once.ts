/** A small file that is written whole: whoever sees it sees all of it. */
import { randomUUID } from 'node:crypto'
import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes `directory/name`, mode 0600, where it isn't there yet: of two writers one wins. Where the mount knows no links
 * (HDFS's gateway, rclone) it is made exclusively and then written, so that somebody may see a part of it for a moment.
 * Rejects with the system's error.
 */
export async function writeOnce(directory: string, name: string, text: string): Promise<void> {
  const draft = await drafted(directory, name, text)
  try {
    await link(draft, join(directory, name))
  } catch (error) {
    const code = codeOf(error)
    if (NO_LINKS.includes(code)) await writeExclusively(join(directory, name), text)
    else if (code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/** What mounts say that have none. */
const NO_LINKS = ['EIO', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']
const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code)

async function writeExclusively(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, `${text}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** The same in the place of what is there. */
export async function writeOver(directory: string, name: string, text: string): Promise<void> {
  const draft = await drafted(directory, name, text)
  try {
    await rename(draft, join(directory, name))
  } finally {
    await rm(draft, { force: true })
  }
}

/** Made exclusively, under a name of its own: processes of two hosts may have one number, and write at one time. */
async function drafted(directory: string, name: string, text: string): Promise<string> {
  const draft = join(directory, `.${name}-${randomUUID()}`)
  try {
    await writeFile(draft, `${text}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    await rm(draft, { force: true })
    // Told by the name that is meant: another one each time would be news each time.
    if (error instanceof Error)
      error.message = error.message.replaceAll(draft, join(directory, name))
    throw error
  }
  return draft
}
