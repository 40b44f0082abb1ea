/**
 * What a master owes its service and its keeper while a term goes from its beginning to its end: the service opens, drains
 * and ends what it has under the term, and the keeper is told of each as soon as it is done, and never before. The keeper
 * releases the term on these words, and a successor then serves at once.
 */
import { comesOfNoSpace, HaError, messageOf } from '../words/errors.ts'
import type { ToKeeper, ToMaster } from '../words/messages.ts'
import type { Log } from '../world/ports.ts'
import type { HeldTerm } from './held-term.ts'
import type { KeeperRequests } from './keeper-requests.ts'
import type { MasterState, Service } from './member-api.ts'

interface TermDutyOptions {
  readonly service: Service
  readonly log: Log
  readonly term: HeldTerm
  readonly requests: KeeperRequests
  readonly send: (message: ToKeeper) => void
  readonly onState: (state: MasterState) => void
  /** `trouble` is another one. */
  readonly onTrouble: () => void
}

export class TermDuty {
  readonly #o: TermDutyOptions
  #trouble: string | null = null

  constructor(options: TermDutyOptions) {
    this.#o = options
  }

  /** What keeps the activation waiting. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** Resolves when it is open and told, or has failed and that is told. */
  async activate({ term, untilMs, takeOver }: ToMaster & { type: 'activate' }): Promise<void> {
    const signal = this.#o.term.begin(term, untilMs, takeOver)
    this.#trouble = null
    this.#o.onState('activating')
    try {
      await this.#o.service.activate(term, signal, {
        onTrouble: (why, cause) => {
          if (!this.#o.term.holds(term)) return
          if (comesOfNoSpace(cause)) this.#o.send({ type: 'no-room', term })
          this.#trouble = why
          this.#o.onTrouble()
        },
        renewed: async () => {
          if (this.#o.term.holds(term)) await this.#o.requests.renewal(term)
          else throw new HaError('NOT_ACTIVE', `term ${term} is over`)
        },
      })
    } catch (error) {
      if (!this.#o.term.holds(term)) return
      this.end(messageOf(error))
      this.#o.send({ type: 'activation-failed', term, why: messageOf(error) })
      return
    }
    if (this.#o.term.open(term)) this.tellOpened()
  }

  /** To each keeper anew: the one before may have died before it put the term on record, or after. */
  tellOpened(): void {
    const keeps = this.#o.service.keeps?.() ?? null
    const term = this.#o.term.number
    this.#o.send({ type: 'opened', term, ...(keeps === null ? {} : { keeps }) })
  }

  /** The keeper's word: it is on record, and renewed since. */
  serve(term: number): void {
    if (!this.#o.term.serve(term)) return
    // Not by itself active: its lease may have run out.
    const state = this.#o.term.state()
    if (state !== null) this.#o.onState(state)
    this.#o.requests.repeat('all')
  }

  /**
   * Nothing new from here on; what was accepted may finish and commit. `drained` is the word on which the keeper
   * releases the term, and a successor then serves at once: so the term is dropped for good before it is given. Were it
   * only paused, a new keeper could take it up again beside the successor.
   */
  async drain(term: number, successor: string | null): Promise<void> {
    if (!this.#o.term.drain(term)) return
    this.#o.onState('stepping-down')
    try {
      await this.#o.service.drain(term, successor)
    } catch (error) {
      this.#o.log('error', `draining term ${term} failed: ${messageOf(error)}`, {
        event: 'drain-failed',
        term,
      })
    }
    await this.#drop(term, 'handed over')
    this.#o.send({ type: 'drained', term })
  }

  /** Carries out the keeper's order to stop at once. It is answered for a term that is over already, too. */
  async deactivate(term: number, reason: string): Promise<void> {
    await this.#drop(term, reason)
    this.#o.send({ type: 'deactivated', term })
    if (this.#o.term.is === null) this.#o.onState('backup')
  }

  async #drop(term: number, reason: string): Promise<void> {
    if (!this.#o.term.holds(term)) return
    this.end(reason)
    this.#o.onState('stepping-down')
    try {
      await this.#o.service.deactivate(term, reason)
    } catch (error) {
      this.#o.log('error', `deactivating term ${term} failed: ${messageOf(error)}`, {
        event: 'deactivation-failed',
        term,
      })
    }
  }

  /** Of whatever term is held. Synchronous, so that not one request is served after it. */
  end(reason: string): void {
    const over = new HaError('NOT_ACTIVE', reason)
    this.#o.term.end(over)
    this.#o.requests.failCommits(over)
  }
}
