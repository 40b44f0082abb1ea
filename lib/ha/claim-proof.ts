/**
 * Could this member make the files of a claim now? The active hands its role over only to one that has shown it: on a
 * full or read-only disk a successor would take the role and lose it at its first create.
 *
 * It makes as many files as a claim does, of the size of the largest, and removes them.
 */
import { messageOf } from './errors.ts'
import { BACKUP_DIR, backupFile, encode, type Holder } from './layout.ts'
import type { Disk } from './ports.ts'

/** The five of claim.ts, `served.json`, and a snapshot, a journal and their directory for the catalog. */
const FILES = 9

/** Null when it could; the error otherwise. `attempt` is another text at each call of this life. Never rejects. */
export async function proveClaim(
  disk: Disk,
  { holder, attempt }: { holder: Holder; attempt: string },
): Promise<string | null> {
  const made: string[] = []
  const name = backupFile(holder.address).replace(/\.json$/, '')
  let trouble: string | null = null
  try {
    for (let i = 1; i <= FILES; i += 1) {
      const path = `${name}.proof-${attempt.replaceAll(/[^A-Za-z0-9.-]/g, '_')}-${i}`
      made.push(path)
      const outcome = await disk.create('claim', path, encode(holder))
      if (outcome === 'missing') return `${BACKUP_DIR}/ is gone from the HA directory`
    }
  } catch (error) {
    trouble = messageOf(error)
  }
  try {
    for (const path of made) await disk.unlink('claim', path)
  } catch (error) {
    return trouble ?? messageOf(error)
  }
  return trouble
}
