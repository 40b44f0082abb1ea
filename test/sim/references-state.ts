/**
 * The state of the model in references.ts, what can be said of it without the rules, and how it is packed into a few words.
 */

/** How large a world is. */
export interface Size {
  readonly masters: number
  /** At most 4. */
  readonly terms: number
  /** A write may fail with its fate unknown, and a second part of the term's journal then follow. */
  readonly parts?: boolean
}

/** Where a master stands. */
export const STAGE = {
  idle: 0,
  decide: 1,
  end: 2,
  find: 3,
  length: 4,
  read: 5,
  reference: 6,
  served: 7,
  began: 8,
  active: 9,
  renew: 10,
  nextPart: 11,
  lateReference: 12,
} as const
export const STAGES = Object.keys(STAGE)

/** What was decided of a term, by whoever came first. */
export const DECIDED = { none: 0, open: 1, closed: 2 } as const
/** The first record of a journal: isn't there, says that the catalog begins here, or names the predecessor. */
export const FIRST = { none: 0, empty: 1, reference: 2 } as const
/** The one checkpoint that is made of a journal. */
export const CHECKPOINT = { none: 0, half: 1, whole: 2, removed: 3 } as const
/** What a master that makes a checkpoint is at. */
export const JOB = { none: 0, writes: 1, waits: 2, removes: 3 } as const
/** What a term has come to: an answer, or a format that isn't on record yet. */
export const STANDING = { silent: 0, answered: 1, formats: 2 } as const
/** How far the one format has come: its term's first record is written, it has answered. */
export const FORMAT = { none: 0, begun: 1, recorded: 2, answered: 3 } as const

/** Changes in their order: up to four, of two bits each, from the lowest on; 0 ends it. */
export type Changes = number
const MOST = 4
export const NOTHING: Changes = 0

/** By its number: part 1 of term k is k, part 2 is the number of terms plus k. 0 is none. */
export interface Journal {
  first: number
  /** What its first record names: a journal, and how far that one belongs to the chain. */
  from: number
  fromLength: number
  records: Changes
  gone: 0 | 1
  /** Its own records below this position are removed. */
  cut: number
  /** A change whose write has failed, and may still come. */
  pending: number
  checkpoint: number
  /** In this journal's records. */
  position: number
  contents: Changes
}

export interface Master {
  stage: number
  term: number
  /** The lower term in work; while it goes on in a next part, 1 once the length of the old part was read. */
  lower: number
  /** The predecessor, and its length. */
  from: number
  length: number
  /** The link of the chain that is read next, and to where. */
  link: number
  linkLength: number
  /** The whole catalog, as far as it has read or written it. */
  known: Changes
  /** The journal it writes, and how much of it a renewal has confirmed. */
  current: number
  confirmed: number
  /** The change whose fate is unknown. */
  unsure: number
  standing: number
  job: number
  jobJournal: number
  jobPosition: number
  jobContents: Changes
  /** A hot backup: the catalog up to a position in a journal. */
  warmJournal: number
  warmLength: number
  warmContents: Changes
}

/** All sets are bits: of terms, counted from bit 1. */
export interface State {
  newest: number
  beats: number
  served: number
  /** Changes that were made so far, and the term of each. */
  made: number
  authors: number[]
  losses: number
  format: number
  /** What was answered from last, and the newest term that has answered. */
  answered: Changes
  answeredIn: number
  decided: number[]
  journals: Journal[]
  masters: Master[]
}

export function count(changes: Changes): number {
  if (changes < 4) return changes > 0 ? 1 : 0
  if (changes < 64) return changes < 16 ? 2 : 3
  return MOST
}

export const slice = (changes: Changes, from: number, to: number): Changes =>
  to > from ? (changes >> (2 * from)) & ((1 << (2 * (to - from))) - 1) : NOTHING
/** What goes beyond four is not kept. */
export const join = (a: Changes, b: Changes): Changes => (a | (b << (2 * count(a)))) & 0xff
export const append = join
export const startsWith = (changes: Changes, start: Changes): boolean =>
  slice(changes, 0, count(start)) === start

