/**
 * Whose a directory is: cluster.json, and what its absence or another text in it means.
 *
 * Its files can vanish or be replaced by a hand that slipped, so none of that ends a master by itself. Only a format's
 * mark, in a term above those that the master knows, means that the directory was formatted. Without it a missing or torn
 * file is damage, which the holder mends, and another cluster's id is damage too, or another cluster's directory mounted
 * in the place of ours: nobody claims a term there before somebody has looked.
 */

import { CLUSTER_FILE, type ClusterFile, HISTORY_DIR, type TermRecord } from '../words/layout.ts'
import type { Disk, Purpose } from '../world/ports.ts'
import { decodeClusterLoosely, generationOf, refuseNewer } from './decode.ts'
import { markIn, numberIn, recordOf } from './past.ts'

export type Whose =
  | { readonly is: 'ours' }
  /** Nothing that names another cluster; `why` is for people. */
  | { readonly is: 'lost'; readonly why: string }
  | { readonly is: 'foreign'; readonly why: string }
  | { readonly is: 'formatted'; readonly why: string }

interface Membership {
  readonly directory: string
  /** As it was when this master joined. */
  readonly cluster: ClusterFile
  /** No format up to this term concerns this master. */
  readonly knownTerm: number
}

/** Rejects with DiskError, or with BAD_DIRECTORY for a file of a newer version. */
export async function whoseIsIt(
  disk: Disk,
  purpose: Purpose,
  { directory, cluster, knownTerm }: Membership,
): Promise<Whose> {
  const where = `${directory}/${CLUSTER_FILE}`
  const text = await disk.read(purpose, CLUSTER_FILE)
  if (text !== 'missing') refuseNewer(text, where)
  const found = text === 'missing' ? null : decodeClusterLoosely(text)
  if (found !== null && isSame(found, cluster)) return { is: 'ours' }
  const mark = await formatAbove(disk, purpose, knownTerm)
  if (mark !== null) {
    const by = mark.orderedBy === undefined ? mark.evidence : `by ${mark.orderedBy}`
    const why = `${directory} was formatted in term ${mark.term} (${by}), after this master had joined it. Start it anew`
    return { is: 'formatted', why }
  }
  if (found === null) {
    const what = text === 'missing' ? 'is gone' : 'is torn or foreign'
    return { is: 'lost', why: `${where} ${what}, and no format has left its mark` }
  }
  if (found.clusterId === cluster.clusterId) {
    return { is: 'lost', why: `${where} is of another generation, and no format has left its mark` }
  }
  return {
    is: 'foreign',
    why: `${where} names cluster ${found.clusterId}, this master joined cluster ${cluster.clusterId}, and no format has left its mark: that file was replaced, or another cluster's directory is mounted in the place of ours. Put back what was there`,
  }
}

export const isSame = (a: ClusterFile, b: ClusterFile): boolean =>
  a.clusterId === b.clusterId && generationOf(a) === generationOf(b)

/** Finds the newest format's record above that term. By listing, so that no absence gets cached on NFS. */
async function formatAbove(
  disk: Disk,
  purpose: Purpose,
  knownTerm: number,
): Promise<TermRecord | null> {
  const listed = await disk.list(purpose, HISTORY_DIR)
  const names = listed === 'missing' ? [] : listed
  const terms = [...new Set(names.map(numberIn))].filter((term) => term > knownTerm)
  for (const term of terms.sort((a, b) => b - a)) {
    const record = await recordOf(disk, purpose, { names, term })
    const mark = record === null ? null : await markIn(disk, purpose, { names, record })
    if (mark !== null) return mark
  }
  return null
}
