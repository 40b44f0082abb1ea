/**
 * The table for a firewall in SECURITY.md: each port that the configuration knows, and who has to reach it. It is made of
 * the table of keys, which has all ports; who needs one is said here, and a key without that is refused. Pure.
 */
import { ALL_KEYS, specOf } from '../../lib/conf/index.ts'
import { table } from './markdown.ts'
import { between } from './parts-of-text.ts'

/** From where, and what it is asked to show. */
const NEEDED_BY: Readonly<Record<string, { readonly from: string; readonly shows: string }>> = {
  'tajo.master.umbilical-rpc.address': {
    from: 'all masters; hosts where `haadmin` and the scripts of `sbin` run',
    shows: 'a key of the secret (TLS), but for who it is and in which state',
  },
  'tajo.master.client-rpc.address': {
    from: 'clients; all masters, for their pages',
    shows: "a token: the administrator's, or that of a user's log-in",
  },
  'tajo.resource-tracker.rpc.address': {
    from: 'all workers',
    shows: 'a key of the secret (TLS), but for who it is',
  },
  'tajo.catalog.client-rpc.address': {
    from: 'all workers and masters; clients that list tables',
    shows: 'TLS, and a token for what tables there are, a key of the secret for the rest',
  },
  'tajo.master.info-http.address': {
    from: 'browsers, load balancers, Prometheus',
    shows:
      'nothing for the state of the cluster; a token for statements, tables and configuration; that of `haadmin -token` for orders, which are off by default',
  },
  'tajo.worker.info-http.address': { from: 'Prometheus', shows: 'nothing; it takes no orders' },
  'tajo.worker.peer-rpc.address': {
    from: 'nobody today; it says which worker it is',
    shows: 'nothing, over TLS; it takes no orders',
  },
  'tajo.worker.client-rpc.address': {
    from: 'clients; all masters, for their pages',
    shows: 'the token of whose the query is',
  },
  'tajo.worker.qm-rpc.address': {
    from: 'all masters',
    shows: 'a key of the secret (TLS)',
  },
}

/** A default that is one address; another kind of default is no port that a firewall could know. */
function portOf(key: string, address: unknown): string {
  const port = /:(\d+)$/.exec(String(address))?.[1]
  if (port === undefined) throw new Error(`${key} has no port by default`)
  return port
}

export function firewallTable(): string {
  const rows = ALL_KEYS.flatMap((key) => {
    const spec = specOf(key)
    if (spec.type !== 'address') return []
    const needed = NEEDED_BY[key]
    if (needed === undefined) throw new Error(`who needs ${key}? test/house/firewall.ts says it`)
    return [[portOf(key, spec.default), `\`${key}\``, needed.from, needed.shows]]
  })
  return table(['port', 'key', 'who has to reach it', 'what it asks to be shown'], rows)
}

/** The page with its table made anew. Throws where it has no place for it. */
export const withFirewall = (text: string): string => between(text, 'ports', firewallTable())
