/**
 * A store that may not answer, or not at once, is asked again, with pauses that grow, until it has done what a term needs of
 * it, or the term ends. Whoever waits is told meanwhile: a file call on a dead mount never answers.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { type Clock, pause } from '../base/time.ts'
import { CatalogError, notActive } from './errors.ts'
import type { CatalogState } from './state.ts'
import type { CatalogStore, Progress } from './store.ts'

/** A store that is slower than this is told of. */
export const TOLD_AFTER_MS = 1000
const RETRY_MIN_MS = 20
const RETRY_MAX_MS = 2000

/** Who asks which store. */
export interface Asking {
  readonly store: CatalogStore
  readonly clock: Clock
  readonly log: Log
  readonly term: number
  readonly signal: AbortSignal
}

interface Opening extends Asking {
  readonly renewed: () => Promise<void>
  readonly patienceMs: number
  readonly onTrouble: (why: string, cause?: unknown) => void
}

const longer = (pauseMs: number): number => Math.min(2 * pauseMs, RETRY_MAX_MS)

/**
 * Opens the store, again and again while it is UNAVAILABLE or FULL. Ends when nothing has gone on for the patience, or
 * the term ends.
 */
export async function openPatiently(options: Opening) {
  const { store, clock, log, term, signal, patienceMs, onTrouble, renewed } = options
  const watch = new OpeningWatch(options)
  const onProgress = (progress: Progress): void => watch.note(progress)
  for (let pauseMs = RETRY_MIN_MS; ; pauseMs = longer(pauseMs)) {
    if (signal.aborted) throw notActive()
    try {
      const opened = store.open(term, signal, { onProgress, renewed })
      return await untilAborted(Promise.race([opened, watch.stalled]), signal)
    } catch (error) {
      if (signal.aborted) throw notActive(error)
      if (!CatalogError.is(error, 'UNAVAILABLE', 'FULL')) throw error
      if (watch.isStalled || clock.nowMs() >= watch.sinceMs + patienceMs) throw error
      onTrouble(messageOf(error), error)
      log('warn', 'the catalog store is not available', {
        event: 'catalog-unavailable',
        term,
        error: messageOf(error),
        pauseMs,
      })
    } finally {
      watch.rest()
    }
    await pause(clock, pauseMs, signal)
  }
}

/**
 * For as long as nobody can tell, nothing is acknowledged. Rejects as the store does, and with what `refuseWhenEnded` throws,
 * which is asked before each new try.
 */
export async function proveAppended(
  { store, clock, log, term, signal }: Asking,
  refuseWhenEnded: () => void,
): Promise<void> {
  if (store.prove === undefined) return
  for (let pauseMs = RETRY_MIN_MS; ; pauseMs = longer(pauseMs)) {
    try {
      return await untilAborted(store.prove('appended'), signal)
    } catch (error) {
      if (!CatalogError.is(error, 'UNAVAILABLE')) throw error
      const facts = { term, error: error.message, pauseMs }
      log('warn', "the catalog's files can't be looked for", {
        event: 'catalog-files-unproven',
        ...facts,
      })
    }
    await pause(clock, pauseMs, signal)
    refuseWhenEnded()
  }
}

/** Writes all of it, which may be in memory only: `failed` is told so, for people. */
export async function writeAnew(
  { store, clock, log, term, signal }: Asking,
  state: CatalogState,
  { done, failed }: { readonly done: () => void; readonly failed: (text: string) => void },
): Promise<void> {
  for (let pauseMs = RETRY_MIN_MS; !signal.aborted; pauseMs = longer(pauseMs)) {
    try {
      if (store.replace !== undefined) {
        await untilAborted(store.replace(term, state), signal)
        log('warn', 'the catalog was written anew from memory', {
          event: 'catalog-rewritten',
          term,
        })
      }
      done()
      return
    } catch (error) {
      if (signal.aborted) return
      const text = `the catalog is in this master's memory only, and can't be written anew: ${messageOf(error)}`
      failed(text)
      log('error', text, { event: 'catalog-rewrite-failed', term, pauseMs })
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
    log('info', `the catalog is being opened: ${text}`, { event: 'catalog-opening', term, forMs })
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
