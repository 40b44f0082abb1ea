/** From DuckDB's places, in bytes of what it was given, to the user's lines and columns. Pure. */
import type { EngineText, Place } from '../sql/index.ts'

/** Null when there is none: `position` is null or beyond the text. */
export function placeIn(query: EngineText, position: number | null): Place | null {
  if (position === null || position < 0) return null
  const bytes = Buffer.from(query.text, 'utf8')
  if (position > bytes.length) return null
  return query.placeOf(bytes.toString('utf8', 0, position).length)
}
