/**
 * Reads a file of the configuration directory as text, whatever lies there: a pipe that nobody writes to, a directory,
 * a file of gigabytes and one in another encoding each give an error instead of a hang or rubbish.
 */
import type { Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { shellWord } from '../base/own-place.ts'
import { ownUid } from '../base/own-place-look.ts'
import { ConfError } from './error.ts'

const LARGEST_FILE_BYTES = 1024 * 1024

export interface TextFile {
  /** As messages name it: its path. */
  readonly file: string
  /** Without a byte order mark. */
  readonly text: string
  /** The command that keeps others from reading it; left out where nobody else may. */
  readonly toClose?: string
}

const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** The file's bytes, or null when there is no such file. Throws ConfError. */
async function readBytes(file: string): Promise<{ bytes: Buffer; toClose: string | null } | null> {
  try {
    const found = await stat(file)
    if (!found.isFile()) throw new ConfError(`${file} is not a regular file`)
    if (found.size > LARGEST_FILE_BYTES) throw tooLarge(file, found.size)
    const bytes = await readFile(file)
    if (bytes.length > LARGEST_FILE_BYTES) throw tooLarge(file, bytes.length)
    return { bytes, toClose: toClose(file, found) }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    if (error instanceof ConfError) throw error
    throw new ConfError(`${file} can't be read: ${(error as Error).message}`, { cause: error })
  }
}

const FOR_OTHERS = 0o004

/** Where it is another user's, this one goes on reading it by his group. */
function toClose(file: string, { uid, mode }: Stats): string | null {
  if ((mode & FOR_OTHERS) === 0) return null
  const word = shellWord(file)
  if (uid !== ownUid()) return `chgrp ${process.getgid?.() ?? 0} ${word} && chmod 640 ${word}`
  // Root asks for others as well, and they have to go on reading it.
  const first =
    uid === 0 ? ' (a cluster that runs as another user needs it first: chown it to him)' : ''
  return `chmod 600 ${word}${first}`
}

const tooLarge = (file: string, bytes: number): ConfError =>
  new ConfError(`${file} has ${bytes} bytes: at most ${LARGEST_FILE_BYTES} (1 MB) are allowed`)

/** Throws ConfError when `path` is no directory that this user may read. */
export async function requireDirectory(path: string): Promise<void> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) return
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'does not exist' : (error as Error).message
    throw new ConfError(`the configuration directory ${path} can't be used: ${why}`, {
      cause: error,
    })
  }
  throw new ConfError(`the configuration directory ${path} can't be used: it is not a directory`)
}

/** Decodes UTF-8 strictly and refuses control characters; the error names file and line. */
function decodeText(file: string, bytes: Uint8Array): string {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new ConfError(`${file}:1: the file is UTF-16: save it as UTF-8`)
  }
  const text = new TextDecoder('utf-8').decode(bytes)
  // A genuine U+FFFD in the file is not worth a distinction: nothing here has a use for it.
  const wrong = text.search(BAD_CHARACTER)
  if (wrong < 0) return text
  const line = lineAt(text, wrong)
  throw text[wrong] === '\ufffd'
    ? new ConfError(`${file}:${line}: the file is not valid UTF-8 there: save it as UTF-8`)
    : new ConfError(`${file}:${line}: the file holds a control character there`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
const BAD_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd\ufffe\uffff]/

/** The line, from 1, in which the character at `index` stands. */
export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** Does the same for many questions about one text. */
export function lineFinder(text: string): (index: number) => number {
  const ends: number[] = []
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) ends.push(at)
  return (index) => {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ends[middle] ?? 0) < index) low = middle + 1
      else high = middle
    }
    return low + 1
  }
}

/** Reads and decodes, or null when there is no such file. Throws ConfError. */
export async function readText(file: string): Promise<TextFile | null> {
  const read = await readBytes(file)
  if (read === null) return null
  const text = decodeText(file, read.bytes)
  return read.toClose === null ? { file, text } : { file, text, toClose: read.toClose }
}
