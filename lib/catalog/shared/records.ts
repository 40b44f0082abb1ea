/**
 * Records in a file: one line each, with its length and CRC-32 before its JSON, so that a reader knows which ones are
 * whole. Text, so that a person can read it too:
 *
 *     0000002f 5d1c9a03 {"seq":1,"transactions":[…]}
 */
import { crc32 } from 'node:zlib'

const HEX = 8
const PREFIX = 2 * (HEX + 1)
const NEWLINE = 0x0a
const SPACE = 0x20

export const encodeRecord = (value: unknown): Buffer => encodeText(JSON.stringify(value))

/** Of what is JSON already. */
export function encodeText(text: string): Buffer {
  const json = Buffer.from(text)
  const hex = (number: number): string => number.toString(16).padStart(HEX, '0')
  const prefix = `${hex(json.length)} ${hex(crc32(json))} `
  return Buffer.concat([Buffer.from(prefix), json, Buffer.of(NEWLINE)])
}

/**
 * Gives the whole records that `bytes` begins with to `take`, each with its own bytes, one at least, and the next one while
 * `goesOn`; answers how many bytes they were.
 */
export function takeRecords(
  bytes: Buffer,
  take: (value: unknown, record: Buffer) => void,
  goesOn: () => boolean = () => true,
): number {
  let at = 0
  for (let json = recordAt(bytes, at); json !== null; json = recordAt(bytes, at)) {
    const length = PREFIX + json.length + 1
    take(JSON.parse(json.toString()), bytes.subarray(at, at + length))
    at += length
    if (!goesOn()) break
  }
  return at
}

/** Whether a whole record begins at a line somewhere behind `from`. */
export function followedByWhole(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (recordAt(bytes, at + 1) !== null) return true
  }
  return false
}

/** The JSON of the record that begins there, or null. */
function recordAt(bytes: Buffer, at: number): Buffer | null {
  const start = at + PREFIX
  if (bytes.length <= start || bytes[at + HEX] !== SPACE || bytes[start - 1] !== SPACE) return null
  const length = hexAt(bytes, at)
  const crc = hexAt(bytes, at + HEX + 1)
  if (length === null || crc === null || bytes[start + length] !== NEWLINE) return null
  const json = bytes.subarray(start, start + length)
  return crc32(json) === crc ? json : null
}

function hexAt(bytes: Buffer, at: number): number | null {
  const text = bytes.toString('latin1', at, at + HEX)
  return /^[0-9a-f]{8}$/.test(text) ? Number.parseInt(text, 16) : null
}
