/**
 * The master's part in the contest (contest.ts): letters go between its keeper, which decides, and the network, which only
 * the master speaks over. It keeps nothing but who waits for an answer.
 */
import type { Delivery, Letter, LetterReply } from '../rules/contest.ts'
import { HaError } from '../words/errors.ts'
import type { ToKeeper, ToMaster } from '../words/messages.ts'

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

  /** One of ours. */
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

  /** One of another master's. */
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
