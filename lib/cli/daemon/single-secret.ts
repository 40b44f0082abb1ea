/**
 * The secret of a cluster without high availability: in the same file as with it, since workers look for it there, and
 * kept when high availability is switched on later.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { isDirectory, isSecret, readSecret, requireNew, SECRET_FILE } from '../../ha/index.ts'
import { writeOnce } from './write-once.ts'

/**
 * `directory` exists. Rejects with the file system's error, where the secret of other masters was removed, and where what
 * is there is none: whoever takes that for the cluster's secret lets everybody in who guesses it.
 */
export async function ownSecret(directory: string): Promise<string> {
  const known = await wholeSecret(directory)
  if (known !== null) return known
  await requireNew(directory, SECRET_FILE)
  await writeOnce(directory, SECRET_FILE, randomBytes(32).toString('hex'))
  const secret = await wholeSecret(directory)
  if (secret === null) throw new Error(`${join(directory, SECRET_FILE)} can't be read`)
  return secret
}

async function wholeSecret(directory: string): Promise<string | null> {
  const path = join(directory, SECRET_FILE)
  const secret = await readSecret(directory).catch((error: unknown) => {
    if (!isDirectory(error)) throw error
    throw new Error(`${path} is a directory, where the cluster's secret has to be: ${AGAIN}`, {
      cause: error,
    })
  })
  if (secret === null || isSecret(secret)) return secret
  throw new Error(`${path} is torn or foreign (${secret.length} characters): ${AGAIN}`)
}

const AGAIN = 'restore it, or move it away and start again, which makes a new one'