export function has(changes: Changes, v: number): boolean {
  for (let rest = changes; rest > 0; rest >>= 2) if ((rest & 3) === v) return true
  return false
}

export function show(changes: Changes): string {
  const names: string[] = []
  for (let rest = changes; rest > 0; rest >>= 2) names.push(`v${rest & 3}`)
  return `[${names.join(' ')}]`
}

export const at = (s: State, journal: number): Journal => s.journals[journal] as Journal
export const beats = (s: State, term: number): boolean => (s.beats & (1 << term)) !== 0
export const isThere = ({ first, records, gone }: Journal): boolean =>
  (first !== FIRST.none || records !== NOTHING) && !gone

export function removeCheckpoint(journal: Journal): void {
  journal.checkpoint = CHECKPOINT.removed
  journal.contents = NOTHING
}

export const journalsOf = ({ terms, parts }: Size): number => (parts === true ? 2 * terms : terms)

export const emptyJournal = (): Journal => ({
  first: FIRST.none,
  from: 0,
  fromLength: 0,
  records: NOTHING,
  gone: 0,
  cut: 0,
  pending: 0,
  checkpoint: CHECKPOINT.none,
  position: 0,
  contents: NOTHING,
})

export const idle = (): Master => ({
  stage: STAGE.idle,
  term: 0,
  lower: 0,
  from: 0,
  length: 0,
  link: 0,
  linkLength: 0,
  known: NOTHING,
  current: 0,
  confirmed: 0,
  unsure: 0,
  standing: STANDING.silent,
  job: JOB.none,
  jobJournal: 0,
  jobPosition: 0,
  jobContents: NOTHING,
  warmJournal: 0,
  warmLength: 0,
  warmContents: NOTHING,
})

/** It gives its term up, alive: a checkpoint in work goes on, and its memory stays. */
export function stop(own: Master): void {
  const { job, jobJournal, jobPosition, jobContents } = own
  const { warmJournal, warmLength, warmContents } = own
  Object.assign(own, idle(), { job, jobJournal, jobPosition, jobContents })
  Object.assign(own, { warmJournal, warmLength, warmContents })
}

export function firstState(size: Size): State {
  const { masters, terms } = size
  return {
    newest: 0,
    beats: 0,
    served: 0,
    made: 0,
    authors: [0, 0, 0, 0],
    losses: 0,
    format: FORMAT.none,
    answered: NOTHING,
    answeredIn: 0,
    decided: Array.from({ length: terms + 1 }, () => DECIDED.none),
    journals: Array.from({ length: journalsOf(size) + 1 }, emptyJournal),
    masters: Array.from({ length: masters }, idle),
  }
}

const MASTER_WORDS = 3

/** A state as a few words. Masters are alike: states that differ only in who is who are one. */
export class Packing {
  readonly width: number
  readonly #contents: number
  readonly #masters: number

  constructor(size: Size) {
    const journals = journalsOf(size)
    this.#contents = 2 + journals
    this.#masters = this.#contents + Math.ceil(journals / 4)
    this.width = this.#masters + MASTER_WORDS * size.masters
  }

