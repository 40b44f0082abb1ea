/**
 * The catalog of one active master: reads from memory, changes one after the other through the store.
 *
 * - A reader sees a change only after it was acknowledged: durable in the store, and then committed (the lease was
 *   renewed afterwards, which is what makes it binding; docs/ha-protocol.md, "Changes are fenced").
 * - What queues while a flush is under way shares the next one: one `append`, one commit.
 * - Whoever changes something decides upon the newest state, which includes what is being written just now. A change that
 *   takes long, since it adds or removes very many files, is decided in slices, and those behind it wait for that.
 * - An `append` whose answer is lost is cleared up here: the store is opened again under the same term, with pauses that
 *   grow, and what it has not kept is appended again under the same numbers. Nobody is told anything meanwhile; after
 *   `patienceMs` the callers are told UNAVAILABLE and may ask again under the same query id, while the clearing up goes on.
 * - Beside the commit the store proves that what it appended is still under its name. Where it isn't, nothing is acknowledged
 *   any more: all that is in memory is written anew, for as long as that takes, since it may be the only copy; then `onGone`
 *   gives the term up. So it does where a higher term has the store.
 * - A store that can't be cleared up ends it: nobody knows what was kept, so whoever waits is told NOT_ACTIVE, as at the
 *   end of a term, and `onBroken` is to make that true. Another master can read back what is there, or say why not.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { inSlices, Slices } from '../base/slices.ts'
import { type Clock, pause } from '../base/time.ts'
import { Draft } from './apply.ts'
import { CatalogError } from './errors.ts'
import type { Transaction } from './model.ts'
import type { CatalogState } from './state.ts'
import type { Batch, CatalogStore, Commit, Progress } from './store.ts'

export interface CatalogOptions {
  readonly store: CatalogStore
  readonly commit: Commit
  readonly clock: Clock
  readonly log: Log
  /** Waiting changes beyond this are refused UNAVAILABLE. */
  readonly queueMax?: number
  /** How long a change waits for a store that doesn't answer before its caller is told. */
  readonly patienceMs?: number
  /** How long a store that isn't available is tried to be opened, and one that opens may make no progress. */
  readonly openPatienceMs?: number
  /** The store is CORRUPT, or worse: no change is possible any more. Called once a term at most. */
  readonly onBroken?: (error: Error) => void
  /**
   * To give the term up: its files were removed, and are written anew, or a higher term has the store. Called once a term at
   * most.
   */
  readonly onGone?: (why: string) => void
}

/** What an opening may need of its caller. */
export interface CatalogOpening {
  readonly onTrouble?: (why: string, cause?: unknown) => void
  /** Resolves after a renewal of the term that began then. */
  readonly renewed?: () => Promise<void>
}

/**
 * Makes a transaction from the newest state, which is good during the call only. It may be called more than once (when
 * a change before it was refused by the store), so it must do nothing but decide.
 */
export type Build = (state: CatalogState) => Transaction

interface Asked {
  readonly build: Build
  readonly resolve: (state: CatalogState) => void
  readonly reject: (error: CatalogError) => void
}
/** It is in the draft. */
interface Waiting extends Asked {
  readonly transaction: Transaction
}

/** A store that is slower than this is told of. */
const TOLD_AFTER_MS = 1000
const RETRY_MIN_MS = 20
const RETRY_MAX_MS = 2000

export class Catalog {
  readonly #options: Required<CatalogOptions>
  /** Null when no term is open. */
  #term: OpenTerm | null = null

  constructor(options: CatalogOptions) {
    const defaults = {
      queueMax: 10_000,
      patienceMs: 30_000,
      openPatienceMs: 30_000,
      onBroken: () => {},
      onGone: () => {},
    }
    this.#options = { ...defaults, ...options }
  }

