/**
 * The audit log of a daemon: a JSON line for each entry, in a file of its own that nobody else can read (mode 0600), beside
 * the log. It is opened anew by the same signal, and put aside by size as the log is, with limits of its own.
 *
 * Strangers add to it whenever they are refused. So refusals beyond a rate are counted and not told one by one: nobody can
 * push what others have done out of the last of its files.
 */
import type { Audit } from '../base/audit.ts'
import type { Clock } from '../base/time.ts'
import { waitingClock, within } from '../base/time.ts'
import { RotatingFile } from './rotating-file.ts'

export interface AuditLimits {
  readonly maxBytes: number
  /** So many old files are kept. */
  readonly keep: number
  /** Whether what a statement says is written too. */
  readonly withTexts: boolean
}

interface AuditFileOptions extends AuditLimits {
  readonly file: string
  /** Part of every line. */
  readonly base: Readonly<Record<string, unknown>>
  readonly clock: Clock
  readonly wallMs: () => number
  /** Gets trouble with the file itself. */
  readonly onTrouble: (message: string) => void
}

export interface AuditFile {
  readonly audit: Audit
  /** Why its last lines could not be written; null when they were. It is for people. */
  trouble(): string | null
  /** They are the limits from now on. */
  limit(limits: AuditLimits): void
  reopen(): void
  /** Resolves when all is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>
}

const MODE = 0o600
/** So many refusals at once, and then one in so many ms. */
const BURST = 100
const REFUSAL_MS = 1000
/** No text is longer: a mistake elsewhere must not fill the file. */
const LONGEST_TEXT = 20_000

/** Throws an Error that names the file when it can't be written. Its directory is the log's, which was judged. */
export function openAuditFile(options: AuditFileOptions): AuditFile {
  const { file, base, clock, wallMs, onTrouble } = options
  let limits: AuditLimits = options
  const lineOf = (event: string, facts: Readonly<Record<string, unknown>>): string =>
    `${JSON.stringify({ time: new Date(wallMs()).toISOString(), event, ...base, ...facts })}\n`
  const target = new RotatingFile(file, {
    maxBytes: options.maxBytes,
    keep: options.keep,
    mode: MODE,
    lostLine: (count) => lineOf('lost', { count }),
    onTrouble: (error) => onTrouble(`can't write the audit log ${file}: ${error.message}`),
  })
  const rate = new Rate(clock)
  return {
    audit(event, facts, texts = {}) {
      if (event === 'refusal') {
        const left = rate.leftOut()
        if (left === null) return
        if (left > 0) target.write(lineOf('lost', { count: left, of: 'refusal' }))
      }
      target.write(lineOf(event, limits.withTexts ? { ...facts, ...cutAll(texts) } : facts))
    },
    trouble: () =>
      target.trouble === null
        ? null
        : `its audit log ${file} can't be written (${target.trouble.message}): entries are lost`,
    limit(now) {
      limits = now
      target.limit(now)
    },
    reopen: () => target.reopen(),
    async flush(timeoutMs) {
      await within(waitingClock, timeoutMs, target.flushed(), () => {})
    },
  }
}

const cutAll = (texts: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, cut(text)]))

const cut = (text: unknown): unknown =>
  typeof text === 'string' && text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text

class Rate {
  readonly #clock: Clock
  #left = BURST
  #sinceMs: number
  #leftOut = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.nowMs()
  }

  /** How many were left out before this one; null: this one is, too. */
  leftOut(): number | null {
    const more = Math.floor((this.#clock.nowMs() - this.#sinceMs) / REFUSAL_MS)
    this.#sinceMs += more * REFUSAL_MS
    this.#left = Math.min(BURST, this.#left + more)
    if (this.#left === 0) {
      this.#leftOut += 1
      return null
    }
    this.#left -= 1
    const count = this.#leftOut
    this.#leftOut = 0
    return count
  }
}
