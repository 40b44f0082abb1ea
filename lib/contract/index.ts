/**
 * Every message between the parts of a cluster: what is asked, what is answered, who may ask, and whether only the active
 * master may answer. Types for both sides follow from it, so a handler that is missing or a field that is misspelt does
 * not compile. Each service has a file of its own; they are joined here, at the only door of all of it.
 *
 * A method is `POST /rpc/SERVICE/METHOD` with a JSON body; those for clients can be called with curl. Unknown fields are ignored, so
 * that versions can differ by one. Each service has a port of its own, under the name of its configuration key.
 */
import type { z } from 'zod'
import { catalog } from './catalog.ts'
import { client } from './client.ts'
import { tracker } from './tracker.ts'
import { umbilical } from './umbilical.ts'
import { results, worker } from './worker.ts'

export type {
  CatalogTable,
  Comparison,
  Condition,
  Confinement,
  FilePage,
  ResolveRequest,
} from './catalog.ts'
export type { WorkerRow } from './client.ts'
export type {
  AnswerOf,
  CallMethod,
  LineOf,
  RequestOf,
  ServiceContract,
  ServiceStatus,
  StreamMethod,
} from './method.ts'
export { prepared } from './prepare.ts'
export type {
  ColumnInfo,
  QueryError,
  QueryRecord,
  QueryStatus,
  Session,
} from './query.ts'
export {
  type EndState,
  QUERY_KINDS,
  QUERY_STATE_NAMES,
  type QueryKind,
  type QueryState,
} from './query-states.ts'
export type {
  BoundNames,
  Compaction,
  Manifest,
  ManifestPage,
  TableDraft,
  Task,
  TaskReport,
  WriteTarget,
} from './task.ts'
export type { Ended } from './tracker.ts'
export type {
  Announcement,
  ContestAnswer,
  ContestRequest,
  MasterStatus,
  Standing,
} from './umbilical.ts'
export { contestLetter, contestReply, umbilical } from './umbilical.ts'
export type { ResultLine, WorkerInfo } from './worker.ts'

/** Under the names that paths carry. */
export const services = { umbilical, client, tracker, catalog, worker, results } as const

/**
 * All ports speak TLS, keyed by the cluster's secret (rpc/keys.ts). A port that people's programs ask as well shows them the
 * cluster's certificate.
 */
const CERTIFIED: readonly ServiceName[] = ['client', 'catalog', 'results']
export const showsCertificate = (service: ServiceName): boolean => CERTIFIED.includes(service)

export type ServiceName = keyof typeof services
export type Services = typeof services
export type MethodName<N extends ServiceName> = keyof Services[N] & string

/** Tells the first thing wrong with a message, as a phrase: `from: Invalid input: expected string, received number`. */
export function faultOf(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'not what the contract says'
  const where = issue.path.map(String).join('.')
  return where === '' ? issue.message : `${where}: ${issue.message}`
}
