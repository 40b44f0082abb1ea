/**
 * Whose the configured catalog is, and how far its terms have gone: numbers of terms never go back, so it tells when the
 * HA directory, which counts them, was removed, and when it is another cluster's.
 */
import type { Origin, ReadableStore } from '../../catalog/store.ts'

export const NO_ORIGIN: Origin = { clusterId: null, term: 0 }

/** Rejects CatalogError as the store does. */
export async function originOf(store: ReadableStore): Promise<Origin> {
  try {
    return (await store.origin?.()) ?? NO_ORIGIN
  } finally {
    await store.close()
  }
}

/** Of what the catalog has been moved from and to, the one that knows more. */
export const newerOrigin = (configured: Origin, other: Origin): Origin => ({
  clusterId: configured.clusterId ?? other.clusterId,
  term: Math.max(configured.term, other.term),
})
