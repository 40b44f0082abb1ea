/**
 * The keeper works on a term of its own: it claims it, ends those below, puts it on record, gives it up. Carries out
 * what the elector decided and feeds the outcome back; every answer names its term, so that a late one is recognised.
 */
import { type Attempt, canGoOn, claimTerm, newAttempt } from '../directory/claim.ts'
import { type Whose, whoseIsIt } from '../directory/cluster-file.ts'
import { generationOf } from '../directory/decode.ts'
import { endBelow } from '../directory/end-below.ts'
import { Heartbeat } from '../directory/heartbeat.ts'
import type { Reserve } from '../directory/reserve.ts'
import type { Unopened } from '../directory/void-terms.ts'
import type { Release } from '../rules/elector-phases.ts'
import type { Effect, Input } from '../rules/elector-step.ts'
import { periodsOf } from '../rules/periods.ts'
import type { Cause } from '../rules/take-over.ts'
import type { Timing } from '../rules/timing.ts'
import { HaError, isDefinite, isNoSpace, messageOf } from '../words/errors.ts'
import {
  claimFile,
  type End,
  encode,
  endFile,
  type Holder,
  heartbeatFile,
  REFUSED_MTIME_MS,
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
  type TermRecord,
} from '../words/layout.ts'
import type { Joined } from '../words/messages.ts'
import { pause } from '../world/clock.ts'
import { makeWhole } from '../world/directories.ts'
import type { Clock, Disk, Log, Touched } from '../world/ports.ts'
import { TermFiles } from './term-files.ts'

