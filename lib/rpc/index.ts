/** The only door of the serving side and of what both sides share; the calling side is `client.ts`, loaded when needed. */
export { requireForUs, requireIfNamed } from './cluster-id.ts'
export type {
  Announcement,
  AnswerOf,
  BoundNames,
  CatalogTable,
  ColumnInfo,
  Compaction,
  Comparison,
  Condition,
  ContestAnswer,
  ContestRequest,
  Ended,
  EPOCH_HEADER,
  FilePage,
  LineOf,
  Manifest,
  ManifestPage,
  MasterStatus,
  QueryError,
  QueryRecord,
  QueryStatus,
  RequestOf,
  ResolveRequest,
  ServiceName,
  ServiceStatus,
  Services,
  Session,
  Standing,
  TableDraft,
  Task,
  TaskReport,
  WorkerInfo,
  WorkerRow,
  WriteTarget,
} from './contract.ts'
export { contestLetter, contestReply } from './contract.ts'
export type { QueryErrorKind } from './errors.ts'
export { bodyOf, QUERY_ERROR_KINDS, RPC_ERRORS, type RpcCode, RpcError } from './errors.ts'
export type { Gate, Pass } from './guard.ts'
export { Guard, type Membership, type Refused } from './guard.ts'
export { type Bind, openAll } from './listeners.ts'
export {
  type EndState,
  QUERY_KINDS,
  QUERY_STATE_NAMES,
  type QueryKind,
  type QueryState,
} from './query-states.ts'
export {
  type CallFacts,
  type Handlers,
  limitedServer,
  rpcServer,
  type ServerOptions,
} from './server.ts'
export { LineWriter } from './stream.ts'
