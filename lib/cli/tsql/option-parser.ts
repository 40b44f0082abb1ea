/** tsql's command line as yargs reads it: every spelling, and every mistake as a sentence with what is allowed. */
import yargs from 'yargs'
import { nearest } from '../../base/nearest.ts'
import { PARSER, typedAs } from '../arguments.ts'
import { type CliError, usageError } from '../exit.ts'
import { FORMATS, type Format, isFormat, type TsqlOptions, valuesJoined } from './options.ts'

const text = { type: 'string', requiresArg: true } as const
const OPTIONS = {
  c: text,
  f: { ...text, alias: 'file' },
  h: { ...text, alias: 'host' },
  p: { ...text, alias: 'port' },
  U: { ...text, alias: 'user' },
  param: text,
  format: text,
  json: { type: 'boolean' },
  config: text,
  B: { type: 'boolean', alias: 'background' },
} as const
const NAMES = [...Object.keys(OPTIONS), 'file', 'host', 'port', 'user', 'background']

/** Throws a usage error. */
export function parseOptions(argv: readonly string[]): TsqlOptions {
  let found: Record<string, unknown> = {}
  yargs(valuesJoined(argv))
    .parserConfiguration(PARSER)
    .help(false)
    .version(false)
    .exitProcess(false)
    .detectLocale(false)
    .showHelpOnFail(false)
    .strict()
    .command(
      '$0 [database]',
      false,
      (parser) => parser.positional('database', { type: 'string' }).option(OPTIONS),
      (parsed) => {
        found = parsed
      },
    )
    .fail((message: string, error?: Error) => {
      throw error === undefined || error.name === 'YError' ? explain(message, argv) : error
    })
    .parse()
  const command = one(found, 'c')
  const file = one(found, 'f')
  if (command !== null && file !== null) throw usageError('-c and -f exclude each other')
  return {
    command,
    file,
    host: one(found, 'h'),
    port: portOf(one(found, 'p')),
    user: one(found, 'U'),
    background: found.B === true,
    params: paramsOf(found.param),
    format: formatOf(one(found, 'format'), found.json === true),
    config: one(found, 'config'),
    database: one(found, 'database'),
  }
}

function one(found: Record<string, unknown>, name: string): string | null {
  const value = found[name]
  if (Array.isArray(value)) throw usageError(`-${name} is given twice: once is allowed`)
  if (value === undefined) return null
  if (value === '') throw usageError(`-${name} is empty`)
  return String(value)
}

function formatOf(word: string | null, json: boolean): Format {
  if (word === null) return json ? 'json' : 'table'
  if (!isFormat(word)) throw usageError(`--format: '${word}' is none of ${FORMATS.join(', ')}`)
  if (json && word !== 'json') throw usageError(`--json and --format ${word} exclude each other`)
  return word
}

function portOf(word: string | null): number | null {
  if (word === null) return null
  const port = /^\d{1,5}$/.test(word) ? Number(word) : 0
  if (port >= 1 && port <= 65_535) return port
  throw usageError(`-p: '${word}' is no port (allowed are 1 to 65535)`)
}

function paramsOf(given: unknown): Readonly<Record<string, string>> {
  const words: string[] = given === undefined ? [] : [given].flat().map(String)
  const pairs = words.map((word): [string, string] => {
    const at = word.indexOf('=')
    if (at < 1) throw usageError(`-param: '${word}' is not name=value`)
    return [word.slice(0, at), word.slice(at + 1)]
  })
  return Object.fromEntries(pairs)
}

function explain(message: string, argv: readonly string[]): CliError {
  const missing = /^Not enough arguments following: (.*)$/.exec(message)?.[1]
  if (missing !== undefined) return usageError(`-${missing} needs a value`)
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ')[0]
  if (unknown === undefined) return usageError(message)
  const meant = nearest(unknown, NAMES)
  const hint = meant === null ? '' : `, did you mean ${dashed(meant)}?`
  const list = Object.keys(OPTIONS).map(dashed).join(' ')
  const typed = typedAs(argv, unknown)
  return usageError(`tsql does not know '${typed}'${hint} (allowed: ${list} DATABASE)`)
}

const dashed = (name: string): string =>
  name.length === 1 || name === 'param' ? `-${name}` : `--${name}`
