/**
 * When the joining of small files takes its turn among the queries. Mostly it gives way to them; where they take all slots
 * all the time it would never come to its end, and each try would read more files than the one before.
 *
 * So what was held up for a few looks takes its turn: it keeps its slot, does little at a time, and rests for twice as long as
 * it took, its waiting included; where it got a slot at once it tries instead whether it is left one again. It does neither
 * while there are more files than once before, or one table has more to join than a turn takes: they come faster than that,
 * and INSERTs have to wait for it.
 *
 * Pure. Times are the caller's clock, in ms.
 */

/** Held up for so many looks, it takes its turn. */
const PATIENCE = 3
/** After that it rests for so many times as long as it took. */
const REST_FACTOR = 2

export interface Turn {
  /** Among the queries, rather than after them. */
  readonly inTurn: boolean
  /** Files come faster than turns with rests between them join them. */
  readonly isBehind: boolean
  /** To be rested first; 0: nothing. */
  readonly restMs: number
}

export class TurnTaking {
  /** Since when queries have left it no slot for as long as it needs one; null: they do. */
  #heldUpMs: number | null = null
  /** When the last one began that took its turn; of an earlier term's, when this term began. */
  #turnMs: number
  /** How many files there were at such a time, at least. */
  #fewestFiles = Number.POSITIVE_INFINITY
  /** Tables that had more to join than their last turn took. */
  readonly #overfull = new Set<number>()
  #restUntilMs = Number.NEGATIVE_INFINITY
  /** The last turn had its slot at once: perhaps queries leave it one again. */
  #hopes = false
  readonly #patienceMs: number

  /** `checkMs`: between two looks. */
  constructor(beganMs: number, checkMs: number) {
    this.#turnMs = beganMs
    this.#patienceMs = PATIENCE * checkMs
  }

  /** Queries have left it no slot since then, if not for longer. */
  heldUp(sinceMs: number): void {
    this.#heldUpMs ??= sinceMs
  }

  /** Queries leave it a slot, or nobody needs one. */
  leftAlone(): void {
    this.#heldUpMs = null
    this.#fewestFiles = Number.POSITIVE_INFINITY
    this.#overfull.clear()
    this.#hopes = false
  }

  isOverdue(nowMs: number): boolean {
    return this.#heldUpMs !== null && nowMs - this.#heldUpMs >= this.#patienceMs
  }

  /** What is to be done where it is overdue or not, and all tables that are its business have so many files. */
  next(isOverdue: boolean, files: number, nowMs: number): Turn {
    const isBehind = files > this.#fewestFiles || this.#overfull.size > 0
    const inTurn = isOverdue && (isBehind || !this.#hopes)
    const restMs = inTurn && !isBehind ? Math.max(0, this.#restUntilMs - nowMs) : 0
    return { inTurn, isBehind, restMs }
  }

  /** A turn begins with that table, of whose files so many are `left` to the next one. */
  begin({ tableId, left, files }: { tableId: number; left: number; files: number }, nowMs: number) {
    this.#turnMs = nowMs
    this.#fewestFiles = Math.min(this.#fewestFiles, files)
    if (left > 0) this.#overfull.add(tableId)
    else this.#overfull.delete(tableId)
  }

  /** What began just now, in its turn or not, got a slot at once or waits for one. */
  began({ inTurn, hasSlot }: { inTurn: boolean; hasSlot: boolean }): void {
    this.#hopes = inTurn && hasSlot
  }

  /** One has come to its end. `gaveWay`: it would have, to any query. */
  succeeded(gaveWay: boolean, nowMs: number): void {
    if (gaveWay) this.leftAlone()
    if (this.#heldUpMs === null || this.#hopes) return
    this.#restUntilMs = nowMs + REST_FACTOR * (nowMs - this.#turnMs)
  }

  /** That table has nothing to join. */
  settled(tableId: number): void {
    this.#overfull.delete(tableId)
  }

  /** Tables that are there no more count no longer. */
  keep(isThere: (tableId: number) => boolean): void {
    for (const id of this.#overfull) if (!isThere(id)) this.#overfull.delete(id)
  }
}
