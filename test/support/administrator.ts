/** What an administrator shows on the info port, as `tajo haadmin -token` prints it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { adminToken } from '../../lib/web/callers.ts'

export const administratorOf = (haDirectory: string): { readonly authorization: string } => {
  const secret = readFileSync(join(haDirectory, 'secret'), 'utf8').trim()
  return { authorization: `Bearer ${adminToken(secret)}` }
}
