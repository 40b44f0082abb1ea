/** What the rounds of a cut network came to, by layout, monitor interval and load. Pure. */
import type { Layout } from '../../support/cut-cluster.ts'
import type { Stalled } from '../../support/stall.ts'
import type { Rows } from './client.ts'

export interface Round {
  readonly layout: Layout
  readonly monitorMs: number
  readonly load: 'idle' | 'busy'
  /** From the cut until another served, or until the alert. */
  readonly tookMs: number
  readonly stalled: Stalled
  /** From the healing on, in all flaps together. */
  readonly moves: number
  readonly rows: Rows
}

/** Less what the machine kept the masters waiting. */
const judgedMs = ({ tookMs, stalled }: Round): number => Math.max(0, tookMs - stalled.ms)

const COLUMNS = [
  'layout',
  'M, ms',
  'load',
  'rounds',
  'median, ms',
  'longest, ms',
  '… less stalls',
] as const
const MORE = ['over M', 'most moves', 'rows', 'lost', 'doubled', 'foreign'] as const

export function table(rounds: readonly Round[]): string[] {
  const kinds = [...new Set(rounds.map(kindOf))].sort()
  const lines = kinds.map((kind) => row(rounds.filter((round) => kindOf(round) === kind)))
  const head = [...COLUMNS, ...MORE]
  const widths = head.map((text, i) =>
    Math.max(text.length, ...lines.map((line) => (line[i] ?? '').length)),
  )
  return [head, ...lines].map((line) =>
    line
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

const kindOf = ({ layout, monitorMs, load }: Round): string =>
  `${layout} ${String(monitorMs).padStart(6)} ${load}`

function row(rounds: readonly Round[]): string[] {
  const [first] = rounds
  if (first === undefined) return []
  const took = rounds.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const sum = (of: keyof Rows): number => rounds.reduce((all, { rows }) => all + rows[of], 0)
  const figures = [
    took[Math.floor(took.length / 2)] ?? Number.NaN,
    took.at(-1) ?? Number.NaN,
    Math.max(...rounds.map(judgedMs)),
  ]
  return [
    first.layout,
    String(first.monitorMs),
    first.load,
    String(rounds.length),
    ...figures.map((ms) => ms.toFixed(0)),
    String(rounds.filter(({ tookMs, monitorMs }) => tookMs > monitorMs).length),
    String(Math.max(...rounds.map(({ moves }) => moves))),
    ...[sum('acknowledged'), sum('lost'), sum('doubled'), sum('foreign')].map(String),
  ]
}
