/**
 * Names and texts: from how they are written to what they mean, and back.
 */
import { SqlError } from './statement.ts'

/** The words that DuckDB takes for no name unless they are quoted, upper case. What is created here must be legible there. */
export const RESERVED: ReadonlySet<string> = new Set(
  `ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC BOTH CASE CAST CHECK COLLATE COLUMN CONSTRAINT CREATE DEFAULT
  DEFERRABLE DESC DESCRIBE DISTINCT DO ELSE END EXCEPT FALSE FETCH FOR FOREIGN FROM GROUP HAVING IN INITIALLY INTERSECT
  INTO LAMBDA LATERAL LEADING LIMIT NOT NULL OFFSET ON ONLY OR ORDER PIVOT PIVOT_LONGER PIVOT_WIDER PLACING PRIMARY
  QUALIFY REFERENCES RETURNING SELECT SHOW SOME SUMMARIZE SYMMETRIC TABLE THEN TO TRAILING TRUE UNION UNIQUE UNPIVOT
  USING VARIADIC WHEN WHERE WINDOW WITH`.split(/\s+/),
)

/** As the messages between the parts allow. */
const LONGEST_NAME = 128
const PLAIN = /^[a-z_][a-z0-9_]*$/

/** What a name token means: lower case unless it is quoted. */
export function nameOf(image: string): string {
  if (!image.startsWith('"')) return image.toLowerCase()
  return image.slice(1, -1).replaceAll('""', '"')
}

/** A name as SQL writes it: in double quotes only where it needs them. `nameOf(quoteName(x))` is x. */
export function quoteName(name: string): string {
  if (PLAIN.test(name) && !RESERVED.has(name.toUpperCase())) return name
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as SQL writes it. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Why nothing can be called so, or null. */
export function faultOfName(name: string): string | null {
  if (name === '') return 'a name can not be empty'
  if (name.length > LONGEST_NAME) return `a name has at most ${LONGEST_NAME} characters`
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0
    if (code < 32 || code === 127) return 'a name can not have control characters'
  }
  return null
}

/** As `faultOfName`, for databases and tables: their names become names of directories. */
export function faultOfPathName(name: string): string | null {
  const fault = faultOfName(name)
  if (fault !== null) return fault
  if (name.includes('/')) return 'the name of a database or table can not have a /'
  if (name.startsWith('.')) return 'the name of a database or table can not begin with a dot'
  if (Buffer.byteLength(name) > 255) return 'this name is too long for a directory'
  return null
}

const SIMPLE_ESCAPES = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
const CODE_ESCAPE = /x[\da-fA-F]{1,2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}/y

/** The character of an escape such as `x41`, and how many characters of the text it took; null when it is none. */
function codeEscape(body: string, at: number): { char: string; length: number } | null {
  CODE_ESCAPE.lastIndex = at
  const found = CODE_ESCAPE.exec(body)?.[0]
  if (found === undefined) return null
  const hex = found.startsWith('x') || found.startsWith('u') || found.startsWith('U')
  const code = hex ? Number.parseInt(found.slice(1), 16) : Number.parseInt(found, 8)
  const surrogate = code >= 0xd800 && code <= 0xdfff
  if (code === 0 || code > 0x10ffff || surrogate) {
    throw new SqlError(`\\${found} is no character that a text may have`, null)
  }
  return { char: String.fromCodePoint(code), length: found.length }
}

/** @throws SqlError (without a place) where an escape means no character. */
function unescaped(body: string): string {
  let out = ''
  for (let at = 0; at < body.length; at++) {
    const char = body.charAt(at)
    if (char === "'") {
      out += char
      at += 1
    } else if (char !== '\\') {
      out += char
    } else {
      const code = codeEscape(body, at + 1)
      const next = body.charAt(at + 1)
      out += code?.char ?? SIMPLE_ESCAPES.get(next) ?? next
      at += code?.length ?? 1
    }
  }
  return out
}

/** What a text token means: `'it''s'`, `E'\t'`, `$$…$$`. */
export function textOf(image: string): string {
  if (image.startsWith("'")) return image.slice(1, -1).replaceAll("''", "'")
  if (image.startsWith('$')) {
    const tag = image.indexOf('$', 1) + 1
    return image.slice(tag, -tag)
  }
  return unescaped(image.slice(2, -1))
}
