/**
 * The secret of a cluster without high availability: in the same file as with it, since workers look for it there, and
 * kept when high availability is switched on later.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readSecret, requireNew } from '../ha/index.ts'
import { writeOnce } from './write-once.ts'

export const SECRET_NAME = 'secret'

/** `directory` exists. Rejects with the file system's error, and where the secret of other masters was removed. */
export async function ownSecret(directory: string): Promise<string> {
  const known = await readSecret(directory)
  if (known !== null) return known
  await requireNew(directory, SECRET_NAME)
  await writeOnce(directory, SECRET_NAME, randomBytes(32).toString('hex'))
  const secret = await readSecret(directory)
  if (secret === null) throw new Error(`${join(directory, SECRET_NAME)} can't be read`)
  return secret
}
