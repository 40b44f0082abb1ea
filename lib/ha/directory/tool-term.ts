/**
 * A term in a tool's name: for a tool that changes what the masters' services keep while masters wait for it (`tajo catalog
 * restore`). It follows the protocol like any master: it claims only where no holder lives, ends all terms below, renews its
 * heartbeat while it works, and says that its work is done only after a renewal that followed it. Then it releases the term,
 * and a master claims the next one.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { largest, periodsOf } from '../rules/periods.ts'
import type { Timing } from '../rules/timing.ts'
import { advance, newWatch, type Seen, verdictOf } from '../rules/watch.ts'
import { HaError } from '../words/errors.ts'
import {
  encode,
  endFile,
  type Holder,
  heartbeatFile,
  RELEASED_MTIME_MS,
  type ServedRecord,
  servedCopy,
  servedFile,
  type TermRecord,
} from '../words/layout.ts'
import { realClock } from '../world/clock.ts'
import { openDisk } from '../world/disk.ts'
import type { Disk, Log } from '../world/ports.ts'
import { hostProcesses } from '../world/processes.ts'
import { claimTerm, newAttempt } from './claim.ts'
import { endBelow } from './end-below.ts'
import { Counter, Heartbeat } from './heartbeat.ts'
import { Looker } from './look.ts'

/** In whose name a tool takes a term. */
export interface ToolTerm {
  /** What the history calls the holder. */
  readonly tool: string
  /** Who asked for it. */
  readonly by: string
  /** By which it renews the term, and judges who lives. */
  readonly timing: Timing
  /** Hears what is waited for, and of renewals that fail. */
  readonly log: Log
}

/** All file systems tell mtimes apart from this difference on. */
const STEP_MS = 1000
/** Masters that can't serve claim and give up again and again: one of them may be first so often. */
const CLAIMS = 10

/**
 * Holds the next term while `work` runs, which answers what the service keeps from now on, for the term's record; gives that
 * term. Rejects with HaError UNSAFE where a master serves, and with TIMEOUT where none does and yet no term could be had.
 * It rejects with NOT_ACTIVE where a master took over meanwhile: then what was done may count for nothing. `work`'s own error
 * ends the term and is thrown; a call on the directory that fails rejects with DiskError.
 */
export async function inToolTerm(
  directory: string,
  options: ToolTerm,
  work: (term: number) => Promise<string>,
): Promise<{ term: number }> {
  const disk = openDisk(directory)
  const { term, nonce, record, proof } = await claimed(disk, options)
  const lease = renewing(disk, record, options)
  try {
    const { timing, log } = options
    const pause = async (why: string): Promise<void> => {
      log('warn', `waiting: ${why}`, { event: 'ending-waits' })
      await sleep(timing.pollMs)
    }
    const { settleMs: ownMs } = timing
    const below = { term, nonce, provenTerm: proof, basis: [], settleMs: ownMs, pause }
    const { proven, settleMs } = await endBelow(disk, below)
    if (!proven) await sleep(settleMs)
    const keeps = await work(term)
    // First on record, then renewed, as a master's term before it answers.
    await recordServed(disk, record, keeps)
    if (!(await lease.holds())) {
      const text = `a master took over from term ${term} meanwhile: look whether it serves, and try again if not`
      throw new HaError('NOT_ACTIVE', text)
    }
  } finally {
    await lease.end()
    await release(disk, term, options)
  }
  return { term }
}

interface Claimed {
  readonly term: number
  readonly nonce: string
  readonly record: TermRecord
  /** The lower term whose holder is proven gone, or null. */
  readonly proof: number | null
}

async function claimed(disk: Disk, options: ToolTerm): Promise<Claimed> {
  const { timing, tool, by } = options
  for (let left = CLAIMS; left > 0; left -= 1) {
    const { seen, isProof } = await vacancy(disk, timing)
    const term = seen.newest + 1
    const nonce = randomUUID()
    const record: TermRecord = {
      term,
      address: tool,
      hostname: hostname(),
      nonce,
      reason: 'command',
      evidence: 'no master was active',
      orderedBy: by,
      previousTerm: seen.newest,
      previousAddress: seen.holder?.address ?? null,
      at: new Date().toISOString(),
      periods: periodsOf(timing),
    }
    const won = await claimTerm(disk, {
      holder: toolHolder(record),
      attempt: newAttempt(record),
      onHeartbeat: () => {},
      makeRoom: async () => false,
    })
    if (won.won) {
      const proof = isProof ? seen.holderTerm || seen.newest : null
      return { term, nonce, record, proof }
    }
  }
  throw new HaError('TIMEOUT', `masters took every term before ${tool} could: try again`)
}

