/**
 * How many files the day's tables have, over time. Pure, but for who tells it.
 *
 * Bounded means: what a table has at most does not follow what came into it. The most of the last third is compared with the
 * most of the second; in each of them a third of the day came in.
 */
import { isPartitioned } from './numbers.ts'

export interface Sample {
  /** INSERTs until then. */
  readonly inserts: number
  /** Of each table. */
  readonly files: readonly number[]
}

export interface Most {
  /** In a table without partitions, and in one with them. */
  readonly plain: number
  readonly partitioned: number
}

export const mostOf = (samples: readonly Sample[]): Most => {
  const most = (wanted: boolean): number =>
    Math.max(
      0,
      ...samples.flatMap(({ files }) =>
        files.filter((_, table) => isPartitioned(table) === wanted),
      ),
    )
  return { plain: most(false), partitioned: most(true) }
}

/** What a busy machine may add. Where nothing is ever joined it is 1.5. */
const FACTOR = 1.25

/** A sentence for each kind of table whose files are not bounded. */
export function unbounded(samples: readonly Sample[]): string[] {
  const all = samples.at(-1)?.inserts ?? 0
  const part = (from: number, to: number) =>
    mostOf(samples.filter(({ inserts }) => inserts > from * all && inserts <= to * all))
  const [second, third] = [part(1 / 3, 2 / 3), part(2 / 3, 1)]
  return (['plain', 'partitioned'] as const)
    .filter((kind) => third[kind] > FACTOR * second[kind])
    .map(
      (kind) =>
        `a ${kind} table had ${third[kind]} files in the last third of the day, and at most ${second[kind]} in the second`,
    )
}
