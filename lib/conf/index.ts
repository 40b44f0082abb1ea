/**
 * The configuration's only door: typed keys, the site files, `conf/masters`, and their changes at run time.
 * Nothing here reads the environment or ends the process; every wrong input comes as a ConfError.
 */
export {
  formatHostPort,
  type HostPort,
  isHost,
  isLoopback,
  isWildcard,
  splitHostPort,
} from './address.ts'
export { requireSeparatePorts } from './checks.ts'
export {
  Configuration,
  formatForMessage,
  formatSource,
  formatValue,
  haTiming,
  holdsSecret,
  type Setting,
} from './configuration.ts'
export { ConfError } from './error.ts'
export { ALL_KEYS, isKey, type Key, type KeySpec, specOf, type ValueOf } from './keys.ts'
export {
  buildConfiguration,
  loadConfiguration,
  readSiteFiles,
  SITE_FILES,
  type Surroundings,
  surroundingsOf,
} from './load.ts'
export {
  type Addresses,
  masterAddresses,
  type WorkerAddresses,
  type WorkerPlace,
  workerAddresses,
} from './master-addresses.ts'
export {
  DEFAULT_UMBILICAL_PORT,
  DEFAULT_WORKER_PORT,
  entryAddress,
  type HostEntry,
  type HostList,
  hostIdentity,
  parseMasterName,
  parseWorkerName,
  readMasters,
  readWorkers,
} from './masters.ts'
export {
  type ReloadEvent,
  type Reloader,
  watchConfiguration,
} from './reload.ts'
export type { Value } from './types.ts'
