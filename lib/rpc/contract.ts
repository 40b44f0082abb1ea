/**
 * Every message between the parts of a cluster: what is asked, what is answered, who may ask, and whether only the active
 * master may answer. Types for both sides follow from it, so a handler that is missing or a field that is misspelt does
 * not compile. Each service has a file in `contract/`; they are joined here, and everybody asks here for all of it.
 *
 * A method is `POST /rpc/SERVICE/METHOD` with a JSON body, and can be called with curl. Unknown fields are ignored, so
 * that versions can differ by one. Each service has a port of its own, under the name of its configuration key.
 */
import type { z } from 'zod'
import { catalog } from './contract/catalog.ts'
import { client } from './contract/client.ts'
import { tracker } from './contract/tracker.ts'
import { umbilical } from './contract/umbilical.ts'
import { results, worker } from './contract/worker.ts'

export type {
  CatalogTable,
  Comparison,
  Condition,
  FilePage,
  ResolveRequest,
} from './contract/catalog.ts'
export type { WorkerRow } from './contract/client.ts'
export type {
  AnswerOf,
  CallMethod,
  LineOf,
  RequestOf,
  ServiceContract,
  ServiceStatus,
  StreamMethod,
} from './contract/method.ts'
export type {
  ColumnInfo,
  QueryError,
  QueryRecord,
  QueryStatus,
  Session,
} from './contract/query.ts'
export type {
  BoundNames,
  Compaction,
  Manifest,
  ManifestPage,
  TableDraft,
  Task,
  TaskReport,
  WriteTarget,
} from './contract/task.ts'
export type { Ended } from './contract/tracker.ts'
export type {
  Announcement,
  ContestAnswer,
  ContestRequest,
  MasterStatus,
  Standing,
} from './contract/umbilical.ts'
export { contestLetter, contestReply, umbilical } from './contract/umbilical.ts'
export type { ResultLine, WorkerInfo } from './contract/worker.ts'

/** Under the names that paths carry. */
export const services = { umbilical, client, tracker, catalog, worker, results } as const

export type ServiceName = keyof typeof services
export type Services = typeof services
export type MethodName<N extends ServiceName> = keyof Services[N] & string

export const EPOCH_HEADER = 'x-tajo-epoch'
export const SECRET_HEADER = 'x-tajo-secret'
/** On a stream's request: so many milliseconds, at most, the reader wants to wait for a sign of life. */
export const BEAT_HEADER = 'x-tajo-beat-ms'

/** Tells the first thing wrong with a message, as a phrase: `from: Invalid input: expected string, received number`. */
export function faultOf(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'not what the contract says'
  const where = issue.path.map(String).join('.')
  return where === '' ? issue.message : `${where}: ${issue.message}`
}
