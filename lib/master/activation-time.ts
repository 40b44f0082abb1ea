/**
 * How long this master's last activation took, against what the monitor interval leaves for it: the promise that a lost host
 * is replaced within M holds only while a take-over's last step, the opening of the catalog, fits into the rest. Nobody
 * would notice before the day of the loss, so whoever is active and took longer says so, with the numbers.
 *
 * Terms of this master by why they began, for metrics. The record of how a term came about is written after it serves, so
 * it is looked for a few times; a term whose record can't be found counts as `unknown`.
 *
 * All reasons are counted from 0: a reason that first shows up as 1 has not increased, as Prometheus sees it, and no
 * alert would tell of the first failover.
 */
import type { Clock } from '../base/time.ts'
import { type HistoryEntry, lossMs, type Timing } from '../ha/index.ts'

const LOOK_MS = 500
const LOOKS = 10
/** So long people are told that the term before was given up: it went on without them. */
const TOLD_MS = 24 * 3600 * 1000

type End = NonNullable<NonNullable<HistoryEntry['served']>['previousEnd']>
type BeginReason = HistoryEntry['term']['reason'] | End['reason'] | 'unknown'

/** As a record, so that the compiler asks for a reason that is new. Terms of these two never serve. */
const NONE_YET: Readonly<Record<Exclude<BeginReason, 'format' | 'swept'>, 0>> = {
  'first-start': 0,
  stopped: 0,
  'handed-over': 0,
  'master-died': 0,
  'master-hung': 0,
  'gave-up': 0,
  'process-dead': 0,
  expired: 0,
  command: 0,
  released: 0,
  unknown: 0,
}

interface TermsBegunOptions {
  readonly newest: () => Promise<readonly HistoryEntry[]>
  readonly clock: Clock
}

export class TermsBegun {
  readonly counts = new Map<string, number>(Object.entries(NONE_YET))
  readonly #options: TermsBegunOptions
  #given: { readonly why: string; readonly sinceMs: number } | null = null

  constructor(options: TermsBegunOptions) {
    this.#options = options
  }

  /** Why the term before the last one of this master's was given up by its holder, as a sentence; null if it wasn't. */
  get givenUp(): string | null {
    const { clock } = this.#options
    return this.#given === null || clock.nowMs() - this.#given.sinceMs > TOLD_MS
      ? null
      : this.#given.why
  }

  /** A term of this master serves. */
  began(term: number): void {
    void this.#look(term, LOOKS)
  }

  async #look(term: number, left: number): Promise<void> {
    // What can't be read now may be at the next look; the count says in the end that it was not.
    const entries = await this.#options.newest().catch((): readonly HistoryEntry[] => [])
    const entry = entries.find((one) => one.term.term === term)
    if (entry?.served != null || left === 0) {
      const reason = entry === undefined ? 'unknown' : whyBegan(entry)
      const why = entry === undefined ? null : whyGivenUp(entry)
      this.#given = why === null ? null : { why, sinceMs: this.#options.clock.nowMs() }
      this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1)
      return
    }
    this.#options.clock.after(LOOK_MS, () => void this.#look(term, left - 1))
  }
}

function whyGivenUp({ term, served }: HistoryEntry): string | null {
  const { previousTerm, previousAddress } = term
  const end = served?.previousEnd
  if (end?.reason !== 'gave-up') return null
  return `term ${previousTerm} was given up by ${previousAddress ?? 'its holder'}: ${end.by}`
}

/** The predecessor's own last word where it left one: of a killed master its keeper says it. */
export function whyBegan({ term, served }: HistoryEntry): BeginReason {
  const said = term.reason === 'released' || term.reason === 'handed-over'
  return (said ? served?.previousEnd?.reason : null) ?? term.reason
}

/** What is left of M for the activation when nothing proves the death of the last active; ms. */
export const roomForActivationMs = (timing: Timing): number =>
  timing.monitorMs - lossMs({ ...timing, activationMs: 0 })

/** A sentence when it took longer than there is room for; null when it did not. */
export function slowActivation(term: number, tookMs: number, timing: Timing): string | null {
  const roomMs = roomForActivationMs(timing)
  if (tookMs <= roomMs) return null
  const enoughMs = Math.ceil((timing.monitorMs * tookMs) / roomMs / 1000) * 1000
  return `this master took ${seconds(tookMs)} s to open the catalog in term ${term}, and a monitor interval of ${seconds(timing.monitorMs)} s leaves ${seconds(roomMs)} s for it: a host that is lost may be replaced later than promised. Either the storage is slow, or the catalog is large for it; tajo.master.ha.monitor.interval would have to be ${enoughMs / 1000} s`
}

const seconds = (ms: number): string => String(Math.round(ms / 100) / 10)
