/** This is the client library's only door, exported as `tajo-ha/client`. */
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
export type { Column, QueryRecord, Row, Session, TableDigest, WorkerRow } from './messages.ts'
export { DEFAULT_RETRY, type RetryOptions } from './query.ts'
