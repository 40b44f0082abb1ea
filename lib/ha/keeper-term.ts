/**
 * The keeper's work on a term of its own: claim it, end those below, record it, give it up. Carries out what the
 * elector decided and feeds the outcome back; every answer names its term, so that a late one is recognised.
 */
import { claimTerm } from './claim.ts'
import { decodeCluster } from './decode.ts'
import type { Cause, Effect, Input, Release } from './elector-state.ts'
import { endBelow } from './end-below.ts'
import { HaError, messageOf } from './errors.ts'
import {
  CLUSTER_FILE,
  type End,
  encode,
  endFile,
  type Holder,
  heartbeatFile,
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
  type ServedRecord,
  servedFile,
  type TermRecord,
} from './layout.ts'
import type { Clock, Disk, Log } from './ports.ts'
import { sweep } from './sweep.ts'
import { readEnd } from './term-end.ts'
import type { Timing } from './timing.ts'

export interface TermWorkOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly timing: Timing
  readonly directory: string
  readonly clusterId: string
  readonly self: Holder
  readonly input: (input: Input) => void
  /** Tells the master that the directory isn't its cluster's any more. */
  readonly refuse: (why: string) => void
  /** Called when a term of ours serves. */
  readonly onServed: (term: number) => void
}

/** An obituary is tried for so long while the storage hangs; then the term just expires. */
const OBITUARY_TRIES_MS = 60_000

export class TermWork {
  readonly #o: TermWorkOptions
  #claim = new AbortController()
  #attemptMs = 0

  constructor(options: TermWorkOptions) {
    this.#o = options
  }

  async claim(term: number, cause: Cause): Promise<void> {
    const { clock, disk, input, self } = this.#o
    this.#claim = new AbortController()
    const startedMs = clock.nowMs()
    this.#attemptMs = startedMs
    let made = false
    const onHeartbeat = (): void => {
      made = true
      input({ type: 'heartbeat-made', term, startedMs })
    }
    try {
      const formatted = await this.#formatted()
      if (formatted !== null) {
        input({ type: 'claim-lost', term, why: formatted, failed: false })
        this.#o.refuse(formatted)
        input({ type: 'leave', reason: formatted })
        return
      }
      const record = this.#record(term, cause)
      const outcome = await claimTerm(disk, { term, holder: self, record, onHeartbeat })
      if (outcome.won) input({ type: 'claim-won', term })
      else input({ type: 'claim-lost', term, why: outcome.why, failed: false })
    } catch (error) {
      input({ type: 'claim-lost', term, why: messageOf(error), failed: true })
      if (made) await this.abandon(term)
    }
  }

  /** Goes on until it is done or the claim is over: a storage that fails now may work at the next try. */
  async endBelow({ term, provenTerm, basis }: Effect & { do: 'end-below' }): Promise<void> {
    const { disk, input, log, timing } = this.#o
    const { signal } = this.#claim
    const nonce = this.#nonce(term)
    for (;;) {
      try {
        const pause = (why: string): Promise<void> => this.#pause(signal, why)
        const request = { term, nonce, provenTerm, basis, pause }
        const { proven, alive } = await endBelow(disk, request)
        if (signal.aborted) return
        if (alive === null) input({ type: 'below-ended', term, proven })
        else input({ type: 'holder-lives', term, holderTerm: alive })
        return
      } catch (error) {
        if (signal.aborted) return
        log('warn', `ending the terms below ${term} failed: ${messageOf(error)}`, { term })
        await this.#sleep(timing.pollMs)
        if (signal.aborted) return
      }
    }
  }

  /** Its heartbeat goes, so that nobody waits for it; a name is never reused, so nobody else's can be hit. */
  async abandon(term: number): Promise<void> {
    this.#claim.abort()
    try {
      await this.#o.disk.unlink('claim', heartbeatFile(term))
    } catch (error) {
      const why = `heartbeat of the abandoned term ${term} stays: ${messageOf(error)}`
      this.#o.log('warn', why, { term })
    }
  }

