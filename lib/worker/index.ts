/** The only door of what runs queries. */
export type { TermsShown } from './directory-term.ts'
export { type MasterAddresses, Masters } from './masters.ts'
export { realPathOf } from './roots.ts'
export { tellEnd } from './tell-end.ts'
export { Worker, type WorkerOptions } from './worker.ts'
