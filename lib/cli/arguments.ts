/**
 * Yargs reads the command line, `tajo COMMAND [options]`, in strict mode. Long options take one dash, as in Tajo, or
 * two. Whatever is not understood is a usage error that names the nearest allowed word.
 *
 * What `tajo.ts` gives to a command, and what it expects back.
 */
import yargs from 'yargs'
import { nearest } from '../base/nearest.ts'
import { type CliError, usageError } from './exit.ts'
import type { Output } from './print.ts'

export interface CommandContext {
  /** What follows the command word, with `--config` and `--json` taken out. */
  readonly args: readonly string[]
  /** haadmin only: its verbs and options as typed. */
  readonly options: Readonly<Record<string, string | boolean>>
  readonly json: boolean
  /** Absolute. */
  readonly confDir: string
  /** TAJO_HOME, absolute. */
  readonly home: string
  /** The environment after `conf/tajo-env.sh`. */
  readonly env: NodeJS.ProcessEnv
  readonly output: Output
}

/** Resolves to the exit code; rejects with a CliError for an error that is told in one line. */
export type Run = (context: CommandContext) => Promise<number>

/** How both programs have yargs read a command line: Tajo's single-dash words whole, values as they stand. */
export const PARSER = {
  'short-option-groups': false,
  'camel-case-expansion': false,
  'boolean-negation': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'strip-aliased': true,
}

/** A word that yargs complains of without its dashes, as it stands on the command line. */
export const typedAs = (argv: readonly string[], name: string): string =>
  argv.find((word) => word.replace(/^--?/, '').split('=')[0] === name) ?? name

const COMMANDS = [
  'master',
  'worker',
  'haadmin',
  'catalog',
  'user',
  'getconf',
  'demo',
  'version',
] as const
type Command = (typeof COMMANDS)[number]

export interface Invocation {
  readonly command: Command
  readonly config: string | null
  readonly json: boolean
  /** They are getconf's key, as a list, catalog's verb and file, user's verb and name. */
  readonly args: readonly string[]
  /** haadmin's verbs and options as typed. */
  readonly options: Readonly<Record<string, string | boolean>>
}

const GLOBAL_STRINGS = ['config']
const GLOBAL_FLAGS = ['json']
const HAADMIN_STRINGS = [
  'getState',
  'transitionToActive',
  'transitionToBackup',
  'peer',
  'limit',
  'by',
]
const HAADMIN_FLAGS = [
  'formatHA',
  'status',
  'history',
  'checkSharedDir',
  'token',
  'certificate',
  'force',
  'yes',
  'here',
]
const CATALOG_STRINGS = ['term']
const CATALOG_FLAGS = ['force']
const GETCONF_FLAGS = ['show-secrets']
/** What stands behind the command word without a dash, as yargs writes it. */
const POSITIONALS: Readonly<Partial<Record<Command, string>>> = {
  getconf: 'getconf <key>',
  catalog: 'catalog <verb> [file]',
  user: 'user <verb> [name]',
}
/** What haadmin passes to itself over ssh; not offered to people. */
const HIDDEN = new Set(['by', 'here'])

/** Reads the command line; throws a usage error. Help is not its business: it is answered before. */
export function parseArguments(argv: readonly string[]): Invocation {
  const command = argv.find((word, i) => !word.startsWith('-') && !takesValue(argv[i - 1]))
  if (command === undefined) throw usageError(`a command is missing: ${commandList()}`)
  if (!isCommand(command)) throw unknownCommand(command)
  refuseFlagValues(argv)
  let found: Record<string, unknown> = {}
  const [strings, flags] = ownOptions(command)
  yargs([...argv])
    .parserConfiguration(PARSER)
    .help(false)
    .version(false)
    .exitProcess(false)
    .detectLocale(false)
    .showHelpOnFail(false)
    .strict()
    .option(optionsOf(GLOBAL_STRINGS, GLOBAL_FLAGS))
    .command(
      POSITIONALS[command] ?? command,
      false,
      (parser) => parser.option(optionsOf(strings, flags)),
      (parsed) => {
        found = parsed
      },
    )
    .fail((message: string, error?: Error) => {
      throw error === undefined || error.name === 'YError' ? explain(message, command, argv) : error
    })
    .parse()
  return invocation(command, found)
}

