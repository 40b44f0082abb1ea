/**
 * Reading the HA directory's files: a torn, empty or foreign text is null, and the caller says the safe thing. What
 * comes out has the types it claims, so that nobody's page or table breaks over a file that somebody edited.
 */
import { type Periods, readPeriods } from '../rules/periods.ts'
import { HaError } from '../words/errors.ts'
import {
  type Claim,
  type ClusterFile,
  type End,
  FORMAT_VERSION,
  type Holder,
  type Refusal,
  type ReserveFile,
  type ServedRecord,
  type TermRecord,
} from '../words/layout.ts'

/** What a field must be: a type's name, a nested object, or null as well (`?`). */
type Field = 'string' | 'number' | 'string?' | Shape | null
interface Shape {
  readonly [name: string]: Field
}

const ADDRESSES: Shape = {
  umbilical: 'string',
  clientRpc: 'string',
  resourceTracker: 'string',
  catalog: 'string',
  infoHttp: 'string',
}
const HOLDER: Shape = {
  address: 'string',
  addresses: ADDRESSES,
  nonce: 'string',
  hostname: 'string',
  master: { bootId: 'string', pidNamespace: 'string', pid: 'number', startTicks: 'number' },
  startedAt: 'string',
  version: 'string',
  priority: 'number',
  adminSocket: 'string',
}
const OPEN: Shape = { state: 'string', term: 'number', nonce: 'string', holder: HOLDER }
const CLOSED: Shape = { state: 'string', term: 'number', nonce: 'string', closedBy: 'number' }
const END: Shape = { reason: 'string', by: 'string', successor: 'string?', at: 'string' }
const TERM: Shape = {
  term: 'number',
  address: 'string',
  hostname: 'string',
  nonce: 'string',
  reason: 'string',
  evidence: 'string',
  previousTerm: 'number',
  previousAddress: 'string?',
  at: 'string',
}
const PHASES: Shape = {
  noticedMs: 'number',
  decidedMs: 'number',
  claimedMs: 'number',
  endedMs: 'number',
  settledMs: 'number',
  openedMs: 'number',
  totalMs: 'number',
}
const SERVED: Shape = { term: 'number', servedAt: 'string', phases: PHASES }
const CATALOG: Shape = { class: 'string', uri: 'string' }
const REFUSAL: Shape = { address: 'string', hostname: 'string', at: 'string', catalog: CATALOG }
const RESERVE: Shape = { address: 'string', nonce: 'string', names: null, openingBytes: 'number' }
const CLUSTER: Shape = {
  format: 'number',
  clusterId: 'string',
  catalog: CATALOG,
  createdAt: 'string',
}

function fits(value: unknown, field: Field): boolean {
  if (field === null) return true
  if (typeof field !== 'string') {
    if (typeof value !== 'object' || value === null) return false
    const object = value as Readonly<Record<string, unknown>>
    return Object.entries(field).every(([name, inner]) => fits(object[name], inner))
  }
  if (field === 'string?') return value === null || typeof value === 'string'
  if (field === 'number') return Number.isFinite(value)
  return typeof value === field
}

function decode<T>(text: string, shape: Shape): T | null {
  try {
    const value: unknown = JSON.parse(text)
    return fits(value, shape) ? (value as T) : null
  } catch {
    return null
  }
}

export function decodeClaim(text: string): Claim | null {
  const claim = decode<Claim>(text, OPEN) ?? decode<Claim>(text, CLOSED)
  if (claim?.state === 'open') {
    return 'holder' in claim ? { ...claim, holder: withPeriods(claim.holder) } : null
  }
  return claim?.state === 'closed' ? claim : null
}

export function decodeEnd(text: string): End | null {
  const end = decode<End>(text, END)
  return end === null ? null : withDuring(end)
}

/** Of another version it may have died during something else: that says nothing here. */
function withDuring({ during, ...end }: End): End {
  return during === 'opening' ? { ...end, during } : end
}
export function decodeHolder(text: string): Holder | null {
  const holder = decode<Holder>(text, HOLDER)
  return holder === null ? null : withPeriods(holder)
}
export const decodeRefusal = (text: string): Refusal | null => decode<Refusal>(text, REFUSAL)
export function decodeReserve(text: string): ReserveFile | null {
  const file = decode<ReserveFile>(text, RESERVE)
  if (file === null || !Array.isArray(file.names)) return null
  return file.names.every((name) => typeof name === 'string') ? file : null
}

export function decodeTerm(text: string): TermRecord | null {
  const record = decode<TermRecord>(text, TERM)
  if (record === null) return null
  const { orderedBy, ...rest } = withPeriods(record)
  return typeof orderedBy === 'string' ? { ...rest, orderedBy } : rest
}

/** Foreign periods are no reason to know nothing of their term: they count as missing. */
function withPeriods<T extends { readonly periods?: Periods }>(from: T): T {
  const { periods, ...rest } = from
  const read = readPeriods(periods)
  return (read === null ? rest : { ...rest, periods: read }) as T
}

export function decodeServed(text: string): ServedRecord | null {
  const served = decode<ServedRecord>(text, SERVED)
  if (served === null) return null
  const { catalog, nonce, previousEnd, trouble, ...rest } = served
  return {
    ...rest,
    previousEnd: fits(previousEnd, END) && previousEnd !== null ? withDuring(previousEnd) : null,
    ...(typeof nonce === 'string' ? { nonce } : {}),
    ...(typeof catalog === 'string' ? { catalog } : {}),
    ...(typeof trouble === 'string' ? { trouble } : {}),
  }
}

/** Of a cluster file or a term's record; a text of format 1 has none. */
export function generationOf({ generation }: { readonly generation?: number }): number {
  return Number.isSafeInteger(generation) ? Math.max(1, generation ?? 1) : 1
}

/**
 * Reads the text of the file CLUSTER_FILE, also one of a newer format, which whoever acts on it has to refuse by itself. It
 * is null for a torn or foreign text.
 */
export const decodeClusterLoosely = (text: string): ClusterFile | null =>
  decode<ClusterFile>(text, CLUSTER)

/** Throws BAD_DIRECTORY for a cluster file of a newer version, whatever else is in it. */
export function refuseNewer(text: string, where: string): void {
  const version = decode<{ format: number }>(text, { format: 'number' })
  if (version === null || version.format <= FORMAT_VERSION) return
  throw new HaError(
    'BAD_DIRECTORY',
    `${where} has format version ${version.format}, this software knows up to ${FORMAT_VERSION}: a newer version has used this directory, upgrade this host`,
  )
}

/** Reads cluster.json strictly: BAD_DIRECTORY says whether it is torn or foreign, or of a newer version. */
export function decodeCluster(text: string, where: string): ClusterFile {
  refuseNewer(text, where)
  const file = decode<ClusterFile>(text, CLUSTER)
  if (file !== null) return file
  throw new HaError(
    'BAD_DIRECTORY',
    `${where} is not a cluster file of this software (torn or foreign): restore it, or stop all masters and run 'tajo haadmin -formatHA'`,
  )
}