export interface TermWorkOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly timing: Timing
  readonly directory: string
  /** Null before the directory is joined. */
  readonly joined: Joined | null
  readonly self: Holder
  readonly reserve: Reserve
  readonly unopened: Pick<Unopened, 'closed' | 'stop'>
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
  /** The claim under way, or one that failed and can go on. */
  #attempt: Attempt | null = null
  /** The last term of ours failed: the next one begins by showing that there is room for it. */
  #hasFailed = false
  /** Up to this term the directory was ours: it was at a claim, and only the newest term then may have been a format's. */
  #oursUpTo = 0
  #heartbeat: Heartbeat | null = null
  readonly #files: TermFiles

  constructor(options: TermWorkOptions) {
    this.#o = options
    this.#files = new TermFiles(options)
  }

  async claim(term: number, cause: Cause): Promise<void> {
    const { clock, disk, input, reserve, self } = this.#o
    this.#claim.abort()
    this.#claim = new AbortController()
    const startedMs = clock.nowMs()
    const attempt = this.#attemptAt(term, cause)
    let made = false
    const heartbeat = new Heartbeat(disk, { term, nonce: self.nonce })
    const onHeartbeat = (): void => {
      made = true
      this.#heartbeat = heartbeat
      void heartbeat.noteMade()
      input({ type: 'heartbeat-made', term, startedMs })
    }
    try {
      const whose = await this.#whose(term)
      if (whose.is === 'formatted') {
        input({ type: 'claim-lost', term, why: whose.why, failed: false, goesOn: false })
        this.#o.refuse(whose.why)
        input({ type: 'leave', reason: whose.why })
        return
      }
      if (whose.is === 'foreign') {
        const goesOn = canGoOn(attempt)
        input({ type: 'claim-lost', term, why: whose.why, failed: true, goesOn })
        return
      }
      if (this.#hasFailed) await this.#proveRoom()
      const easing = reserve.giveUpIfLow()
      // Both together: what was given up beside a step that failed is room for its next try.
      const makeRoom = async (): Promise<boolean> => (await reserve.giveUp()) || (await easing)
      const outcome = await claimTerm(disk, { holder: self, attempt, onHeartbeat, makeRoom })
      await easing
      if (outcome.won) {
        this.#files.remember(attempt.record)
        void heartbeat.noteClaimed()
        input({ type: 'claim-won', term })
      } else input({ type: 'claim-lost', term, why: outcome.why, failed: false, goesOn: false })
    } catch (error) {
      const goesOn = canGoOn(attempt)
      this.#hasFailed = true
      input({ type: 'claim-lost', term, why: messageOf(error), failed: true, goesOn })
      if (made) await this.abandon(term)
    }
  }

  /** The master could not begin to serve: a reason may be that the opening found no room. */
  noteFailed(): void {
    this.#hasFailed = true
  }

  /** Without room not a name is left behind by the attempt. What else is wrong with the storage, the claim itself finds. */
  async #proveRoom(): Promise<void> {
    try {
      await this.#o.reserve.prove()
    } catch (error) {
      if (isDefinite(error)) throw error
    }
  }

  /** One that failed goes on under its nonce; any other gets a new one, so that an earlier one is no lost reply to it. */
  #attemptAt(term: number, cause: Cause): Attempt {
    const before = this.#attempt
    if (before?.record.term === term && canGoOn(before)) return before
    const { clock, self } = this.#o
    const nonce = `${self.nonce}-${term}-${clock.nowMs()}`
    this.#attempt = newAttempt(this.#record(term, cause, nonce))
    return this.#attempt
  }

  /**
   * Goes on until it is done or the claim is over: a storage that fails now may work at the next try. One that has no
   * space, or was made read-only, is not asked for ever: while the term is kept nobody else can try.
   */
  async endBelow({ term, provenTerm, basis }: Effect & { do: 'end-below' }): Promise<void> {
    const { disk, input, log, timing, unopened } = this.#o
    const { signal } = this.#claim
    const nonce = this.#attempt?.record.nonce ?? ''
    let told = ''
    await unopened.stop()
    for (;;) {
      try {
        const pause = (why: string): Promise<void> => this.#pause(signal, why)
        const { settleMs: ownSettleMs } = timing
        const { closed } = unopened
        const request = { term, nonce, provenTerm, basis, settleMs: ownSettleMs, closed, pause }
        const { proven, alive, settleMs } = await endBelow(disk, request)
        if (signal.aborted) return
        this.#files.readAhead(this.#attempt?.record.previousTerm ?? 0)
        if (alive !== null) input({ type: 'holder-lives', term, holderTerm: alive })
        else if (proven) input({ type: 'below-ended', term, proven })
        else input({ type: 'below-ended', term, proven, settleMs })
        return
      } catch (error) {
        if (signal.aborted) return
        const why = `ending the terms below ${term} failed: ${messageOf(error)}`
        if (isDefinite(error) && !(await this.#o.reserve.giveUp())) {
          input({ type: 'ending-failed', term, why })
          return
        }
        if (why !== told) log('warn', why, { event: 'ending-failed', term })
        told = why
        await pause(this.#o.clock, timing.pollMs)
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
      this.#o.log('warn', why, { event: 'heartbeat-left', term })
    }
  }

  /** To be called when no renewal is under way and none will follow: the release is the heartbeat's last touch. */
  async release(term: number, release: Release, isObituary: () => boolean): Promise<void> {
    const { clock, disk, input, log, timing } = this.#o
    this.#claim.abort()
    const { reason, by, during, successor } = release
    const end: End = { reason, by, successor, at: this.#now(), ...(during && { during }) }
    const deadlineMs = clock.nowMs() + OBITUARY_TRIES_MS
    // Begun before the touch and not waited for: a create can hang where a touch works (after a file server's outage).
    const note = this.#lastWord(term, encode(end)).catch((error) => {
      log('warn', `the reason of term ${term}'s end is not on file: ${messageOf(error)}`, {
        event: 'end-unrecorded',
        term,
      })
      return 'failed'
    })
    // A successor's name must be there before the heartbeat points to it; without one everybody may claim at once.
    const named = successor !== null && (await note) !== 'failed'
    const nobodys = release.refused === true ? REFUSED_MTIME_MS : RELEASED_MTIME_MS
    const mtimeMs = named ? RELEASED_FOR_MTIME_MS : nobodys
    for (let pauseMs = timing.renewMs / 4; ; pauseMs = Math.min(timing.monitorMs, 2 * pauseMs)) {
      try {
        await disk.touch('release', heartbeatFile(term), mtimeMs)
        break
      } catch (error) {
        log('warn', `release of term ${term} failed: ${messageOf(error)}`, {
          event: 'release-failed',
          term,
        })
        if (isObituary() && clock.nowMs() >= deadlineMs) break
        await pause(this.#o.clock, pauseMs)
      }
    }
    await Promise.race([note, pause(this.#o.clock, timing.renewMs)])
    input({ type: 'released', term })
  }

  async #lastWord(term: number, text: string): Promise<string> {
    const { disk, reserve } = this.#o
    const torn = new Set<string>()
    const wanted = { purpose: 'obituary', path: endFile(term), text } as const
    try {
      return await makeWhole(disk, torn, wanted)
    } catch (error) {
      if (!isNoSpace(error) || !(await reserve.spend())) throw error
      return await makeWhole(disk, torn, wanted)
    }
  }

  /**
   * Says for ever that the term has served, before it answers anything. Not tried again where it fails: the create may still
   * land, and nobody else is served while it is waited for.
   */
  async mark(wanted: Effect & { do: 'mark' }): Promise<void> {
    const { input } = this.#o
    const { term } = wanted
    try {
      await this.#files.mark(wanted)
      input({ type: 'marked', term })
    } catch (error) {
      this.#hasFailed = true
      const why = `its served record can't be made: ${messageOf(error)}`
      input({ type: 'marking-failed', term, why })
    }
  }

  /** Copy and housekeeping of a term that serves: off the way, and tried again each M while the storage fails. */
  async record({ term, cause }: Effect & { do: 'record' }): Promise<void> {
    const { signal } = this.#claim
    this.#o.onServed(term)
    this.#hasFailed = false
    const tombstone = (): TermRecord => {
      const nonce = this.#attempt?.record.nonce ?? ''
      const evidence = `swept by the holder of ${term}`
      return { ...this.#record(term, { ...cause, orderedBy: null }, nonce), evidence }
    }
    await this.#files.keep(term, tombstone, signal)
  }

  #record(term: number, cause: Cause, nonce: string): TermRecord {
    const { self } = this.#o
    const cluster = this.#o.joined?.cluster
    const kind = this.#o.joined?.storage.kind
    return {
      term,
      address: self.address,
      hostname: self.hostname,
      nonce,
      reason: cause.reason,
      evidence: cause.evidence,
      ...(cause.orderedBy === null ? {} : { orderedBy: cause.orderedBy }),
      previousTerm: cause.previousTerm,
      previousAddress: cause.basis.holder?.address ?? null,
      at: this.#now(),
      periods: periodsOf(this.#o.timing),
      ...(kind === undefined ? {} : { mount: kind }),
      ...(cluster === undefined
        ? {}
        : { clusterId: cluster.clusterId, generation: generationOf(cluster) }),
    }
  }

  /** A master that was cut off while the directory was formatted must not come back as the new cluster's active. */
  async #whose(term: number): Promise<Whose> {
    const { directory, disk, joined, log } = this.#o
    if (joined === null) throw new HaError('NOT_ACTIVE', 'the directory is not joined yet')
    const knownTerm = Math.max(joined.newest, this.#oursUpTo)
    const whose = await whoseIsIt(disk, 'claim', { directory, cluster: joined.cluster, knownTerm })
    if (whose.is === 'ours') this.#oursUpTo = term - 2
    if (whose.is === 'lost')
      log('warn', `${whose.why}: term ${term} is claimed all the same`, {
        event: 'cluster-unproven',
      })
    return whose
  }

  /** Of a term that this master holds, by this keeper's claim or an earlier one's. Rejects with DiskError. */
  renew(term: number, mtimeMs: number): Promise<Touched> {
    if (this.#heartbeat?.term !== term) {
      const { disk, self } = this.#o
      this.#heartbeat = new Heartbeat(disk, { term, nonce: self.nonce })
    }
    return this.#heartbeat.renew(mtimeMs)
  }

  onPutBack(path: string): void {
    const { term } = this.#heartbeat ?? { term: 0 }
    if (path === claimFile(term)) void this.#heartbeat?.noteClaimed()
  }

  /** By path, as far as this keeper has made them. */
  files(term: number): ReadonlyMap<string, string> {
    return this.#files.of(term)
  }

  async #pause(signal: AbortSignal, why: string): Promise<void> {
    this.#o.log('warn', `waiting: ${why}`, { event: 'ending-waits' })
    await pause(this.#o.clock, this.#o.timing.pollMs)
    if (signal.aborted) throw new HaError('NOT_ACTIVE', 'the claim is over')
  }

  #now(): string {
    return new Date(this.#o.clock.wallMs()).toISOString()
  }
}