  /** To be called when no renewal is under way and none will follow: the release is the heartbeat's last touch. */
  async release(term: number, release: Release, isObituary: () => boolean): Promise<void> {
    const { clock, disk, input, log, timing } = this.#o
    this.#claim.abort()
    const { reason, by, successor } = release
    const end: End = { reason, by, successor, at: this.#now() }
    const mtimeMs = successor === null ? RELEASED_MTIME_MS : RELEASED_FOR_MTIME_MS
    const deadlineMs = clock.nowMs() + OBITUARY_TRIES_MS
    // Begun before the touch and not waited for: a create can hang where a touch works (after a file server's outage).
    const note = disk.create('obituary', endFile(term), encode(end)).catch((error) => {
      log('warn', `the reason of term ${term}'s end is not on file: ${messageOf(error)}`, { term })
      return 'failed'
    })
    for (;;) {
      try {
        // A successor's name must be there before the heartbeat points to it.
        if (successor !== null && (await note) === 'failed') {
          await disk.create('release', endFile(term), encode(end))
        }
        await disk.touch('release', heartbeatFile(term), mtimeMs)
        break
      } catch (error) {
        log('warn', `release of term ${term} failed: ${messageOf(error)}`, { term })
        if (isObituary() && clock.nowMs() >= deadlineMs) break
        await this.#sleep(timing.renewMs / 4)
      }
    }
    await Promise.race([note, this.#sleep(timing.renewMs)])
    input({ type: 'released', term })
  }

  /** History and housekeeping of a term that serves: off the way, so a failure is told and no more. */
  async record(done: Effect & { do: 'record' }): Promise<void> {
    const { disk, log } = this.#o
    const { term, cause } = done
    this.#o.onServed(term)
    try {
      const served: ServedRecord = {
        term,
        servedAt: this.#now(),
        previousEnd: await readEnd(disk, cause.previousTerm),
        phases: {
          noticedMs: cause.noticedMs - cause.lastBeatMs,
          decidedMs: cause.decidedMs - cause.noticedMs,
          claimedMs: done.wonMs - cause.decidedMs,
          endedMs: done.endedMs - done.wonMs,
          settledMs: done.settledMs - done.endedMs,
          openedMs: done.servedMs - done.settledMs,
          totalMs: done.servedMs - cause.lastBeatMs,
        },
        ...(done.keeps === null ? {} : { catalog: done.keeps }),
      }
      await disk.create('history', servedFile(term), encode(served))
      const tombstone = { ...this.#record(term, cause), evidence: `swept by the holder of ${term}` }
      const swept = await sweep(disk, term, tombstone)
      if (swept.length > 0) log('debug', 'old terms swept', { swept })
    } catch (error) {
      log('warn', `history of term ${term} is incomplete: ${messageOf(error)}`, { term })
    }
  }

  #record(term: number, cause: Cause): TermRecord {
    const { self } = this.#o
    return {
      term,
      address: self.address,
      hostname: self.hostname,
      nonce: this.#nonce(term),
      reason: cause.reason,
      evidence: cause.evidence,
      previousTerm: cause.previousTerm,
      previousAddress: cause.basis.holder?.address ?? null,
      at: this.#now(),
    }
  }

  /** A master that was cut off while the directory was formatted must not come back as the new cluster's active. */
  async #formatted(): Promise<string | null> {
    const { clusterId, directory, disk } = this.#o
    const text = await disk.read('claim', CLUSTER_FILE)
    const found =
      text === 'missing' ? null : decodeCluster(text, `${directory}/${CLUSTER_FILE}`).clusterId
    if (found === clusterId) return null
    return `${directory} was formatted: it belongs to ${found === null ? 'no cluster' : `cluster ${found}`} now, this master joined cluster ${clusterId}. Start it anew`
  }

  async #pause(signal: AbortSignal, why: string): Promise<void> {
    this.#o.log('warn', `waiting: ${why}`)
    await this.#sleep(this.#o.timing.pollMs)
    if (signal.aborted) throw new HaError('NOT_ACTIVE', 'the claim is over')
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((done) => this.#o.clock.after(delayMs, done))
  }

  /** Another one at every attempt, also of another keeper: an earlier one must not be taken for a lost reply. */
  #nonce(term: number): string {
    return `${this.#o.self.nonce}-${term}-${this.#attemptMs}`
  }

  #now(): string {
    return new Date(this.#o.clock.wallMs()).toISOString()
  }
}