function invocation(command: Command, found: Record<string, unknown>): Invocation {
  const options: Record<string, string | boolean> = {}
  for (const [name, value] of Object.entries(found)) {
    if (NO_OPTIONS.has(name)) continue
    if (Array.isArray(value)) throw usageError(`-${name} is given twice: once is allowed`)
    if (typeof value === 'string' || typeof value === 'boolean') options[name] = value
  }
  const { config, json, ...rest } = options
  if (config === '') throw usageError('--config needs the name of a directory')
  return {
    command,
    config: typeof config === 'string' ? config : null,
    json: json === true,
    args: [found.key, found.verb, found.file, found.name].filter(
      (word) => typeof word === 'string',
    ),
    options: rest,
  }
}

const NO_OPTIONS = new Set(['_', '$0', 'key', 'verb', 'file', 'name'])

/** Tells a command's own options: those with a value, and those without. */
function ownOptions(command: Command): [strings: readonly string[], flags: readonly string[]] {
  if (command === 'haadmin') return [HAADMIN_STRINGS, HAADMIN_FLAGS]
  if (command === 'getconf') return [[], GETCONF_FLAGS]
  return command === 'catalog' ? [CATALOG_STRINGS, CATALOG_FLAGS] : [[], []]
}

type OptionSet = Record<string, { type: 'string' | 'boolean'; requiresArg?: boolean }>
const optionsOf = (strings: readonly string[], flags: readonly string[]): OptionSet => ({
  ...Object.fromEntries(strings.map((name) => [name, { type: 'string', requiresArg: true }])),
  ...Object.fromEntries(flags.map((name) => [name, { type: 'boolean' }])),
})

const isCommand = (word: string): word is Command => (COMMANDS as readonly string[]).includes(word)
const takesValue = (word: string | undefined): boolean =>
  word !== undefined &&
  [...GLOBAL_STRINGS, ...HAADMIN_STRINGS, ...CATALOG_STRINGS].includes(bareOption(word) ?? '')
const bareOption = (word: string): string | null => /^--?([^-=][^=]*)$/.exec(word)?.[1] ?? null
const commandList = (): string => `allowed are ${COMMANDS.join(', ')}`

function unknownCommand(word: string): CliError {
  const meant = nearest(word, COMMANDS)
  const hint = meant === null ? '' : `, did you mean '${meant}'?`
  return usageError(`unknown command '${word}'${hint} (${commandList()})`)
}

/** `--force=maybe` would be read as false without a word. */
function refuseFlagValues(argv: readonly string[]): void {
  for (const word of argv) {
    const name = /^--?([^-=][^=]*)=/.exec(word)?.[1]
    if (
      name !== undefined &&
      [...GLOBAL_FLAGS, ...HAADMIN_FLAGS, ...GETCONF_FLAGS].includes(name)
    ) {
      throw usageError(`-${name} takes no value: ${word}`)
    }
  }
}

/** yargs' sentence as ours, with what is allowed. */
function explain(message: string, command: Command, argv: readonly string[]): CliError {
  const missing = /^Not enough arguments following: (.*)$/.exec(message)?.[1]
  if (missing !== undefined) return usageError(`-${missing} needs a value: ${wantedValue(missing)}`)
  if (/^Not enough non-option arguments/.test(message)) {
    return usageError(`'tajo ${command}' needs ${WANTED[command] ?? 'more words'}`)
  }
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ')[0]
  if (unknown === undefined) return usageError(message)
  const allowed = [...ownOptions(command).flat(), ...GLOBAL_STRINGS, ...GLOBAL_FLAGS].filter(
    (name) => !HIDDEN.has(name),
  )
  const meant = nearest(unknown, allowed)
  const hint = meant === null ? '' : `, did you mean -${meant}?`
  const list = allowed.map((name) => `-${name}`).join(' ')
  const typed = typedAs(argv, unknown)
  return usageError(`'tajo ${command}' does not know '${typed}'${hint} (allowed: ${list})`)
}

/** What has to stand behind the command word. */
const WANTED: Readonly<Partial<Record<Command, string>>> = {
  catalog: 'a verb, dump, load or restore',
  user: 'a verb, add, passwd, drop or list',
  getconf: 'a key, such as tajo.rootdir',
}

function wantedValue(option: string): string {
  if (option === 'config') return 'a directory'
  if (option === 'peer') return "another host's name"
  if (option === 'limit') return 'how many terms'
  return "a master's umbilical address, such as host2:26001"
}
