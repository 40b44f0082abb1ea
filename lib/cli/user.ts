/**
 * `tajo user`: users of the cluster, for the administrator. A password is asked for on the terminal, twice, or read from the
 * standard input; what goes to the master is its verifier, made here, so that no statement, log or history ever holds it.
 */
import { verifierFor } from '../access/index.ts'
import { NoMasterError, QueryError, type TajoClient } from '../client/index.ts'
import type { CommandContext, Run } from './arguments.ts'
import { askHidden, lineOfInput, terminal } from './ask-password.ts'
import { CliError, EXIT, failure, usageError } from './exit.ts'
import { json, plain, table } from './print.ts'
import { connect } from './tsql/connect.ts'
import { NO_OPTIONS } from './tsql/options.ts'

const VERBS = ['add', 'passwd', 'drop', 'list'] as const
type Verb = (typeof VERBS)[number]

interface Call {
  readonly verb: Verb
  /** Empty for `list`. */
  readonly name: string
}

export const run: Run = async (context) => {
  const call = userCall(context.args)
  const password = call.verb === 'add' || call.verb === 'passwd' ? await newPassword(call.name) : ''
  const { client } = await connect(context, NO_OPTIONS)
  try {
    if (call.verb === 'list') await list(context, client)
    else tell(context, call, await client.execute(await statementFor(call, password)))
    return EXIT.done
  } catch (error) {
    if (error instanceof NoMasterError) throw new CliError(EXIT.unknownMaster, error.message)
    if (error instanceof QueryError) throw failure(plain(error.message), error)
    throw error
  } finally {
    await client.close()
  }
}

/** Throws a usage error. */
export function userCall([verb = '', name = '']: readonly string[]): Call {
  const known = VERBS.find((one) => one === verb)
  if (known === undefined) {
    throw usageError(`'tajo user' does not know '${verb}' (allowed are ${VERBS.join(', ')})`)
  }
  if (known === 'list' && name !== '') throw usageError("'tajo user list' takes no name")
  if (known !== 'list' && name === '') throw usageError(`'tajo user ${known}' needs a user's name`)
  return { verb: known, name }
}

/** The password's verifier is in it, and nothing of the password. */
export async function statementFor({ verb, name }: Call, password: string): Promise<string> {
  const quoted = `"${name.replaceAll('"', '""')}"`
  if (verb === 'drop') return `DROP USER ${quoted}`
  const what = verb === 'add' ? 'CREATE' : 'ALTER'
  return `${what} USER ${quoted} PASSWORD '${await verifierFor(password)}'`
}

const TOLD: Readonly<Record<Exclude<Verb, 'list'>, (name: string) => string>> = {
  add: (name) => `user ${name} is there; GRANT tells what he may do`,
  passwd: (name) => `user ${name} has a new password: whoever is logged in by the old one is out`,
  drop: (name) => `user ${name} is gone`,
}

function tell(
  { output, ...context }: CommandContext,
  { verb, name }: Call,
  message: string | null,
): void {
  if (context.json) output.out(json({ user: name, message }))
  else if (verb !== 'list') output.out(TOLD[verb](plain(name)))
}

async function list({ output, ...context }: CommandContext, client: TajoClient): Promise<void> {
  const result = await client.query('SHOW USERS')
  const names = result.columns.map((column) => column.name)
  const rows: string[][] = []
  for await (const batch of result.rows()) for (const row of batch) rows.push(row.map(String))
  if (!context.json) {
    const columns = names.map((title) => ({ title }))
    return output.out(rows.length === 0 ? 'there are no users' : table(columns, rows))
  }
  const objects = rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])))
  output.out(json({ users: objects }))
}

async function newPassword(name: string): Promise<string> {
  if (process.stdin.isTTY !== true) return given(await lineOfInput())
  const first = given(await typed(`Password for user ${name}: `))
  if ((await typed('The same again: ')) === first) return first
  throw failure('the two passwords differ: nothing was changed')
}

function given(password: string): string {
  if (password !== '') return password
  throw failure('the password is empty: type one, or give it as a line of the standard input')
}

async function typed(question: string): Promise<string> {
  const input = terminal()
  if (input === null) throw failure('there is no terminal to ask for the password on')
  return askHidden(input, question)
}
