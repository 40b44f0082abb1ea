/**
 * The sentences of a text in Markdown, with the line on which each begins. Code, tables, headings and comments of HTML have
 * none. Pure.
 */

export interface Sentence {
  /** Counted from 1. */
  readonly line: number
  readonly text: string
  /** A span of code is one word, and so is the address of a link none. */
  readonly words: number
}

interface Piece {
  readonly line: number
  readonly text: string
}

const STARTS_PARAGRAPH = /^\s*(?:[-*+]|\d+\.)\s+/

/** Paragraphs, items of lists each for itself: what is looked through for ends of sentences. */
function paragraphsOf(markdown: string): Piece[][] {
  const found: Piece[][] = []
  let open: Piece[] = []
  let isFenced = false
  const close = (): void => {
    if (open.length > 0) found.push(open)
    open = []
  }
  for (const [at, text] of markdown.split('\n').entries()) {
    if (/^\s*(?:```|~~~)/.test(text)) isFenced = !isFenced
    const isProse = !isFenced && !/^(?: {4}|\t|\s*[|<#>]|\s*(?:```|~~~)|\s*!\[|\s*$)/.test(text)
    if (!isProse || STARTS_PARAGRAPH.test(text)) close()
    if (isProse) open.push({ line: at + 1, text: text.replace(STARTS_PARAGRAPH, '') })
  }
  close()
  return found
}

/** Where a sentence ends: a full stop and its like, what closes behind it, and then a blank. */
const END = /[.!?…](?:["'”’)*]|\]\([^)]*\))*(?=\s|$)/g
/** Full stops that end no sentence. */
const SHORT = /(?:^|[\s("])(?:e\.g|i\.e|etc|vs|cf|No|approx)\.$/

/** A full stop before a small letter ends nothing, unless a program's name begins there. */
const goesOn = (rest: string): boolean => /^\s+(?!tsql|rclone|fuse-dfs)\p{Ll}/u.test(rest)

export function sentencesIn(markdown: string): Sentence[] {
  return paragraphsOf(markdown).flatMap(ofParagraph)
}

function ofParagraph(pieces: readonly Piece[]): Sentence[] {
  const starts: { at: number; line: number }[] = []
  let whole = ''
  for (const { line, text } of pieces) {
    starts.push({ at: whole.length, line })
    whole += `${text}\n`
  }
  // A full stop in a span of code ends nothing.
  const plain = whole.replace(/`[^`]*`/g, (code) => `\`${'x'.repeat(code.length - 2)}\``)
  const found: Sentence[] = []
  let from = 0
  const take = (to: number): void => {
    const lead = /^\s*/.exec(whole.slice(from, to))?.[0].length ?? 0
    const text = whole.slice(from, to).trim().replace(/\s+/g, ' ')
    const line = starts.findLast(({ at }) => at <= from + lead)?.line ?? 0
    if (text !== '') found.push({ line, text, words: wordsIn(text) })
    from = to
  }
  for (const match of plain.matchAll(END)) {
    const to = match.index + match[0].length
    const isEnd = !SHORT.test(plain.slice(from, match.index + 1)) && !goesOn(plain.slice(to))
    if (isEnd) take(to)
  }
  take(whole.length)
  return found
}

/** Each span of code replaced by one word. */
export const withoutCode = (text: string): string => text.replace(/`[^`]*`/g, 'code')

const wordsIn = (sentence: string): number =>
  withoutCode(sentence)
    .replace(/\]\([^)]*\)/g, '')
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word)).length