  /**
   * Takes the catalog over for `term`; `signal` ends it. Tries again for a while where the store is UNAVAILABLE, and tells
   * `onTrouble` each time: another master may reach it. An opening that takes long is told there too, with its progress,
   * and goes on for as long as it makes some. Rejects CatalogError: NOT_ACTIVE when the term ended meanwhile, else as the
   * store does.
   */
  async open(
    term: number,
    signal: AbortSignal,
    { onTrouble = () => {}, renewed = async () => {} }: CatalogOpening = {},
  ): Promise<void> {
    await this.close()
    const { openPatienceMs: patienceMs } = this.#options
    const opened = await openPatiently({
      ...{ ...this.#options, term, signal, patienceMs, onTrouble, renewed },
    })
    this.#term = new OpenTerm(this.#options, { term, signal, ...opened })
  }

  /** The term is over: everybody who waits is told NOT_ACTIVE. Waits for no call that hangs. */
  async close(): Promise<void> {
    const term = this.#term
    this.#term = null
    if (term === null) return
    term.end(notActive())
    await this.#options.store.close()
  }

  /** What was acknowledged. CatalogError NOT_ACTIVE when no term is open. */
  state(): CatalogState {
    if (this.#term === null) throw notActive()
    return this.#term.acknowledged
  }

  /** How many changes wait or are being written. */
  get pending(): number {
    return this.#term?.pending ?? 0
  }

  /** Why changes wait for the store, once they have for a second; null for no reason to tell of. */
  trouble(): string | null {
    return this.#term?.trouble() ?? null
  }

  /** To be called now and then: is all that the open term rests on still there? Where it isn't, `onGone` follows. */
  async prove(): Promise<void> {
    await this.#term?.prove()
  }

  /** As the store's; any time where nothing is kept for being brought back. */
  async oldestRestorableMs(): Promise<number | null> {
    const { store } = this.#options
    return store.oldestRestorableMs === undefined
      ? Number.POSITIVE_INFINITY
      : store.oldestRestorableMs()
  }

  /** As the store's. */
  checkpointSoon(): void {
    this.#options.store.checkpointSoon?.()
  }

  /** What the open term keeps, for its record; null where the store has nothing to say. */
  note(): string | null {
    return this.#options.store.note?.() ?? null
  }

  /**
   * One change. Resolves to the acknowledged state with it. Rejects with what `build` threw, or with what the model
   * said of its transaction (EXISTS, MISSING, CONFLICT); FULL: not done; NOT_ACTIVE and UNAVAILABLE: perhaps done.
   */
  transact(build: Build): Promise<CatalogState> {
    return this.#term === null ? Promise.reject(notActive()) : this.#term.transact(build)
  }

  /** Resolves when everything that waits now has ended, one way or the other. */
  idle(): Promise<void> {
    return this.#term?.idle() ?? Promise.resolve()
  }
}

class OpenTerm {
  readonly #options: Required<CatalogOptions>
  readonly #term: number
  readonly #signal: AbortSignal
  /** What readers see. */
  acknowledged: CatalogState
  /** With what is durable or on its way there. */
  #sealed: CatalogState
  /** With what waits as well. */
  #draft: Draft
  /** Of the last transaction that was given to the store. */
  #seq: number
  #queue: Waiting[] = []
  #flying: Waiting[] = []
  /** Not in the draft yet: the first one is being decided, in slices (`#deciding`). */
  #undecided: Asked[] = []
  #deciding: Promise<void> | null = null
  #running = false
  /** The batch that the store has been given: since when, and what it said last. */
  #appending: { readonly sinceMs: number; readonly why: string } | null = null
  /** The look for all that the term rests on, until it has found it: since when, and what was said last. */
  #looking: { readonly sinceMs: number; readonly why: string } | null = null
  /** All of it is in memory only: why. */
  #unkept: string | null = null
  #ended: CatalogError | null = null
  #idlers: (() => void)[] = []
  readonly #onAbort = (): void => this.end(notActive())

  constructor(
    options: Required<CatalogOptions>,
    opened: { term: number; signal: AbortSignal; state: CatalogState; seq: number },
  ) {
    this.#options = options
    this.#term = opened.term
    this.#signal = opened.signal
    this.acknowledged = opened.state
    this.#sealed = opened.state
    this.#draft = Draft.of(opened.state)
    this.#seq = opened.seq
    if (opened.signal.aborted) this.end(notActive())
    else opened.signal.addEventListener('abort', this.#onAbort)
  }

  get pending(): number {
    return this.#undecided.length + this.#queue.length + this.#flying.length
  }

  transact(build: Build): Promise<CatalogState> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    const waiting = this.#undecided.length + this.#queue.length
    if (waiting >= this.#options.queueMax) {
      const text = `${waiting} changes of the catalog are waiting already; try again later`
      return Promise.reject(new CatalogError('UNAVAILABLE', text))
    }
    return new Promise((resolve, reject) => {
      this.#undecided.push({ build, resolve, reject })
      this.#decide()
      if (!this.#running && this.#isBusy) void this.#run()
    })
  }

  get #isBusy(): boolean {
    return this.#queue.length > 0 || this.#deciding !== null
  }

  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve()
    return new Promise((resolve) => this.#idlers.push(resolve))
  }

  trouble(): string | null {
    if (this.#unkept !== null) return this.#unkept
    if (this.#ended !== null) return null
    return (
      this.#waited(this.#appending, 'changes wait for the catalog store') ??
      this.#waited(this.#looking, 'the catalog store does not answer as it should')
    )
  }

  #waited(since: { sinceMs: number; why: string } | null, what: string): string | null {
    if (since === null) return null
    const forMs = this.#options.clock.nowMs() - since.sinceMs
    return forMs < TOLD_AFTER_MS
      ? null
      : `${what}, for ${Math.round(forMs / 1000)} s now: ${since.why}`
  }

  async prove(): Promise<void> {
    const { store, log, clock } = this.#options
    if (this.#ended !== null) return
    this.#looking ??= { sinceMs: clock.nowMs(), why: 'it does not answer' }
    try {
      await store.prove?.('everything')
      this.#looking = null
      await this.#confirm()
    } catch (error) {
      const why = messageOf(error)
      if (this.#looking !== null) this.#looking = { ...this.#looking, why }
      if (isCode(error, 'GONE')) await this.#gone(error)
      else log('warn', `the catalog's files can't be looked for: ${why}`)
    }
  }

  /** Also what the term began with is acknowledged once it serves, whether or not anything is changed in it. */
  async #confirm(): Promise<void> {
    const seq = this.#seq
    if (this.pending > 0) return
    await this.#commit()
    if (this.#ended === null && this.#seq === seq) this.#options.store.confirmed?.(seq)
  }

  end(error: CatalogError): void {
    if (this.#ended !== null) return
    this.#ended = error
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#rejectAll(error)
  }

  /** At once, but for what takes longer than a slice. */
  #decide(): void {
    if (this.#deciding !== null) return
    const steps = this.#decisions()
    const slices = new Slices()
    for (let step = steps.next(); step.done !== true; step = steps.next()) {
      if (!slices.isOver) continue
      this.#deciding = inSlices(steps).finally(() => {
        this.#deciding = null
        // Asked for between the last step and now.
        this.#decide()
      })
      return
    }
  }

  /** One after the other; anew where the draft has become another one meanwhile. */
  *#decisions(): Generator<void, void> {
    for (let one = this.#undecided[0]; one !== undefined; one = this.#undecided[0]) {
      const draft = this.#draft
      const isStill = (): boolean => this.#undecided[0] === one && this.#draft === draft
      try {
        const transaction = one.build(draft)
        for (const _ of draft.steps(transaction)) {
          yield
          if (!isStill()) break
        }
        if (!isStill()) continue
        this.#queue.push({ ...one, transaction })
      } catch (error) {
        one.reject(error as CatalogError)
      }
      this.#undecided.shift()
    }
  }

  #rejectAll(error: CatalogError): void {
    for (const one of [...this.#flying, ...this.#queue, ...this.#undecided]) one.reject(error)
    this.#flying = []
    this.#queue = []
    this.#undecided = []
  }

  /** Flushes until nothing waits. */
  async #run(): Promise<void> {
    this.#running = true
    // What is asked for in this turn of the event loop shares the first flush.
    await Promise.resolve()
    while (this.#isBusy && this.#ended === null) {
      // The draft is sealed between two changes.
      while (this.#deciding !== null) await this.#deciding
      if (this.#queue.length === 0) continue
      try {
        await this.#flush()
      } catch (error) {
        if (this.#isGone(error)) await this.#gone(error)
        else this.end(this.#endingOf(error))
      }
    }
    this.#running = false
    for (const idler of this.#idlers.splice(0)) idler()
  }

  async #flush(): Promise<void> {
    const batch = this.#nextBatch()
    const stopWaiting = this.#watchPatience()
    this.#waits('it does not answer')
    try {
      await this.#appendSurely(batch)
      this.#refuseWhenEnded()
      await Promise.all([this.#commit(), this.#proveAppended()])
    } catch (error) {
      if (this.#ended !== null || !isRefused(error)) throw error
      this.#seq = batch.firstSeq - 1
      return this.#refuseFlying(error)
    } finally {
      this.#appending = null
      stopWaiting()
    }
    if (this.#ended !== null) return
    this.#options.store.confirmed?.(this.#seq)
    this.acknowledged = batch.after
    const done = this.#flying
    this.#flying = []
    for (const waiting of done) waiting.resolve(batch.after)
  }

  /** A commit is refused when the term is over, and only then. */
  async #commit(): Promise<void> {
    try {
      await this.#options.commit()
    } catch (error) {
      throw notActive(error)
    }
  }

  /** For as long as nobody can tell, nothing is acknowledged. */
  async #proveAppended(): Promise<void> {
    const { store, clock, log } = this.#options
    if (store.prove === undefined) return
    for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
      try {
        return await untilAborted(store.prove('appended'), this.#signal)
      } catch (error) {
        if (!isCode(error, 'UNAVAILABLE')) throw error
        const facts = { term: this.#term, error: error.message, pauseMs }
        log('warn', "the catalog's files can't be looked for", facts)
      }
      await pause(clock, pauseMs, this.#signal)
      this.#refuseWhenEnded()
    }
  }

  /** Also where it was noticed while the store was being opened again: it can't be read back any more. */
  #isGone(error: unknown): error is CatalogError {
    const unreadable = isCode(error, 'CORRUPT') && this.#options.store.replace !== undefined
    return isCode(error, 'GONE') || unreadable
  }

  /** Nobody is told anything any more; what this process knows may be all that is left. */
  async #gone({ message }: CatalogError): Promise<void> {
    const { store, clock, log, onGone } = this.#options
    if (this.#ended !== null) return
    this.end(notActive())
    log('error', `${message}: nothing is acknowledged any more under this term`, {
      term: this.#term,
    })
    for (
      let pauseMs = RETRY_MIN_MS;
      !this.#signal.aborted;
      pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)
    ) {
      try {
        if (store.replace !== undefined) {
          await untilAborted(store.replace(this.#term, this.acknowledged), this.#signal)
          log('warn', 'the catalog was written anew from memory', { term: this.#term })
        }
        onGone(message)
        return
      } catch (error) {
        if (this.#signal.aborted) return
        const text = `the catalog is in this master's memory only, and can't be written anew: ${messageOf(error)}`
        this.#unkept = text
        log('error', text, { term: this.#term, pauseMs })
      }
      await pause(clock, pauseMs, this.#signal)
    }
  }

  /** Takes all that waits: the draft holds exactly that and is sealed. */
  #nextBatch(): Batch {
    this.#flying = this.#queue
    this.#queue = []
    const sealed = this.#draft.seal()
    this.#sealed = sealed.state
    const transactions = this.#flying.map(({ transaction }) => transaction)
    const firstSeq = this.#seq + 1
    this.#seq += transactions.length
    return {
      firstSeq,
      transactions,
      // A store that keeps transactions never asks for it.
      get delta() {
        return sealed.delta
      },
      after: sealed.state,
    }
  }

  /** The store has kept none of them and goes on: their callers hear of it, what came after is decided anew. */
  #refuseFlying(error: CatalogError): void {
    for (const waiting of this.#flying) waiting.reject(error)
    this.#flying = []
    this.#sealed = this.acknowledged
    this.#draft = Draft.of(this.acknowledged)
    this.#undecided.unshift(...this.#queue)
    this.#queue = []
    this.#decide()
  }

  /** Until the batch is kept, whatever happens to single calls. */
  async #appendSurely(batch: Batch): Promise<void> {
    const { store, log, clock } = this.#options
    const term = this.#term
    for (;;) {
      try {
        return await store.append(batch)
      } catch (error) {
        if (!isCode(error, 'UNAVAILABLE')) throw error
        this.#refuseWhenEnded()
        this.#waits(error.message)
        const facts = { term, error: error.message }
        log('warn', 'the catalog store did not take a change; it is opened again', facts)
      }
      const patienceMs = Number.POSITIVE_INFINITY
      const { commit } = this.#options
      const signal = this.#signal
      const options = { store, renewed: commit, log, clock, term, signal, patienceMs }
      const { seq } = await openPatiently({
        ...options,
        onTrouble: (why) => this.#waits(why),
      })
      if (seq === this.#seq) return
      if (seq !== batch.firstSeq - 1) {
        const text = `the catalog store has kept ${seq} changes of term ${term}, not ${batch.firstSeq - 1} or ${this.#seq}`
        throw new CatalogError('CORRUPT', text)
      }
      this.#refuseWhenEnded()
    }
  }

  #waits(why: string): void {
    const sinceMs = this.#appending?.sinceMs ?? this.#options.clock.nowMs()
    this.#appending = { sinceMs, why }
  }

  #refuseWhenEnded(): void {
    if (this.#ended !== null) throw this.#ended
  }

  /** Tells the callers when it takes too long; what is under way stays under way. */
  #watchPatience(): () => void {
    const { clock, patienceMs } = this.#options
    const text = `the catalog store has not answered for ${patienceMs} ms: the change was perhaps done; ask again`
    const run = (): void => {
      this.#rejectAll(new CatalogError('UNAVAILABLE', text))
      this.#draft = Draft.of(this.#sealed)
      cancel = clock.after(patienceMs, run)
    }
    let cancel = clock.after(patienceMs, run)
    return () => cancel()
  }

  #endingOf(error: unknown): CatalogError {
    if (this.#ended !== null) return this.#ended
    if (this.#signal.aborted || isCode(error, 'NOT_ACTIVE')) return notActive(error)
    const { log, onBroken, onGone } = this.#options
    // The election may not know of it, and this master would go on being active without being able to change anything.
    if (isCode(error, 'STALE_TERM')) {
      log('error', 'the catalog was taken from this term', {
        term: this.#term,
        error: error.message,
      })
      onGone(error.message)
      return notActive(error)
    }
    log('error', 'the catalog can take no more changes', { error: messageOf(error) })
    onBroken(error instanceof Error ? error : new Error(messageOf(error)))
    return notActive(error)
  }
}

interface Opening extends Pick<CatalogOptions, 'store' | 'clock' | 'log'> {
  readonly renewed: () => Promise<void>
  readonly term: number
  readonly signal: AbortSignal
  readonly patienceMs: number
  readonly onTrouble: (why: string, cause?: unknown) => void
}

/** Opens, and again while it is UNAVAILABLE or FULL, until nothing has gone on for as long as the patience, or the term ends. */
async function openPatiently(options: Opening) {
  const { store, clock, log, term, signal, patienceMs, onTrouble, renewed } = options
  const watch = new OpeningWatch(options)
  const onProgress = (progress: Progress): void => watch.note(progress)
  for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
    if (signal.aborted) throw notActive()
    try {
      const opened = store.open(term, signal, { onProgress, renewed })
      return await untilAborted(Promise.race([opened, watch.stalled]), signal)
    } catch (error) {
      if (signal.aborted) throw notActive(error)
      if (!isCode(error, 'UNAVAILABLE') && !isCode(error, 'FULL')) throw error
      if (watch.isStalled || clock.nowMs() >= watch.sinceMs + patienceMs) throw error
      onTrouble(messageOf(error), error)
      log('warn', 'the catalog store is not available', { term, error: messageOf(error), pauseMs })
    } finally {
      watch.rest()
    }
    await pause(clock, pauseMs, signal)
  }
}

/**
 * Whether an opening goes on. A large catalog may take its time, and each try of a master that gave up would begin anew: so
 * only one that makes no progress for the whole patience is given up. A store that never tells any is not judged here.
 */
class OpeningWatch {
  readonly #o: Opening
  readonly #beganMs: number
  readonly #best = new Map<string, number>()
  #toldMs: number
  #cancel = (): void => {}
  #giveUp: (error: CatalogError) => void = () => {}
  /** Since nothing has gone on. */
  sinceMs: number
  isStalled = false
  /** Rejects UNAVAILABLE. */
  readonly stalled: Promise<never>

  constructor(options: Opening) {
    this.#o = options
    this.#beganMs = options.clock.nowMs()
    this.#toldMs = this.#beganMs
    this.sinceMs = this.#beganMs
    this.stalled = new Promise((_, reject) => {
      this.#giveUp = reject
    })
    // Nobody may be waiting for it by then.
    this.stalled.catch(() => undefined)
  }

  note(progress: Progress): void {
    const { clock, onTrouble, patienceMs, log, term } = this.#o
    const nowMs = clock.nowMs()
    const { phase, done } = progress
    const text = inWords(progress)
    this.rest()
    // What another try does again is no progress, though it may take as long again.
    const isNew = done > (this.#best.get(phase) ?? -1)
    const agoMs = nowMs - this.sinceMs
    const againMs = this.sinceMs - this.#beganMs + patienceMs - agoMs
    const waitMs = isNew ? patienceMs : Math.min(patienceMs, againMs)
    // A term that serves already is not given up: whoever waits for it is told.
    if (Number.isFinite(patienceMs)) this.#cancel = clock.after(waitMs, () => this.#stall(text))
    if (!isNew) return
    this.#best.set(phase, done)
    this.sinceMs = nowMs
    if (nowMs - this.#toldMs < TOLD_AFTER_MS) return
    this.#toldMs = nowMs
    const forMs = Math.round(nowMs - this.#beganMs)
    onTrouble(`the catalog is being opened for ${Math.round(forMs / 1000)} s: ${text}`)
    log('info', `the catalog is being opened: ${text}`, { term, forMs })
  }

  #stall(text: string): void {
    this.isStalled = true
    const forMs = this.#o.clock.nowMs() - this.sinceMs
    const why = `the opening of the catalog has made no progress for ${Math.round(forMs / 1000)} s: ${text}`
    this.#giveUp(new CatalogError('UNAVAILABLE', why))
  }

  /** Nothing is being opened now. */
  rest(): void {
    this.#cancel()
  }
}

const inWords = ({ phase, done, of }: Progress): string =>
  of === null ? `${phase}, ${done} so far` : `${phase}, ${done} of ${of}`

/** What the promise says, or NOT_ACTIVE as soon as the signal fires: a file call on a dead mount never answers. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(notActive())
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

const isCode = (error: unknown, code: CatalogError['code']): error is CatalogError =>
  error instanceof CatalogError && error.code === code

/** Not kept, and the store goes on. */
const isRefused = (error: unknown): error is CatalogError =>
  isCode(error, 'FULL') || isCode(error, 'BAD_STORE')

const notActive = (cause?: unknown): CatalogError =>
  new CatalogError('NOT_ACTIVE', 'this master is not the active one, or not any more', { cause })
