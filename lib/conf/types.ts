/**
 * The types that a key can have: how a text becomes a value, and the words for what is allowed.
 *
 * A parser answers with the value or with a complaint; it knows neither key nor file. What is allowed is said by the
 * type, so that the error, the template and the manual use the same words.
 */
import { posix } from 'node:path'
import { nearest } from '../base/nearest.ts'
import { type HostPort, splitHostPort } from './address.ts'

export type ValueType =
  /** `host:port` */
  | { readonly type: 'address' }
  /** Milliseconds. */
  | { readonly type: 'duration'; readonly min: number; readonly max: number }
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  /** Bytes. */
  | { readonly type: 'size'; readonly min: number; readonly max: number }
  | { readonly type: 'boolean' }
  /** Three octal digits, as umask(1) takes them; the owner's is 0. */
  | { readonly type: 'umask' }
  /** One of a few words; `prefix` may stand before it. */
  | { readonly type: 'choice'; readonly of: readonly string[]; readonly prefix?: string }
  /** It is a directory of the local file system (mounts included), absolute, without a slash at its end. */
  | { readonly type: 'directory' }
  /** Such directories, separated by commas or line ends. */
  | { readonly type: 'directories'; readonly atLeast: 0 | 1 }
  /** A JDBC URI, or nothing. */
  | { readonly type: 'jdbc' }
  | { readonly type: 'text' }
  /** Each line that is neither blank nor a `#` comment, trimmed; each must match `line`. `commas` part them as well. */
  | {
      readonly type: 'lines'
      readonly line: RegExp
      readonly allowed: string
      readonly commas?: true
    }

export type Value = string | number | boolean | HostPort | readonly string[]

/** `ok` with the value, or what is wrong with the text, to be followed by what is allowed. */
type Parsed = { readonly ok: true; readonly value: Value } | Refused
interface Refused {
  readonly ok: false
  readonly why: string
}

const accept = (value: Value): Parsed => ({ ok: true, value })
const refuse = (why: string): Refused => ({ ok: false, why })

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Reads `text` as that type. Surrounding blanks don't count. */
export function parseValue(type: ValueType, text: string): Parsed {
  const trimmed = text.trim()
  switch (type.type) {
    case 'address':
      return parseAddress(trimmed)
    case 'duration':
      return inRange(type, parseDuration(trimmed), 'is not a duration of whole milliseconds')
    case 'integer':
      return inRange(
        type,
        /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : null,
        'is not a whole number',
      )
    case 'size':
      return inRange(type, parseSize(trimmed), 'is not a size')
    case 'boolean':
      return /^(true|false)$/i.test(trimmed)
        ? accept(trimmed.toLowerCase() === 'true')
        : refuse('is neither true nor false')
    case 'umask':
      return parseUmask(trimmed)
    case 'choice':
      return parseChoice(type, trimmed)
    case 'directory':
      return parseDirectory(trimmed)
    case 'directories':
      return parseDirectories(type.atLeast, text)
    case 'jdbc':
      return parseJdbc(trimmed)
    case 'text':
      return accept(trimmed)
    case 'lines':
      return parseLines(type.line, type.commas ? text.replaceAll(',', '\n') : text)
  }
}

function inRange(
  range: { readonly min: number; readonly max: number },
  value: number | null,
  otherwise: string,
): Parsed {
  if (value === null) return refuse(otherwise)
  if (value < range.min) return refuse('is too small')
  return value > range.max ? refuse('is too large') : accept(value)
}

function parseAddress(text: string): Parsed {
  const split = splitHostPort(text)
  if (typeof split === 'string') return refuse(`is not an address: ${split}`)
  if (split.port === null) return refuse('has no port')
  return accept({ host: split.host, port: split.port })
}

/** Plain milliseconds, or a number with a unit; null for what is neither, or finer than a millisecond. */
function parseDuration(text: string): number | null {
  const match = /^(\d{1,15})(\.\d{1,9})?\s*(ms|s|m|h|d)?$/.exec(text)
  if (match === null || (match[2] !== undefined && match[3] === undefined)) return null
  const exactMs = Number(`${match[1]}${match[2] ?? ''}`) * (DURATION_UNITS[match[3] ?? 'ms'] ?? 1)
  const wholeMs = Math.round(exactMs)
  return Math.abs(exactMs - wholeMs) < 1e-6 * Math.max(1, wholeMs) ? wholeMs : null
}

