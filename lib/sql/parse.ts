/**
 * Takes one statement apart. A query needs no grammar here, only its extent, so the parser (and the time to make it) is
 * for the statements that Tajo adds.
 *
 * Statements of other databases, DuckDB included, that are none here, with what to do instead.
 */
import { nearest } from '../base/nearest.ts'
import type { IToken } from './chevrotain.ts'
import { complain, shown } from './complaint.ts'
import { tokenize } from './lexer.ts'
import { type StatementParser, theParser } from './parser.ts'
import { placeAt } from './place.ts'
import { queryFrom } from './query-text.ts'
import { SqlError, type Statement } from './statement.ts'
import * as T from './tokens.ts'

const FILES = 'tables are made of files with CREATE EXTERNAL TABLE … LOCATION'
const WHOLE =
  'rows can not be changed, only whole tables or partitions: INSERT OVERWRITE INTO table SELECT …'
const ATOMIC =
  'there are no transactions of several statements: each statement is done as a whole or not at all'
const SETTINGS = 'variables of the session are set with SET'
const NO_PLUGINS = 'nothing can be loaded into the engine'
const DIRECT = 'send the statement itself'
const ROLES = 'there are no roles: GRANT … TO user'

/** By the first word, upper case. */
const REFUSED_WORDS: ReadonlyMap<string, string> = new Map([
  ['ATTACH', FILES],
  ['DETACH', 'there is nothing to detach: DROP TABLE forgets a table'],
  ['COPY', `to write files: INSERT OVERWRITE INTO LOCATION '…' SELECT …; to read them: ${FILES}`],
  ['PRAGMA', SETTINGS],
  ['INSTALL', NO_PLUGINS],
  ['LOAD', NO_PLUGINS],
  ['UPDATE', WHOLE],
  ['DELETE', `${WHOLE}, or TRUNCATE table`],
  ['MERGE', WHOLE],
  ['UPSERT', WHOLE],
  ['REPLACE', WHOLE],
  ['BEGIN', ATOMIC],
  ['START', ATOMIC],
  ['COMMIT', ATOMIC],
  ['ROLLBACK', ATOMIC],
  ['ABORT', ATOMIC],
  ['SAVEPOINT', ATOMIC],
  ['CALL', 'write SELECT * FROM function(…)'],
  [
    'EXPORT',
    "for the data: INSERT OVERWRITE INTO LOCATION '…' SELECT …; for the catalog: tajo catalog dump",
  ],
  ['IMPORT', `for the data: ${FILES}; for the catalog: tajo catalog load`],
  ['CHECKPOINT', 'it is not needed: what is acknowledged is durable'],
  [
    'VACUUM',
    'it is not needed: files that no table has are removed by themselves; OPTIMIZE TABLE joins small ones',
  ],
  ['ANALYZE', 'it is not needed: rows and bytes are counted with each write'],
  ['PREPARE', DIRECT],
  ['EXECUTE', DIRECT],
  ['DEALLOCATE', DIRECT],
  ['USE', 'write SET CATALOG database, in tsql \\c database'],
  ['COMMENT', 'comments on tables are not kept'],
  ['QUIT', 'in tsql: \\q'],
  ['EXIT', 'in tsql: \\q'],
  ['HELP', 'in tsql: \\?'],
])

const SELECTS = 'write its SELECT as a sub-query or WITH, or keep its result with CREATE TABLE … AS'
const ONLY_NAMED = 'a table is there for all sessions until it is dropped: CREATE TABLE … AS'
const SECOND: ReadonlyMap<string, string> = new Map([
  ['VIEW', SELECTS],
  ['MATERIALIZED', SELECTS],
  ['INDEX', 'there are no indexes: PARTITION BY COLUMN is what makes reading less'],
  ['UNIQUE', 'there are no indexes: PARTITION BY COLUMN is what makes reading less'],
  ['SCHEMA', 'use DATABASE instead of SCHEMA'],
  ['FUNCTION', 'functions can not be defined'],
  ['MACRO', 'functions can not be defined'],
  ['SEQUENCE', 'there are no sequences: row_number() OVER () counts rows'],
  ['TYPE', 'types can not be defined'],
  ['TEMP', ONLY_NAMED],
  ['TEMPORARY', ONLY_NAMED],
  ['OR', 'there is no OR REPLACE: DROP TABLE IF EXISTS first, or INSERT OVERWRITE INTO'],
  ['SECRET', 'there are no secrets'],
  ['ROLE', ROLES],
  ['TABLESPACE', 'there are no tablespaces: LOCATION says where an external table is'],
])
const SECOND_AFTER = new Set(['CREATE', 'DROP', 'ALTER'])

