/** An error as the shell tells it: the sentence, and the line of the statement with a caret under the place. */
import { QueryError } from '../../client/index.ts'
import { plain } from '../print.ts'
import { displayWidth } from './width.ts'

/** So much of a long line is shown around the place. */
const SHOWN = 100

/** `firstLine`: where the statement begins in its script, from 1. */
export function errorText(error: unknown, statement: string, firstLine: number): string {
  const message = `ERROR: ${plain(error instanceof Error ? error.message : String(error))}`
  const place = error instanceof QueryError ? error.place : null
  const line = place === null ? undefined : statement.split('\n')[place.line - 1]
  if (place === null || line === undefined) return message
  const at = Math.min(Math.max(0, place.column - 1), line.length)
  const from = line.length <= SHOWN ? 0 : Math.max(0, Math.min(at - SHOWN / 2, line.length - SHOWN))
  const shown = plain(line.slice(from, from + SHOWN).replaceAll('\t', ' '))
  const head = `LINE ${firstLine + place.line - 1}: `
  const before = displayWidth(shown.slice(0, at - from))
  return `${message}\n${head}${shown.trimEnd()}\n${' '.repeat(head.length + before)}^`
}
