/**
 * The only door of the HA library: one active member among several processes that share nothing but a directory.
 *
 * README.md beside this file has guarantees, non-guarantees, timing and file formats; docs/ha-protocol.md says why, and
 * docs/api/ha.md what each export is. A type that an exported declaration names is exported too (test/unit/api.test.ts).
 */

export type { UnprovenMount } from './check/mount-admission.ts'
export {
  type CheckStorageOptions,
  checkStorage,
  type PeerLines,
  type StorageCheck,
  type StorageReport,
} from './check/storage-check.ts'
export { decodeClusterLoosely } from './directory/decode.ts'
export {
  type DirectoryOrder,
  giveDirectoryOrder,
  type OrderOptions,
} from './directory/directory-order.ts'
export { type FormatOptions, formatDirectory } from './directory/format.ts'
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
export { type LiveMembers, liveMembers } from './directory/live-members.ts'
export {
  DirectoryProof,
  type MadeThrough,
  NonceFiles,
} from './directory/nonce-files.ts'
export { inToolTerm, type ToolTerm } from './directory/tool-term.ts'
export { type FenceOptions, type FenceResult, fence, parseFencingMethods } from './fence/fencing.ts'
export { type Joined, joinElection } from './join.ts'
export { type MountPlace, MountWatch, type MountWords, placeOf } from './keeper/mount-watch.ts'
export type {
  Activation,
  DirectoryNote,
  DirectoryPicture,
  FailedAttempt,
  HistoryEntry,
  InspectedMaster,
  MasterState,
  Member,
  MemberOptions,
  MemberView,
  NetworkView,
  OnTrouble,
  PeerView,
  Renewal,
  Service,
  StorageState,
} from './member/member-api.ts'
export { MASTER_STATES } from './member/member-api.ts'
export { opensBeside } from './member/member-view.ts'
export { type Answer, NetworkEar, type NetworkEarPorts, type Target } from './member/network-ear.ts'
export type {
  ContestFacts,
  Delivery,
  Held,
  Letter,
  LetterReply,
  NonceCheck,
  Side,
  Told,
} from './rules/contest-state.ts'
export type { Hearing, Kind, KnownWorker, Rank, WorkersHeard } from './rules/network-rank.ts'
export type { Periods } from './rules/periods.ts'
export type { Low, Need, SpaceReport } from './rules/space.ts'
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
  type CatalogName,
  CLUSTER_FILE,
  type ClaimReason,
  type ClusterFile,
  type End,
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
export { type FileSystem, fileSystemOf, type Mount } from './world/file-system.ts'
export type { SharingKind } from './world/mount-kinds.ts'
export type {
  Clock,
  Log,
  LogFacts,
  LogLevel,
  Processes,
  ProcessIdentity,
  Space,
} from './world/ports.ts'
export { hostNetwork, hostProcesses, isGone, kernelOf } from './world/processes.ts'
export { profileOf, profileOn, type StorageProfile } from './world/storage-profile.ts'
