/**
 * SASLprep (RFC 4013) as PostgreSQL has it: two ways to type one password come to the same bytes. What SASLprep has no
 * answer for (a control character, a sign that is younger than Unicode 3.2, two directions of writing) is used as it was
 * typed, as PostgreSQL does: a password is never refused for its letters.
 */
import {
  LEFT_TO_RIGHT,
  NOTHING,
  PROHIBITED,
  RIGHT_TO_LEFT,
  SPACES,
  UNASSIGNED,
} from './stringprep-tables.ts'

type Ranges = readonly (readonly [first: number, last: number])[]

/** Returns the password as both sides put it into their sums. */
export function prepared(password: string): string {
  if (isAscii(password)) return password
  const mapped = [...password]
    .filter((sign) => !has(tables().nothing, sign))
    .map((sign) => (has(tables().spaces, sign) ? ' ' : sign))
    .join('')
    .normalize('NFKC')
  return isAllowed([...mapped]) ? mapped : password
}

const isAscii = (text: string): boolean => [...text].every((sign) => codeOf(sign) < 0x80)

function isAllowed(signs: readonly string[]): boolean {
  const { prohibited, unassigned, rightToLeft, leftToRight } = tables()
  if (signs.length === 0) return false
  if (signs.some((sign) => has(prohibited, sign) || has(unassigned, sign))) return false
  if (signs.some((sign) => isSurrogate(codeOf(sign)))) return false
  if (!signs.some((sign) => has(rightToLeft, sign))) return true
  const ends = [signs[0] ?? '', signs.at(-1) ?? '']
  return (
    !signs.some((sign) => has(leftToRight, sign)) && ends.every((sign) => has(rightToLeft, sign))
  )
}

const codeOf = (sign: string): number => sign.codePointAt(0) ?? 0
const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff

const has = (ranges: Ranges, sign: string): boolean => {
  const code = codeOf(sign)
  return ranges.some(([first, last]) => first <= code && code <= last)
}

let read: Record<
  'nothing' | 'spaces' | 'prohibited' | 'unassigned' | 'rightToLeft' | 'leftToRight',
  Ranges
> | null = null

function tables(): NonNullable<typeof read> {
  read ??= {
    nothing: rangesOf(NOTHING),
    spaces: rangesOf(SPACES),
    prohibited: rangesOf(PROHIBITED),
    unassigned: rangesOf(UNASSIGNED),
    rightToLeft: rangesOf(RIGHT_TO_LEFT),
    leftToRight: rangesOf(LEFT_TO_RIGHT),
  }
  return read
}

function rangesOf(text: string): Ranges {
  let end = 0
  return text.split(' ').map((word) => {
    const [distance = '', more = '0'] = word.split('-')
    const first = end + Number.parseInt(distance, 36)
    end = first + Number.parseInt(more, 36)
    return [first, end] as const
  })
}
