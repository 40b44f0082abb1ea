/**
 * Text that a database can't keep as it is: PostgreSQL refuses U+0000, and half of a surrogate pair has no UTF-8. Such
 * text, rare but possible in a message or a partition's value, is kept as a JSON string behind a mark; all other text
 * is kept as it is, so that people can read the tables.
 */

const MARK = '\u001bjson:'

const HALF_PAIR = /\p{Surrogate}/u

const isPlain = (text: string): boolean =>
  !text.includes('\0') && !HALF_PAIR.test(text) && !text.startsWith(MARK)

export const toSqlText = (text: string): string =>
  isPlain(text) ? text : MARK + JSON.stringify(text)

/** Throws SyntaxError when somebody else wrote the mark. */
export const fromSqlText = (text: string): string =>
  text.startsWith(MARK) ? String(JSON.parse(text.slice(MARK.length))) : text
