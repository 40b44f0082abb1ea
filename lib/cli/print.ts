/**
 * What commands print: plain text tables for people, one JSON document for programs, errors on stderr.
 *
 * Text that came out of a shared directory or over the network is stripped of control characters before it reaches a
 * terminal: a foreign file must not be able to move the cursor or to fake a line.
 */

/** Where a command writes; tests replace it. */
export interface Output {
  out(text: string): void
  err(text: string): void
}

export const standardOutput: Output = {
  out: (text) => {
    process.stdout.write(`${text}\n`)
  },
  err: (text) => {
    process.stderr.write(`${text}\n`)
  },
}

/** One JSON document, readable by people too. */
export const json = (value: unknown): string => JSON.stringify(value, null, 2)

// biome-ignore lint/suspicious/noControlCharactersInRegex: these would move a terminal's cursor
export const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
/** `text` may be anything that a foreign file had in the place of one. */
export const plain = (text: unknown): string => String(text).replaceAll(CONTROL, '?')

type Align = 'left' | 'right'
export interface Column {
  readonly title: string
  readonly align?: Align
}

/** A table with a line of titles, two blanks between columns, and no blanks at line ends. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => columns.map((_, i) => plain(row[i] ?? '')))
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((row) => row[i]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0
        return columns[i]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(columns.map((column) => column.title)), ...cells.map(line)].join('\n')
}

/** Tells milliseconds as people read them: `0.4 ms`, `87 ms`, `4.2 s`, `3 min 5 s`, `2 h 1 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`
}
