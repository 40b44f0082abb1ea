/**
 * The auditor: what must hold at every instant, whatever befalls the masters. It sees what clients and the storage see,
 * and nothing of the protocol's inside.
 *
 * - A term belongs to one master, for ever, and each master's terms grow.
 * - A change is acknowledged only if every higher term that has read the catalog has it: so nothing acknowledged is lost
 *   and no two masters acknowledge side by side. Whoever acknowledges a change knows all that was acknowledged before
 *   a client asked for it, and by its own clock its lease is not over.
 * - Acknowledged changes keep their order in every later term.
 * - Nothing is answered under a term, reads neither, before the history says that it has served, and before its heartbeat
 *   was touched after that: else the next term may have passed over it, and whatever it kept.
 * - Two masters that are awake never both say `mayServe` at one instant. There are two exceptions, for reads only. On a host
 *   that was just thawed from a suspension they may be old until the renewal that follows the thaw. And a holder may
 *   come back to life, and renew, in the one round trip between a successor's last look at its heartbeat and the unlink:
 *   if it then stands still for a second time, past the settling, it serves until its next renewal. Only waiting for D
 *   at every take-over would exclude that, and M would be missed each time.
 */
import { HISTORY_DIR, historyTermOf, termOf } from '../../lib/ha/words/layout.ts'
import { split } from './world/server.ts'
import type { Storage } from './world/storage.ts'

export interface Change {
  readonly id: number
  readonly term: number
  /** Its place in the term's own order. */
  readonly place: number
}

/** What a client saw when it asked: all that was acknowledged by then must be known to whoever answers. */
export interface Asked {
  readonly id: number
  readonly ackedBefore: number
}

/** One master at this instant, as far as the auditor cares. */
export interface Serving {
  readonly name: string
  readonly awake: boolean
  readonly serves: boolean
  readonly term: number | null
  /** Reads may be old: the stated exception. */
  readonly excused: boolean
  /** Its host was suspended lately: what it concluded before may be older than its own clock can tell. */
  readonly slept: boolean
  /** When its newest renewal began, if it stood still since then; else null. */
  readonly renewedThenStalledMs: number | null
}

