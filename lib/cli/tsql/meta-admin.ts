/** `\admin`: Tajo's own verbs for queries and masters, as far as they have a meaning here. */
import type { QueryRecord } from '../../client/index.ts'
import { failure, usageError } from '../exit.ts'
import { duration, plain, table } from '../print.ts'
import type { Shell } from './shell.ts'

const LISTED = 1000
const SQL_SHOWN = 60

export async function admin(
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
      await shell.terminal.out(`${describe(await find(shell, id))}\n`)
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

/** By its id or the beginning of it. */
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

function describe(query: QueryRecord): string {
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
