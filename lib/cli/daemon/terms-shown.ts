/** What a worker sees of terms in the HA directory: the newest that has served, and whether a master is alone there. */
import { readServedTerms } from '../../ha/index.ts'
import type { TermsShown } from '../../worker/index.ts'
import { isUsedAlone } from './rootdir-use.ts'

/** Rejects with DiskError, or the system's error. */
export async function termsShown(haDirectory: string): Promise<TermsShown> {
  const { served } = await readServedTerms(haDirectory, Number.POSITIVE_INFINITY)
  return { newest: served[0] ?? 0, isAlone: await isUsedAlone(haDirectory) }
}
