/**
 * The secret of a cluster without high availability: in the same file as with it, since workers look for it there, and
 * kept when high availability is switched on later.
 */
import { randomBytes } from 'node:crypto'
import { link, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSecret } from '../ha/index.ts'

const NAME = 'secret'

/** `directory` exists. Rejects with the file system's error. */
export async function ownSecret(directory: string): Promise<string> {
  const known = await readSecret(directory)
  if (known !== null) return known
  // Written whole beside it first: whoever sees it sees all of it.
  const draft = join(directory, `.${NAME}-${process.pid}`)
  await writeFile(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
  try {
    await link(draft, join(directory, NAME))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft, { force: true })
  }
  const secret = await readSecret(directory)
  if (secret === null) throw new Error(`${join(directory, NAME)} can't be read`)
  return secret
}
