/**
 * What a statement may say in WITH and SET PROPERTY. Told when it is said, not when the first row is written or read.
 *
 * Tajo's tables take any key, and keys of formats and versions that are not here are kept without a meaning. Of those
 * that begin with `text.` all are known, so another one is a slip, and would leave the table with a default.
 */
import { nearest } from '../base/nearest.ts'
import { SqlError, type Storage } from './statement.ts'
import { textFormat } from './text-format.ts'

type Options = Storage['options']

const TEXT_KEYS = [
  'text.delimiter',
  'text.null',
  'text.skip.headerlines',
  'text.quote',
  'text.escape',
  'text.error-tolerance.max-num',
  /** Tajo's way of reading lines is the only one here. */
  'text.serde',
]

/** `given`: by this statement; `before`: what the table has already. Throws SqlError. */
export function requireOptions(
  format: NonNullable<Storage['format']>,
  given: Options,
  before: Options = {},
): void {
  for (const key of Object.keys(given)) {
    if (key.toLowerCase().startsWith('text.') && !TEXT_KEYS.includes(key)) throw unknown(key)
  }
  if (format !== 'PARQUET') textFormat({ ...before, ...given })
}

function unknown(key: string): SqlError {
  const meant = nearest(key, TEXT_KEYS)
  const hint = meant === null ? '' : ` (did you mean '${meant}'?)`
  return new SqlError(
    `there is no option '${key}'${hint}; those of text are ${TEXT_KEYS.join(', ')}`,
    null,
  )
}
