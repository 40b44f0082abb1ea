/** The only door of what makes a process a daemon. */
export { adminSocketPath, listenOnSocket } from './admin-socket.ts'
export { type AuditFile, type AuditLimits, openAuditFile } from './audit-file.ts'
export { type DaemonLog, type LogLimits, openDaemonLog } from './log.ts'
export { keepStanding, takePidFile } from './pidfile.ts'
export {
  GuardError,
  type Guarded,
  type GuardWorld,
  type ProcessGuard,
  realWorld,
  requireUnheld,
  takeGuard,
} from './process-guard.ts'
export { leave, runDaemon } from './run.ts'
