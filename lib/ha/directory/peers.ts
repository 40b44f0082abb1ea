/**
 * Who else is there: the backups' files, and since when each has moved, on this host's clock.
 *
 * Used for ranks, for choosing a successor and for status pages; no lease rests on it. A file that was replaced (its
 * master restarted) is read anew.
 */
import type { Candidate } from '../rules/elector-state.ts'
import type { Timing } from '../rules/timing.ts'
import { BACKUP_DIR, type Holder } from '../words/layout.ts'
import type { Clock, Disk, Processes } from '../world/ports.ts'
import { decodeHolder } from './decode.ts'

export interface Peer {
  readonly holder: Holder
  readonly fileId: string
  readonly mtimeMs: number
  /** When its mtime was first seen at the present value. */
  readonly sinceMs: number
  /** Its mtime has moved at least once since we know it. */
  readonly moved: boolean
  /** What this host can prove of its process. */
  readonly process: 'alive' | 'dead' | 'unknown'
}

export class Peers {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #processes: Processes
  /** By the name of the file. */
  #known = new Map<string, Peer>()
  #all: readonly Peer[] = []

  constructor(disk: Disk, clock: Clock, processes: Processes) {
    this.#disk = disk
    this.#clock = clock
    this.#processes = processes
  }

  /** Returns all backups on file, ours included, each address once. */
  all(): readonly Peer[] {
    return this.#all
  }

  /** Whether the file of that name says whose it is. */
  canRead(name: string): boolean {
    return this.#known.has(name)
  }

  /** Whoever has not moved for so long is silent, whichever of them it is. */
  patienceMs(timing: Timing): number {
    return Math.max(timing.patienceMs, ...this.all().map((peer) => patienceWith(peer, timing)))
  }

  /** Tells the longest time between two pulses of one of them, ours included. */
  pulseMs(timing: Timing): number {
    const renewals = this.all().map(({ holder }) => holder.periods?.renewMs ?? 0)
    return 2 * Math.max(timing.renewMs, ...renewals)
  }

  /** Those that live: seen to move within the patience, or new and running on this very host. */
  candidates(nowMs: number, timing: Timing): Candidate[] {
    return this.all()
      .filter((peer) => isLive(peer, nowMs, timing))
      .map(({ holder: { address, priority, periods } }) => ({
        address,
        priority,
        ...(periods !== undefined && { monitorMs: periods.monitorMs }),
      }))
  }

  /** Reads the directory once, and gives all names in it. Rejects with DiskError; what was known is kept then. */
  async scan(): Promise<readonly string[]> {
    const listed = await this.#disk.list('peers', BACKUP_DIR)
    const names = listed === 'missing' ? [] : listed
    const next = new Map<string, Peer>()
    for (const name of names) {
      const peer = name.endsWith('.json') ? await this.#one(name) : null
      if (peer !== null) next.set(name, peer)
    }
    this.#known = next
    this.#all = newestOfEach([...next.values()])
    return names
  }

  async #one(name: string): Promise<Peer | null> {
    const path = `${BACKUP_DIR}/${name}`
    const glimpse = await this.#disk.glimpse('peers', path)
    if (glimpse === 'missing') return null
    const before = this.#known.get(name)
    const nowMs = this.#clock.nowMs()
    if (before?.fileId === glimpse.fileId) {
      const same = before.mtimeMs === glimpse.mtimeMs
      const process = this.#processes.verdict(before.holder.master)
      if (same) return { ...before, process }
      return { ...before, process, mtimeMs: glimpse.mtimeMs, sinceMs: nowMs, moved: true }
    }
    const text = await this.#disk.read('peers', path)
    const holder = text === 'missing' ? null : decodeHolder(text)
    if (holder === null) return null // torn: its master is just writing it, or died doing so
    const process = this.#processes.verdict(holder.master)
    const { fileId, mtimeMs } = glimpse
    return { holder, fileId, mtimeMs, sinceMs: nowMs, moved: false, process }
  }
}

/**
 * Takes one of each address: a file of an earlier life may lie there still. The one that has moved last counts, or was
 * begun last.
 */
function newestOfEach(peers: readonly Peer[]): Peer[] {
  const newest = new Map<string, Peer>()
  for (const peer of peers) {
    const { address } = peer.holder
    const other = newest.get(address)
    if (other === undefined || isNewer(peer, other)) newest.set(address, peer)
  }
  return [...newest.values()]
}

function isNewer(a: Peer, b: Peer): boolean {
  if (a.process !== b.process && (a.process === 'dead' || b.process === 'dead')) {
    return b.process === 'dead'
  }
  return a.sinceMs === b.sinceMs ? a.holder.startedAt > b.holder.startedAt : a.sinceMs > b.sinceMs
}

/**
 * A process that stands still is alive to the kernel, but its file doesn't move: the kernel's word only counts for one
 * that has had no time to move yet.
 */
function isLive(peer: Peer, nowMs: number, timing: Timing): boolean {
  if (peer.process === 'dead' || nowMs - peer.sinceMs >= patienceWith(peer, timing)) return false
  return peer.moved || peer.process === 'alive'
}

/** It beats at its own pace, and is looked at in ours. */
const patienceWith = ({ holder }: Peer, timing: Timing): number =>
  Math.max(timing.patienceMs, holder.periods?.patienceMs ?? 0)
