/**
 * The only door of the HA library: one active member among several processes that share nothing but a directory.
 *
 * README.md beside this file has guarantees, non-guarantees, timing and file formats; docs/ha-protocol.md says why.
 */

export { checkStorage } from './check/storage-check.ts'
export { decodeClusterLoosely } from './directory/decode.ts'
export { giveDirectoryOrder } from './directory/directory-order.ts'
export { formatDirectory } from './directory/format.ts'
export {
  inspectDirectory,
  readClusterId,
  readDirectoryHistory,
  readMembers,
  readSecret,
  readServedRecord,
  readServedTerms,
  requireNew,
} from './directory/inspect.ts'
export { liveMembers } from './directory/live-members.ts'
export {
  DirectoryProof,
  type MadeThrough,
  type NonceCheck,
  NonceFiles,
} from './directory/nonce-files.ts'
export { inToolTerm, type ToolTerm } from './directory/tool-term.ts'
export { fence, parseFencingMethods } from './fence/fencing.ts'
export { type Joined, joinElection } from './join.ts'
export { MountWatch, type MountWords, placeOf } from './keeper/mount-watch.ts'
export type {
  Activation,
  DirectoryNote,
  DirectoryPicture,
  HistoryEntry,
  InspectedMaster,
  MasterState,
  Member,
  MemberOptions,
  MemberView,
  NetworkView,
  PeerView,
  Renewal,
  Service,
  StorageState,
} from './member/member-api.ts'
export { MASTER_STATES } from './member/member-api.ts'
export { opensBeside } from './member/member-view.ts'
export { type Answer, NetworkEar, type Target } from './member/network-ear.ts'
export type { ContestFacts, Delivery, Letter, LetterReply } from './rules/contest-state.ts'
export type { Hearing, KnownWorker } from './rules/network-rank.ts'
export type { SpaceReport } from './rules/space.ts'
export {
  builtOn,
  LATENCIES_PER_RENEWAL,
  lossMs,
  makeTiming,
  PERIOD_RULES,
  type Period,
  smallestMonitorMs,
  type Timing,
  type TimingOverrides,
} from './rules/timing.ts'
export { unreachable } from './unreachable.ts'
export {
  comesOfNoSpace,
  DiskError,
  HaError,
  type HaErrorCode,
  isDirectory,
} from './words/errors.ts'
export {
  type Addresses,
  CLUSTER_FILE,
  type ClaimReason,
  type EndReason,
  type Holder,
  isSecret,
  type Phases,
  SECRET_FILE,
  type ServedRecord,
  type TermRecord,
} from './words/layout.ts'
export type { HaEvent } from './words/log-events.ts'
export { listAnew, makeDirs } from './world/directories.ts'
export { errnoOf, syncIfKnown, systemWords, withFile } from './world/file-handle.ts'
export { fileSystemOf } from './world/file-system.ts'
export type { Log, LogFacts, LogLevel, ProcessIdentity } from './world/ports.ts'
export { hostNetwork, hostProcesses, isGone, kernelOf } from './world/processes.ts'
export { profileOf, profileOn, type StorageProfile } from './world/storage-profile.ts'
