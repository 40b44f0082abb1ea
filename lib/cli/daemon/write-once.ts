/** A small file that is written whole: whoever sees it sees all of it. */
import { randomUUID } from 'node:crypto'
import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A name that nobody has used before, and nobody can have put a link under. */
const draftOf = (directory: string, name: string): string =>
  join(directory, `.${name}-${randomUUID()}`)
const OWN_NEW = { flag: 'wx', mode: 0o600 } as const

/** Makes `directory/name`, mode 0600, where it isn't there yet: of two writers one wins. Rejects with the system's error. */
export async function writeOnce(directory: string, name: string, text: string): Promise<void> {
  const draft = draftOf(directory, name)
  await writeFile(draft, `${text}\n`, OWN_NEW)
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
  const draft = draftOf(directory, name)
  try {
    await writeFile(draft, `${text}\n`, OWN_NEW)
    await rename(draft, join(directory, name))
  } finally {
    await rm(draft, { force: true })
  }
}
