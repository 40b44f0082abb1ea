/**
 * What a query may do, decided before it runs, on DuckDB's own reading of it.
 *
 * Only one SELECT passes. Every table that it names, wherever it stands, is either one of its own WITH queries or a
 * table of the catalog, which the caller has to look up; names of files and of DuckDB's own tables are just tables that
 * the catalog doesn't have. Functions that make tables are on a list of harmless ones; functions that look at the
 * process or run text as SQL are refused. Kinds of nodes that aren't known here are refused, too: what a later version
 * of the engine brings has to be looked at first.
 *
 * DuckDB gives the names without their quotes. Whether one was quoted, which decides about its case, is read from the
 * statement's text where DuckDB says the name stands.
 *
 * A qualified name as it is written in a statement: `db."T"`. Pure; DuckDB has parsed the statement before.
 */
import type { Condition } from '../contract/index.ts'
import { type EngineText, firstParameter, type Place, SqlError } from '../sql/index.ts'
import { conditionsOf } from './conditions.ts'
import { TABLE_FUNCTIONS, whyDenied } from './functions.ts'
import { inUsersWords, placeIn } from './query-error.ts'

interface WrittenName {
  readonly name: string
  readonly quoted: boolean
}

/** Ends a name that isn't quoted. */
const ENDS = new Set(' \t\r\n\f\v.,;()[]{}"\'+-*/<>=~!@#%^&|`?:')

/** The parts of the name that begins `position` bytes into the text; empty where none does. */
export function namesAt(text: string, position: number): WrittenName[] {
  const rest = Buffer.from(text, 'utf8').toString('utf8', position)
  const names: WrittenName[] = []
  let at = 0
  for (;;) {
    const part = rest[at] === '"' ? quoted(rest, at) : plain(rest, at)
    if (part === null) return names
    names.push(part.written)
    at = afterBlanks(rest, part.end)
    if (rest[at] !== '.') return names
    at = afterBlanks(rest, at + 1)
  }
}

function quoted(text: string, start: number): { written: WrittenName; end: number } | null {
  let name = ''
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] !== '"') name += text[at]
    else if (text[at + 1] === '"') {
      name += '"'
      at += 1
    } else return { written: { name, quoted: true }, end: at + 1 }
  }
  return null
}

function plain(text: string, start: number): { written: WrittenName; end: number } | null {
  let end = start
  while (end < text.length && !ENDS.has(text[end] ?? '')) end += 1
  return end === start ? null : { written: { name: text.slice(start, end), quoted: false }, end }
}

function afterBlanks(text: string, start: number): number {
  let at = start
  while (at < text.length && ' \t\r\n\f\v'.includes(text[at] ?? '')) at += 1
  return at
}

export interface TableUse {
  readonly database: string
  readonly name: string
  /** Where it is first named. */
  readonly place: Place | null
  /** What its rows have to meet wherever the query reads it; null: nothing is known. */
  readonly where: Condition | null
  /** How the query writes it: the engine finds it under each of these, and under no other. */
  readonly spellings: readonly Spelling[]
}

interface Spelling {
  readonly schema: string
  readonly name: string
}

type Node = Readonly<Record<string, unknown>>

/** Names of WITH queries, as `engineLower` has them. */
interface Scope {
  readonly seen: ReadonlySet<string>
  /** What can be named by `recurring.` as well: in the second part of a recursive one its own name. */
  readonly recurring: ReadonlySet<string>
}

const seeing = ({ seen, recurring }: Scope, name: string): Scope => ({
  seen: new Set([...seen, name]),
  recurring,
})

/** The engine's names differ in nothing but the case of A to Z where they are the same name. JavaScript knows more letters. */
const engineLower = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** Views that show the engine's inside, and are seen without a schema. */
export const isOfTheEngine = (name: string): boolean =>
  /^(duckdb|pg|pragma|sqlite)_/.test(engineLower(name))

/** Every table the query reads, each once. `tree` is what `json_serialize_sql` made of the text. Throws SqlError. */
export function analyse(tree: unknown, query: EngineText, database: string): TableUse[] {
  const root = tree as Node
  if (root.error === true) throw parseError(root, query)
  const statements = root.statements as Node[]
  if (statements.length !== 1) {
    throw new SqlError('one statement at a time, please: send them one by one', query.placeOf(0))
  }
  return new Analysis(query, database).of(statements[0] as Node)
}

function parseError(root: Node, query: EngineText): SqlError {
  if (root.error_type === 'not implemented') {
    return new SqlError(
      'only SELECT queries can be run here (SELECT, WITH, FROM, VALUES); PIVOT, PRAGMA, COPY, ATTACH, CALL and the like can not',
      query.placeOf(0),
    )
  }
  const place = root.position === undefined ? null : placeIn(query, Number(root.position))
  return new SqlError(inUsersWords(String(root.error_message)), place ?? query.placeOf(0))
}

