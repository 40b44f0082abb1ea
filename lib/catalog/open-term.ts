/**
 * One term in which a master has the catalog: what is asked for is decided upon the newest state, queues, and is flushed
 * through the store, group by group, until the term ends.
 *
 * - A reader sees a change only after it was acknowledged: durable in the store, and then committed (the lease was
 *   renewed afterwards, which is what makes it binding; docs/ha-protocol.md, "Changes are fenced").
 * - What queues while a flush is under way shares the next one: one `append`, one commit.
 * - Whoever changes something decides upon the newest state, which includes what is being written just now. A change that
 *   takes long, since it adds or removes very many files, is decided in slices, and those behind it wait for that.
 * - An `append` whose answer is lost is cleared up here: the store is opened again under the same term, and what it has not
 *   kept is appended again under the same numbers. Nobody is told anything meanwhile; after `patienceMs` the callers are told
 *   UNAVAILABLE and may ask again under the same query id, while the clearing up goes on.
 */
import { setMaxListeners } from 'node:events'
import { messageOf } from '../base/failures.ts'
import { inSlices, Slices } from '../base/slices.ts'
import { Draft } from './apply.ts'
import type { Build, CatalogOptions } from './catalog.ts'
import { CatalogError, notActive } from './errors.ts'
import type { Transaction } from './model.ts'
import { type Asking, openPatiently, proveAppended, TOLD_AFTER_MS, writeAnew } from './patience.ts'
import type { CatalogState } from './state.ts'
import type { Batch } from './store.ts'

interface Asked {
  readonly build: Build
  readonly resolve: (state: CatalogState) => void
  readonly reject: (error: CatalogError) => void
}
/** It is in the draft. */
interface Waiting extends Asked {
  readonly transaction: Transaction
}

export class OpenTerm {
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
    // One for each change under way; Node takes more than ten for a leak.
    setMaxListeners(0, opened.signal)
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
      if (CatalogError.is(error, 'GONE')) await this.#gone(error)
      else
        log('warn', `the catalog's files can't be looked for: ${why}`, {
          event: 'catalog-files-unproven',
        })
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

  /** Decides at once, but for what takes longer than a slice. */
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

  /** Decides one after the other, and anew where the draft has become another one meanwhile. */
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
      await Promise.all([
        this.#commit(),
        proveAppended(this.#asking(), () => this.#refuseWhenEnded()),
      ])
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

  /** Also where it was noticed while the store was being opened again: it can't be read back any more. */
  #isGone(error: unknown): error is CatalogError {
    const unreadable =
      CatalogError.is(error, 'CORRUPT') && this.#options.store.replace !== undefined
    return CatalogError.is(error, 'GONE') || unreadable
  }

  /** Nobody is told anything any more; what this process knows may be all that is left. */
  async #gone({ message }: CatalogError): Promise<void> {
    const { log, onGone } = this.#options
    if (this.#ended !== null) return
    this.end(notActive())
    log('error', `${message}: nothing is acknowledged any more under this term`, {
      event: 'catalog-files-gone',
      term: this.#term,
    })
    await writeAnew(this.#asking(), this.acknowledged, {
      done: () => onGone(message),
      failed: (text) => {
        this.#unkept = text
      },
    })
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

  /** Goes on until the batch is kept, whatever happens to single calls. */
  async #appendSurely(batch: Batch): Promise<void> {
    const { store, log } = this.#options
    const term = this.#term
    for (;;) {
      try {
        return await store.append(batch)
      } catch (error) {
        if (!CatalogError.is(error, 'UNAVAILABLE')) throw error
        this.#refuseWhenEnded()
        this.#waits(error.message)
        const facts = { term, error: error.message }
        log('warn', 'the catalog store did not take a change; it is opened again', {
          event: 'catalog-append-failed',
          ...facts,
        })
      }
      const patienceMs = Number.POSITIVE_INFINITY
      const { seq } = await openPatiently({
        ...{ ...this.#asking(), renewed: this.#options.commit, patienceMs },
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

  #asking(): Asking {
    const { store, clock, log } = this.#options
    return { store, clock, log, term: this.#term, signal: this.#signal }
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
    if (this.#signal.aborted || CatalogError.is(error, 'NOT_ACTIVE')) return notActive(error)
    const { log, onBroken, onGone } = this.#options
    // The election may not know of it, and this master would go on being active without being able to change anything.
    if (CatalogError.is(error, 'STALE_TERM')) {
      log('error', 'the catalog was taken from this term', {
        event: 'catalog-taken',
        term: this.#term,
        error: error.message,
      })
      onGone(error.message)
      return notActive(error)
    }
    log('error', 'the catalog can take no more changes', {
      event: 'catalog-broken',
      error: messageOf(error),
    })
    onBroken(error instanceof Error ? error : new Error(messageOf(error)))
    return notActive(error)
  }
}

/** Not kept, and the store goes on. */
const isRefused = (error: unknown): error is CatalogError =>
  CatalogError.is(error, 'FULL', 'BAD_STORE')
