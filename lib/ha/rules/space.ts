/**
 * Is the shared directory about to have no room? Pure. Told before it happens: below what the next claim, the opening of
 * the catalog and its next checkpoint need, or below 2 % of the file system; and told until there is half as much again, so
 * that nothing flickers at the border.
 */
import type { Space } from '../world/ports.ts'

/** How much room is taken by what comes next: a claim, the opening after it and its next checkpoint. */
export interface Need {
  /** In bytes. */
  readonly bytes: number
  /** How many files. */
  readonly files: number
}

/** What is short: below the need or 2 % of the file system, and until there is half as much again. */
export interface Low {
  /** Bytes are. */
  readonly bytes: boolean
  /** Inodes are; never where the file system has no number of them. */
  readonly files: boolean
}

/** What is left, what is needed, and what is short. Plain data, JSON-ready. */
export interface SpaceReport extends Space {
  /** What is needed. */
  readonly need: Need
  /** What is short. */
  readonly low: Low
  /** Why the last write found no room (ENOSPC, a quota), whatever the file system says of itself; null when it did. */
  readonly refused: string | null
}

const LOW_SHARE = 0.02
/** What was short is so until there is so many times as much. */
const ENOUGH = 1.5

export const NOTHING_LOW: Low = { bytes: false, files: false }

export function judgeSpace(space: Space, need: Need, before: Low): Low {
  const { freeBytes, totalBytes, freeFiles, totalFiles } = space
  return {
    bytes: isLow(freeBytes, Math.max(need.bytes, totalBytes * LOW_SHARE), before.bytes),
    // Some file systems have no number of inodes, or make them as they go.
    files:
      freeFiles !== null &&
      isLow(freeFiles, Math.max(need.files, (totalFiles ?? 0) * LOW_SHARE), before.files),
  }
}

const isLow = (free: number, limit: number, before: boolean): boolean =>
  free < (before ? ENOUGH * limit : limit)
