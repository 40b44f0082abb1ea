/**
 * What a statement comes to: an answer at once, one change of the catalog, or a task for a worker. What it may name in
 * the file system is looked at here; all else is pure and in the files beside. Rejects SqlError.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { type Principal, readVerifier, verifierFor } from '../../../access/index.ts'
import type { CatalogState, DataFile, Table } from '../../../catalog/index.ts'
import type { BoundNames, Session, Task } from '../../../contract/index.ts'
import { unreachable } from '../../../ha/index.ts'
import type { InsertTarget, Location, Place, SqlText, Statement } from '../../../sql/index.ts'
import { SqlError } from '../../../sql/index.ts'
import {
  type CompactionOptions,
  compactionOf,
  keepMsOf,
  planJoins,
  rulesByHand,
} from '../compaction/compaction.ts'
import type { Answer } from '../run/query.ts'
import {
  alterTable,
  createDatabase,
  createTable,
  createTableLike,
  type DdlContext,
  dropDatabase,
  dropTable,
  type Steps,
  truncate,
} from './ddl.ts'
import {
  allColumns,
  bindNames,
  requireBound,
  requireBoundDatabase,
  requireTable,
  spell,
} from './names.ts'
import { requireAllowed } from './needs.ts'
import { type Confined, PathError, type PathRules, pathPart } from './paths.ts'
import { asUser, confinementOf, placesToWrite, seenBy } from './rights.ts'
import { setVariable, unsetVariable } from './session.ts'
import { show } from './show.ts'
import { alterUser, createUser, dropUser, grant, revoke } from './users.ts'
import { planCreateAs, planInsert, type WritePlan } from './write-plan.ts'

interface Request {
  readonly queryId: string
  readonly attempt: number
  readonly sql: string
  readonly session: Session
}

interface PlanContext {
  readonly request: Request
  readonly term: number
  readonly submittedMs: number
  readonly paths: PathRules
  readonly compaction: CompactionOptions
  /** Who submits it: it does what he may, and names what he sees. */
  readonly principal: Principal
  /** Of an earlier attempt of the same change. */
  readonly names?: BoundNames | undefined
}

export type Plan =
  | {
      readonly is: 'answer'
      readonly answer: Answer | null
      readonly message: string | null
      readonly session: Session | null
    }
  /** To be built again with the newest state when its turn comes. */
  | { readonly is: 'change'; readonly build: (state: CatalogState) => Steps }
  | { readonly is: 'task'; readonly task: Task }

const SOFT_FILES = 100_000

/** A client without a database is in this one. */
export async function plan(
  statement: Statement,
  whole: CatalogState,
  context: PlanContext,
): Promise<Plan> {
  const { session } = context.request
  const state = seenBy(whole, context.principal)
  allow(state, statement, context, null)
  switch (statement.is) {
    case 'query':
      return task(context, 'select', statement.query, null)
    case 'explain':
      return task(context, statement.analyze ? 'explain-analyze' : 'explain', statement.query, null)
    case 'insert':
      return insertPlan(statement, state, context)
    case 'optimize':
      return optimizePlan(statement, state, context)
    case 'create-table':
      if (statement.as !== null) {
        const names = namesOf(state, context)
        requireBoundDatabase(state, statement.table, session.database, names)
        const write = planCreateAs(state, statement, statement.as, writeContext(context, null))
        return planWrite(write, context, names)
      }
      return change(statement, state, context)
    case 'set': {
      const has = (name: string): boolean => state.database(name) !== null
      return said('SET', setVariable(session, statement, has))
    }
    case 'unset':
      return said('UNSET', unsetVariable(session, statement))
    case 'show':
      if (statement.what === 'functions') return task(context, 'functions', SHOW_FUNCTIONS, null)
      return {
        is: 'answer',
        answer: await show({ what: statement.what, named: statement.named }, state, {
          principal: context.principal,
          session,
        }),
        message: null,
        session: null,
      }
    case 'describe': {
      const table = requireTable(state, statement.table, session.database)
      const isPartition = (name: string): boolean =>
        table.partitionColumns.some((column) => column.name === name)
      const rows = allColumns(table).map(({ name, type }) => [
        name,
        type,
        isPartition(name) ? 'partition' : '',
      ])
      return answer(['column', 'type', 'note'], rows)
    }
    default:
      return change(statement, state, context)
  }
}