/** Reads bytes, with binary units as in Hadoop. */
function parseSize(text: string): number | null {
  const match = /^(\d{1,15})\s*(?:([kmgt])(?:i?b)?|b)?$/i.exec(text)
  if (match === null) return null
  const power = ['', 'k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase())
  return Number(match[1]) * 1024 ** power
}

function parseUmask(text: string): Parsed {
  const digits = /^0?([0-7]{3})$/.exec(text)?.[1]
  if (digits === undefined) return refuse('is no umask')
  return digits.startsWith('0') ? accept(digits) : refuse("takes something from the owner's mode")
}

function parseChoice(
  { of, prefix }: { readonly of: readonly string[]; readonly prefix?: string },
  text: string,
): Parsed {
  const word = prefix !== undefined && text.startsWith(prefix) ? text.slice(prefix.length) : text
  const found = of.find((one) => one.toLowerCase() === word.toLowerCase())
  if (found !== undefined) return accept(found)
  const meant = nearest(word, of)
  return refuse(`is not known${meant === null ? '' : `, did you mean ${meant}?`}`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: no path or URI of ours holds one
const CONTROL = /[\u0000-\u001f\u007f]/

function parseDirectory(text: string): Parsed {
  if (CONTROL.test(text)) return refuse('holds a control character')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) {
    return text.startsWith('/') ? accept(tidyPath(text)) : refuse('is not an absolute path')
  }
  if (scheme !== 'file') return refuse(`is no local path: mount ${scheme}:// and give the mount`)
  const path = /^file:(?:\/\/(?:localhost)?)?(\/(?!\/).*)$/i.exec(text)?.[1]
  if (path === undefined) return refuse('names a host or no absolute path')
  try {
    const decoded = decodeURIComponent(path)
    return CONTROL.test(decoded) ? refuse('holds a control character') : accept(tidyPath(decoded))
  } catch {
    return refuse('has a % that two hexadecimal digits do not follow')
  }
}

function parseDirectories(atLeast: number, text: string): Parsed {
  const parts = text
    .split(/[,\n]/)
    .map((one) => one.trim())
    .filter((one) => one !== '')
  const directories: string[] = []
  for (const part of parts) {
    const parsed = parseDirectory(part)
    if (!parsed.ok)
      return parts.length === 1 ? parsed : refuse(`holds ${part}, which ${parsed.why}`)
    const directory = String(parsed.value)
    if (!directories.includes(directory)) directories.push(directory)
  }
  return directories.length < atLeast ? refuse('names no directory') : accept(directories)
}

const tidyPath = (path: string): string => {
  const normal = posix.normalize(path)
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal
}

function parseJdbc(text: string): Parsed {
  if (text === '') return accept(text)
  // A directory's name may hold blanks.
  const blank = text.startsWith('jdbc:derby:') ? /[^\S ]/ : /\s/
  if (CONTROL.test(text) || blank.test(text)) return refuse('holds a blank')
  return /^jdbc:(derby:.+|(postgresql|mysql|mariadb):\/\/.+)$/.test(text)
    ? accept(text)
    : refuse('is not a JDBC URI of a known catalog')
}

function parseLines(line: RegExp, text: string): Parsed {
  const lines = text
    .split('\n')
    .map((one) => one.trim())
    .filter((one) => one !== '' && !one.startsWith('#'))
  const wrong = lines.find((one) => !line.test(one))
  if (wrong === undefined) return accept(lines)
  return refuse(lines.length === 1 ? 'is not known' : `has a line that is not known: ${wrong}`)
}

/** What is allowed, as the end of the sentence "allowed is …". */
export function allowedOf(type: ValueType): string {
  switch (type.type) {
    case 'address':
      return 'host:port, such as host2:26001 or [2001:db8::2]:26001'
    case 'duration':
      return `milliseconds or a number with ms, s, m, h or d, from ${formatMs(type.min)} to ${formatMs(type.max)}`
    case 'integer':
      return `a whole number from ${type.min} to ${type.max}`
    case 'size':
      return `bytes or a number with k, m or g, from ${formatBytes(type.min)} to ${formatBytes(type.max)}`
    case 'boolean':
      return 'true or false'
    case 'umask':
      return 'three octal digits, of which the first one is 0, such as 022, 027 or 002'
    case 'choice':
      return oneOf(type.of) + (type.prefix === undefined ? '' : `, each also as ${type.prefix}NAME`)
    case 'directory':
      return 'an absolute path or file:///path, also below a mount point'
    case 'directories':
      return 'absolute paths or file:///path, separated by commas or line ends'
    case 'jdbc':
      return 'jdbc:derby:DIR;create=true, or jdbc:postgresql://, jdbc:mariadb:// or jdbc:mysql:// with host/database'
    case 'text':
      return 'any text'
    case 'lines':
      return type.allowed
  }
}

const oneOf = (words: readonly string[]): string =>
  words.length === 1 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`

/** Writes it in the largest unit that needs no fraction. */
export function formatMs(ms: number): string {
  const units = Object.entries(DURATION_UNITS).toReversed()
  const [unit, size] = units.find(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1]
  return `${ms / size} ${unit}`
}

export function formatBytes(bytes: number): string {
  let rest = bytes
  let power = 0
  while (rest >= 1024 && rest % 1024 === 0 && power < 3) {
    rest /= 1024
    power++
  }
  return `${rest} ${['B', 'KB', 'MB', 'GB'][power]}`
}
