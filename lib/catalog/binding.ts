/**
 * A catalog is bound to the cluster that opens it first, by that cluster's id, and refuses every other: terms fence the
 * masters of one cluster only, and two clusters that name one database would count the same numbers beside each other.
 *
 * One of an earlier version is bound to nobody, and taken over by the first that opens it. formatHA keeps the cluster's
 * id, and so changes nothing here. `tajo catalog load --force` is the one way to another cluster.
 */
import { CatalogError } from './errors.ts'

export interface Binding {
  /** Whose catalog it is, or becomes when it is nobody's; null: whosever it is. */
  readonly clusterId: string | null
  /** Takes it from whatever cluster it belongs to, since an operator has said so. */
  readonly rebinds?: boolean
}

export const UNBOUND: Binding = { clusterId: null }

/** Throws CatalogError BAD_STORE where `theirs` is another cluster than ours; null on either side is nobody. */
export function requireOurs(name: string, theirs: string | null, ours: string | null): void {
  if (theirs === null || ours === null || theirs === ours) return
  throw new CatalogError(
    'BAD_STORE',
    `the catalog in ${name} belongs to cluster ${theirs}, and this is cluster ${ours}: two clusters can't share one. Set tajo.catalog.uri (or tajo.rootdir) to this cluster's own; or, when no master of that cluster lives any more, take it over: 'tajo catalog dump FILE', then 'tajo catalog load FILE --force'`,
  )
}

/** The same for all that a catalog bears the marks of. One that is taken over refuses nobody. */
export function requireBound(name: string, bound: readonly string[], binding: Binding): void {
  if (binding.rebinds === true) return
  for (const theirs of bound) requireOurs(name, theirs, binding.clusterId)
}

/** The mark of a catalog that is kept in files. */
const PREFIX = 'cluster-'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export const bindingFile = (clusterId: string): string => `${PREFIX}${clusterId}`

/** All that are among the names: more than one only where two clusters began at once. */
export const boundTo = (names: readonly string[]): string[] =>
  names
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length))
    .filter((id) => UUID.test(id))
