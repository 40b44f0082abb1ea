/**
 * Where this install lies: the directory that has bin/, conf/ and package.json in it. It is found from this file's own
 * place, which is build/lib/base where the build is used file by file, and build/programs in a bundle (cli/bundle.ts).
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Absolute, without a slash at its end. */
export const INSTALL = aboveOf(dirname(fileURLToPath(import.meta.url)))

function aboveOf(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory)
    throw new Error(`no package.json in any directory above ${import.meta.url}`)
  return aboveOf(parent)
}
