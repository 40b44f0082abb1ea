/**
 * What the master has asked of its keeper and waits for: commands, each answered once, and commits.
 *
 * The two differ when a keeper dies. A command was perhaps begun, so it is told as failed and whoever gave it looks. A
 * commit asks only for a renewal that begins later, so it is asked again of the next keeper and fails only with its term.
 *
 * `Letters` is the master's part in the contest (rules/contest.ts): letters go between its keeper, which decides, and the
 * network, which only the master speaks over. It keeps nothing but who waits for an answer.
 */
import type { Delivery, Letter, LetterReply } from '../rules/contest-state.ts'
import { HaError } from '../words/errors.ts'
import type { ToKeeper, ToMaster } from '../words/messages.ts'
import type { HeldTerm } from './held-term.ts'
import type { HistoryEntry } from './member-api.ts'

type Deliver = (to: string, letter: Letter) => Promise<Delivery>
type Sent = ToMaster & { readonly type: 'send-letter' }

export class Letters {
  readonly #tell: (message: ToKeeper) => void
  readonly #asked = new Map<
    number,
    { resolve(reply: LetterReply): void; reject(error: HaError): void }
  >()
  #deliver: Deliver | null = null
  /** Written before anybody could deliver them. */
  #waiting: Sent[] = []
  #letters = 0

  constructor(tell: (message: ToKeeper) => void) {
    this.#tell = tell
  }

  use(deliver: Deliver): void {
    this.#deliver = deliver
    for (const letter of this.#waiting.splice(0)) this.send(letter)
  }

  /** Sends one of ours. */
  send(message: Sent): void {
    const { id, to, letter } = message
    if (this.#deliver === null) {
      this.#waiting.push(message)
      return
    }
    void this.#deliver(to, letter).then((delivery) =>
      this.#tell({ type: 'delivered', id, delivery }),
    )
  }

  /** Takes one of another master's. */
  take(letter: Letter): Promise<LetterReply> {
    this.#letters += 1
    const id = this.#letters
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      this.#tell({ type: 'letter', id, letter })
    })
  }

  onReply(id: number, reply: LetterReply): void {
    this.#asked.get(id)?.resolve(reply)
    this.#asked.delete(id)
  }

  /** The keeper is gone: what it was asked it will not answer. */
  forget(): void {
    this.#waiting = []
    const gone = new HaError('KEEPER_FAILED', 'the keeper is being replaced')
    for (const { reject } of this.#asked.values()) reject(gone)
    this.#asked.clear()
  }
}

interface Pending<T = void> {
  readonly resolve: (value: T) => void
  readonly reject: (error: HaError) => void
}

export class KeeperRequests {
  readonly #send: (message: ToKeeper) => boolean
  #nextId = 1
  #commits = new Map<number, Pending & { readonly term: number; readonly isCommit: boolean }>()
  #commands = new Map<number, Pending<readonly HistoryEntry[]>>()

  /** `send` answers false when there is no keeper. */
  constructor(send: (message: ToKeeper) => boolean) {
    this.#send = send
  }

  /** Resolves with the keeper's answer, empty for an order. Rejects with its refusal, or KEEPER_FAILED. */
  command(make: (id: number) => ToKeeper): Promise<readonly HistoryEntry[]> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#commands.set(id, { resolve, reject })
      if (this.#send(make(id))) return
      this.#commands.delete(id)
      reject(new HaError('KEEPER_FAILED', 'there is no keeper at the moment'))
    })
  }

  onAnswer(id: number, entries: readonly HistoryEntry[]): void {
    this.#commands.get(id)?.resolve(entries)
    this.#commands.delete(id)
  }

  onRefusal(id: number, { code, message }: Pick<HaError, 'code' | 'message'>): void {
    this.#commands.get(id)?.reject(new HaError(code, message))
    this.#commands.delete(id)
  }

  /** The keeper is gone, with whatever it had been ordered to do. */
  failCommands(): void {
    for (const [id, command] of this.#commands) {
      this.#commands.delete(id)
      command.reject(new HaError('KEEPER_FAILED', 'the keeper died during the command'))
    }
  }

  /**
   * Resolves after a renewal of `term` that began later. Rejects with the reason given to `failCommits`. `now`: it is asked
   * for at once, not only by `repeat`.
   */
  commit(term: number, now: boolean): Promise<void> {
    return this.#renewal({ term, isCommit: true }, now)
  }

  /** The same for a term that doesn't serve yet. */
  renewal(term: number): Promise<void> {
    return this.#renewal({ term, isCommit: false }, true)
  }

  #renewal(of: { term: number; isCommit: boolean }, now: boolean): Promise<void> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#commits.set(id, { resolve, reject, ...of })
      if (now) this.#send({ type: 'commit', id, term: of.term })
    })
  }

  /** A keeper that died took the commits it knew with it, and before the term serves none is asked for; twice does no harm. */
  repeat(which: 'all' | 'renewals'): void {
    for (const [id, { term, isCommit }] of this.#commits) {
      if (which === 'all' || !isCommit) this.#send({ type: 'commit', id, term })
    }
  }

  /** The word may come after the deadline, when this process or its host stood still: then it takes a newer renewal. */
  onCommitted(ids: readonly number[], held: Pick<HeldTerm, 'mayFinish' | 'isOurs'>): void {
    for (const id of ids) {
      const commit = this.#commits.get(id)
      if (commit === undefined) continue
      if (!(commit.isCommit ? held.mayFinish() : held.isOurs())) {
        this.#send({ type: 'commit', id, term: commit.term })
        continue
      }
      this.#commits.delete(id)
      commit.resolve()
    }
  }

  /** The term is over. */
  failCommits(error: HaError): void {
    for (const commit of this.#commits.values()) commit.reject(error)
    this.#commits.clear()
  }
}
