/** A small file that is written once and never changed: whoever sees it sees all of it, and of two writers one wins. */
import { link, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Makes `directory/name`, mode 0600, where it isn't there yet. Rejects with the file system's error. */
export async function writeOnce(directory: string, name: string, text: string): Promise<void> {
  const draft = join(directory, `.${name}-${process.pid}`)
  await writeFile(draft, `${text}\n`, { mode: 0o600 })
  try {
    await link(draft, join(directory, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
}