/** A tool that holds a term listens nowhere. */
export const toolHolder = ({ address, nonce, hostname, at, periods }: TermRecord): Holder => ({
  address,
  addresses: { umbilical: '', clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce,
  hostname,
  master: hostProcesses().self(),
  startedAt: at,
  version: '',
  priority: 0,
  adminSocket: '',
  ...(periods !== undefined && { periods }),
})

/** Waits until no holder lives: those that can't serve let go soon, one that serves does not. */
async function vacancy(disk: Disk, timing: Timing): Promise<{ seen: Seen; isProof: boolean }> {
  const own = periodsOf(timing)
  const looker = new Looker(disk, hostProcesses(), own)
  const startedMs = realClock.nowMs()
  let watch = newWatch(startedMs, own)
  let serving = 0
  for (;;) {
    const lookMs = realClock.nowMs()
    const seen = await looker.look()
    const nowMs = realClock.nowMs()
    const before = watch.seen
    const look = { startedMs: lookMs, finishedMs: nowMs }
    watch = advance(watch, seen, look, { own, pace: null })
    const { monitorMs, patienceMs } = largest(own, watch.by)
    const untilMs = startedMs + 2 * monitorMs + patienceMs
    const { is } = verdictOf(watch, nowMs, timing)
    if (is === 'expired') return { seen, isProof: false }
    if (is === 'released' || is === 'refused' || is === 'dead' || is === 'unclaimed') {
      return { seen, isProof: true }
    }
    const beats = before !== null && seen.newest === before.newest && watch.sinceMs === nowMs
    const serves = seen.holderTerm > 0 && seen.servedTerm === seen.holderTerm
    serving = serves && beats ? serving + 1 : serving
    if (serving > 1 || nowMs >= untilMs) {
      const who = `${seen.holder?.address ?? 'an unknown master'} holds term ${seen.newest}`
      throw new HaError('UNSAFE', `${who} and is active: nothing is changed beside it`)
    }
    await sleep(Math.min(own.pollMs, watch.by.pollMs))
  }
}

/** Renews the heartbeat until its end. */
function renewing(disk: Disk, { term, nonce }: TermRecord, { timing, log }: ToolTerm) {
  const counter = new Counter(realClock, STEP_MS)
  const heartbeat = new Heartbeat(disk, { term, nonce })
  const touch = () => heartbeat.renew(counter.next())
  let ended = false
  const turns = async (): Promise<void> => {
    while (!ended) {
      await sleep(timing.renewMs)
      if (ended) return
      await touch().catch((error: Error) =>
        log('warn', `renewal failed: ${error.message}`, { event: 'renewal-failed' }),
      )
    }
  }
  const running = turns()
  return {
    /** By a renewal that begins now. */
    holds: async (): Promise<boolean> => (await touch()) === 'touched',
    end: async (): Promise<void> => {
      ended = true
      await running
    },
  }
}

async function release(disk: Disk, term: number, { by, log }: ToolTerm): Promise<void> {
  const end = { reason: 'stopped', by, successor: null, at: new Date().toISOString() }
  try {
    await disk.create('release', endFile(term), encode(end))
    await disk.touch('release', heartbeatFile(term), RELEASED_MTIME_MS)
  } catch (error) {
    // It expires then, like any other.
    log('warn', `term ${term} is not released: ${(error as Error).message}`, {
      event: 'release-failed',
    })
  }
}

/**
 * Marks a tool's term as one below which nothing is left to end; `keeps`: what the masters' services keep from now on.
 * Rejects with DiskError.
 */
export async function recordServed(disk: Disk, record: TermRecord, keeps?: string): Promise<void> {
  const { term } = record
  const text = encode(servedBy(record, keeps))
  for (const path of [servedFile(term), servedCopy(term)]) await disk.create('history', path, text)
}

const servedBy = ({ term }: TermRecord, keeps?: string): ServedRecord => ({
  term,
  servedAt: new Date().toISOString(),
  previousEnd: null,
  phases: {
    noticedMs: 0,
    decidedMs: 0,
    claimedMs: 0,
    endedMs: 0,
    settledMs: 0,
    openedMs: 0,
    totalMs: 0,
  },
  ...(keeps !== undefined && { catalog: keeps }),
})

const sleep = (ms: number): Promise<void> =>
  new Promise<void>((done) => void realClock.after(ms, done))
