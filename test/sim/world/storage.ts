/**
 * One shared directory as a whole: the server, what each host's client remembers of it, and the weather: who can't
 * reach it, what it does wrong at the moment.
 */
import type { Host } from './host.ts'
import type { Random } from './random.ts'
import { Server, type SimFile } from './server.ts'
import type { Timeline } from './timeline.ts'

/** What doesn't change during a schedule. */
export interface StorageKind {
  /**
   * HDFS through its NFS gateway, one for each host: mkdir answers "made" on an existing directory; a create of a name that
   * is there gives EIO; the touch of a file that another host has removed is never answered, once in two
   * where nothing else is said; and a file that
   * was read while it was shorter gives EIO.
   */
  readonly hdfs: boolean
  /** So many calls that are never answered, and a process has no file thread left. */
  readonly fileThreads?: number
  /** The share of those touches that are never answered. */
  readonly lostShare?: number
  readonly granularityMs: number
  /** One way of a call, ms, and its rare peaks. */
  readonly latencyMs: number
  readonly peakMs: number
  readonly peakShare: number
  /** An open gives a delegation; a host that is gone keeps it for the lease time. */
  readonly delegations: boolean
  readonly leaseMs: number
  /** A renewal that doesn't look at the link count succeeds while anybody has the unlinked file open. */
  readonly linksIgnored: boolean
  /** A missing name is remembered for up to so long. */
  readonly absenceMs: number
}

/** What the faults change. */
export interface Weather {
  /** Each is a probability for a call. */
  lostReply: number
  error: number
  stale: number
  /** Creates and mkdirs fail, but for as many as files were unlinked since; a file may be left empty. */
  full: boolean
  room: number
  /** Listings, and attributes in an open, may be so old. Real NFS gives neither with an open; hostile worlds do. */
  staleListingMs: number
  staleAttributeMs: number
}

export const calm = (): Weather => ({
  lostReply: 0,
  error: 0,
  stale: 0,
  full: false,
  room: 0,
  staleListingMs: 0,
  staleAttributeMs: 0,
})

/** What one host's client remembers. */
export interface Memory {
  readonly absent: Map<string, number>
  /** Files by name, as last used; they go on being found when another host has only renamed them. */
  readonly handles: Map<string, { file: SimFile; untilMs: number }>
  readonly listings: Map<string, { names: string[]; atMs: number }>
  readonly attributes: Map<string, { mtimeMs: number; id: number; atMs: number }>
  /** How long a file was when the host's gateway read it first. */
  readonly lengths: Map<SimFile, number>
}

export class Storage {
  readonly server: Server
  readonly kind: StorageKind
  readonly timeline: Timeline
  readonly random: Random
  weather = calm()
  /** Told of what has just come to be: the text of a file, or a touch of one that is there. */
  onWritten: (path: string) => void = () => {}
  onTouched: (path: string) => void = () => {}
  down = false
  graceUntilMs = 0
  readonly cut = new Set<Host>()
  readonly #memories = new Map<string, Memory>()
  #waiting: { host: Host; run: () => boolean }[] = []

  constructor(kind: StorageKind, timeline: Timeline, random: Random) {
    this.kind = kind
    this.timeline = timeline
    this.random = random
    this.server = new Server(kind.granularityMs)
  }

  memory(host: Host): Memory {
    const key = host.client
    let memory = this.#memories.get(key)
    if (memory === undefined) {
      memory = {
        absent: new Map(),
        handles: new Map(),
        listings: new Map(),
        attributes: new Map(),
        lengths: new Map(),
      }
      this.#memories.set(key, memory)
    }
    return memory
  }

  /** Nothing goes between this host and the server at the moment. */
  blocked(host: Host): boolean {
    return this.down || this.cut.has(host) || !host.up || host.asleep
  }

  /** Runs it once the host can reach the server again. */
  whenReachable(host: Host, run: () => boolean): void {
    this.#waiting.push({ host, run })
  }

  hangAll(): void {
    this.down = true
  }
  hang(host: Host): void {
    this.cut.add(host)
  }
  /**
   * `graceMs`: so long after an outage of the server only old files can be used. An earlier outage's grace is not cut
   * short by it: calls wait for its end already.
   */
  recover(graceMs: number): void {
    if (this.down) this.graceUntilMs = Math.max(this.graceUntilMs, this.timeline.nowMs + graceMs)
    this.down = false
    this.flush()
  }
  recoverHost(host: Host): void {
    this.cut.delete(host)
    this.flush()
  }

  /** Calls that waited go on, roughly in their order. */
  flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    let delayMs = 0
    for (const { host, run } of waiting) {
      if (this.blocked(host)) {
        if (host.up) this.#waiting.push({ host, run })
        continue
      }
      delayMs += 0.05
      this.timeline.after(this.random.chance(0.1) ? this.random.between(0, 50) : delayMs, run)
    }
  }

  /** A delegation is called back: at once from a host that answers, after the lease time from one that doesn't. */
  recall(file: SimFile): number {
    const host = file.delegatedTo
    if (host === null) return 0
    const gone = !host.up || this.blocked(host)
    if (!gone) {
      file.delegatedTo = null
      return this.latencyMs()
    }
    this.timeline.after(this.kind.leaseMs, () => {
      if (file.delegatedTo === host) file.delegatedTo = null
      return false
    })
    return this.kind.leaseMs + 1
  }

  latencyMs(): number {
    const { latencyMs, peakMs, peakShare } = this.kind
    if (this.random.chance(peakShare)) return this.random.logBetween(latencyMs, peakMs)
    return latencyMs * (0.5 + this.random.next())
  }
}
