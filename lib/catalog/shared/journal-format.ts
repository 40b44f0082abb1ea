/**
 * Which format a part's journal has, so that a version that can't read what is in it stops at its first record. A part is of a
 * later format only where one of its groups asks for it: versions that know no such groups read all others.
 */
import type { Transaction } from '../model.ts'
import { namesUsers } from '../transaction-pieces.ts'
import { isLong } from './records.ts'

/**
 * 1: each part begins with a snapshot. 2: with what its first record says. 3: the same, and a group may be several records.
 * 4: the same, and there may be users and owners.
 */
export const JOURNAL_FORMAT = 2
const FORMAT_OF_LONG_GROUPS = 3
const FORMAT_WITH_USERS = 4
export const NEWEST_JOURNAL_FORMAT = FORMAT_WITH_USERS

/** The one that a journal has at least that takes this group. */
export function formatFor(transactions: readonly Transaction[]): number {
  if (transactions.some(namesUsers)) return FORMAT_WITH_USERS
  return isLong(transactions) ? FORMAT_OF_LONG_GROUPS : JOURNAL_FORMAT
}