  pack(s: State, words: Int32Array): void {
    let head =
      s.newest |
      (s.beats << 3) |
      (s.served << 8) |
      (s.made << 13) |
      (s.losses << 15) |
      (s.answeredIn << 17) |
      (s.format << 20)
    for (let k = 1; k < s.decided.length; k += 1) head |= (s.decided[k] as number) << (20 + 2 * k)
    words[0] = head
    let answers = s.answered
    for (let v = 1; v <= 3; v += 1) answers |= (s.authors[v] as number) << (5 + 3 * v)
    words[1] = answers
    for (let i = this.#contents; i < this.#masters; i += 1) words[i] = 0
    for (let k = 1; k < s.journals.length; k += 1) {
      const j = at(s, k)
      words[1 + k] =
        j.first |
        (j.from << 2) |
        (j.fromLength << 6) |
        (j.gone << 9) |
        (j.cut << 10) |
        (j.pending << 13) |
        (j.checkpoint << 15) |
        (j.position << 17) |
        (j.records << 20)
      const i = this.#contents + ((k - 1) >> 2)
      words[i] = (words[i] as number) | (j.contents << (8 * ((k - 1) & 3)))
    }
    for (let i = 0; i < s.masters.length; i += 1) this.#packMaster(s.masters[i] as Master, i, words)
  }

  /** Sorted among those before it. */
  #packMaster(m: Master, i: number, words: Int32Array): void {
    const stands =
      m.stage |
      (m.term << 4) |
      (m.lower << 7) |
      (m.from << 10) |
      (m.length << 14) |
      (m.link << 17) |
      (m.linkLength << 21) |
      (m.current << 24) |
      (m.confirmed << 28)
    const works =
      m.unsure |
      (m.standing << 2) |
      (m.job << 4) |
      (m.jobJournal << 6) |
      (m.jobPosition << 10) |
      (m.warmJournal << 13) |
      (m.warmLength << 17)
    const knows = m.known | (m.jobContents << 8) | (m.warmContents << 16)
    let w = this.#masters + MASTER_WORDS * i
    for (; w > this.#masters; w -= MASTER_WORDS) {
      const order =
        (words[w - 3] as number) - stands ||
        (words[w - 2] as number) - works ||
        (words[w - 1] as number) - knows
      if (order <= 0) break
      words.copyWithin(w, w - MASTER_WORDS, w)
    }
    words[w] = stands
    words[w + 1] = works
    words[w + 2] = knows
  }

  unpack(words: Int32Array, s: State): void {
    const head = words[0] as number
    s.newest = head & 7
    s.beats = (head >> 3) & 31
    s.served = (head >> 8) & 31
    s.made = (head >> 13) & 3
    s.losses = (head >> 15) & 3
    s.answeredIn = (head >> 17) & 7
    s.format = (head >> 20) & 3
    for (let k = 1; k < s.decided.length; k += 1) s.decided[k] = (head >> (20 + 2 * k)) & 3
    const answers = words[1] as number
    s.answered = answers & 0xff
    for (let v = 1; v <= 3; v += 1) s.authors[v] = (answers >> (5 + 3 * v)) & 7
    for (let k = 1; k < s.journals.length; k += 1) {
      const word = words[1 + k] as number
      const contents = words[this.#contents + ((k - 1) >> 2)] as number
      const j = at(s, k)
      j.first = word & 3
      j.from = (word >> 2) & 15
      j.fromLength = (word >> 6) & 7
      j.gone = word & (1 << 9) ? 1 : 0
      j.cut = (word >> 10) & 7
      j.pending = (word >> 13) & 3
      j.checkpoint = (word >> 15) & 3
      j.position = (word >> 17) & 7
      j.records = (word >> 20) & 0xff
      j.contents = (contents >> (8 * ((k - 1) & 3))) & 0xff
    }
    for (let i = 0; i < s.masters.length; i += 1) {
      this.#unpackMaster(words, this.#masters + MASTER_WORDS * i, s.masters[i] as Master)
    }
  }

  #unpackMaster(words: Int32Array, w: number, m: Master): void {
    const stands = words[w] as number
    m.stage = stands & 15
    m.term = (stands >> 4) & 7
    m.lower = (stands >> 7) & 7
    m.from = (stands >> 10) & 15
    m.length = (stands >> 14) & 7
    m.link = (stands >> 17) & 15
    m.linkLength = (stands >> 21) & 7
    m.current = (stands >> 24) & 15
    m.confirmed = (stands >> 28) & 7
    const works = words[w + 1] as number
    m.unsure = works & 3
    m.standing = (works >> 2) & 3
    m.job = (works >> 4) & 3
    m.jobJournal = (works >> 6) & 15
    m.jobPosition = (works >> 10) & 7
    m.warmJournal = (works >> 13) & 15
    m.warmLength = (works >> 17) & 7
    const knows = words[w + 2] as number
    m.known = knows & 0xff
    m.jobContents = (knows >> 8) & 0xff
    m.warmContents = (knows >> 16) & 0xff
  }
}