const said = (message: string, session: Session): Plan => ({
  is: 'answer',
  answer: null,
  message,
  session,
})

const answer = (names: readonly string[], rows: unknown[][]): Plan => ({
  is: 'answer',
  answer: { columns: names.map((name) => ({ name, type: 'TEXT' })), rows },
  message: null,
  session: null,
})

/** Workers know which functions their engine has. */
const SHOW_FUNCTIONS: SqlText = { text: 'SHOW FUNCTIONS', place: { line: 1, column: 1 } }

// ---- changes -----------------------------------------------------------------------------------------------------

type Ddl = Exclude<
  Statement,
  { is: 'query' | 'explain' | 'insert' | 'optimize' | 'set' | 'unset' | 'show' | 'describe' }
>

async function change(
  statement: Ddl,
  state: CatalogState,
  { request, paths, submittedMs, principal }: PlanContext,
): Promise<Plan> {
  const named = locationOf(statement)
  const location = named === null ? null : await lookedAt(statement, named, paths)
  const adds = statement.is === 'alter-table' && statement.action.do === 'add-partition'
  const context: DdlContext = {
    database: request.session.database,
    now: new Date(submittedMs).toISOString(),
    newLocation: newLocation(paths.warehouse, request.queryId),
    location,
    files: adds && location !== null ? await filesIn(location, named?.place ?? null) : [],
    owner: asUser(principal),
    verifier: 'password' in statement ? await verifierOf(statement.password) : null,
  }
  const build = (now: CatalogState): Steps => {
    const seen = seenBy(now, principal)
    requireAllowed(seen, statement, { ...context, principal })
    return stepsOf(seen, statement, context)
  }
  // What is wrong with it now is told now.
  build(state)
  return { is: 'change', build }
}

function stepsOf(state: CatalogState, statement: Ddl, context: DdlContext): Steps {
  switch (statement.is) {
    case 'create-database':
      return createDatabase(state, statement, context)
    case 'drop-database':
      return dropDatabase(state, statement)
    case 'create-table':
      return createTable(state, statement, context)
    case 'create-table-like':
      return createTableLike(state, statement, context)
    case 'drop-table':
      return dropTable(state, statement, context)
    case 'truncate':
      return truncate(state, statement, context)
    case 'alter-table':
      return alterTable(state, statement, context)
    case 'create-user':
      return createUser(state, statement, context)
    case 'alter-user':
      return alterUser(state, statement, context)
    case 'drop-user':
      return dropUser(state, statement)
    case 'grant':
      return grant(state, statement, context)
    case 'revoke':
      return revoke(state, statement, context)
    default:
      return unreachable(statement)
  }
}

/** One that stands there already, as of a user of another cluster, is taken as it is. */
const verifierOf = async (password: string): Promise<string> =>
  readVerifier(password) === null ? verifierFor(password) : password

function locationOf(statement: Ddl): Location | null {
  if (statement.is === 'create-table') return statement.location
  if (statement.is === 'grant' || statement.is === 'revoke') {
    return statement.what.on === 'location' ? statement.what.location : null
  }
  const adds = statement.is === 'alter-table' && statement.action.do === 'add-partition'
  return adds ? statement.action.location : null
}

/** What was granted once can be revoked, whatever has become of the place. */
async function lookedAt({ is }: Ddl, location: Location, paths: PathRules): Promise<Confined> {
  if (is === 'grant') return lookAt(location, paths, 'a root')
  if (is !== 'revoke') return lookAt(location, paths)
  return lookAt(location, paths, 'a root').catch(() => ({ path: location.path, is: 'nothing' }))
}

/** Rejects SqlError with the place. */
async function lookAt(
  { path, place }: Location,
  paths: PathRules,
  or?: 'a root',
): Promise<Confined> {
  try {
    return await paths.confine(path, or)
  } catch (error) {
    if (!(error instanceof PathError)) throw error
    throw new SqlError(error.message, place, { cause: error })
  }
}

/** As an external table sees its directory: no hidden files, none that a query writes. */
async function filesIn({ path, is }: Confined, place: Place | null): Promise<DataFile[]> {
  if (is === 'nothing') throw new SqlError(`LOCATION '${path}' does not exist`, place)
  const names = is === 'file' ? [''] : (await readdir(path)).filter((name) => !/^[._]/.test(name))
  if (names.length > SOFT_FILES)
    throw new SqlError(`LOCATION '${path}' holds too many files`, place)
  const files: DataFile[] = []
  for (const name of names.sort()) {
    const file = name === '' ? path : join(path, name)
    const found = await stat(file)
    if (found.isFile()) files.push({ path: file, rows: null, bytes: found.size, partition: [] })
  }
  if (files.length === 0) throw new SqlError(`LOCATION '${path}' holds no files`, place)
  return files
}

