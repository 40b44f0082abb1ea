/**
 * A small file system to be used up to the last byte or the last name, in one of the ways that the world knows: its bytes,
 * its inodes, or a quota, of which `statfs` shows nothing and which says EDQUOT. Only root can make one.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { comesOfNoSpace } from '../../lib/ha/words/errors.ts'
import { mountHangFs } from './hangfs.ts'
import type { PartName } from './parts.ts'

export const FULLNESS = ['bytes', 'inodes', 'quota'] as const
export type Fullness = (typeof FULLNESS)[number]

/** What the tests of each need. */
export const PARTS_OF: Readonly<Record<Fullness, readonly PartName[]>> = {
  bytes: ['netns'],
  inodes: ['netns'],
  quota: ['netns', 'hangfs'],
}

export interface FullGround {
  readonly path: string
  /**
   * Takes all that is left, as `dd` does; of bytes all but `spareBytes`. The answer gives it back.
   */
  fill(spareBytes?: number): () => void
}

export interface Size {
  readonly megabytes: number
  readonly files: number
}

/** Whatever is behind a quota is so many times as large. */
const BEHIND_A_QUOTA = 4

/** Unmounted at the end, when nobody uses it any more. */
export async function fullGround(
  t: Pick<Test, 'teardown'>,
  what: Fullness,
  { megabytes, files }: Size,
): Promise<FullGround> {
  const fill = (at: string) => (spare?: number) =>
    what === 'inodes' ? fillNames(at) : fillBytes(at, spare)
  const times = what === 'quota' ? BEHIND_A_QUOTA : 1
  const disk = mountTmpfs(t, `size=${times * megabytes}m,nr_inodes=${times * files}`)
  if (what !== 'quota') return { path: disk, fill: fill(disk) }
  const { path, setQuota } = await mountHangFs(t, disk)
  await setQuota({ bytes: megabytes * 1024 ** 2, files })
  return { path, fill: fill(path) }
}

/** A tmpfs with these options. */
export function mountTmpfs(t: Pick<Test, 'teardown'>, options: string): string {
  const path = mkdtempSync(join(tmpdir(), 'tajo-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
  t.teardown(() => {
    execFileSync('umount', ['-l', path])
    rmdirSync(path)
  })
  return path
}

/** To the last block: in ever smaller ones. */
export function fillBytes(path: string, spareBytes = 0): () => void {
  const filler = join(path, 'filler')
  const spare = join(path, 'filler-spare')
  const write = (name: string, most: number): void => {
    const file = openSync(name, 'wx')
    let left = most
    try {
      for (let size = 1024 ** 2; size >= 512 && left > 0; ) {
        try {
          left -= writeSync(file, Buffer.alloc(Math.min(size, left)))
        } catch (error) {
          if (!comesOfNoSpace(error)) throw error
          size /= 2
        }
      }
    } finally {
      closeSync(file)
    }
  }
  if (spareBytes > 0) write(spare, spareBytes)
  write(filler, Number.POSITIVE_INFINITY)
  if (spareBytes > 0) unlinkSync(spare)
  return () => unlinkSync(filler)
}

function fillNames(path: string): () => void {
  const made: string[] = []
  try {
    for (let i = 0; ; i += 1) {
      const name = join(path, `filler-${i}`)
      closeSync(openSync(name, 'wx'))
      made.push(name)
    }
  } catch (error) {
    if (!comesOfNoSpace(error)) throw error
  }
  return () => {
    for (const name of made.splice(0)) unlinkSync(name)
  }
}
