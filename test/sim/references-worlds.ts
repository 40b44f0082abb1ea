/**
 * The worlds of the model in references.ts: those in which no interleaving breaks the rules, with the number of states that
 * there are, and those in which it is noticed that a rule is left out.
 */
import type { BrokenRule, ReferencesOptions } from './references.ts'

export interface SoundWorld extends ReferencesOptions {
  /** All of them, masters being alike: a step that is lost or added by mistake changes their number. */
  readonly states: number
}

export interface BrokenWorld extends ReferencesOptions {
  readonly broken: readonly BrokenRule[]
}

/** Four seconds together, on a quiet machine. */
export const SOUND: readonly SoundWorld[] = [
  { masters: 3, terms: 3, changes: 3, states: 41_573 },
  { masters: 3, terms: 3, changes: 2, warm: true, states: 199_409 },
  { masters: 2, terms: 3, changes: 2, parts: true, states: 167_649 },
  { masters: 2, terms: 3, changes: 2, losses: 1, states: 38_580 },
  { masters: 2, terms: 4, changes: 1, losses: 1, states: 313_911 },
  { masters: 2, terms: 3, changes: 2, format: true, states: 33_301 },
  { masters: 2, terms: 3, changes: 2, checkpoints: true, states: 334_882 },
  { masters: 3, terms: 3, changes: 1, checkpoints: true, states: 152_252 },
  { masters: 2, terms: 2, changes: 2, checkpoints: true, parts: true, states: 408_109 },
  { masters: 2, terms: 3, changes: 1, checkpoints: true, losses: 1, states: 273_558 },
]

/** Too large for `npm test`: one to two minutes together, and up to a gigabyte each. */
export const LARGE: readonly SoundWorld[] = [
  { masters: 3, terms: 4, changes: 2, states: 651_784 },
  { masters: 2, terms: 4, changes: 2, losses: 1, states: 642_251 },
  { masters: 3, terms: 3, changes: 2, checkpoints: true, states: 801_607 },
  { masters: 2, terms: 3, changes: 1, checkpoints: true, parts: true, states: 647_449 },
  { masters: 2, terms: 3, changes: 2, checkpoints: true, losses: 1, states: 1_331_966 },
  { masters: 2, terms: 2, changes: 3, checkpoints: true, parts: true, states: 3_669_946 },
  { masters: 2, terms: 4, changes: 1, checkpoints: true, format: true, states: 6_645_730 },
  { masters: 2, terms: 4, changes: 2, checkpoints: true, states: 10_208_666 },
]

const CHECKPOINTS = { masters: 2, terms: 3, changes: 2, checkpoints: true } as const

/** A rule is left out and nothing breaks: what makes up for it there. */
export const SPARED: readonly (SoundWorld & BrokenWorld)[] = [
  // While no file is lost, the first record alone tells that a term may have answered.
  { ...CHECKPOINTS, broken: ['no-served'], states: 336_910 },
  // What was confirmed lies on every later chain.
  { ...CHECKPOINTS, broken: ['any-checkpoint'], states: 334_882 },
  // A checkpoint beyond the chain's end doesn't count, and nothing was removed for it,
  { ...CHECKPOINTS, removes: 'never', broken: ['checkpoint-unconfirmed'], states: 487_948 },
  // or only once a renewal had confirmed it.
  {
    ...CHECKPOINTS,
    removes: 'after a renewal',
    broken: ['checkpoint-unconfirmed'],
    states: 2_453_584,
  },
]

const SMALL = { masters: 2, terms: 2, changes: 1 } as const
const MIDDLE = { masters: 2, terms: 3, changes: 1 } as const

/** The smallest in which it shows. */
export const BROKEN: readonly BrokenWorld[] = [
  { ...SMALL, broken: ['length-first'] },
  { ...MIDDLE, broken: ['only-previous'] },
  { ...SMALL, broken: ['ack-first'] },
  { ...SMALL, broken: ['ack-before-reference'] },
  { ...SMALL, broken: ['reads-unrenewed'] },
  { ...MIDDLE, broken: ['read-to-end'] },
  { ...SMALL, changes: 2, parts: true, broken: ['read-to-end'] },
  { ...SMALL, changes: 2, parts: true, broken: ['same-part'] },
  { ...MIDDLE, broken: ['skip-empty'] },
  { ...SMALL, checkpoints: true, broken: ['half-checkpoint'] },
  { ...SMALL, checkpoints: true, broken: ['remove-early'] },
  { ...MIDDLE, checkpoints: true, broken: ['checkpoint-unconfirmed'] },
  {
    ...{ ...MIDDLE, checkpoints: true, removes: 'never' },
    broken: ['checkpoint-unconfirmed', 'any-checkpoint'],
  },
  {
    ...{ ...MIDDLE, checkpoints: true, removes: 'after a renewal' },
    broken: ['checkpoint-unconfirmed', 'any-checkpoint'],
  },
  { ...MIDDLE, checkpoints: true, broken: ['sweep-all'] },
  { ...SMALL, checkpoints: true, broken: ['cut-drops-reference'] },
  { ...MIDDLE, checkpoints: true, broken: ['no-retry'] },
  { ...MIDDLE, checkpoints: true, broken: ['damage-unrenewed'] },
  { ...SMALL, broken: ['served-first'] },
  { ...SMALL, losses: 1, broken: ['no-served'] },
  { ...SMALL, losses: 1, broken: ['served-after-renewal'] },
  { ...SMALL, checkpoints: true, losses: 1, broken: ['checkpoint-alone'] },
  { ...MIDDLE, format: true, broken: ['format-unrecorded'] },
  { ...MIDDLE, warm: true, broken: ['warm-unchecked'] },
]

/** `2 masters, 3 terms, 1 change, checkpoints, removes never`; the rules left out are not in it. */
export function nameOf(world: ReferencesOptions): string {
  const { masters, terms, changes, removes, losses } = world
  const words = [
    `${masters} masters`,
    `${terms} terms`,
    `${changes} change${changes > 1 ? 's' : ''}`,
  ]
  for (const key of ['parts', 'checkpoints', 'warm', 'format'] as const) {
    if (world[key] === true) words.push(key)
  }
  if (removes !== undefined) words.push(`removes ${removes}`)
  if (losses !== undefined) words.push(`${losses} lost`)
  return words.join(', ')
}
