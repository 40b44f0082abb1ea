/**
 * What a run of faults comes to: how often each kind struck, what was lost or doubled after it, and what of that is no
 * success. Pure.
 */
export interface Kind {
  readonly name: string
  count: number
  /** Acknowledged rows and columns that were not there at the look after it. */
  lost: number
  doubled: number
}

export interface Totals {
  readonly lost: number
  readonly doubled: number
  /** There though nobody ever sent them, or though they were replaced. */
  readonly foreign: number
  /** Tables that nobody could read at the end. */
  readonly unread: number
}

export const newKind = (name: string): Kind => ({ name, count: 0, lost: 0, doubled: 0 })

/** Of each kind, in an hour. */
const LEAST_AN_HOUR = 10

/** A line for each kind, and one for all. */
export function kindTable(kinds: readonly Kind[], totals: Totals): string[] {
  const width = Math.max(...kinds.map(({ name }) => name.length), 'kind'.length)
  const line = (name: string, cells: readonly (number | string)[]): string =>
    `${name.padEnd(width)} ${cells.map((cell) => String(cell).padStart(8)).join(' ')}`
  return [
    line('kind', ['count', 'lost', 'doubled']),
    ...kinds.map(({ name, count, lost, doubled }) => line(name, [count, lost, doubled])),
    line('all', [kinds.reduce((sum, { count }) => sum + count, 0), totals.lost, totals.doubled]),
  ]
}

/** What is wrong, a sentence each; none for a success. */
export function shortfalls(
  kinds: readonly Kind[],
  totals: Totals | null,
  minutes: number,
): string[] {
  if (totals === null) return ['nobody knows what is in the tables: they were not read at the end']
  const { lost, doubled, foreign, unread } = totals
  const least = Math.floor((LEAST_AN_HOUR * minutes) / 60)
  const rare = kinds.filter(({ count }) => count < least)
  return [
    ...(lost > 0 ? [`lost: ${lost} acknowledged rows or columns`] : []),
    ...(doubled > 0 ? [`doubled: ${doubled} rows`] : []),
    ...(foreign > 0 ? [`foreign: ${foreign} rows or columns that nobody sent`] : []),
    ...(unread > 0 ? [`unread: ${unread} tables could not be read at the end`] : []),
    ...rare.map(
      ({ name, count }) => `rare: "${name}" struck ${count} times in ${minutes} min, not ${least}`,
    ),
  ]
}
