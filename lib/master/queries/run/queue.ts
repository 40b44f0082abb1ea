/**
 * What waits for a worker: in turns among the users, and for each of them in the order of submission. Whoever has sent a
 * thousand statements has one of them begun for each one of somebody else's. It is bounded, in all and for each user: how
 * many wait, how many of a user run, and how much text is kept for them. Pure.
 *
 * A user is the name that a session tells; who tells none is the user ''. What nobody asked for (joining files) has a turn
 * of its own, and no bound of a user's counts for it.
 */
import type { Task } from '../../../contract/index.ts'
import { isBackground, isLong, type Query } from './query.ts'

export interface QueueBounds {
  /** So many may wait. */
  readonly most: number
  /** So many of one user may wait. */
  readonly mostOfUser: number
  /** So many of one user run at a time; 0: as many as there are slots. */
  readonly runningOfUser: number
  /** Long statements that wait, or are still needed as they were sent, have at most so many characters together. */
  readonly chars: number
}

/** One user has at most this part of the characters. */
const USERS_PART = 2

const userOf = (query: Pick<Query, 'user' | 'task'>): string | null =>
  isBackground(query) ? null : query.user

/** The characters that are kept for it beyond its record; a short one takes no room that is worth counting. */
function charsOf(task: Task): number {
  const variables = Object.entries(task.session.variables)
  const chars = variables.reduce(
    (sum, [name, value]) => sum + name.length + value.length,
    task.sql.length,
  )
  return isLong(chars) ? chars : 0
}

export class Queue {
  readonly #bounds: QueueBounds
  /** By user, the one first whose turn is next. */
  readonly #waiting = new Map<string | null, Set<Query>>()
  /** Had their turn, and came back from a worker that did not take them, or begin anew. */
  readonly #returned: Query[] = []
  #size = 0
  /** They have a slot. */
  readonly #running = new Map<Query, string | null>()
  readonly #runningOf = new Map<string | null, number>()
  /** Their statements are kept as they were sent. */
  readonly #held = new Map<Query, { readonly user: string | null; readonly chars: number }>()
  readonly #heldOf = new Map<string | null, number>()
  #heldChars = 0

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#size + this.#returned.length
  }

  /** So many of them could be begun if there were slots. */
  get takeable(): number {
    if (this.#bounds.runningOfUser === 0) return this.size
    let count = this.#returned.filter((query) => this.#roomOf(userOf(query)) > 0).length
    for (const [user, queries] of this.#waiting) count += Math.min(queries.size, this.#roomOf(user))
    return count
  }

  /** Why it may not be taken; null: it may. `atOnce`: a worker has a slot for it. */
  whyFull(user: string, task: Task, atOnce: boolean): string | null {
    const { most, mostOfUser, chars } = this.#bounds
    const own = charsOf(task)
    const ofUser = (this.#heldOf.get(user) ?? 0) + own
    if (own > 0 && ofUser > chars / USERS_PART) {
      const text = `the long statements of user "${user}" that wait or write have ${ofUser} characters with this one, and may have ${Math.floor(chars / USERS_PART)}, half of ${QUEUE_CHARS_KEY}`
      return `${text}; try again when some of them have run`
    }
    if (own > 0 && this.#heldChars + own > chars) {
      const text = `all long statements that wait or write have ${this.#heldChars + own} characters with this one, and may have ${chars}`
      return `${text} (${QUEUE_CHARS_KEY}); try again later`
    }
    if (atOnce && this.#roomOf(user) > 0) return null
    const waiting = this.#waiting.get(user)?.size ?? 0
    if (this.size >= most) {
      return `${this.size} queries wait for a worker already (tajo.master.query.queue.limit); try again later`
    }
    if (waiting < mostOfUser) return null
    return `${waiting} queries of user "${user}" wait already, and ${mostOfUser} of one user may (tajo.query.queue.per-user); try again when some of them have run`
  }

  add(query: Query): void {
    const user = userOf(query)
    const own = this.#waiting.get(user)
    if (own === undefined) this.#waiting.set(user, new Set([query]))
    else own.add(query)
    this.#size += 1
  }

  /** It is before all that wait. */
  addFirst(query: Query): void {
    this.#returned.push(query)
  }

  /** Takes it out; its user is the last in turn then. Null: none that may run. */
  takeNext(): Query | null {
    const returned = this.#returned.findIndex((query) => this.#roomOf(userOf(query)) > 0)
    if (returned >= 0) return this.#returned.splice(returned, 1)[0] ?? null
    for (const [user, queries] of this.#waiting) {
      const [first] = queries
      if (first === undefined || this.#roomOf(user) <= 0) continue
      this.delete(first)
      if (queries.size > 0) {
        this.#waiting.delete(user)
        this.#waiting.set(user, queries)
      }
      return first
    }
    return null
  }

  delete(query: Query): void {
    const at = this.#returned.indexOf(query)
    if (at >= 0) this.#returned.splice(at, 1)
    const user = userOf(query)
    const own = this.#waiting.get(user)
    if (own?.delete(query) !== true) return
    this.#size -= 1
    if (own.size === 0) this.#waiting.delete(user)
  }

  /** It has a slot from now on, or none any more. */
  noteSlot(query: Query, has: boolean): void {
    const before = this.#running.get(query)
    if (has === (before !== undefined)) return
    const user = before === undefined ? userOf(query) : before
    change(this.#runningOf, user, has ? 1 : -1)
    if (has) this.#running.set(query, user)
    else this.#running.delete(query)
  }

  /** Its statement is kept from now on. */
  hold(query: Query, task: Task): void {
    const chars = charsOf(task)
    this.release(query)
    if (chars === 0) return
    const user = userOf(query)
    this.#held.set(query, { user, chars })
    change(this.#heldOf, user, chars)
    this.#heldChars += chars
  }

  /** It is kept no more. */
  release(query: Query): void {
    const held = this.#held.get(query)
    if (held === undefined) return
    this.#held.delete(query)
    change(this.#heldOf, held.user, -held.chars)
    this.#heldChars -= held.chars
  }

  /** So many more of that user's may run. */
  #roomOf(user: string | null): number {
    const { runningOfUser } = this.#bounds
    if (runningOfUser === 0 || user === null) return Number.POSITIVE_INFINITY
    return runningOfUser - (this.#runningOf.get(user) ?? 0)
  }
}

const QUEUE_CHARS_KEY = 'tajo.master.query.queue.max-size'

function change<K>(counts: Map<K, number>, key: K, by: number): void {
  const count = (counts.get(key) ?? 0) + by
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
