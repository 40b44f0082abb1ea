/** What the rounds came to: of each kind the quantiles of a time, as a table in Markdown. Pure. */

export interface Round {
  readonly event: string
  readonly tables: number
  /** From the blow until another host's master answers that it is active. */
  readonly servedMs: number
  /** Of that time the winner's host, and the storage, were kept waiting for a processor by what they run on. */
  readonly starvedMs: number
  /** By the winner's own record: from the last sign of life that it saw until its catalog was open. */
  readonly phases: Readonly<Record<string, number>>
}

/** The least value that so great a share of all does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

const FIGURES: readonly (readonly [string, (round: Round) => number])[] = [
  ['served after', ({ servedMs }) => servedMs],
  ['less what the hosts were starved', ({ servedMs, starvedMs }) => servedMs - starvedMs],
  ['by the record', ({ phases }) => phases.totalMs ?? Number.NaN],
]
const QUANTILES = [
  ['median', 0.5],
  ['95 %', 0.95],
  ['longest', 1],
] as const

export function table(rounds: readonly Round[]): string[] {
  const kinds = [...new Set(rounds.map(kindOf))]
  const head = FIGURES.flatMap(([name]) => QUANTILES.map(([which]) => `${name}, ms: ${which}`))
  const rows = kinds.map((kind) => {
    const those = rounds.filter((round) => kindOf(round) === kind)
    const cells = FIGURES.flatMap(([, of]) =>
      QUANTILES.map(([, share]) => quantile(those.map(of), share).toFixed(0)),
    )
    return [those[0]?.event, those[0]?.tables, those.length, ...cells]
  })
  const rule = ['---', ...Array.from({ length: head.length + 2 }, () => '---:')]
  return [['event', 'tables', 'rounds', ...head], rule, ...rows].map(
    (cells) => `| ${cells.join(' | ')} |`,
  )
}

const kindOf = ({ event, tables }: Round): string => `${event} ${tables}`
