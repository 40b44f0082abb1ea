/**
 * What DuckDB says is wrong, for whoever wrote the statement: whose fault it is, where it is, and the words without the
 * engine's decoration and its advice to people who can change its settings.
 */
import { CodedError } from '../base/coded-error.ts'
import { messageOf } from '../base/failures.ts'

export type EngineFault =
  /** What the statement says or the data holds. */
  | 'statement'
  /** A file can't be read or written. */
  | 'io'
  | 'memory'
  /** So much as it may is spilled. */
  | 'spill'
  | 'interrupted'
  /** Its process has ended under it. */
  | 'gone'
  | 'internal'

/** Its message is what DuckDB said, without its decoration. */
export class EngineError extends CodedError<EngineFault> {
  override readonly name = 'EngineError'
  /** Bytes (UTF-8) before the fault in the statement; null when it did not say. */
  readonly position: number | null
  constructor(code: EngineFault, message: string, position: number | null, cause?: unknown) {
    super(code, message, { cause })
    this.position = position
  }
}

export const interrupted = (): EngineError =>
  new EngineError('interrupted', 'the query was interrupted', null)

const CODES: Readonly<Record<string, EngineFault>> = {
  IO: 'io',
  Permission: 'io',
  'Out of Memory': 'memory',
  INTERRUPT: 'interrupted',
  Interrupt: 'interrupted',
  INTERNAL: 'internal',
  Internal: 'internal',
  FATAL: 'internal',
  Fatal: 'internal',
}

/** DuckDB tells an error as JSON, some with a title before it, a few as plain text. */
export const engineError = (thrown: unknown): EngineError => EngineError.from(thrown, readError)

function readError(thrown: unknown): EngineError {
  const text = messageOf(thrown)
  const start = text.indexOf('{')
  const told = start === -1 ? null : jsonObject(text.slice(start))
  if (told === null || typeof told.exception_message !== 'string') {
    const [title = '', ...rest] = text.split(' Error: ')
    const said = rest.length === 0 ? text : rest.join(' Error: ')
    return new EngineError(CODES[title] ?? 'statement', tidy(said), null, thrown)
  }
  const code = CODES[String(told.exception_type)] ?? 'statement'
  const spilled = SPILLED.exec(told.exception_message)?.[1]
  if (code === 'memory' && spilled !== undefined) {
    return new EngineError('spill', `${spilled} are used`, null, thrown)
  }
  const position = told.position === undefined ? null : Number(told.position)
  return new EngineError(code, tidy(told.exception_message), position, thrown)
}

/** The engine's words for a limit of its own. */
const SPILLED = /^failed to offload data block of size .+ \((.+) used\)/

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text)
  } catch {
    // Plain text that has a brace in it.
    return null
  }
}

/**
 * Advice to whoever wrote the reading of the file, and its settings, are not for whoever asks for rows. The name of the
 * file is.
 */
function tidy(message: string): string {
  const lines = message.split('\n')
  if (lines[0]?.startsWith(CSV_FAULT) === true) return csvFault(lines)
  const advice = lines.findIndex((line, i) => i > 0 && isAdvice(line))
  if (advice === -1) return oneLine(lines)
  const file = lines.find((line) => line.startsWith('  file = '))
  return oneLine([
    ...lines.slice(0, advice),
    ...(file === undefined ? [] : [`(file ${file.slice(9)})`]),
  ])
}

const oneLine = (lines: readonly string[]): string =>
  lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')

const CSV_FAULT = 'CSV Error on Line: '
const CSV_LINE = 'Original Line: '

/** The line's number, what is wrong, the line, advice, settings: the advice is left out. */
function csvFault(lines: readonly string[]): string {
  const [number] = lines.map((line) => line.slice(CSV_FAULT.length))
  const file = lines.find((line) => line.startsWith('  file = '))?.slice(9) ?? 'a file'
  const given = lines.find((line) => line.startsWith(CSV_LINE))?.slice(CSV_LINE.length) ?? ''
  const end = lines.findIndex((line, i) => i > 0 && (line === '' || isAdvice(line)))
  const facts = lines.slice(1, end === -1 ? undefined : end)
  const what = oneLine(facts.filter((line) => !line.startsWith(CSV_LINE)))
  return `line ${number} of ${file} does not fit the table: ${what} (the line is '${shortened(given)}')`
}

const SHOWN_CHARACTERS = 100
const shortened = (line: string): string =>
  line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line

const isAdvice = (line: string): boolean => ADVICE.some((one) => line.startsWith(one))

const ADVICE = ['Possible ', 'This type was ', 'Try setting ', 'Column ', 'The search space ']
