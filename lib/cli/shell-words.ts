/**
 * Shell words, both ways: `TAJO_SSH_OPTS` into arguments without a shell, and arguments into a command line that a
 * remote shell takes for exactly these words.
 */
import { usageError } from './exit.ts'

/**
 * Splits like a POSIX shell: blanks separate; '…' is literal; in "…" a backslash escapes only \ " $ and `; elsewhere it
 * escapes anything. Nothing is expanded, so `$HOME` and `$(…)` stay as they are. A quote without an end is an error
 * that names `what`.
 */
export function splitShellWords(text: string, what: string): string[] {
  const words: string[] = []
  let word: string | null = null
  let quote: '"' | "'" | null = null
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (quote === null && /\s/.test(char)) {
      if (word !== null) words.push(word)
      word = null
    } else if (char === quote) {
      quote = null
    } else if (quote === null && (char === '"' || char === "'")) {
      quote = char
      word ??= ''
    } else if (char === '\\' && quote !== "'") {
      const next = text.charAt(i + 1)
      if (next === '') throw usageError(`${what} ends with a lone backslash: ${text}`)
      const escapes = quote === null || '\\"$`'.includes(next)
      word = (word ?? '') + (escapes ? next : `\\${next}`)
      i++
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== null) throw usageError(`${what} has a ${quote} without its end: ${text}`)
  if (word !== null) words.push(word)
  return words
}

/** One word for any POSIX shell (and csh, fish). NUL can't be in an argument and line ends could split csh's words. */
export function quoteWord(word: string): string {
  if (/[\0\r\n]/.test(word)) {
    throw usageError(`can't pass ${JSON.stringify(word)} to another host: it contains a line end`)
  }
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word
  // '…' stops nothing but itself and, in csh, the exclamation mark; both are put outside behind a backslash.
  return `'${word.replaceAll("'", "'\\''").replaceAll('!', "'\\!'")}'`
}
