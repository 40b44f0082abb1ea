/** The table of the audit log's events in docs/operations.md, made of the list of events. Pure. */
import { AUDIT_EVENTS } from '../../lib/base/audit.ts'
import { table } from './markdown.ts'
import { between } from './parts-of-text.ts'

const rows = Object.entries(AUDIT_EVENTS).map(([event, means]) => [`\`${event}\``, means])

/** The text with its table made anew. Throws where it has no place for it. */
export const withAudit = (text: string): string =>
  between(text, 'audit', table(['event', ''], rows))
