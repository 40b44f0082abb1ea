/** The only door of the master: what `cli/daemon/daemon-command.ts` joins with configuration and daemon. */
export { type AdminServer, adminServer } from './admin.ts'
export { Master } from './master.ts'
export type { MasterOptions } from './options.ts'
export type { QueryOptions } from './queries/options.ts'
export type { AdmissionRules, Listing } from './queries/run/admission.ts'
export { SingleMember } from './single.ts'
export { SingleStorage } from './single-storage.ts'
export { missingFrom } from './warehouse-records.ts'
