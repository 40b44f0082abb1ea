/**
 * Which cluster a client speaks with: found out before the first call, and for the whole life of the client the same.
 *
 * Whoever uses the client may know the id beforehand (`ClusterKnowledge`). Where nobody does all masters are asked first,
 * and refused together if they tell two: one of them is another cluster's, and nobody knows which. A change that reached
 * that one would be made in the wrong tables.
 */
import { RpcError } from '../rpc/errors.ts'
import type { Wire } from './wire.ts'

/** What is known of the cluster from elsewhere: a directory, a memory. */
export interface ClusterKnowledge {
  /** Its id, before the first call; null where nobody knows. */
  expected(): Promise<string | null>
  /**
   * No master of the expected cluster answers, but one of another: the id as far as it is known for sure now. Rejects
   * with an Error for people, saying what doesn't fit and the way out.
   */
  instead(answering: string): Promise<string>
  /** A master of this cluster has answered, for the first time. The client's end waits for it; it never rejects. */
  confirmed(clusterId: string): Promise<void>
}

export const NO_KNOWLEDGE: ClusterKnowledge = {
  expected: async () => null,
  instead: async (answering) => {
    throw new RpcError('OTHER_CLUSTER', `the masters belong to cluster ${answering} by now`)
  },
  confirmed: async () => {},
}

/** For who knows it for sure. */
export const knownCluster = (clusterId: string): ClusterKnowledge => ({
  ...NO_KNOWLEDGE,
  expected: async () => clusterId,
})

/** How long a master may take to say who it is; a silent one is left out. */
const ASK_MS = 1000

/** A master's answer to the question which cluster it belongs to. */
export interface Told {
  readonly address: string
  readonly cluster: string | null
  /** Where it has named none. */
  readonly error: unknown
}

/** Asks all at once. Never rejects. */
export function whoAnswers(
  wire: Wire,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Told[]> {
  const options = { deadlineMs: ASK_MS, signal }
  return Promise.all(
    addresses.map(async (address) => {
      try {
        const { cluster } = await wire.call(address, '/rpc/client/status', {}, options)
        return { address, cluster, error: null }
      } catch (error) {
        return { address, cluster: error instanceof RpcError ? error.cluster : null, error }
      }
    }),
  )
}

/** The one cluster that they tell of, null for none. Throws OTHER_CLUSTER for two. */
export function onlyCluster(told: readonly Told[]): string | null {
  const named = told.filter(({ cluster }) => cluster !== null)
  const clusters = new Set(named.map(({ cluster }) => cluster))
  if (clusters.size > 1) {
    const who = named.map(({ address, cluster }) => `${address} to ${cluster}`).join(', ')
    throw new RpcError(
      'OTHER_CLUSTER',
      `the masters belong to ${clusters.size} clusters, and which one is meant is not known: ${who}. Nothing was asked of any; take those of the wrong one out of the list of masters`,
    )
  }
  const [only] = clusters
  return only ?? null
}