export class Violation extends Error {
  readonly rule: string
  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`)
    this.name = 'Violation'
    this.rule = rule
  }
}

interface Known {
  readonly owner: string
  ids: Set<number>
  /** It has read the catalog. */
  read: boolean
}

export class Auditor {
  readonly #terms = new Map<number, Known>()
  readonly #acked: Change[] = []
  /** When a successor last looked at the heartbeat of a term before it ended it. */
  readonly #lookedMs = new Map<number, number>()
  readonly #newestOf = new Map<string, number>()
  /** How far the terms are that may answer soon: the history says that they serve; and they were renewed since. */
  readonly #onRecord = new Map<number, 'recorded' | 'renewed'>()
  readonly #nowMs: () => number
  #nextId = 1
  /** The first rule that was broken. Kept, not thrown: the code under test could catch it. */
  violation: Violation | null = null
  /** Instants, ms: some master served; the newest acknowledgement; how many there were. */
  servedMs = Number.NEGATIVE_INFINITY
  ackedMs = Number.NEGATIVE_INFINITY
  acks = 0
  excusedReads = 0
  activations = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** To be called once for the directory that its terms are in. */
  follow(storage: Storage): void {
    storage.onWritten = (path) => {
      const [directory, name] = split(path)
      const { term, served } = (directory === HISTORY_DIR && historyTermOf(name)) || NO_TERM
      if (served && !this.#onRecord.has(term)) this.#onRecord.set(term, 'recorded')
    }
    storage.onTouched = (path) => {
      const term = termOf(split(split(path)[0])[1]) ?? 0
      if (this.#onRecord.get(term) === 'recorded') this.#onRecord.set(term, 'renewed')
    }
  }

  ask(): Asked {
    return { id: this.#nextId++, ackedBefore: this.#acked.length }
  }

  /** `owner` names one life of one master. */
  onActivate(term: number, owner: string): void {
    const known = this.#terms.get(term)
    if (known !== undefined && known.owner !== owner) {
      this.#fail('one term, one master', `${owner} activates ${term} of ${known.owner}`)
    }
    const newest = this.#newestOf.get(owner) ?? 0
    if (term <= newest) {
      this.#fail('terms only grow', `${owner} activates ${term} after ${newest}`)
    }
    this.#newestOf.set(owner, term)
    this.activations += 1
    if (known === undefined) this.#terms.set(term, { owner, ids: new Set(), read: false })
  }

  /** A successor looks at the heartbeat of `term`, just before it unlinks it; `spreadMs`: how long a call takes at most. */
  onLastLook(term: number, spreadMs: number): void {
    this.#lookedMs.set(term, this.#nowMs() - spreadMs)
  }

  onRead(term: number, changes: readonly Change[]): void {
    const known = this.#known(term)
    known.ids = new Set(changes.map((change) => change.id))
    known.read = true
    for (const acked of this.#acked) {
      if (acked.term < term && !known.ids.has(acked.id)) {
        this.#fail(
          'nothing acknowledged is lost',
          `term ${term} reads the catalog without change ${acked.id}, acknowledged by term ${acked.term}`,
        )
      }
    }
    const order = new Set(this.#acked.map((change) => change.id))
    let before: Change | null = null
    for (const change of changes) {
      if (!order.has(change.id)) continue
      if (before !== null && !isAfter(change, before)) {
        this.#fail(
          'acknowledged changes keep their order',
          `term ${term} has change ${change.id} behind ${before.id}`,
        )
      }
      before = change
    }
  }

  onApply(change: Change): void {
    this.#known(change.term).ids.add(change.id)
  }

  /** `answers`: by its own clock the master may still answer anything at all. */
  onAck(change: Change, { ackedBefore }: Asked, answers: boolean): void {
    if (!answers) {
      this.#fail(
        'nothing is answered after the deadline',
        `term ${change.term} acknowledges change ${change.id} after its lease was over`,
      )
    }
    this.#answers(change.term)
    const { ids } = this.#known(change.term)
    for (const [term, known] of this.#terms) {
      if (term > change.term && known.read && !known.ids.has(change.id)) {
        this.#fail(
          'no two acknowledge side by side',
          `term ${change.term} acknowledges change ${change.id} after term ${term} has read the catalog without it`,
        )
      }
    }
    for (const acked of this.#acked.slice(0, ackedBefore)) {
      if (!ids.has(acked.id)) {
        this.#fail(
          'whoever acknowledges knows all before',
          `term ${change.term} acknowledges change ${change.id} without knowing ${acked.id} of term ${acked.term}`,
        )
      }
    }
    this.#acked.push(change)
    this.ackedMs = this.#nowMs()
    this.acks += 1
  }

  /** Called after every step of the world. */
  look(masters: readonly Serving[]): void {
    let serving: Serving | null = null
    for (const master of masters) {
      if (!master.awake || !master.serves) continue
      this.servedMs = this.#nowMs()
      this.#answers(master.term ?? 0)
      if (serving !== null) this.#both(serving, master)
      if (serving === null || (master.term ?? 0) > (serving.term ?? 0)) serving = master
    }
  }

  #answers(term: number): void {
    const is = this.#onRecord.get(term)
    if (is === 'renewed') return
    const why =
      is === undefined
        ? 'the history does not say that it serves'
        : 'it was not renewed since it is on record'
    this.#fail('a term answers only once it is on record', `term ${term} answers, and ${why}`)
  }

  #both(a: Serving, b: Serving): void {
    const [older, younger] = (a.term ?? 0) < (b.term ?? 0) ? [a, b] : [b, a]
    // No clock of a suspended successor tells that its look, right before it ended the holder, is old by now.
    const lookedMs = this.#lookedMs.get(older.term ?? 0) ?? Number.POSITIVE_INFINITY
    const cameBack = older.renewedThenStalledMs !== null && older.renewedThenStalledMs > lookedMs
    if (older.excused || younger.slept || cameBack) {
      this.excusedReads += 1
      return
    }
    this.#fail(
      'one serves',
      `${a.name} (term ${a.term}) and ${b.name} (term ${b.term}) serve at the same instant`,
    )
  }

  #fail(rule: string, message: string): void {
    this.violation ??= new Violation(rule, message)
  }

  #known(term: number): Known {
    const known = this.#terms.get(term)
    if (known === undefined) throw new Error(`term ${term} was never activated`)
    return known
  }
}

const NO_TERM = { term: 0, served: false } as const

const isAfter = (a: Change, b: Change): boolean =>
  a.term > b.term || (a.term === b.term && a.place > b.place)