/** Query nodes, by their `type`: what they consist of is looked at like any other part. */
const QUERY_NODES = new Set(['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE'])
/** What may stand after FROM, besides BASE_TABLE, TABLE_FUNCTION and SHOW_REF. */
const PLAIN_REFS = new Set(['SUBQUERY', 'JOIN', 'EXPRESSION_LIST', 'EMPTY', 'PIVOT'])

class Analysis {
  readonly #query: EngineText
  readonly #database: string
  readonly #uses = new Map<string, TableUse>()
  /** Of references to tables, that are still to be looked at. */
  readonly #conditions = new WeakMap<Node, Condition>()
  /** By the keys of `uses`, in the order in which somebody asked. */
  readonly #places = new Map<string, number>()
  /** Parts still to be looked at. A list, not recursion: statements can be nested deeper than our stack. */
  readonly #todo: { part: unknown; scope: Scope; from: boolean }[] = []

  constructor(query: EngineText, database: string) {
    this.#query = query
    this.#database = database
  }

  of(statement: Node): TableUse[] {
    this.#later(statement.node, { seen: new Set(), recurring: new Set() })
    for (let next = this.#todo.pop(); next !== undefined; next = this.#todo.pop()) {
      if (next.from) this.#tableRef(next.part as Node, next.scope)
      else this.#part(next.part, next.scope)
    }
    const uses = [...this.#uses].reverse()
    const places = new Map(uses.map(([key], at) => [this.#placeOf(key), at]))
    return uses.map(([, use]) => ({
      ...use,
      where: use.where === null ? null : renumbered(use.where, places),
    }))
  }

  #later(part: unknown, scope: Scope, from = false): void {
    if (typeof part === 'object' && part !== null) this.#todo.push({ part, scope, from })
  }

  #part(part: unknown, scope: Scope): void {
    if (Array.isArray(part)) {
      for (const one of part) this.#later(one, scope)
      return
    }
    const node = part as Node
    if (typeof node.class === 'string') this.#expression(node, scope)
    else if ('cte_map' in node) this.#queryNode(node, scope)
    else if (isTableRef(node)) this.#tableRef(node, scope)
    else this.#inside(node, scope)
  }

  #inside(node: Node, scope: Scope): void {
    for (const value of Object.values(node)) this.#later(value, scope)
  }

  #queryNode(node: Node, outer: Scope): void {
    if (!QUERY_NODES.has(String(node.type))) {
      throw this.#refused(`this kind of query is not supported (${String(node.type)})`, node)
    }
    const { cte_map: withs, from_table: from, ...rest } = node
    let scope = outer
    // Each sees those before it, and not itself.
    for (const { key, value } of entriesOf(withs)) {
      this.#later(value, scope)
      scope = seeing(scope, this.#withName(key, node))
    }
    if (node.type === 'RECURSIVE_CTE_NODE') {
      this.#recursive(rest, scope)
      return
    }
    if (node.type === 'SELECT_NODE') this.#noteConditions(node, scope)
    this.#later(from, scope, true)
    this.#inside(rest, scope)
  }

  /** What it begins with does not see it: there its name is a table's. */
  #recursive({ left, ...rest }: Node, scope: Scope): void {
    const name = this.#withName(String(rest.cte_name), rest)
    this.#later(left, scope)
    const { seen, recurring } = seeing(scope, name)
    this.#inside(rest, { seen, recurring: new Set([...recurring, name]) })
  }