// ---- tasks -------------------------------------------------------------------------------------------------------

async function insertPlan(
  statement: Extract<Statement, { is: 'insert' }>,
  state: CatalogState,
  context: PlanContext,
): Promise<Plan> {
  const { database } = context.request.session
  const names = namesOf(state, context)
  const { into } = statement
  const table = into.to === 'table' ? requireBound(state, into.table, database, names) : null
  const named = placeToWrite(into, table)
  const location = named === null ? null : await lookAt(named, context.paths)
  allow(state, statement, context, location)
  const planned = planInsert(state, statement, { ...writeContext(context, location), table })
  const confined =
    table === null ? placesToWrite(state, context.principal) : confinementOf(state, table)
  const write = confined === null ? planned.write : { ...planned.write, confined }
  return planWrite({ ...planned, write }, context, names)
}

async function optimizePlan(
  { table: named }: Extract<Statement, { is: 'optimize' }>,
  state: CatalogState,
  context: PlanContext,
): Promise<Plan> {
  const { request, term, compaction } = context
  const names = namesOf(state, context)
  const table = requireBound(state, named, request.session.database, names)
  if (table.kind === 'external') {
    const text = `table ${spell(table)} is external: its files are not ours to join`
    throw new SqlError(text, named.place)
  }
  const joins = await planJoins(table.files, rulesByHand(compaction))
  if (joins.groups.length === 0) {
    const message = 'OPTIMIZE: no small files to join'
    return { is: 'answer', answer: null, message, session: null }
  }
  const keepMs = keepMsOf(compaction, state.litterCount)
  const how = { ...request, term, keepMs, background: false }
  const query = { text: request.sql, place: { line: 1, column: 1 } }
  const { write, compaction: parts } = compactionOf(table, joins, how)
  return task(context, 'compact', query, { write, compaction: parts, names })
}

/** Throws SqlError. */
const allow = (
  state: CatalogState,
  statement: Statement,
  { principal, request }: PlanContext,
  location: Confined | null,
): void =>
  requireAllowed(state, statement, { principal, database: request.session.database, location })

const namesOf = (state: CatalogState, { request, names }: PlanContext): BoundNames =>
  names ?? bindNames(state, request.sql, request.session.database)

/** What has to be looked at before somebody writes there; a managed table's place is our own. */
function placeToWrite(into: InsertTarget, table: Table | null): Location | null {
  if (into.to === 'location') return into.location
  return table?.kind === 'external' ? { path: table.location, place: into.table.place } : null
}

const writeContext = (
  { request, term, paths, principal }: PlanContext,
  location: Confined | null,
) => ({
  queryId: request.queryId,
  attempt: request.attempt,
  term,
  database: request.session.database,
  newLocation: newLocation(paths.warehouse, request.queryId),
  location,
  owner: asUser(principal),
})

/** Never used by another table, also not by one of the same name: what is left of a dropped one may be removed any time. */
const newLocation =
  (warehouse: string, queryId: string) =>
  ({ database, name }: { database: string; name: string }): string =>
    join(warehouse, pathPart(database), `${pathPart(name)}-${queryId}`)

function planWrite(write: WritePlan | null, context: PlanContext, names: BoundNames): Plan {
  if (write === null) {
    return { is: 'answer', answer: null, message: 'CREATE TABLE: it exists already', session: null }
  }
  return task(context, 'write', write.query, { ...write, names })
}

function task(
  { request, submittedMs, principal }: PlanContext,
  mode: Task['mode'],
  query: SqlText,
  write: (Partial<WritePlan> & Pick<Task, 'write' | 'names' | 'compaction'>) | null,
): Plan {
  const { queryId, attempt, sql, session } = request
  return {
    is: 'task',
    task: {
      queryId,
      attempt,
      sql,
      query: { text: query.text, place: { ...query.place } },
      mode,
      session,
      asUser: asUser(principal),
      write: write?.write ?? null,
      create: write?.create ?? null,
      compaction: write?.compaction,
      publishTo: write?.publishTo ?? null,
      names: write?.names,
      submittedMs,
    },
  }
}
