/**
 * One term's open files, and what they rest on: what of it is durable, and what was acknowledged. Whoever goes on from it, a
 * next part or a next term, gets from here what has to be known of it.
 */
import type { CatalogState } from '../state.ts'
import type { NewPart } from './begin-part.ts'
import { whyGone } from './by-name.ts'
import type { Base, Chain, Known, Link } from './chain.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Files } from './files.ts'
import type { Journal, Position } from './journal.ts'

/** One term's open files. */
export interface Session {
  readonly term: number
  readonly part: number
  readonly journal: Journal
  /** What lies below this part. */
  readonly below: Chain
  /** All that is durable. */
  state: CatalogState
  /** Nothing that it lacks is older; ms since 1970. */
  asOfMs: number
  /** What was acknowledged: what a checkpoint may be made of; null where nothing was yet. */
  confirmed: {
    readonly position: Position
    readonly files: number
    readonly state: CatalogState
    readonly asOfMs: number
  } | null
  readonly ground: Ground
  /** The fate of a write is unknown: nothing may be appended to this part any more. */
  closed: boolean
}

/** What a term's parts, all of them, can be read from; a checkpoint that is whole takes the place of the one before. */
interface Ground {
  /** The newest checkpoint; the one before it is kept for `catalog restore`. */
  base: Base | null
}

export const NOTHING_BELOW: Chain = { links: [], base: null }

export type NewSession = Omit<NewPart, 'state'> & Pick<Session, 'state' | 'below'>

export const goingOnFrom = ({
  term,
  part,
  position,
  chain,
}: Known): Pick<NewSession, 'basis' | 'below'> => ({
  basis: { is: 'journal', term, part, position },
  below: chain,
})

export const linkOf = ({ term, part, journal }: Session): Link => ({
  term,
  part,
  position: journal.position,
  files: journal.files,
  whyGone: () => journal.whyGone('everything'),
})

/** What the open part holds, for whoever goes on from it. */
export function knownOf(session: Session): Known {
  const { term, part, journal, state, below, ground } = session
  const { base } = ground
  const links = linksAbove([linkOf(session), ...below.links], base)
  const { position, tail } = journal
  return { term, part, position, tail, state, chain: { links, base } }
}

/** Those that are needed beside a checkpoint: with the one that it is in. */
export const linksAbove = (links: readonly Link[], base: Base | null): readonly Link[] =>
  base === null
    ? links
    : links.filter(
        ({ term, part }) => term > base.term || (term === base.term && part >= base.part),
      )

export const baseOf = (files: Files, made: Checkpoint, journalFiles = 0): Base => ({
  ...{ term: made.term, part: made.part, seq: made.position.seq },
  ...{ journalBytes: made.position.bytes, journalFiles },
  ...{ sizeBytes: made.written.bytes, sign: made.sign },
  whyGone: () => whyGone(files, made.written),
})

/** What a cold start has to read beside the checkpoint. */
export const unread = (session: Session): { bytes: number; files: number } => {
  const { base } = session.ground
  const links = linksAbove([linkOf(session), ...session.below.links], base)
  const sum = (of: (link: Link) => number): number =>
    links.reduce((before, link) => before + of(link), 0)
  return {
    bytes: sum(({ position }) => position.bytes) - (base?.journalBytes ?? 0),
    files: sum(({ files }) => files) - (base?.journalFiles ?? 0),
  }
}

export const termsIn = ({ links }: Pick<Chain, 'links'>): number =>
  new Set(links.map(({ term }) => term)).size
