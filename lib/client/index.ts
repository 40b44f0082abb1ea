/** This is the client library's only door, exported as `tajo-ha/client`; docs/api/client.md says what each export is. */
export type { Clock } from '../base/time.ts'
export type { QueryKind, QueryState } from '../contract/index.ts'
export {
  type Progress,
  type QueryCallOptions,
  type QueryResult,
  TajoClient,
  type TajoClientOptions,
} from './client.ts'
export { type ClusterKnowledge, knownCluster } from './cluster.ts'
export {
  ClosedError,
  NoMasterError,
  type Place,
  QueryError,
  type QueryErrorKind,
  sayings,
} from './errors.ts'
export type { MasterAddress } from './masters.ts'
export type {
  Column,
  LostAttempt,
  QueryFailure,
  QueryRecord,
  Row,
  Session,
  TableDigest,
  TablesAsked,
  WorkerRow,
} from './messages.ts'
export { DEFAULT_RETRY, type RetryOptions } from './query.ts'
export { AuthoritiesInMemory, type KnownAuthorities } from './trust.ts'