  #withName(name: string, node: Node): string {
    if (!isOfTheEngine(name)) return engineLower(name)
    const text = `${name}: names that begin with duckdb_, pg_, pragma_ or sqlite_ are the engine's own; call the WITH query otherwise`
    throw this.#refused(text, node)
  }

  #noteConditions(select: Node, scope: Scope): void {
    const found = conditionsOf(select, {
      isTable: (node) => !isOwn(node, scope),
      placeOf: (node) => {
        const { schema_name: schema, table_name: name } = node
        return this.#placeOf(keyOf(this.#named(node, String(schema), String(name))))
      },
    })
    for (const [node, condition] of found) this.#conditions.set(node, condition)
  }

  #placeOf(key: string): number {
    const place = this.#places.get(key) ?? this.#places.size
    this.#places.set(key, place)
    return place
  }

  #tableRef(node: Node, scope: Scope): void {
    switch (node.type) {
      case 'BASE_TABLE':
        this.#table(node, scope)
        return
      case 'TABLE_FUNCTION':
        this.#tableFunction(node, scope)
        return
      case 'SHOW_REF':
        if (node.query === null) {
          throw this.#refused('SHOW can not be part of a query; it is a statement of its own', node)
        }
        this.#later(node.query, scope)
        return
      default:
        if (!PLAIN_REFS.has(String(node.type))) {
          throw this.#refused(`this can not stand after FROM (${String(node.type)})`, node)
        }
        this.#parts(node, scope)
    }
  }

  /** Of a join, a sub-query, …: its sides are table references, the rest is conditions. */
  #parts(node: Node, scope: Scope): void {
    const { left, right, source, ...rest } = node
    for (const side of [left, right, source]) this.#later(side, scope, true)
    this.#inside(rest, scope)
  }

  #table(node: Node, scope: Scope): void {
    const { schema_name: schema, catalog_name: catalog, table_name: name } = node
    if (node.at_clause !== null) throw this.#refused('AT (…) is not supported', node)
    if (catalog !== '') {
      const all = [catalog, schema, name].join('.')
      throw this.#refused(`${all}: a table is named by at most a database and a name`, node)
    }
    if (isOwn(node, scope)) return
    const use = this.#named(node, String(schema), String(name))
    const key = keyOf(use)
    const others = this.#uses.get(key)
    const here = this.#conditions.get(node) ?? null
    const where = others === undefined ? here : eitherOf(others.where, here)
    // The parts are met from the back: the one that is left is the first in the text.
    this.#uses.delete(key)
    const spelling = { schema: schema === '' ? this.#database : String(schema), name: String(name) }
    const spellings = spelledAlso(others?.spellings ?? [], spelling)
    this.#uses.set(key, { ...use, where, spellings })
  }

  #named(node: Node, schema: string, name: string): Omit<TableUse, 'where' | 'spellings'> {
    const position = positionOf(node)
    const written = position === null ? null : namesAt(this.#query.text, position)
    const fold = (value: string): string => {
      const part = written?.find((one) => one.name === value)
      return part?.quoted === true ? value : value.toLowerCase()
    }
    return {
      database: schema === '' ? this.#database : fold(schema),
      name: fold(name),
      place: placeIn(this.#query, position),
    }
  }

  #tableFunction(node: Node, scope: Scope): void {
    const call = node.function as Node
    const name = String(call.function_name).toLowerCase()
    if (!TABLE_FUNCTIONS.has(name)) {
      throw this.#refused(
        `the function ${name} can not be used here: data is read through tables (CREATE EXTERNAL TABLE … LOCATION '…' makes one of files)`,
        node,
      )
    }
    this.#inside(node, scope)
  }

  #expression(node: Node, scope: Scope): void {
    if (node.class === 'PARAMETER') {
      // The engine doesn't say where.
      const message = 'there are no parameters to be filled in: write the value itself'
      throw new SqlError(message, this.#query.placeOf(firstParameter(this.#query.text) ?? 0))
    }
    const name = node.function_name
    if (typeof name === 'string') {
      const reason = whyDenied(name.toLowerCase())
      if (reason !== null)
        throw this.#refused(`the function ${name} can not be used: ${reason}`, node)
    }
    this.#inside(node, scope)
  }

  #refused(message: string, node: Node): SqlError {
    return new SqlError(message, placeIn(this.#query, positionOf(node)))
  }
}

/** A table that is named more often is read as a whole: what would be sent gets long. */
const MOST_CONDITIONS = 100

/** True for the name of a WITH query that can be seen here. */
function isOwn({ schema_name: schema, table_name: name }: Node, scope: Scope): boolean {
  const own = engineLower(String(name))
  if (schema === '') return scope.seen.has(own)
  return engineLower(String(schema)) === 'recurring' && scope.recurring.has(own)
}

function spelledAlso(known: readonly Spelling[], one: Spelling): readonly Spelling[] {
  const key = keyOfSpelling(one)
  return known.some((other) => keyOfSpelling(other) === key) ? known : [...known, one]
}

/** Two of one key are one name to the engine. */
export const keyOfSpelling = ({ schema, name }: Spelling): string =>
  JSON.stringify([engineLower(schema), engineLower(name)])

const keyOf = ({ database, name }: Pick<TableUse, 'database' | 'name'>): string =>
  JSON.stringify([database, name])

/** Null says that nothing is known. */
function eitherOf(a: Condition | null, b: Condition | null): Condition | null {
  if (a === null || b === null) return null
  const any = 'any' in a ? [...a.any, b] : [a, b]
  return any.length > MOST_CONDITIONS ? null : { any }
}

/** What it counts as rivals, in other numbers. */
function renumbered(condition: Condition, places: ReadonlyMap<number, number>): Condition {
  if ('all' in condition) return { all: condition.all.map((one) => renumbered(one, places)) }
  if ('any' in condition) return { any: condition.any.map((one) => renumbered(one, places)) }
  return { ...condition, rivals: condition.rivals.map((one) => places.get(one) ?? -1) }
}

const TABLE_REFS = new Set(['BASE_TABLE', 'TABLE_FUNCTION', 'SHOW_REF', 'JOIN', 'PIVOT'])
const isTableRef = (node: Node): boolean =>
  TABLE_REFS.has(String(node.type)) && 'alias' in node && 'sample' in node

function entriesOf(map: unknown): { key: string; value: Node }[] {
  return ((map as Node | undefined)?.map ?? []) as { key: string; value: Node }[]
}

/** 2^64−1 stands for "nowhere". */
function positionOf(node: Node): number | null {
  const position = node.query_location
  return typeof position === 'number' && Number.isSafeInteger(position) ? position : null
}
