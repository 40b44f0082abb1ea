/** The only door of what runs queries. */
export type { MasterAddresses } from './masters.ts'
export { realPathOf } from './roots.ts'
export { Worker, type WorkerOptions, type WorkerPort } from './worker.ts'
