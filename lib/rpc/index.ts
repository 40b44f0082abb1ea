/**
 * What both sides of a call have in common, whoever makes it: errors, headers, whose cluster it is, the lines of a stream.
 * It loads nothing that takes long: the client library and shell commands begin with it.
 */
export {
  hostNameOf,
  hostOfOrigin,
  requireCaller,
  requireNoPage,
  requireOneHost,
} from './browser.ts'
export {
  clusterAnswering,
  clusterName,
  clusterNamed,
  NAMES_NONE,
  requireForUs,
  requireIfNamed,
} from './cluster-id.ts'
export type { QueryErrorKind, RpcCode } from './errors.ts'
export {
  bodyOf,
  errorFrom,
  QUERY_ERROR_KINDS,
  RPC_ERRORS,
  RpcError,
  unanswered,
} from './errors.ts'
export {
  BEAT_HEADER,
  CLUSTER_HEADER,
  EPOCH_HEADER,
  jsonOrNull,
  SECRET_HEADER,
  textOf,
} from './message.ts'
export { LineWriter, pullLines, readLines } from './stream.ts'
