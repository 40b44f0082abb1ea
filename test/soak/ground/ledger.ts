/**
 * What must be in a table, told by what its client was told: ids that were acknowledged are there exactly once, ids whose
 * statement failed are there at most once, all others not at all. Pure.
 */
export interface Verdict {
  readonly acknowledged: number
  readonly unknown: number
  /** Acknowledged ids that are not there. */
  readonly lost: readonly number[]
  /** Ids that are there more than once. */
  readonly doubled: readonly number[]
  /** Ids that nobody ever sent, or that came back after they were replaced. */
  readonly foreign: readonly number[]
}

export class Ledger {
  readonly #ids = new Map<number, 'acknowledged' | 'unknown'>()

  /** To be called before the statement is sent. */
  sent(first: number, count: number): void {
    for (let id = first; id < first + count; id += 1) this.#ids.set(id, 'unknown')
  }

  acknowledged(first: number, count: number): void {
    for (let id = first; id < first + count; id += 1) this.#ids.set(id, 'acknowledged')
  }

  /** `rows`: each id that is there with how often it is. */
  judge(rows: ReadonlyMap<number, number>): Verdict {
    const all = [...this.#ids]
    const acknowledged = all.filter(([, how]) => how === 'acknowledged').map(([id]) => id)
    return {
      acknowledged: acknowledged.length,
      unknown: all.length - acknowledged.length,
      lost: acknowledged.filter((id) => !rows.has(id)),
      doubled: [...rows].filter(([, times]) => times > 1).map(([id]) => id),
      foreign: [...rows.keys()].filter((id) => !this.#ids.has(id)),
    }
  }
}
