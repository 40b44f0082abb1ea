/**
 * `conf/masters` and `conf/workers`: one host a line, `host` or `host:port`; blank lines, `#` comments, surrounding
 * blanks and CRLF are fine. Host names reach shells and ssh, so nothing else passes.
 */
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { DEFAULT_EPHEMERAL_PORTS, isPortIn } from '../base/port-holder.ts'
import {
  formatHostPort,
  HOST_ALLOWED,
  type HostPort,
  isLoopback,
  splitHostPort,
} from './address.ts'
import { ConfError, quoted } from './error.ts'
import { readText, requireDirectory, type TextFile } from './read-file.ts'

const MASTERS_FILE = 'masters'
const WORKERS_FILE = 'workers'

/** The umbilical port of a master whose line names none, and of which the others are the offsets. */
export const DEFAULT_UMBILICAL_PORT = 26001
/** The same for workers: their peer port. */
export const DEFAULT_WORKER_PORT = 28091

export interface HostEntry {
  /** It has one spelling: lower case, an IPv6 address in its shortest form and without brackets. */
  readonly host: string
  /** Null when the line names none. */
  readonly port: number | null
  /** `host` or `host:port`, tidied: what TAJO_MASTER_NAME holds. */
  readonly name: string
  /** 0 when it comes from no file. */
  readonly line: number
}

export interface HostList {
  readonly file: string
  readonly entries: readonly HostEntry[]
  readonly warnings: readonly string[]
}

/** There is at least one master. Throws ConfError. */
export async function readMasters(
  confDir: string,
  defaultPort: number = DEFAULT_UMBILICAL_PORT,
): Promise<HostList> {
  const file = join(confDir, MASTERS_FILE)
  const source = await readHosts(confDir, file)
  if (source !== null) return parseHosts(source, { defaultPort, what: 'master' })
  throw new ConfError(`${file} does not exist: it must list one master a line, such as localhost`)
}

/** The workers; an empty file is a cluster without any, a missing one too, with a warning. Throws ConfError. */
export async function readWorkers(
  confDir: string,
  defaultPort: number = DEFAULT_WORKER_PORT,
): Promise<HostList> {
  const file = join(confDir, WORKERS_FILE)
  const source = await readHosts(confDir, file)
  if (source !== null) return parseHosts(source, { defaultPort, what: 'worker' })
  const warning = `${file} does not exist, so no worker is started: list one a line, such as localhost`
  return { file, entries: [], warnings: [warning] }
}

async function readHosts(confDir: string, file: string): Promise<TextFile | null> {
  await requireDirectory(confDir)
  return readText(file)
}

interface HostsOptions {
  /** Of a line without one: two lines for the same host and port are refused. */
  readonly defaultPort: number
  readonly what: 'master' | 'worker'
}

/** Throws ConfError with every line that is wrong. */
export function parseHosts(
  { file, text }: TextFile,
  { defaultPort, what }: HostsOptions,
): HostList {
  const entries: HostEntry[] = []
  const problems: string[] = []
  const seen = new Map<string, HostEntry>()
  for (const [index, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const written = raw.replace(/#.*$/s, '').trim()
    if (written === '') continue
    const line = index + 1
    const entry = parseEntry(written, line)
    if (typeof entry === 'string') {
      problems.push(`${file}:${line}: ${quoted(written)} is no host: ${entry}`)
      continue
    }
    const identity = `${hostIdentity(entry.host)} ${entry.port ?? defaultPort}`
    const earlier = seen.get(identity)
    if (earlier === undefined) seen.set(identity, entry)
    else {
      problems.push(
        `${file}:${line}: ${entry.name} is the same ${what} as ${earlier.name} in line ${earlier.line}: a second one on that host needs another port, such as ${suggestion(entry, { defaultPort, what }, entries)}`,
      )
    }
    entries.push(entry)
  }
  if (problems.length === 0 && entries.length === 0 && what === 'master') {
    problems.push(`${file} lists no master: at least one line is needed, such as localhost`)
  }
  if (problems.length > 0) throw new ConfError(problems)
  return { file, entries, warnings: mixedWarning(file, entries, what) }
}

/** One line as an entry, or what is allowed. */
function parseEntry(written: string, line: number): HostEntry | string {
  if (/\s/.test(written)) return 'one host a line, without blanks inside'
  if (written.includes('@')) return 'no user may be given here (TAJO_SSH_OPTS can: -l user)'
  const split = splitHostPort(written)
  if (typeof split === 'string') return split
  const host = tidyHost(split.host)
  return { host, port: split.port, name: entryName(host, split.port), line }
}

/** One spelling for each host name and address. */
const tidyHost = (host: string): string =>
  isIPv6(host)
    ? new URL(`http://[${host}]`).hostname.slice(1, -1)
    : host.toLowerCase().replace(/\.$/, '')

const entryName = (host: string, port: number | null): string => {
  if (port !== null) return formatHostPort({ host, port })
  return isIPv6(host) ? `[${host}]` : host
}

/** The usual names of a host for itself are one. */
export const hostIdentity = (host: string): string =>
  ['localhost', '127.0.0.1', '::1'].includes(host) ? 'localhost' : host

/**
 * Some thousands away from the usual port, where Linux has no outgoing connections and no earlier line is: above it for
 * a second one, then downwards for masters, since the workers' ports lie above theirs, and upwards for workers.
 */
function suggestion(
  { host }: HostEntry,
  { defaultPort, what }: HostsOptions,
  earlier: readonly HostEntry[],
): string {
  const taken = earlier
    .filter((one) => hostIdentity(one.host) === hostIdentity(host))
    .map(({ port }) => port ?? defaultPort)
  const steps = Array.from({ length: 64 }, (_, i) => (i === 0 || what === 'worker' ? i + 1 : -i))
  const port = steps
    .map((thousands) => defaultPort + thousands * 1000)
    .find(
      (one) =>
        one > 1023 &&
        one < 65_536 &&
        !isPortIn(one, DEFAULT_EPHEMERAL_PORTS) &&
        !taken.includes(one),
    )
  return formatHostPort({ host, port: port ?? defaultPort })
}

function mixedWarning(file: string, entries: readonly HostEntry[], what: string): string[] {
  const local = entries.find(({ host }) => isLoopback(host))
  const remote = entries.find(({ host }) => !isLoopback(host))
  if (local === undefined || remote === undefined) return []
  return [
    `${file}:${local.line}: ${local.name} means another host on each host that reads it: with ${what}s on several hosts (${remote.name} in line ${remote.line}) give its real name`,
  ]
}

/** The line of `conf/masters` that a master is, from TAJO_MASTER_NAME. Throws ConfError. */
export const parseMasterName = (name: string): HostEntry => parseName(name, 'master')
/** The line of `conf/workers` that a worker is, from TAJO_WORKER_NAME. Throws ConfError. */
export const parseWorkerName = (name: string): HostEntry => parseName(name, 'worker')

function parseName(name: string, what: 'master' | 'worker'): HostEntry {
  const entry = parseEntry(name.trim(), 0)
  if (typeof entry !== 'string') return entry
  throw new ConfError(
    `TAJO_${what.toUpperCase()}_NAME is ${quoted(name)}: ${entry} (it must be a line of conf/${what}s: host or host:port, the host made of ${HOST_ALLOWED})`,
  )
}

/** The umbilical address that an entry stands for. */
export const entryAddress = (entry: HostEntry, configured: HostPort): HostPort => ({
  host: entry.host,
  port: entry.port ?? configured.port,
})
