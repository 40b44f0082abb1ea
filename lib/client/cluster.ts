/**
 * Which cluster a client speaks with: found out before the first call, and for the whole life of the client the same.
 *
 * Whoever uses the client may know the id beforehand (`ClusterKnowledge`). Where nobody does all masters are asked first,
 * and refused together if they tell two: one of them is another cluster's, and nobody knows which. A change that reached
 * that one would be made in the wrong tables. For the same reason a silent one has to be known to those that answer as a
 * master of theirs, which is how a failover differs from a wrong list; and only what all have said is kept for later.
 *
 * Two client RPC addresses mean one master where they have the same port, and hosts of one name or with an IP address in
 * common. All names of this host are one, loopback included; on another host loopback means that other one.
 */
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { messageOf } from '../base/failures.ts'
import { type HostPort, splitHostPort } from '../base/host-port.ts'
import { RpcError } from '../rpc/index.ts'
import type { Wire } from './wire.ts'

/** All IP addresses of a host; empty where it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>

const HERE = 'this host'
const isLoopback = (ip: string): boolean => /^127\./.test(ip) || ip === '::1'
const isLoopbackName = (host: string): boolean => isLoopback(host) || plain(host) === 'localhost'
/** Host names don't depend on case, nor on the dot at their end. */
const plain = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** As this host resolves names; one that can't be resolved means nobody. */
export const resolveHere: Resolve = async (host) => {
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((o) => o.address))
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => (isLoopback(address) || own.includes(address) ? HERE : address))
}

/** Whether `address`, as somebody here lists it, is one of `told`, as the master at `by` names them. */
export async function isOneOf(
  address: string,
  { told, by }: { readonly told: readonly string[]; readonly by: string },
  resolve: Resolve,
): Promise<boolean> {
  const wanted = splitHostPort(address)
  const teller = splitHostPort(by)
  if (wanted === null || teller === null) return false
  const samePort = told.flatMap((text): HostPort[] => {
    const split = splitHostPort(text)
    return split === null || split.port !== wanted.port ? [] : [split]
  })
  const hosts = samePort.map(({ host }) => (isLoopbackName(host) ? teller.host : host))
  if (hosts.some((host) => plain(host) === plain(wanted.host))) return true
  const ips = await resolve(wanted.host)
  const others = await Promise.all(hosts.map(resolve))
  return others.flat().some((ip) => ips.includes(ip))
}

/** What is known of the cluster from elsewhere: a directory, a memory. */
export interface ClusterKnowledge {
  /** Its id, before the first call; null where nobody knows. */
  expected(): Promise<string | null>
  /**
   * No master of the expected cluster answers, but one of another: the id as far as it is known for sure now. Rejects
   * with an Error for people, saying what doesn't fit and the way out.
   */
  instead(answering: string): Promise<string>
  /**
   * A master of this cluster has answered, for the first time. That the cluster is the one is known for sure: it was
   * expected, or all masters have named it. The client's end waits for it; it never rejects.
   */
  confirmed(clusterId: string): Promise<void>
}

export const NO_KNOWLEDGE: ClusterKnowledge = {
  expected: async () => null,
  instead: async (answering) => {
    throw new RpcError('OTHER_CLUSTER', `the masters belong to cluster ${answering} by now`)
  },
  confirmed: async () => {},
}

/**
 * Says that the cluster's id is known for sure. Masters of any other cluster are asked for nothing then. Where all masters are
 * such, calls reject with QueryError, kind `refused`.
 */
export const knownCluster = (clusterId: string): ClusterKnowledge => ({
  ...NO_KNOWLEDGE,
  expected: async () => clusterId,
})

/** How long a master may take to say who it is; what is known of it may have to be asked for before. */
const ASK_MS = 2000

/** A master's answer to the question which cluster it belongs to. */
interface Told {
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

/**
 * Whether each master that has named no cluster is one of `cluster`'s, as those say that answer for it; false where none
 * of them says, or it will tell itself soon. Throws OTHER_CLUSTER for one that they don't know.
 */
export async function silentAreOf(
  cluster: string,
  { wire, told, signal }: { wire: Wire; told: readonly Told[]; signal: AbortSignal },
  resolve: Resolve = resolveHere,
): Promise<boolean> {
  const silent = told.filter((one) => one.cluster === null)
  const answering = told.filter((one) => one.cluster !== null)
  const options = { deadlineMs: ASK_MS, signal, cluster }
  const lists = await Promise.all(
    answering.map(async ({ address: by }) => {
      const asked = wire.call(by, '/rpc/client/masters', {}, options)
      return asked.then(({ body }) => [{ by, told: mastersIn(body) }]).catch(() => [])
    }),
  )
  const known = lists.flat()
  if (silent.length > 0 && known.length === 0) return false
  for (const { address, error } of silent) {
    const found = await Promise.all(known.map((list) => isOneOf(address, list, resolve)))
    if (found.includes(true)) continue
    if (willTell(error)) return false
    const by = known.map((list) => list.by).join(', ')
    throw new RpcError(
      'OTHER_CLUSTER',
      `${address} does not tell its cluster (${messageOf(error)}), and cluster ${cluster}, which answers at ${by}, knows no master there: which cluster is meant is not known. Nothing was asked of any; take the wrong one out of the list of masters, or try again when all of them answer`,
    )
  }
  return true
}

/** Somebody is there and answers: a master that is still starting, or a proxy in a failover. */
const willTell = (error: unknown): boolean =>
  RpcError.is(error, 'UNAVAILABLE') && error.cause === undefined

function mastersIn(body: unknown): string[] {
  const { masters } = (body ?? {}) as { masters?: unknown }
  return Array.isArray(masters) ? masters.filter((one) => typeof one === 'string') : []
}
