/** The only door of the master: what `cli/commands/master.ts` joins with configuration and daemon. */
export { type AdminServer, adminServer } from './admin.ts'
export type { Bind } from './listeners.ts'
export { Master, type MasterOptions } from './master.ts'
export { SingleMember } from './single.ts'
