/**
 * The only door of the HA library: one active member among several processes that share nothing but a directory.
 *
 * Guarantees, non-guarantees, timing and file formats: README.md beside this file, docs/ha-protocol.md for the why.
 */

export type { ContestFacts, Delivery, Letter, LetterReply } from './contest.ts'
export { decodeClusterLoosely } from './decode.ts'
export { giveDirectoryOrder } from './directory-order.ts'
export { DirectoryProof } from './directory-proof.ts'
export { comesOfNoSpace, DiskError, HaError, type HaErrorCode, isDirectory } from './errors.ts'
export { fence, parseFencingMethods } from './fencing.ts'
export { errnoOf, syncIfKnown, systemWords, withFile } from './file-handle.ts'
export { fileSystemOf } from './file-system.ts'
export { formatDirectory } from './format.ts'
export {
  inspectDirectory,
  readClusterId,
  readDirectoryHistory,
  readMembers,
  readSecret,
  readServedRecord,
  readServedTerms,
  requireNew,
} from './inspect.ts'
export { type Joined, joinElection } from './join.ts'
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
} from './layout.ts'
export { listAnew } from './list-anew.ts'
export { liveMembers } from './live-members.ts'
export { makeDirs } from './make-dirs.ts'
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
} from './member-api.ts'
export { MASTER_STATES } from './member-api.ts'
export { opensBeside } from './member-view.ts'
export { MountWatch, type MountWords, placeOf } from './mount-watch.ts'
export { type Answer, NetworkEar, type Target } from './network-ear.ts'
export type { Hearing, KnownWorker } from './network-rank.ts'
export { type MadeThrough, type NonceCheck, NonceFiles } from './nonce-files.ts'
export type { Log, LogLevel, ProcessIdentity } from './ports.ts'
export { hostNetwork, hostProcesses, isGone, kernelOf } from './processes.ts'
export type { SpaceReport } from './space.ts'
export { checkStorage } from './storage-check.ts'
export { profileOf, profileOn, type StorageProfile } from './storage-profile.ts'
export {
  LATENCIES_PER_RENEWAL,
  lossMs,
  makeTiming,
  smallestMonitorMs,
  type Timing,
  type TimingOverrides,
} from './timing.ts'
export { inToolTerm, type ToolTerm } from './tool-term.ts'
export { unreachable } from './unreachable.ts'
