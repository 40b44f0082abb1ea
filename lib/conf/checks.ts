/**
 * What single values can't show: settings that are fine one by one but not together.
 *
 * Among them are daemons of one host whose ports meet, such as the masters `localhost` and `localhost:26002`: found when the lists are
 * read, because the second one to start would only tell that some port is taken.
 */
import { formatHostPort, type HostPort } from './address.ts'
import { type Configuration, formatSource, type Setting } from './configuration.ts'
import { ConfError } from './error.ts'
import { ALL_KEYS, type Key, specOf } from './keys.ts'
import {
  MASTER_KEYS,
  MASTER_SERVICES,
  masterAddresses,
  WORKER_KEYS,
  WORKER_SERVICES,
  workerAddresses,
} from './master-addresses.ts'
import { type HostEntry, type HostList, hostIdentity } from './masters.ts'

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

type Settings = ReadonlyMap<Key, Setting>

/** A sentence for each contradiction. */
export const findContradictions = (settings: Settings): string[] => [
  ...equalPorts(settings, 'master'),
  ...equalPorts(settings, 'worker'),
  ...catalogMismatch(settings),
  ...joinedForNothing(settings),
]

/** The addresses of one daemon belong to one host, so no port may come twice. */
function equalPorts(settings: Settings, daemon: 'master' | 'worker'): string[] {
  const seen = new Map<number, Setting>()
  const problems: string[] = []
  for (const key of ALL_KEYS) {
    const spec = specOf(key)
    const setting = settings.get(key)
    if (setting === undefined || spec.type !== 'address' || spec.usedBy !== daemon) continue
    const { port } = setting.value as HostPort
    const other = seen.get(port)
    if (other !== undefined) problems.push(samePort(setting, other, daemon))
    else seen.set(port, setting)
  }
  return problems
}

function samePort(a: Setting, b: Setting, daemon: string): string {
  const [first, second] = a.source === null && b.source !== null ? [b, a] : [a, b]
  const address = formatHostPort(first.value as HostPort)
  return `${formatSource(first.source)}: ${first.key}: '${address}' has the same port as ${second.key} (${formatSource(second.source)}): each address of a ${daemon} needs a port of its own`
}

const SCHEMES: Readonly<Record<string, readonly string[]>> = {
  DerbyStore: ['derby'],
  PostgreSQLStore: ['postgresql'],
  MariaDBStore: ['mariadb', 'mysql'],
  MySQLStore: ['mysql', 'mariadb'],
}

function catalogMismatch(settings: Settings): string[] {
  const store = settings.get('tajo.catalog.store.class')
  const uri = settings.get('tajo.catalog.uri')
  if (store === undefined || uri === undefined) return []
  const schemes = SCHEMES[String(store.value)]
  const scheme = /^jdbc:([a-z]+):/.exec(String(uri.value))?.[1]
  if (schemes === undefined)
    return scheme === undefined || store.source ? [] : [noClass(uri, store)]
  if (scheme !== undefined && schemes.includes(scheme)) return []
  const given = scheme === undefined ? 'is not set' : `is a ${scheme} URI`
  const place = formatSource(uri.source ?? store.source)
  return [
    `${place}: tajo.catalog.uri ${given}, but tajo.catalog.store.class is ${store.value} (${formatSource(store.source)}): allowed is jdbc:${schemes.join(': or jdbc:')}:`,
  ]
}

/** A database that nobody asked to be used: the catalog would be kept elsewhere, and the URI forgotten. */
function noClass(uri: Setting, store: Setting): string {
  const scheme = /^jdbc:([a-z]+):/.exec(String(uri.value))?.[1] ?? ''
  const fitting = Object.keys(SCHEMES).filter((name) => SCHEMES[name]?.[0] === scheme)
  const allowed = fitting.map((name) => `tajo.catalog.store.class ${name} with it, or`).join(' ')
  return `${formatSource(uri.source)}: tajo.catalog.uri is a ${scheme} URI, but tajo.catalog.store.class is not set, and its default ${store.value} needs none: allowed is ${allowed} neither`
}

/** What was joined would be small again. */
function joinedForNothing(settings: Settings): string[] {
  const small = settings.get('tajo.table.compaction.min-file-size')
  const target = settings.get('tajo.table.compaction.target-file-size')
  if (small === undefined || target === undefined) return []
  if (Number(small.value) <= Number(target.value)) return []
  const [first, second] = small.source === null ? [target, small] : [small, target]
  return [
    `${formatSource(first.source)}: ${first.key}: ${first.value} does not fit ${second.key} (${formatSource(second.source)}: ${second.value}): allowed is a min-file-size up to the target-file-size, in bytes`,
  ]
}
