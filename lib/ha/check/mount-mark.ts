/**
 * The marks that passed checks leave: `proven/HOST.ID.json`, one for each of the two hosts of a check. A mark says that this
 * host's mount, of this kind, with these options, has shown another host's changes as the protocol needs them.
 *
 * A host without a mark gets one only in a check with a host that has one, once there are any: so all marks of a
 * directory hang together, and two pairs of hosts that see two different directories never prove each other. The
 * marks stand in the directory itself; a host that doesn't see them doesn't see the directory that was proven.
 *
 * A mark says what the last check saw: a later one that sees the same mount fail takes it back. One that could not be
 * carried out (no answer from the peer, an error, a hang) or was only too slow for the monitor interval shows nothing.
 *
 * A new name at each check, the one before unlinked: nothing is written over.
 */
import { randomUUID } from 'node:crypto'
import { encode, MARK_DIR } from '../words/layout.ts'
import type { Disk, Purpose } from '../world/ports.ts'
import {
  countedOptions,
  type HostName,
  isSamePlace,
  type KernelPlace,
  type MountFacts,
} from './mount-facts.ts'

export interface MountMark {
  readonly host: HostName
  /** Of the mount, as `mount` shows it. */
  readonly kind: string
  /** Those that count. */
  readonly options: string
  readonly version: string
  /** The other host of the check. */
  readonly peer: HostName
  readonly at: string
  /**
   * Both hosts were one kernel, and this was the directory for both: then it holds for that place alone, be it on a file
   * system of one host.
   */
  readonly place?: KernelPlace
}

const fileOf = ({ hostname }: HostName): string =>
  `${hostname.toLowerCase().replaceAll(/[^a-z0-9.-]/g, '_')}.${randomUUID()}.json`

/** All marks that can be read. Rejects with DiskError. */
export async function readMarks(
  disk: Disk,
  purpose: Purpose,
): Promise<{ readonly name: string; readonly mark: MountMark }[]> {
  // By listing, so that no absence of a name is remembered on NFS.
  const above = await disk.list(purpose, '.')
  if (above === 'missing' || !above.includes(MARK_DIR)) return []
  const names = await disk.list(purpose, MARK_DIR)
  const found: { name: string; mark: MountMark }[] = []
  for (const name of names === 'missing' ? [] : names) {
    const text = name.endsWith('.json') ? await disk.read(purpose, `${MARK_DIR}/${name}`) : ''
    const mark = decodeMark(text)
    if (mark !== null) found.push({ name, mark })
  }
  return found
}

/** Null for a torn or foreign text: it proves nothing. */
export function decodeMark(text: string): MountMark | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { host, kind, options, version, peer, at, place } = value as Record<string, unknown>
  const isText = (one: unknown): one is string => typeof one === 'string'
  if (!isHostName(host) || !isHostName(peer)) return null
  if (!isText(kind) || !isText(options) || !isText(version) || !isText(at)) return null
  const mark = { host, kind, options, version, peer, at }
  if (place === undefined) return mark
  return isPlace(place) ? { ...mark, place } : null
}

function isHostName(value: unknown): value is HostName {
  if (typeof value !== 'object' || value === null) return false
  const { hostname, machineId } = value as Record<string, unknown>
  return typeof hostname === 'string' && typeof machineId === 'string'
}

function isPlace(value: unknown): value is KernelPlace {
  if (typeof value !== 'object' || value === null) return false
  const { bootId, device, inode } = value as Record<string, unknown>
  return typeof bootId === 'string' && typeof device === 'number' && typeof inode === 'number'
}

const isSameHost = (a: HostName, b: HostName): boolean =>
  a.hostname.toLowerCase() === b.hostname.toLowerCase() && a.machineId === b.machineId

/** What a host's mark says of its mount as it is now. */
type Standing =
  | { readonly is: 'none' }
  | { readonly is: 'holds'; readonly mark: MountMark }
  /** The same mount in another version: an alert, no refusal. */
  | { readonly is: 'other-version'; readonly mark: MountMark }
  /** For another mount than this one. */
  | { readonly is: 'void'; readonly why: string }

export function standingOf(marks: readonly MountMark[], facts: MountFacts): Standing {
  const own = marks
    .filter(({ host }) => isSameHost(host, facts.host))
    .sort((a, b) => b.at.localeCompare(a.at))
  const found = own.map((mark) => judge(mark, facts))
  return (
    found.find(({ is }) => is === 'holds') ??
    found.find(({ is }) => is === 'other-version') ??
    found[0] ?? { is: 'none' }
  )
}

function judge(mark: MountMark, { fileSystem, version, place }: MountFacts): Standing {
  const { type, mountPoint } = fileSystem
  const options = countedOptions(fileSystem.options)
  const when = `the check with ${mark.peer.hostname} (${mark.at})`
  if (mark.place !== undefined && !isSamePlace(mark.place, place)) {
    const why = `${when} proved another place in this kernel, or was before its last boot`
    return { is: 'void', why }
  }
  if (mark.kind !== type) {
    return { is: 'void', why: `${when} proved ${mark.kind}, and ${mountPoint} is ${type} now` }
  }
  if (mark.options !== options) {
    const why = `${when} proved it mounted with ${mark.options}, and it is mounted with ${options} now`
    return { is: 'void', why }
  }
  return mark.version === version ? { is: 'holds', mark } : { is: 'other-version', mark }
}

/** Hosts that have a mark while neither end of a check has any: the check proves nothing that hangs together with theirs. */
export function strangers(
  marks: readonly MountMark[],
  here: HostName,
  peer: HostName,
): readonly string[] {
  const isKnown = marks.some(({ host }) => isSameHost(host, here) || isSameHost(host, peer))
  return isKnown ? [] : [...new Set(marks.map(({ host }) => host.hostname))].sort()
}

/** Leaves the marks of both ends of a check that has passed, and removes their older ones. Rejects with DiskError. */
export async function leaveMarks(
  disk: Disk,
  here: MountFacts,
  peer: MountFacts,
  at: string,
): Promise<void> {
  const before = await readMarks(disk, 'check')
  await disk.makeDirs('check', MARK_DIR)
  const same = isSamePlace(here.place, peer.place) ? here.place : null
  const place = same === null ? {} : { place: same }
  for (const [facts, other] of [
    [here, peer],
    [peer, here],
  ] as const) {
    const { host, version, fileSystem } = facts
    const words = { kind: fileSystem.type, options: countedOptions(fileSystem.options), version }
    const mark: MountMark = { host, ...words, peer: other.host, at, ...place }
    await disk.create('check', `${MARK_DIR}/${fileOf(host)}`, encode(mark))
  }
  for (const { name, mark } of before) {
    if (isSameHost(mark.host, here.host) || isSameHost(mark.host, peer.host)) {
      await disk.unlink('check', `${MARK_DIR}/${name}`)
    }
  }
}

/**
 * Removes the marks of these hosts that are of the mount which each of them has now; the names of those that had one.
 * Rejects with DiskError.
 */
export async function takeBackMarks(
  disk: Disk,
  refuted: readonly MountFacts[],
): Promise<readonly string[]> {
  const hosts = new Set<string>()
  for (const { name, mark } of refuted.length === 0 ? [] : await readMarks(disk, 'check')) {
    const found = refuted.find((facts) => isSameHost(mark.host, facts.host))
    if (found === undefined || judge(mark, found).is === 'void') continue
    await disk.unlink('check', `${MARK_DIR}/${name}`)
    hosts.add(mark.host.hostname)
  }
  return [...hosts].sort()
}
