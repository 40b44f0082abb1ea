/** What the rounds on HDFS came to, by event and monitor interval, as a table in Markdown. Pure. */
import type { Rows } from '../network/client.ts'

export interface Round {
  readonly event: string
  readonly monitorMs: number
  /** From the event, or from the storage's return where it was away for all, until a master serves. */
  readonly servedMs: number
  /** The longest time after that in which none said within 2 s that it is active. */
  readonly laterGapMs: number
  /** From the return of what was away until all masters are active or backup again; null where one had to be started. */
  readonly wholeMs: number | null
  /** How often the role has moved. */
  readonly moves: number
  /** Looks at all masters, and those in which two said "active". */
  readonly looks: number
  readonly doubleLooks: number
  /** Two that were active at once for certain. */
  readonly twoActives: number
  readonly dumpFailed: boolean
  readonly rows: Rows
  /** Gateways that had to be started again by hand. */
  readonly byHand: number
  /** Promises that were not kept. */
  readonly broken: number
}

const COLUMNS = [
  ['event', 'left'],
  ['M, s', 'right'],
  ['rounds', 'right'],
  ['serves after, ms: median', 'right'],
  ['longest', 'right'],
  ['none said so later for, ms', 'right'],
  ['whole again after, ms: longest', 'right'],
  ['moves', 'right'],
  ['looks', 'right'],
  ['two “active” in one', 'right'],
  ['two actives', 'right'],
  ['dumps failed', 'right'],
  ['rows acknowledged', 'right'],
  ['lost', 'right'],
  ['doubled', 'right'],
  ['foreign', 'right'],
  ['gateways started by hand', 'right'],
  ['promises broken', 'right'],
] as const

export function table(rounds: readonly Round[]): string[] {
  const kinds = [...new Set(rounds.map(kindOf))]
  const rows = kinds.map((kind) => row(rounds.filter((round) => kindOf(round) === kind)))
  const head = COLUMNS.map(([name]) => name)
  const rule = COLUMNS.map(([, side]) => (side === 'right' ? '---:' : '---'))
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

const kindOf = ({ event, monitorMs }: Round): string => `${monitorMs} ${event}`

function row(rounds: readonly Round[]): string[] {
  const [first] = rounds
  if (first === undefined) return []
  const served = rounds.map(({ servedMs }) => servedMs).sort((a, b) => a - b)
  const whole = rounds.flatMap(({ wholeMs }) => wholeMs ?? [])
  const sum = (of: (round: Round) => number): number =>
    rounds.reduce((all, round) => all + of(round), 0)
  const counts = [
    sum(({ moves }) => moves),
    sum(({ looks }) => looks),
    sum(({ doubleLooks }) => doubleLooks),
    sum(({ twoActives }) => twoActives),
    sum(({ dumpFailed }) => Number(dumpFailed)),
    sum(({ rows }) => rows.acknowledged),
    sum(({ rows }) => rows.lost),
    sum(({ rows }) => rows.doubled),
    sum(({ rows }) => rows.foreign),
    sum(({ byHand }) => byHand),
    sum(({ broken }) => broken),
  ]
  return [
    first.event,
    String(first.monitorMs / 1000),
    String(rounds.length),
    (served[Math.floor(served.length / 2)] ?? Number.NaN).toFixed(0),
    (served.at(-1) ?? Number.NaN).toFixed(0),
    Math.max(...rounds.map(({ laterGapMs }) => laterGapMs)).toFixed(0),
    whole.length === 0 ? '–' : Math.max(...whole).toFixed(0),
    ...counts.map(String),
  ]
}
