/** A small file that is written whole: whoever sees it sees all of it. */
import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Makes `directory/name`, mode 0600, where it isn't there yet: of two writers one wins. Rejects with the system's error. */
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

/** The same in the place of what is there. */
export async function writeOver(directory: string, name: string, text: string): Promise<void> {
  const draft = join(directory, `.${name}-${process.pid}`)
  try {
    await writeFile(draft, `${text}\n`, { mode: 0o600 })
    await rename(draft, join(directory, name))
  } finally {
    await rm(draft, { force: true })
  }
}
