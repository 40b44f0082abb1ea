/**
 * Daemons of one host whose ports meet, such as the masters `localhost` and `localhost:26002`: found when the lists are
 * read, because the second one to start would only tell that some port is taken.
 */

import type { Configuration } from './configuration.ts'
import { ConfError } from './error.ts'
import { MASTER_KEYS, MASTER_SERVICES, masterAddresses } from './master-addresses.ts'
import { type HostEntry, type HostList, hostIdentity } from './masters.ts'
import { WORKER_KEYS, WORKER_SERVICES, workerAddresses } from './worker-addresses.ts'

interface Listener {
  readonly list: HostList
  readonly entry: HostEntry
  readonly ports: readonly { readonly key: string; readonly port: number }[]
}

/** Throws ConfError with a sentence for each entry that gets in the way of an earlier one. */
export function requireSeparatePorts(
  conf: Configuration,
  masters: HostList,
  workers: HostList | null = null,
): void {
  const listeners = [
    ...masters.entries.map((entry) => masterListener(conf, masters, entry)),
    ...(workers?.entries ?? []).map((entry) => workerListener(conf, workers as HostList, entry)),
  ]
  const problems: string[] = []
  const taken = new Map<string, { listener: Listener; key: string }>()
  for (const listener of listeners) {
    const { list, entry, ports } = listener
    for (const { key, port } of ports) {
      const place = `${hostIdentity(entry.host)} ${port}`
      const other = taken.get(place)
      if (other === undefined) taken.set(place, { listener, key })
      else if (other.listener !== listener) {
        problems.push(
          `${list.file}:${entry.line}: ${entry.name} would use port ${port} for ${key}, which ${nameOf(other.listener, list)} uses for ${other.key}: choose a port further away`,
        )
        break
      }
    }
  }
  if (problems.length > 0) throw new ConfError(problems)
}

const nameOf = ({ list, entry }: Listener, from: HostList): string =>
  list === from
    ? `${entry.name} (line ${entry.line})`
    : `${entry.name} (${list.file}:${entry.line})`

function masterListener(conf: Configuration, list: HostList, entry: HostEntry): Listener {
  const { bind } = masterAddresses(conf, entry, entry.host)
  const ports = MASTER_SERVICES.map((one) => ({ key: MASTER_KEYS[one], port: bind[one].port }))
  return { list, entry, ports }
}

function workerListener(conf: Configuration, list: HostList, entry: HostEntry): Listener {
  const { bind } = workerAddresses(conf, entry, entry.host)
  const ports = WORKER_SERVICES.map((one) => ({ key: WORKER_KEYS[one], port: bind[one].port }))
  return { list, entry, ports }
}
