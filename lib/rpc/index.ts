/**
 * What both sides of a call have in common, whoever makes it: errors, headers, whose cluster it is, keys, the lines of a stream.
 * It loads nothing that takes long: the client library and shell commands begin with it.
 */
export { fingerprintOf, nameOfCluster, type ShownAuthority, shownAuthority } from './authority.ts'
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
  isClusterId,
  NAMES_NONE,
  requireForUs,
  requireIfNamed,
  SPEAKS_PLAIN,
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
  callingWith,
  clusterKey,
  clusterOfIdentity,
  type HandshakeFault,
  handshakeFault,
  KEYED_TLS,
  type Key,
  whoKey,
} from './keys.ts'
export {
  BEAT_HEADER,
  CLUSTER_HEADER,
  EPOCH_HEADER,
  jsonOrNull,
  TOKEN_HEADER,
  textOf,
} from './message.ts'
export { LineWriter, pullLines, readLines } from './stream.ts'
