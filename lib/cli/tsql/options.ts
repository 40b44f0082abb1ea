/**
 * This is tsql's command line. What scripts type all day is read right here, without loading the argument parser;
 * whatever is not plain enough goes to it (option-parser.ts), and so does every mistake.
 *
 * `${name}` in scripts, filled in from `-param name=value`, as Tajo does. The value goes in as it is, quotes and all.
 */
import { CliError, EXIT } from '../exit.ts'

/** Without any parameter the text stays as it is; with some, one that was not given is an error. */
export function fillIn(text: string, params: Readonly<Record<string, string>>): string {
  if (Object.keys(params).length === 0 || !text.includes('${')) return text
  return text.replaceAll(/\$\{([^{}\s]+)\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(params, name) ? params[name] : undefined
    if (value !== undefined) return value
    throw new CliError(
      EXIT.usage,
      `the script asks for \${${name}}: give it with -param ${name}=VALUE`,
    )
  })
}

export const FORMATS = ['table', 'csv', 'json'] as const
export type Format = (typeof FORMATS)[number]

export interface TsqlOptions {
  /** SQL and meta commands to run instead of reading them from somewhere. */
  readonly command: string | null
  /** A script; `-` is the standard input. */
  readonly file: string | null
  readonly host: string | null
  readonly port: number | null
  /** He logs in as this user; null: by the cluster's secret, or as the user of this system. */
  readonly user: string | null
  /** Never touches the terminal: no prompt, no line editing, no progress bar. */
  readonly background: boolean
  readonly params: Readonly<Record<string, string>>
  readonly format: Format
  readonly config: string | null
  readonly database: string | null
}

export const NO_OPTIONS: TsqlOptions = {
  command: null,
  file: null,
  host: null,
  port: null,
  user: null,
  background: false,
  params: {},
  format: 'table',
  config: null,
  database: null,
}

/** Whatever follows one of them is its value, also what looks like an option: a comment of SQL begins with dashes. */
const TAKE_ANYTHING: ReadonlySet<string> = new Set(
  ['c', 'f', 'file', 'param'].flatMap((name) => [`-${name}`, `--${name}`]),
)

/** Returns the command line with each of these and its value as one word, as `-c=select 1`. */
export function valuesJoined(argv: readonly string[]): string[] {
  const words: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const value = TAKE_ANYTHING.has(word) ? argv[i + 1] : undefined
    words.push(value === undefined ? word : `${word}=${value}`)
    if (value !== undefined) i += 1
  }
  return words
}

const PLAIN: Readonly<Record<string, 'command' | 'file' | 'host' | 'user' | 'format'>> = {
  '-c': 'command',
  '-f': 'file',
  '-h': 'host',
  '-U': 'user',
  '--format': 'format',
}

/** The options where each is written in its plainest form; null sends them to the parser. */
export function plainOptions(argv: readonly string[]): TsqlOptions | null {
  let options = NO_OPTIONS
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const value = argv[i + 1] ?? ''
    const name = PLAIN[word]
    if (word === '-B') options = { ...options, background: true }
    else if (word === '--json') options = { ...options, format: 'json' }
    else if (name !== undefined) {
      if (value === '' || (value.startsWith('-') && !TAKE_ANYTHING.has(word))) return null
      if (name === 'format' && !isFormat(value)) return null
      if (name !== 'format' && options[name] !== null) return null
      options = { ...options, [name]: value }
      i += 1
    } else if (word === '' || word.startsWith('-') || options.database !== null) return null
    else options = { ...options, database: word }
  }
  const doubled = argv.includes('--json') && argv.includes('--format')
  return doubled || (options.command !== null && options.file !== null) ? null : options
}

export const isFormat = (word: string): word is Format =>
  (FORMATS as readonly string[]).includes(word)
