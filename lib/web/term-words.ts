/** Why a term began, in words for people: for the plain page and for the tools. Pure. */
import type { ClaimReason, EndReason } from '../ha/index.ts'

/** What is read of a term's record. */
interface TermFacts {
  readonly term: { readonly reason: string }
  readonly served: {
    readonly previousEnd: {
      readonly reason: string
      readonly by?: string
      readonly during?: string | undefined
    } | null
    readonly trouble?: string | undefined
  } | null
  readonly afterFormat?: boolean | undefined
}

const REASONS: Readonly<Record<ClaimReason, string>> = {
  'first-start': 'first start',
  released: 'the former active stopped',
  'handed-over': 'handed over',
  'process-dead': 'its process died',
  expired: 'its heartbeat stopped: host, network or storage lost, or hung',
  command: 'taken over by command',
  format: 'formatHA',
  swept: 'number swept',
}

const ENDS: Readonly<Record<EndReason, string>> = {
  stopped: 'stopped in good order',
  'handed-over': 'handed over',
  'master-died': 'its process died (killed or crashed)',
  'master-hung': 'it hung and was killed by its keeper',
  'gave-up': 'it gave up',
}

/** A record of another version may have a reason of its own. */
const wordFor = (words: Readonly<Record<string, string>>, reason: string): string =>
  words[reason] ?? reason

/** The predecessor's own last word, which says more than what its successor saw; null where it has left none. */
export function lastWordOf(entry: TermFacts): string | null {
  const { reason } = entry.term
  const end = entry.served?.previousEnd ?? null
  if (reason === 'command' || reason === 'format' || end === null || entry.afterFormat) return null
  // Nobody asked for that: `by` is the reason, in the master's own words.
  if (end.reason === 'gave-up' && end.by) return `${wordsFor(end)}: ${end.by}`
  return wordsFor(end)
}

function wordsFor({ reason, during }: { reason: string; during?: string | undefined }): string {
  const word = wordFor(ENDS, reason)
  return during === 'opening' ? `${word}, while the catalog was being opened` : word
}

/** Tells a term as pages do: its record, and the words for it. */
export const inWords = <T extends TermFacts>(
  entry: T,
): T & { why: string; ended: string | null } => ({
  why: whyOf(entry),
  ended: endedIn(entry),
  ...entry,
})

function endedIn({ served }: TermFacts): string | null {
  const end = served?.previousEnd ?? null
  return end === null ? null : wordsFor(end)
}

/** With what kept its holder from serving before, where something did. */
export function whyOf(entry: TermFacts): string {
  const why = whyEnded(entry)
  const trouble = entry.served?.trouble
  return trouble === undefined ? why : `${why}; its successor ${trouble}`
}

function whyEnded(entry: TermFacts): string {
  if (entry.afterFormat && entry.term.reason === 'released') return 'first start after formatHA'
  return lastWordOf(entry) ?? wordFor(REASONS, entry.term.reason)
}
