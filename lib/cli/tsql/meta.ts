/**
 * The meta commands: what begins with a backslash is for the shell, not for the master.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { nearest } from '../../base/nearest.ts'
import type { QueryRecord, Row, TableDigest, TajoClient } from '../../client/index.ts'
import { splitShellWords } from '../env-file.ts'
import { failure, usageError } from '../exit.ts'
import { duration, plain, table } from '../print.ts'
import { META_HELP } from './help.ts'
import { useDatabase } from './settings.ts'
import { byteText, type Shell } from './shell.ts'

const LISTED = 1000
const SQL_SHOWN = 60

/** `\admin`: Tajo's own verbs for queries and masters, as far as they have a meaning here. */
async function admin(
  words: readonly string[],
  shell: Shell,
  status: () => Promise<'done'>,
): Promise<'done'> {
  const [verb = '', id] = words
  switch (verb.replace(/^-+/, '')) {
    case 'list':
      await shell.terminal.out(`${listText(await shell.client.queries(LISTED))}\n`)
      return 'done'
    case 'desc':
      await shell.terminal.out(`${inWords(await find(shell, id))}\n`)
      return 'done'
    case 'kill':
      if (!(await shell.client.kill((await find(shell, id)).queryId))) {
        throw failure(`no master knows the query ${id}`)
      }
      return 'done'
    case 'cluster':
    case 'showmasters':
      return status()
    default:
      throw usageError('\\admin -list | -desc ID | -kill ID | -cluster | -showmasters')
  }
}

/** Finds it by its id or the beginning of it. */
async function find(shell: Shell, id: string | undefined): Promise<QueryRecord> {
  if (id === undefined) throw usageError('the id of a query is missing (\\admin -list tells them)')
  const all = (await shell.client.queries(LISTED)).filter(({ queryId }) => queryId.startsWith(id))
  const [only] = all
  if (only !== undefined && all.length === 1) return only
  throw failure(
    only === undefined
      ? `no master knows the query ${id}`
      : `${id} is the beginning of ${all.length} queries`,
  )
}

function listText(queries: readonly QueryRecord[]): string {
  const running = queries.filter(({ state }) => state === 'queued' || state === 'running')
  return table(
    [{ title: 'QUERY' }, { title: 'STATE' }, { title: 'DONE', align: 'right' }, { title: 'SQL' }],
    running.map(({ queryId, state, progress, sql }) => [
      queryId,
      state,
      `${Math.floor(progress * 100)}%`,
      sql.length > SQL_SHOWN ? `${sql.slice(0, SQL_SHOWN)}…` : sql,
    ]),
  )
}

function inWords(query: QueryRecord): string {
  const { startedMs, finishedMs, error } = query
  const took =
    startedMs === null ? '-' : duration(Math.max(0, (finishedMs ?? Date.now()) - startedMs))
  const lines = [
    `id:        ${query.queryId}`,
    `state:     ${query.state} (${Math.floor(query.progress * 100)}%)`,
    `user:      ${query.user}`,
    `database:  ${query.database}`,
    `submitted: ${new Date(query.submittedMs).toISOString()}`,
    `took:      ${took}`,
    `worker:    ${query.worker ?? '-'}`,
    `master:    ${query.master} (term ${query.epoch})`,
    `result:    ${error?.message ?? query.message ?? (query.rows === null ? '-' : `${query.rows} rows`)}`,
    `sql:       ${query.sql}`,
  ]
  return lines.map(plain).join('\n')
}

interface MetaContext {
  /** TAJO_HOME. */
  readonly home: string
  readonly confDir: string
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Where `\dfs` begins. */
  readonly warehouse: string
}

export const META_COMMANDS = [
  '\\l',
  '\\c',
  '\\d',
  '\\df',
  '\\admin',
  '\\haadmin',
  '\\dfs',
  '\\set',
  '\\unset',
  '\\!',
  '\\?',
  '\\help',
  '\\version',
  '\\q',
] as const

/** Rejects with a CliError, or as the client does. */
export async function runMeta(
  text: string,
  shell: Shell,
  context: MetaContext,
): Promise<'done' | 'quit'> {
  if (text.startsWith('\\!')) return system(text.slice(2).trim(), context)
  const [command = '', ...words] = splitShellWords(
    withoutEnd(text).replace('\\', '\\\\'),
    'the line',
  )
  const [first, second] = words
  switch (command) {
    case '\\q':
    case '\\quit':
      return 'quit'
    case '\\?':
    case '\\help':
      return print(shell, META_HELP)
    case '\\version':
      return print(shell, context.version)
    case '\\l':
      return print(shell, (await shell.client.databases()).map(plain).join('\n'))
    case '\\c':
      return database(first, shell)
    case '\\d':
      return first === undefined ? tables(shell) : describe(first, shell)
    case '\\df':
      await shell.query('SHOW FUNCTIONS', (row) => first === undefined || named(row, first))
      return 'done'
    case '\\set':
      return set(first, words.slice(1).join(' '), shell)
    case '\\unset':
      if (first === undefined || second !== undefined) throw usageError('\\unset needs one name')
      if (!shell.settings.unset(first)) await shell.client.execute(`UNSET ${name(first)}`)
      return 'done'
    case '\\admin':
      return admin(words, shell, () => tajo(['haadmin', '-status'], context))
    case '\\haadmin':
      return tajo(['haadmin', ...words], context)
    case '\\dfs':
      await (await import('./meta-dfs.ts')).dfs(words, {
        warehouse: context.warehouse,
        terminal: shell.terminal,
        tableLocations: () => tableLocations(shell.client),
      })
      return 'done'
    default:
      throw unknown(command)
  }
}

