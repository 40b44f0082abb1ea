/**
 * What a member publishes in the directory of the network: what it hears, the active's offer of its role, a backup's
 * answer to one.
 *
 *     backup/host2_26001.network-NONCE-7     the seventh publication of that life of host2:26001
 *
 * Each change is a new name, made by exclusive create; the one before is unlinked after it. Nothing is overwritten, and
 * no name is used twice. They lie among the backups' files, whose names every member lists anyway: a member at rest
 * makes no call more. A reader reads each name once.
 */
import type { KnownWorker, Rank } from '../rules/network-rank.ts'
import { BACKUP_DIR, backupFile } from '../words/layout.ts'

/** The active master would hand its role to `to`. */
interface Offer {
  /** Of this offer: an answer shows it, and so was made after it. */
  readonly nonce: string
  /** Umbilical address. */
  readonly to: string
  /** Hand-overs of this kind that have followed each other within ten minutes. */
  readonly moves: number
}

/** By a backup, to the offer with that nonce; the publication's rank was measured after that offer was seen: so much at least. */
interface OfferAnswer {
  readonly nonce: string
  /** Why it could not claim a term now, such as a full disk; null when it has proven that it can make its files. */
  readonly trouble: string | null
}

export interface Publication {
  /** Umbilical address of the member, and the nonce of its life. */
  readonly address: string
  readonly nonce: string
  readonly rank: Rank
  /** By the active: so that the others can ask them as well. */
  readonly workers: readonly KnownWorker[]
  readonly offer: Offer | null
  readonly answer: OfferAnswer | null
}

const clean = (text: string): string => text.replaceAll(/[^A-Za-z0-9.]/g, '_')

/** Of the n-th publication of a life. */
export const publicationFile = (address: string, nonce: string, n: number): string =>
  `${prefixOf(address)}${clean(nonce)}-${n}`

/** All names of an address begin so, whatever its life. */
export const prefixOf = (address: string): string =>
  backupFile(address).replace(/\.json$/, '.network-')

/** The same without the directory, and with which of its life's it is; null for a name that is no publication. */
export function publicationOf(name: string): { life: string; n: number } | null {
  const match = /^(.+\.network-[A-Za-z0-9._]+)-(\d{1,10})$/.exec(name)
  return match === null ? null : { life: match[1] ?? '', n: Number(match[2]) }
}

export const inBackups = (name: string): string => `${BACKUP_DIR}/${name}`

/** It returns null for a torn or foreign text. */
export function decodePublication(text: string): Publication | null {
  try {
    const value: unknown = JSON.parse(text)
    return isPublication(value) ? value : null
  } catch {
    return null
  }
}

type Fields = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null
const isText = (value: unknown): value is string => typeof value === 'string'

function isPublication(value: unknown): value is Publication {
  if (!isObject(value) || !isText(value.address) || !isText(value.nonce)) return false
  const { rank, workers, offer, answer } = value
  const ranked =
    isObject(rank) &&
    [rank.worker, rank.witness, rank.master].every((part) => typeof part === 'boolean')
  if (!ranked || !Array.isArray(workers) || !workers.every(isWorker)) return false
  return (offer === null || isOffer(offer)) && (answer === null || isAnswer(answer))
}

const isWorker = (value: unknown): boolean =>
  isObject(value) && isText(value.address) && (value.network === null || isText(value.network))

const isOffer = (value: unknown): boolean =>
  isObject(value) && isText(value.nonce) && isText(value.to) && Number.isSafeInteger(value.moves)

const isAnswer = (value: unknown): boolean =>
  isObject(value) && isText(value.nonce) && (value.trouble === null || isText(value.trouble))
