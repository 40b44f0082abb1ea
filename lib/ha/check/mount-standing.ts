/**
 * What is to be told of the directory's mount while a master runs on it: as its start found it, and judged anew once in a
 * monitor interval. A check that has passed meanwhile ends the alert of a mount that nobody had proven, one that saw it fail
 * begins it, and a mount may have come back with other options than it went with. Nobody is stopped by it.
 */
import { messageOf } from '../words/errors.ts'
import type { Clock, Log } from '../world/ports.ts'
import type { MountAlerts } from './mount-admission.ts'

export interface MountStandingOptions {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly periodMs: number
  /** Rejects where nobody can tell now. Null: the mount never changes. */
  readonly judge: (() => Promise<MountAlerts>) | null
}

export class MountStanding {
  readonly #o: MountStandingOptions
  #told: MountAlerts
  #judging = false
  #judgedMs = Number.NEGATIVE_INFINITY

  constructor(options: MountStandingOptions, atStart: MountAlerts) {
    this.#o = options
    this.#told = atStart
  }

  get told(): MountAlerts {
    return this.#told
  }

  /** To be called when the directory has just answered from the mount that was joined. Never rejects. */
  async consider(): Promise<void> {
    const { clock, log, periodMs, judge } = this.#o
    if (judge === null || this.#judging || clock.nowMs() - this.#judgedMs < periodMs) return
    this.#judging = true
    this.#judgedMs = clock.nowMs()
    try {
      this.#tell(await judge())
    } catch (error) {
      log('debug', `the mount can't be judged now: ${messageOf(error)}`)
    } finally {
      this.#judging = false
    }
  }

  #tell(now: MountAlerts): void {
    const [before, after] = [textsOf(this.#told), textsOf(now)]
    this.#told = now
    for (const text of after) if (!before.includes(text)) this.#o.log('warn', text)
    for (const text of before) if (!after.includes(text)) this.#o.log('info', `over: ${text}`)
  }
}

const textsOf = ({ critical, warnings }: MountAlerts): string[] => [...critical, ...warnings]