/** Tajo's own documentation ends some of them with a semicolon. */
const withoutEnd = (text: string): string => text.replace(/\s*;\s*$/, '')

async function print(shell: Shell, text: string): Promise<'done'> {
  await shell.terminal.out(text === '' ? '' : `${text}\n`)
  return 'done'
}

async function database(wanted: string | undefined, shell: Shell): Promise<'done'> {
  if (wanted !== undefined) await useDatabase(shell.client, wanted)
  const { database, user } = shell.client.session
  const now = wanted === undefined ? '' : 'now '
  return print(shell, `You are ${now}connected to database "${database}" as user "${user}".`)
}

async function tables(shell: Shell): Promise<'done'> {
  const names = (await shell.client.tables()).map((table) => plain(table.name))
  return print(shell, names.sort().join('\n'))
}

async function describe(wanted: string, shell: Shell): Promise<'done'> {
  const at = wanted.indexOf('.')
  const database = at < 0 ? undefined : folded(wanted.slice(0, at))
  const name = wanted.slice(at + 1)
  const table =
    (await shell.client.describe(name, database)) ??
    (await shell.client.describe(folded(name), database))
  if (table === null) throw failure(`table "${wanted}" does not exist`)
  return print(shell, tableText(table))
}

function tableText(table: TableDigest): string {
  const options = Object.entries(table.options).map(([key, value]) => `\t'${key}'='${value}'`)
  const column = ({ name, type }: { name: string; type: string }): string => `${name}\t${type}`
  const lines = [
    '',
    `table name: ${table.database}.${table.name}${table.kind === 'external' ? ' (external)' : ''}`,
    `table path: ${table.location}`,
    `store type: ${table.format}`,
    `number of rows: ${table.rows ?? 'unknown'}`,
    `volume: ${byteText(table.bytes)} in ${table.fileCount} files`,
    ...(options.length > 0 ? ['options:', ...options] : []),
    '',
    'schema:',
    ...table.columns.map(column),
    ...(table.partitionColumns.length > 0
      ? ['', 'partitions:', 'type: COLUMN', ...table.partitionColumns.map(column)]
      : []),
  ]
  return `${lines.map((line) => line.split('\t').map(plain).join('\t')).join('\n')}\n`
}

async function set(key: string | undefined, value: string, shell: Shell): Promise<'done'> {
  if (key === undefined) {
    const { database, variables } = shell.client.session
    const all = [
      ...shell.settings.list(),
      ['CURRENT_DATABASE', database] as const,
      ...Object.entries(variables),
    ]
    return print(shell, all.map(([key, value]) => plain(`'${key}'='${value}'`)).join('\n'))
  }
  if (value === '') throw usageError(`\\set ${key} needs a value (\\unset takes it back)`)
  if (!shell.settings.set(key, value)) {
    await shell.client.execute(`SET ${name(key)} TO ${quoted(value)}`)
  }
  return 'done'
}

/** Whether the first column holds the word. */
const named = (row: Row, word: string): boolean =>
  String(row[0]).toLowerCase().includes(folded(word))

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`
/** A variable's name as SQL takes it. */
const name = (word: string): string => {
  if (/^[A-Za-z_][A-Za-z0-9_.$-]*$/.test(word)) return word
  throw usageError(`'${word}' is no name of a variable`)
}
/** Reads it as SQL does: in lower case. */
const folded = (word: string): string => word.toLowerCase()

function unknown(command: string): Error {
  const meant = nearest(command, META_COMMANDS)
  const hint = meant === null ? '' : `, did you mean ${meant}?`
  return usageError(`unknown command ${command}${hint} (\\? lists all)`)
}

/** `tajo` of this install, with the terminal. */
const tajo = (words: readonly string[], context: MetaContext): Promise<'done'> =>
  child(
    process.execPath,
    [join(context.home, 'bin/tajo'), '--config', context.confDir, ...words],
    context,
  )

async function system(command: string, context: MetaContext): Promise<'done'> {
  const own = context.env.SHELL || '/bin/sh'
  return command === '' ? child(own, [], context) : child('/bin/sh', ['-c', command], context)
}

async function child(
  program: string,
  words: readonly string[],
  { env }: MetaContext,
): Promise<'done'> {
  const code = await new Promise<number | null>((resolve, reject) => {
    const running = spawn(program, words, { stdio: 'inherit', env })
    running.once('error', reject)
    running.once('close', resolve)
  })
  if (code !== 0)
    throw failure(`the command ended with ${code === null ? 'a signal' : `exit code ${code}`}`)
  return 'done'
}

async function tableLocations(client: TajoClient): Promise<Map<string, string>> {
  const databases = await client.databases()
  const tables = await Promise.all(databases.map((database) => client.tables(database)))
  return new Map(
    tables.flat().map(({ database, name, location }) => [`${database}.${name}`, location]),
  )
}
