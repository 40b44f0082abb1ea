/**
 * The only door of the catalog: what tables there are, which files they consist of, and how changes ended.
 *
 * `model.ts` says what it is made of, `apply.ts` what each change does, `catalog.ts` how a master uses it, `store.ts`
 * what a store owes.
 */
export { Draft, OUTCOMES_KEPT, OUTCOMES_KEPT_MS, OUTCOMES_MAX } from './apply.ts'
export type { Binding } from './binding.ts'
export { requireOurs, UNBOUND } from './binding.ts'
export { type Build, Catalog, type CatalogOptions } from './catalog.ts'
export { DumpReader, dumpLines, dumpPieces, isEmptyCatalog } from './dump.ts'
export { CatalogError, type CatalogErrorCode, isTermOver } from './errors.ts'
export { FileList } from './file-list.ts'
export type { FilePartition, FilePiece } from './file-partition.ts'
export { extensionOf, rowsOf } from './joined.ts'
export type {
  CatalogData,
  Change,
  Column,
  Database,
  DataFile,
  FailureKind,
  Grant,
  Join,
  Litter,
  Outcome,
  PlainTable,
  Privilege,
  Publication,
  SomeFiles,
  Table,
  Transaction,
  User,
} from './model.ts'
export { embeddedStore, openCatalogStore, requireFreeDerby, sharedStore } from './open.ts'
export { isHidden, OWN_PREFIX, ROOT_PROOF, sharedDirectory, WAREHOUSE_PROOF } from './own-prefix.ts'
export type { PartitionTest } from './partition-condition.ts'
export { fitsType, testOf } from './partition-condition.ts'
export type { Files } from './shared/files.ts'
export { leavingSpoilt, openFiles, SpoiltError, SpoiltFiles } from './shared/files.ts'
export { Memory } from './shared/memory.ts'
export type { Restorable } from './shared/restorable.ts'
export type { SharedStore } from './shared/shared-store.ts'
export type { TableNames } from './state.ts'
export {
  absolutePath,
  CatalogState,
  contentVersionOf,
  DEFAULT_DATABASE,
  EMPTY,
  IDS_OF_THE_LOST,
  StateBuilder,
} from './state.ts'
export type {
  Batch,
  CatalogStore,
  Commit,
  Kept,
  Opened,
  Origin,
  Progress,
  ReadableStore,
} from './store.ts'
export { type MemKept, MemStore, memKept } from './store.ts'
export { CATALOG_FILE, checkCatalogUri, parseDerby } from './uri.ts'
