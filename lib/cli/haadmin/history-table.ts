/** The history of terms as rows for people: who, from whom, why, by whom, how long each phase took. Pure. */
import type { HistoryEntry } from '../../ha/index.ts'
import { whyOf } from '../../web/term-words.ts'
import { type Column, duration, table } from '../print.ts'

/** Who asked for it, where somebody did; `-` for what happened by itself. */
export function byWhom(entry: HistoryEntry): string {
  const end = entry.served?.previousEnd ?? null
  if (entry.afterFormat) return entry.term.orderedBy ?? '-'
  if (end !== null && (end.reason === 'handed-over' || end.reason === 'stopped')) return end.by
  return entry.term.orderedBy ?? '-'
}

const PHASES = ['noticed', 'decided', 'claimed', 'ended', 'settled', 'opened'] as const

export function phaseCells(entry: HistoryEntry): string[] {
  const phases = entry.served?.phases
  const cells = PHASES.map((name) => phases?.[`${name}Ms`])
  return [...cells, phases?.totalMs].map((ms) => (typeof ms === 'number' ? duration(ms) : '-'))
}

const WHO: readonly Column[] = [
  { title: 'EPOCH', align: 'right' },
  { title: 'AT' },
  { title: 'MASTER' },
  { title: 'FROM' },
  { title: 'WHY' },
  { title: 'BY' },
]

const whoCells = (entry: HistoryEntry): string[] => [
  String(entry.term.term),
  entry.term.at || '-',
  entry.term.address,
  entry.afterFormat ? '-' : (entry.term.previousAddress ?? '-'),
  entry.served === null && entry.term.reason !== 'format'
    ? `${whyOf(entry)} (not known to have served)`
    : whyOf(entry),
  byWhom(entry),
]

/** One row a term with every phase. */
export function historyTable(entries: readonly HistoryEntry[]): string {
  const titles = [...PHASES, 'total'].map((title) => title.toUpperCase())
  const columns = [...WHO, ...titles.map((title): Column => ({ title, align: 'right' }))]
  return table(
    columns,
    entries.map((entry) => [...whoCells(entry), ...phaseCells(entry)]),
  )
}

/** The short form for `-status`. */
export function transitionsTable(entries: readonly HistoryEntry[]): string {
  return table(
    [...WHO, { title: 'TOOK', align: 'right' }],
    entries.map((entry) => [...whoCells(entry), phaseCells(entry).at(-1) ?? '-']),
  )
}
