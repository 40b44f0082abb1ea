/** Keys of who may do what: what a client has to prove. */
import type { KeySpec } from './spec.ts'

export const SECURITY_KEYS = {
  'tajo.security.authentication': {
    type: 'choice',
    of: ['password', 'none'],
    default: 'password',
    doc: "What a client has to prove: with password who he is, by the cluster's secret (administrators) or a user's password; with none nothing, so that whoever reaches the ports reads and drops every table. The same for all masters and workers.",
    usedBy: 'all',
    reloadable: false,
    group: 'Security',
  },
} as const satisfies Readonly<Record<string, KeySpec>>
