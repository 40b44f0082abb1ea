/**
 * What every part of the configuration throws: sentences for the operator, each with file, line and key where it has
 * them, and what is allowed. All problems of a file are told at once, so that nobody mends them one start at a time.
 */

/** How many problems one message spells out. */
const TOLD_AT_ONCE = 5

export class ConfError extends Error {
  readonly code = 'BAD_CONFIG'
  /** One sentence each. */
  readonly problems: readonly string[]

  constructor(problems: string | readonly string[], options?: { cause?: unknown }) {
    const all = typeof problems === 'string' ? [problems] : problems
    super(messageOf(all), options)
    this.name = 'ConfError'
    this.problems = all
  }
}

function messageOf(problems: readonly string[]): string {
  const more = problems.length - TOLD_AT_ONCE
  return problems.slice(0, TOLD_AT_ONCE).join('\n') + (more > 0 ? `\nand ${more} more` : '')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a file's content must not move a terminal's cursor
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]/g
const SHOWN_CHARACTERS = 100

/** A piece of a file as a message may show it: quoted, on one line, cut to a readable length. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS
  const start = text.slice(0, SHOWN_CHARACTERS).replaceAll(UNPRINTABLE, '?')
  return cut ? `'${start}…' (${text.length} characters)` : `'${start}'`
}
