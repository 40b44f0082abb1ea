/**
 * What is written down for auditors: who did what, from where, and what came of it, as the parts that know it see it.
 * `daemon/audit-file.ts` writes it. Unlike the log it has no levels, and its list of events is closed and short.
 *
 * What a statement says, and what is said of it, may hold what only its user should know. So it is given apart from the
 * facts, and only a key has it written.
 */

/** What each event means. The table of docs/operations.md is made of it. */
export const AUDIT_EVENTS = {
  statement:
    'A statement has ended: by whom (`user`), where from (`from`), which kind (`is`). `tables` has each word of it that is a table. `target` is a database or a location. `outcome`, `error` and `rows` tell the end, and `attempt` which one it was.',
  'log-in':
    "A user has logged in (`user`), or `refused` tells why not. Administrators need none: the cluster's secret is theirs.",
  kill: 'Somebody wants a query to end.',
  page: 'Somebody has sent a statement to the info port, or wants a query to end there (`asks`). The statement itself has the address of the master that passed it on.',
  refusal:
    'Somebody was refused at a port (`what`): another cluster, a wrong secret, an old term, a page of others, a wrong token.',
  order:
    'Somebody wants the role handed over or taken over, or this master stopped. `refused` tells why that was not done.',
  role: 'This master has become active, or is so no more.',
  lost: 'So many entries (`count`) could not be written, or were refusals that came too fast.',
} as const

export type AuditEvent = keyof typeof AUDIT_EVENTS

type Facts = Readonly<Record<string, unknown>>

/** `texts` are written only where tajo.audit.text says so. */
export type Audit = (event: AuditEvent, facts: Facts, texts?: Facts) => void

/** Where nothing is audited. */
export const noAudit: Audit = () => {}