/** Why a statement that begins with these words is refused, or null. */
function refusalOf(first: string, second: string): string | null {
  const one = first.toUpperCase()
  const reason = REFUSED_WORDS.get(one)
  if (reason !== undefined) return `${one} is not supported: ${reason}`
  const two = second.toUpperCase()
  const more = SECOND_AFTER.has(one) ? SECOND.get(two) : undefined
  return more === undefined ? null : `${one} ${two} is not supported: ${more}`
}

type RuleName = Extract<keyof StatementParser, `${string}Statement`>

/** Which rule reads a statement, by its first word. */
const RULES: Readonly<Record<string, RuleName>> = {
  CREATE: 'createStatement',
  DROP: 'dropStatement',
  INSERT: 'insertStatement',
  TRUNCATE: 'truncateStatement',
  OPTIMIZE: 'optimizeStatement',
  ALTER: 'alterStatement',
  EXPLAIN: 'explainStatement',
  GRANT: 'grantStatement',
  REVOKE: 'revokeStatement',
  SET: 'setStatement',
  UNSET: 'unsetStatement',
  RESET: 'unsetStatement',
  SHOW: 'showStatement',
  DESC: 'describeStatement',
  DESCRIBE: 'describeStatement',
}
const FIRST_WORDS = [...Object.keys(RULES), ...T.QUERY_WORDS.map((type) => type.name)]

const beginsQuery = (token: IToken | undefined): boolean =>
  token !== undefined &&
  (token.tokenType === T.LeftParen || T.QUERY_WORDS.includes(token.tokenType))

/** Returns the tokens of the one statement, without the semicolons around it. */
function onlyStatement(text: string): IToken[] {
  const all = tokenize(text)
  const isEnd = (token: IToken): boolean => token.tokenType === T.Semicolon
  const start = all.findIndex((token) => !isEnd(token))
  if (start === -1) throw new SqlError('there is no statement', placeAt(text, 0))
  const length = all.slice(start).findIndex(isEnd)
  if (length === -1) return all.slice(start)
  const second = all.slice(start + length).find((token) => !isEnd(token))
  if (second !== undefined) {
    const place = placeAt(text, second.startOffset)
    throw new SqlError('a second statement begins here: send them one by one', place)
  }
  return all.slice(start, start + length)
}

function unknownStatement(first: IToken): string {
  if (first.image === '\\') return 'commands that begin with \\ are for tsql, not SQL'
  const meant = nearest(first.image, [...FIRST_WORDS, ...REFUSED_WORDS.keys()])
  const hint = meant === null ? '' : ` (did you mean ${meant}?)`
  return `expected a statement such as SELECT, CREATE TABLE or INSERT, found "${shown(first.image)}"${hint}`
}

/**
 * What `text` says: one statement, with one semicolon or none behind it.
 * @throws SqlError with the place in `text`, and nothing else.
 */
export function parseStatement(text: string): Statement {
  const tokens = onlyStatement(text)
  const [first, second] = tokens
  if (first === undefined) throw new SqlError('there is no statement', placeAt(text, 0))
  if (beginsQuery(first)) return { is: 'query', query: queryFrom(text, tokens, 0) }
  const describes = first.tokenType === T.Desc || first.tokenType === T.Describe
  if (describes && beginsQuery(second) && second?.tokenType !== T.Table) {
    return { is: 'query', query: queryFrom(text, tokens, 0) }
  }
  const refusal = refusalOf(first.image, second?.image ?? '')
  if (refusal !== null) throw new SqlError(refusal, placeAt(text, first.startOffset))
  const rule = RULES[first.image.toUpperCase()]
  if (rule === undefined) {
    throw new SqlError(unknownStatement(first), placeAt(text, first.startOffset))
  }
  const parser = theParser()
  parser.begin(text, tokens)
  const statement = parser[rule]()
  const [error] = parser.errors
  if (error !== undefined) throw complain(text, tokens, parser, rule, error)
  return statement
}
