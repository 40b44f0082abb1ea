/**
 * What a query reads that has to be at work for a while: so many millions of hashes, twenty of which are seconds of one
 * core. How many rows come out is known without running it once more.
 */
export interface Slow {
  /** Behind FROM; the column is `i`. */
  readonly from: string
  readonly rows: number
}

const PER_ROW = 8
/** Of an md5 in text. */
const DIGITS = 32

export const slow = (millions: number): Slow => ({
  from: `range(${millions * 1e6}) x(i) where length(md5(cast(i as text))) + i % ${PER_ROW} = ${DIGITS}`,
  rows: (millions * 1e6) / PER_ROW,
})
