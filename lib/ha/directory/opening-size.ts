/**
 * Tells how much room to keep for the opening of a term. Mostly it writes a few records only: where the catalog is, and
 * not what is in it. A catalog that is written anew, from memory or since too many terms have made no copy, takes all of
 * its length. So what stands there last is the measure: in the newest subdirectory that has any (`epoch-0000000042`),
 * the files with the highest number (`journal-0000000002`), and the newest copy, there or below (of
 * `whole-0000000002.0000000812-48213` the length in its name, which is that of the copy it speaks of). This library
 * knows names with numbers, and nothing of what is in the files.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listAnew } from '../world/directories.ts'
import { errnoOf } from '../world/file-handle.ts'

/** Openings that found no space have left empty subdirectories, and terms have made no copy; far below nothing is kept. */
const MOST_LOOKED_AT = 24

/** -1 for any other name. */
const numberOf = (name: string): number =>
  Number(/^[a-z]+-(\d+)(\.\d+-\d+)?$/.exec(name)?.[1] ?? -1)

/** Some names end with how long the file is; the others are asked. */
const lengthIn = (name: string): number | null => {
  const length = /\.\d+-(\d+)$/.exec(name)?.[1]
  return length === undefined ? null : Number(length)
}

/**
 * The bytes of the files with the highest number in the highest-numbered subdirectory that has any, with the newest copy; 0
 * where there is none. Rejects with the system's error where `directory` (absolute) can't be read.
 */
export async function openingBytes(directory: string): Promise<number> {
  const directories = (await namesIn(directory)).filter((name) => numberOf(name) >= 0)
  directories.sort((a, b) => numberOf(b) - numberOf(a))
  let bytes = 0
  for (const one of directories.slice(0, MOST_LOOKED_AT)) {
    const names = await namesIn(join(directory, one))
    if (bytes === 0) {
      const newest = Math.max(...names.map(numberOf))
      const others = names.filter((name) => numberOf(name) === newest && !isCopy(name))
      const sizes = await Promise.all(
        others.map((name) => lengthIn(name) ?? sizeOf(join(directory, one, name))),
      )
      bytes = sizes.reduce((sum, size) => sum + size, 0)
    }
    const [copy] = names.filter(isCopy).sort().reverse()
    if (copy !== undefined) return bytes + (lengthIn(copy) ?? 0)
  }
  return bytes
}

const isCopy = (name: string): boolean => name.startsWith('whole-') && numberOf(name) >= 0

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await listAnew(directory)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    // Swept meanwhile.
    if (isGone(error)) return 0
    throw error
  }
}

const isGone = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(errnoOf(error))
