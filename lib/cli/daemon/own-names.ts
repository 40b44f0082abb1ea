/**
 * The names by which a browser may ask this host's info ports: those of the configuration, in conf/masters, and of the host
 * itself, in full and as people in its own domain call it. Another name may be anybody's (rpc/browser.ts).
 */
import { hostname } from 'node:os'
import type { Configuration, HostList } from '../../conf/index.ts'
import { hostNameOf } from '../../rpc/index.ts'

/** They are lower case. `own` is where this daemon listens, and where it says that it does: hosts, with a port or without. */
export function ownNames(
  conf: Configuration,
  { entries }: Pick<HostList, 'entries'>,
  own: readonly string[],
  host: string = hostname(),
): string[] {
  const listed = entries.map((entry) => entry.host)
  const short = host.split('.', 1)
  const all = [...conf.get('tajo.master.info-http.names'), ...listed, ...own, host, ...short]
  return [...new Set(all.flatMap((one) => hostNameOf(one) ?? []))]
}
