/** A master's audit log, as its configuration wants it: beside its log, or none. */
import type { Log } from '../../base/log.ts'
import { systemClock } from '../../base/time.ts'
import { type AuditFile, openAuditFile } from '../../daemon/index.ts'
import { auditLimitsOf, type MasterPlan } from './master-plan.ts'

/** So long may its last lines take at the end of all. */
export const AUDIT_FLUSH_MS = 1000

/** Null where nothing is audited. Throws an Error that names the file when it can't be written. */
export function openAudit({ auditFile, addresses, conf }: MasterPlan, log: Log): AuditFile | null {
  if (auditFile === null) return null
  return openAuditFile({
    ...auditLimitsOf(conf),
    file: auditFile,
    base: { master: addresses.umbilical, pid: process.pid },
    clock: systemClock,
    wallMs: Date.now,
    onTrouble: (message) => log('error', message, { event: 'audit-unwritten' }),
  })
}
