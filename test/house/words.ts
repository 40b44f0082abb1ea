/**
 * What is wrong with the words of the house: doc comments without a verb, words for which the glossary of `lib/README.md` has
 * another one, and sentences of the handbook that are too long for a reader whose first language is another one. Texts in,
 * findings out. Pure.
 */
import { docCommentsIn } from './doc-comments.ts'
import { sentencesIn, withoutCode } from './prose.ts'
import { hasVerb } from './verbs.ts'

export interface Finding {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly kind: 'no verb' | 'word' | 'long'
  readonly text: string
}

/** Sentences of README and docs have no more words than this. */
const LONGEST_WORDS = 25

/**
 * A doc on one line of what is no function and no class (a field, a constant, a member of a union) may be a label, such as
 * "Umbilical address." or "Null: not measured yet.", whose sentences have no more words than this.
 */
const LABEL_WORDS = 12

/** What a parameter or a value is, behind its name: "`directory`: of the catalog." is a label too. */
const NAMED = /^(?:`[^`]+`(?: and `[^`]+`)?|Null|True|False|Empty|Undefined): /

interface RuledOut {
  readonly word: RegExp
  readonly say: string
  /** In which files it is ruled out; in all where this is left out. */
  readonly in?: RegExp
  /** What it may stand in all the same. */
  readonly but?: RegExp
}

/** From the last column of the glossary: words that mean what another word of it means. */
const RULED_OUT: readonly RuledOut[] = [
  { word: /\breigns?\b/i, say: 'term' },
  { word: /\bepochs?\b/i, say: 'term', but: /Unix epoch|epoch-[N\d]/ },
  {
    word: /\b(?:leader|standby)s?\b/i,
    say: 'active, backup',
    but: /whose leader|The leader is a zombie/,
  },
  { word: /\bwatchdogs?\b/i, say: 'keeper' },
  { word: /\b(?:votes?|voting)\b/i, say: 'claim' },
  { word: /\bpoll(?:s|ing|ed)?\b/i, say: 'look', but: /long polls?/i },
  { word: /\bscan(?:s|ned)?\b/i, say: 'look', in: /^(?:lib\/ha\/|docs\/ha-protocol)/ },
  { word: /\breplicat\w+/i, say: 'to follow', in: /^lib\// },
  { word: /\bWAL\b/, say: 'journal' },
  { word: /\borphan\w*/i, say: 'litter' },
  { word: /\bgarbage\b/i, say: 'litter', but: /^lib\/master\/lean-heap/ },
  { word: /\bcompactions?\b/i, say: 'to join files' },
  {
    word: /\bheartbeats?\b/i,
    say: 'report (of a worker), beat (of a stream)',
    in: /^lib\/(?:worker|rpc|master\/queries)\//,
  },
]

export interface Exception {
  readonly path: RegExp
  readonly text: RegExp
  readonly why: string
}

/** What stays as it is for a reason. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    path: /^lib\//,
    text: /^Pure\.$/,
    why: 'the glossary has it: neither reads nor changes the world',
  },
  {
    path: /^docs\/sql\.md$/,
    text: /^`BOOLEAN`, `INT1`/,
    why: 'the names of the types, which no verb makes clearer',
  },
]

const isMeant = ({ path, text }: Exception, found: Finding): boolean =>
  path.test(found.path) && text.test(found.text)

/** What is left to be mended. */
export const withoutExceptions = (found: readonly Finding[]): Finding[] =>
  found.filter((one) => !EXCEPTIONS.some((exception) => isMeant(exception, one)))

/** Exceptions that nothing needs any more. */
export const needlessExceptions = (found: readonly Finding[]): Exception[] =>
  EXCEPTIONS.filter((exception) => !found.some((one) => isMeant(exception, one)))

/** Files of TypeScript in `lib`, by their comments. */
export function findingsInSource(path: string, source: string): Finding[] {
  return [...inDocs(path, source), ...inLineComments(path, source)]
}

/** What stands behind `//` may be short, and its words are the house's all the same. */
function inLineComments(path: string, source: string): Finding[] {
  return source.split('\n').flatMap((text, at) => {
    const [, comment = ''] = /(?:^|\s)\/\/ (.+)$/.exec(text) ?? []
    return ruledOut({ path, line: at + 1, text: comment })
  })
}

function inDocs(path: string, source: string): Finding[] {
  return docCommentsIn(source).flatMap(({ line, text, of }) =>
    sentencesIn(text).flatMap((sentence): Finding[] => {
      const at = { path, line: line + sentence.line - 1, text: sentence.text }
      const mayBeLabel = of === 'label' || NAMED.test(sentence.text)
      const isLabel = mayBeLabel && sentence.words <= LABEL_WORDS
      const found: Finding = { ...at, kind: 'no verb' }
      const isSaid = isLabel || hasVerb(sentence.text)
      return [...(isSaid ? [] : [found]), ...ruledOut(at)]
    }),
  )
}

/** Texts in Markdown. `isForOperators`: no sentence of it may be long. */
export function findingsInText(path: string, text: string, isForOperators: boolean): Finding[] {
  return sentencesIn(text).flatMap((sentence): Finding[] => {
    const at = { path, line: sentence.line, text: sentence.text }
    const found: Finding = { ...at, kind: 'long' }
    const isLong = isForOperators && sentence.words > LONGEST_WORDS
    return [...(isLong ? [found] : []), ...ruledOut(at)]
  })
}

function ruledOut(at: Omit<Finding, 'kind'>): Finding[] {
  const prose = withoutCode(at.text)
  return RULED_OUT.flatMap(({ word, say, ...where }) => {
    const isRuledOut = where.in?.test(at.path) ?? true
    const isAllowed = where.but?.test(prose) || where.but?.test(at.path)
    const [found] = isRuledOut && !isAllowed ? (word.exec(prose) ?? []) : []
    return found === undefined
      ? []
      : [{ ...at, kind: 'word' as const, text: `"${found}" is "${say}" here: ${at.text}` }]
  })
}
