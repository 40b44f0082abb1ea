/**
 * Everything the HA library needs from the world, as arguments: time, the shared directory, chance and a log.
 *
 * The keeper runs on the real ones (`disk.ts`, `clock.ts`), the simulation on a seeded world. Nothing else in `lib/ha`
 * touches a timer, a clock, a file or `Math.random`. Only operations appear here that NFSv3, NFSv4, HDFS through its NFS
 * gateway, GlusterFS, CephFS and a local disk all do alike (docs/ha-protocol.md, "The directory").
 */
import type { HaEvent } from '../words/log-events.ts'

/** Monotonic time of this host. `nowMs` is one clock for all processes of the host (CLOCK_MONOTONIC). */
export interface Clock {
  /** Milliseconds with fraction; never goes back; says nothing about another host. */
  nowMs(): number
  /** Calls `run` once after `delayMs`; calling the function that it gives cancels that. */
  after(delayMs: number, run: () => void): () => void
  /** Reads the wall clock, for people to read in logs and history. No decision may rest on it. */
  wallMs(): number
}

/** Why a file call is made: each call site names one, so that a test can break exactly that one. */
export type Purpose =
  | 'setup'
  | 'observe'
  | 'claim'
  | 'renew'
  | 'end-below'
  | 'void'
  | 'release'
  | 'obituary'
  | 'register'
  | 'peers'
  | 'publish'
  | 'order'
  | 'mark'
  | 'history'
  | 'sweep'
  | 'reserve'
  | 'inspect'
  | 'upkeep'
  | 'contest'
  | 'check'

/** What is left of a file system for whoever is not root. */
export interface Space {
  /** Bytes that can still be written. */
  readonly freeBytes: number
  /** Size of the file system. */
  readonly totalBytes: number
  /** Inodes that are left; null where the file system has no number of them (btrfs, many network mounts). */
  readonly freeFiles: number | null
  /** How many inodes it has in all; null as `freeFiles`. */
  readonly totalFiles: number | null
}

/** What one `open` + `fstat` + `close` said. */
export interface Glimpse {
  /** This is the file's mtime in milliseconds with fraction: a counter, no time to anybody. */
  readonly mtimeMs: number
  /** Tells two files of one name apart (inode number as text). */
  readonly fileId: string
}

export type Touched = 'touched' | 'missing' | 'replaced'

/**
 * This is the shared directory. Paths are relative to the HA directory, with `/` between names.
 * `missing` stands for ENOENT, in `touch` and `glimpse` for ESTALE too. Every other failure rejects with a `DiskError`;
 * a call may also hang for ever, so callers keep one call in flight per lane and never wait on the way out.
 */
export interface Disk {
  /** Does mkdir through proper-lockfile. `made` may be said to two hosts at once (HDFS gateway): only creates decide. */
  makeTermDir(purpose: Purpose, path: string): Promise<'made' | 'exists'>
  /** mkdir -p of this directory and what is in it; not of what it lies in, whose mount may be gone. */
  makeDirs(purpose: Purpose, path: string): Promise<void>
  /**
   * Does an exclusive create (O_EXCL), then writes the text, then closes. A crash in between leaves a torn file:
   * existence decides. So does a full disk; the DiskError says then that the file was `made`.
   */
  create(purpose: Purpose, path: string, text: string): Promise<'created' | 'exists' | 'missing'>
  /**
   * Writes the text of a file that this process has made and could not fill, from its start. It is never another's file.
   */
  fill(purpose: Purpose, path: string, text: string): Promise<'filled' | 'missing'>
  /** Exclusive create of a file of so many bytes that no storage can compress away, there when it answers. */
  occupy(purpose: Purpose, path: string, bytes: number): Promise<'created' | 'exists' | 'missing'>
  /** What the file system has left (statfs). */
  space(): Promise<Space>
  /**
   * Does utimes by path, never through an open file. `replaced`: it was touched, and is another file than the one with
   * the id `sameAs` (a `Glimpse`'s).
   */
  touch(purpose: Purpose, path: string, mtimeMs: number, sameAs?: string): Promise<Touched>
  /** open + fstat + close: fresh on NFS, where a plain stat is not. */
  glimpse(purpose: Purpose, path: string): Promise<Glimpse | 'missing'>
  /** The whole file; at most 1 MiB, longer is an error. */
  read(purpose: Purpose, path: string): Promise<string | 'missing'>
  /** Names in a directory: fresh on NFS, where asking for a name is not. */
  list(purpose: Purpose, path: string): Promise<string[] | 'missing'>
  unlink(purpose: Purpose, path: string): Promise<'unlinked' | 'missing'>
  /**
   * Puts a file that this process has made, durably, in the place of another: whoever reads that finds the one or the other.
   * `refused`: the storage does that over no file that is there.
   */
  replace(purpose: Purpose, path: string, by: string): Promise<'replaced' | 'missing' | 'refused'>
  /** rmdir; `kept` when it is not empty. */
  removeDir(purpose: Purpose, path: string): Promise<'removed' | 'missing' | 'kept'>
  /** fsync of a directory, where the file system knows it: makes a claim outlast a power cut on a local disk. */
  syncDir(purpose: Purpose, path: string): Promise<void>
}

/** How much an event matters, from what only helps to find faults to what somebody must mend. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** What happened, by a name that stays, and its facts. */
export interface LogFacts {
  /** The event's name: count and alert by it, since sentences may change. */
  readonly event: HaEvent
  /** What else is known of it, such as `term`. */
  readonly [fact: string]: unknown
}

/** One event, as a plain sentence for people and its facts. */
export type Log = (level: LogLevel, message: string, facts: LogFacts) => void

/** A running process as a host can prove it: a pid alone is reused, so all four must match. */
export interface ProcessIdentity {
  /** The kernel's id of the boot that it runs in. */
  readonly bootId: string
  /** The pid namespace is meant: two containers of one host share a boot id, not their pids. */
  readonly pidNamespace: string
  /** Its id in there. */
  readonly pid: number
  /** Start time in clock ticks since boot, from /proc/PID/stat. */
  readonly startTicks: number
}

/** What this host can tell of processes. */
export interface Processes {
  /** Tells our own identity. */
  self(): ProcessIdentity
  /** `dead` only where this host can prove it: same boot, same pid namespace, and no such process. */
  verdict(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown'
}
