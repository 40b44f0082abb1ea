/** Every form of statement, as it is taken apart. */
import t from 'tap'
import { parseStatement, SqlError, type Statement, withPlace } from '../../../lib/sql/index.ts'
import { StatementParser } from '../../../lib/sql/parser.ts'

const at = (column: number, line = 1) => ({ line, column })
const table = (name: string, column: number, database: string | null = null) => ({
  database,
  name,
  place: at(column),
})
const none = { format: null, options: {} }

const forms: readonly (readonly [string, Statement])[] = [
  ['select 1', { is: 'query', query: { text: 'select 1', place: at(1) } }],
  [
    '-- all\n  WITH a AS (SELECT 1) /* ; */ SELECT * FROM a ; -- end',
    {
      is: 'query',
      query: { text: 'WITH a AS (SELECT 1) /* ; */ SELECT * FROM a', place: at(3, 2) },
    },
  ],
  ['from t', { is: 'query', query: { text: 'from t', place: at(1) } }],
  ['((values (1)))', { is: 'query', query: { text: '((values (1)))', place: at(1) } }],
  ['table t;', { is: 'query', query: { text: 'table t', place: at(1) } }],
  ['summarize t', { is: 'query', query: { text: 'summarize t', place: at(1) } }],
  ['desc select 1', { is: 'query', query: { text: 'desc select 1', place: at(1) } }],
  [
    'explain select 1',
    { is: 'explain', analyze: false, query: { text: 'select 1', place: at(9) } },
  ],
  [
    'explain global from t',
    { is: 'explain', analyze: false, query: { text: 'from t', place: at(16) } },
  ],
  [
    'EXPLAIN ANALYZE (select 1)',
    { is: 'explain', analyze: true, query: { text: '(select 1)', place: at(17) } },
  ],
  [
    'create database Sales',
    { is: 'create-database', name: 'sales', place: at(17), ifNotExists: false },
  ],
  [
    'create database if not exists "Sales"',
    { is: 'create-database', name: 'Sales', place: at(31), ifNotExists: true },
  ],
  ['drop database x', { is: 'drop-database', name: 'x', place: at(15), ifExists: false }],
  [
    'drop database if exists default',
    { is: 'drop-database', name: 'default', place: at(25), ifExists: true },
  ],
  [
    `create table A."B" (a int4, "B ""b" text, date date, value numeric(10,2), location time, format bool)
      using csv with ('text.delimiter' = '|', 'n' = -3, 'x' = true)
      partition by column (c text, d int)
      location '/x''y'`,
    {
      is: 'create-table',
      table: table('B', 14, 'a'),
      ifNotExists: false,
      external: false,
      columns: [
        { name: 'a', type: 'INT4' },
        { name: 'B "b', type: 'TEXT' },
        { name: 'date', type: 'DATE' },
        { name: 'value', type: 'NUMERIC(10,2)' },
        { name: 'location', type: 'TIME' },
        { name: 'format', type: 'BOOLEAN' },
      ],
      storage: { format: 'TEXT', options: { 'text.delimiter': '|', n: '-3', x: 'true' } },
      partitionBy: [
        { name: 'c', type: 'TEXT' },
        { name: 'd', type: 'INT4' },
      ],
      location: { path: "/x'y", place: at(16, 4) },
      as: null,
    },
  ],
  [
    "create external table if not exists t (a int) location '/d' using parquet",
    {
      is: 'create-table',
      table: table('t', 37),
      ifNotExists: true,
      external: true,
      columns: [{ name: 'a', type: 'INT4' }],
      storage: { format: 'PARQUET', options: {} },
      partitionBy: [],
      location: { path: '/d', place: at(56) },
      as: null,
    },
  ],
  [
    'create table t using json partition by column (c) as\nselect 1 c',
    {
      is: 'create-table',
      table: table('t', 14),
      ifNotExists: false,
      external: false,
      columns: null,
      storage: { format: 'JSON', options: {} },
      partitionBy: [{ name: 'c', type: null }],
      location: null,
      as: { text: 'select 1 c', place: at(1, 2) },
    },
  ],
  [
    'create table if not exists a like b.c',
    {
      is: 'create-table-like',
      table: table('a', 28),
      ifNotExists: true,
      like: table('c', 35, 'b'),
    },
  ],
  [
    'insert into t select 1',
    {
      is: 'insert',
      overwrite: false,
      into: { to: 'table', table: table('t', 13), columns: null },
      query: { text: 'select 1', place: at(15) },
    },
  ],
  [
    'insert overwrite into a.t (b, "A") values (1, 2), (3, 4);',
    {
      is: 'insert',
      overwrite: true,
      into: { to: 'table', table: table('t', 23, 'a'), columns: ['b', 'A'] },
      query: { text: 'values (1, 2), (3, 4)', place: at(36) },
    },
  ],
  [
    'insert into t (with x as (select 1) from x)',
    {
      is: 'insert',
      overwrite: false,
      into: { to: 'table', table: table('t', 13), columns: null },
      query: { text: '(with x as (select 1) from x)', place: at(15) },
    },
  ],
  [
    'insert into location (a) (select 1)',
    {
      is: 'insert',
      overwrite: false,
      into: { to: 'table', table: table('location', 13), columns: ['a'] },
      query: { text: '(select 1)', place: at(26) },
    },
  ],
  [
    "insert overwrite into location '/d' using csv with ('text.delimiter'=E'\\t') select 1",
    {
      is: 'insert',
      overwrite: true,
      into: {
        to: 'location',
        location: { path: '/d', place: at(32) },
        storage: { format: 'TEXT', options: { 'text.delimiter': '\t' } },
      },
      query: { text: 'select 1', place: at(77) },
    },
  ],
  [
    "insert into location '/d' with x as (select 1) from x",
    {
      is: 'insert',
      overwrite: false,
      into: { to: 'location', location: { path: '/d', place: at(22) }, storage: none },
      query: { text: 'with x as (select 1) from x', place: at(27) },
    },
  ],
  ['drop table t', { is: 'drop-table', table: table('t', 12), ifExists: false, purge: false }],
  [
    'drop table if exists t purge',
    { is: 'drop-table', table: table('t', 22), ifExists: true, purge: true },
  ],
  ['drop table if', { is: 'drop-table', table: table('if', 12), ifExists: false, purge: false }],
  ['optimize table a.t', { is: 'optimize', table: table('t', 16, 'a') }],
  ['truncate t', { is: 'truncate', tables: [table('t', 10)] }],
  ['truncate table t, a.u', { is: 'truncate', tables: [table('t', 16), table('u', 19, 'a')] }],
  [
    'alter table t rename to u',
    { is: 'alter-table', table: table('t', 13), action: { do: 'rename-table', name: 'u' } },
  ],
  [
    'alter table a.t rename column x to "Y"',
    {
      is: 'alter-table',
      table: table('t', 13, 'a'),
      action: { do: 'rename-column', from: 'x', to: 'Y' },
    },
  ],
  [
    'alter table t add column x int4[]',
    {
      is: 'alter-table',
      table: table('t', 13),
      action: { do: 'add-column', column: { name: 'x', type: 'ARRAY<INT4>' } },
    },
  ],
  [
    'alter table t add column (x double precision)',
    {
      is: 'alter-table',
      table: table('t', 13),
      action: { do: 'add-column', column: { name: 'x', type: 'FLOAT8' } },
    },
  ],
  [
    "alter table t add partition (a='x', b=1, c=-1.5, d=null, e=date '2020-01-01')",
    {
      is: 'alter-table',
      table: table('t', 13),
      action: {
        do: 'add-partition',
        ifNotExists: false,
        partition: [
          { column: 'a', value: 'x' },
          { column: 'b', value: '1' },
          { column: 'c', value: '-1.5' },
          { column: 'd', value: null },
          { column: 'e', value: '2020-01-01' },
        ],
        location: null,
      },
    },
  ],
  [
    "alter table t add if not exists partition (a='x') location = '/p'",
    {
      is: 'alter-table',
      table: table('t', 13),
      action: {
        do: 'add-partition',
        ifNotExists: true,
        partition: [{ column: 'a', value: 'x' }],
        location: { path: '/p', place: at(62) },
      },
    },
  ],
  [
    "alter table t drop if exists partition (a='x') purge",
    {
      is: 'alter-table',
      table: table('t', 13),
      action: {
        do: 'drop-partition',
        ifExists: true,
        partition: [{ column: 'a', value: 'x' }],
        purge: true,
      },
    },
  ],
  [
    "alter table t set property 'a'='b', 'c'='d'",
    {
      is: 'alter-table',
      table: table('t', 13),
      action: { do: 'set-property', options: { a: 'b', c: 'd' } },
    },
  ],
  [
    "alter table t set property ('a'='b')",
    {
      is: 'alter-table',
      table: table('t', 13),
      action: { do: 'set-property', options: { a: 'b' } },
    },
  ],
  ["set x to 'Y'", { is: 'set', name: 'x', place: at(5), value: 'Y', valuePlace: at(10) }],
  ['SET session X = 5', { is: 'set', name: 'x', place: at(13), value: '5', valuePlace: at(17) }],
  ['set a.b.c on', { is: 'set', name: 'a.b.c', place: at(5), value: 'on', valuePlace: at(11) }],
  ['set x to default', { is: 'unset', name: 'x', place: at(5) }],
  [
    "set time zone 'Asia/Seoul'",
    { is: 'set', name: 'timezone', place: at(5), value: 'Asia/Seoul', valuePlace: at(15) },
  ],
  [
    'set catalog default',
    { is: 'set', name: 'database', place: at(13), value: 'default', valuePlace: at(13) },
  ],
  ['unset "X"', { is: 'unset', name: 'X', place: at(7) }],
  ['reset x', { is: 'unset', name: 'x', place: at(7) }],
  ['show databases', { is: 'show', what: 'databases', named: null }],
  ['show tables', { is: 'show', what: 'tables', named: null }],
  ['show tables in Sales', { is: 'show', what: 'tables', named: { name: 'sales', place: at(16) } }],
  ['show functions', { is: 'show', what: 'functions', named: null }],
  ['show session', { is: 'show', what: 'variables', named: null }],
  ['show all', { is: 'show', what: 'variables', named: null }],
  ['show time zone', { is: 'show', what: 'variable', named: { name: 'timezone', place: at(6) } }],
  ['show a.b', { is: 'show', what: 'variable', named: { name: 'a.b', place: at(6) } }],
  ['desc t', { is: 'describe', table: table('t', 6) }],
  ['describe default.t', { is: 'describe', table: table('t', 10, 'default') }],
]

t.test('each form', async (t) => {
  for (const [sql, expected] of forms) t.strictSame(parseStatement(sql), expected, sql)
})

t.test('the grammar has no fault of its own', async (t) => {
  t.ok(new StatementParser(true))
})

/** What DuckDB understands must come through whole, whatever its tokens are. */
t.test('a query of DuckDB stays as it is', async (t) => {
  const queries = [
    `select j->'$.a', j->>'$.b', x::int, [1, 2][1:2], {'a': 1}, list_transform(l, y -> y + 1) from t`,
    `select E'a\\'b;', $$ ; ' " $$, $x$ $$ $x$, 'it''s; ', "a "" ; b", x'00' /* a /* ; */ b */ -- ;\n from t`,
    'select @ -1, 2 ** 3, 5 // 2, #1, a ~~ b, ~1, 4!, ?, $1, $name, 1_000, 0xFF, 1e-5, .5, 1.',
    'select "Übung", größe, 数, a$b, \u00a01 from t\u3000where 😀 = 1',
    'select * exclude (a) replace (b as c), columns(*), a: 1 from t qualify row_number() over () = 1',
    'from (pivot t on a in (1, 2) using sum(b)) select default.t.x',
  ]
  for (const sql of queries) {
    t.strictSame(
      parseStatement(`${sql}\n;`),
      { is: 'query', query: { text: sql, place: at(1) } },
      sql,
    )
    t.match(parseStatement(`insert into t ${sql}`), { query: { text: sql, place: at(15) } }, sql)
  }
})

const errors: readonly (readonly [string, string])[] = [
  [
    'create tabel x',
    'line 1, column 8: expected DATABASE, EXTERNAL, TABLE or USER, found "tabel" (did you mean TABLE?)',
  ],
  [
    'create',
    'line 1, column 7: expected DATABASE, EXTERNAL, TABLE or USER, but the text ends here',
  ],
  [
    'selct 1',
    'line 1, column 1: expected a statement such as SELECT, CREATE TABLE or INSERT, found "selct" (did you mean SELECT?)',
  ],
  ['drop table t purg', 'line 1, column 14: expected PURGE, found "purg" (did you mean PURGE?)'],
  [
    'insert into t',
    'line 1, column 14: expected "(" or a query (SELECT, WITH, FROM, VALUES or TABLE), but the text ends here',
  ],
  ['insert into t (a b) select 1', 'line 1, column 18: expected "," or ")", found "b"'],
  ['insert into t (a, a) select 1', 'line 1, column 19: the column a is there twice'],
  [
    'create table t\n  (a int not null)',
    'line 2, column 10: expected "," or ")", found "not": constraints such as NOT NULL, DEFAULT or PRIMARY KEY are not supported, leave them out',
  ],
  ['create table t (a int,)', 'line 1, column 23: expected the name of a column, found ")"'],
  ['create table t (a itn4)', 'line 1, column 19: unknown type ITN4 (did you mean INT4?)'],
  ['create table t (a)', 'line 1, column 18: expected a type, found ")"'],
  [
    'create table order (a int)',
    'line 1, column 14: expected IF or the name of a table, found "order": ORDER is a reserved word, as a name it needs double quotes',
  ],
  [
    "create table 't' (a int)",
    `line 1, column 14: expected IF or the name of a table, found "'t'": names are written without quotes, or in double quotes`,
  ],
  [
    'create table `t` (a int)',
    'line 1, column 14: expected IF or the name of a table, found "`": names are quoted with " and not with `',
  ],
  [
    'create table a.b.c (a int)',
    'line 1, column 17: expected LIKE, "(", USING, WITH, PARTITION, LOCATION or AS, found "."',
  ],
  [
    'create table "a/b" (a int)',
    'line 1, column 14: the name of a database or table can not have a /',
  ],
  [
    'create table ".." (a int)',
    'line 1, column 14: the name of a database or table can not begin with a dot',
  ],
  ['create table "" (a int)', 'line 1, column 14: a name can not be empty'],
  ['create table t (a int, A text)', 'line 1, column 24: the column a is there twice'],
  [
    'create table t (a int) partition by column (a int)',
    'line 1, column 51: a is a column already: a partition column is named only after PARTITION BY COLUMN',
  ],
  [
    'create table t (a int) partition by column (b)',
    'line 1, column 47: the partition column b needs a type: only with AS it may be left out',
  ],
  [
    'create table t (a int) using orc',
    'line 1, column 30: the format orc is not supported: use TEXT (or CSV), JSON or PARQUET',
  ],
  ['create table t (a int) using csv using json', 'line 1, column 34: USING is there twice'],
  [
    "create table t (a int) with (x='1')",
    `line 1, column 30: expected a key in single quotes, such as 'text.delimiter', found "x"`,
  ],
  ["create table t (a int) with ('x'='1','x'='2')", "line 1, column 38: 'x' is given twice"],
  [
    'create table t',
    'line 1, column 15: a table needs its columns, AS and a query, or LIKE and another table',
  ],
  [
    'create external table t (a int)',
    "line 1, column 32: an EXTERNAL table needs a LOCATION: … LOCATION '/directory'",
  ],
  [
    "create external table t location '/x'",
    'line 1, column 38: an EXTERNAL table needs its columns: CREATE EXTERNAL TABLE t (a INT4, …) …',
  ],
  [
    "create external table t (a int) location '/x' as select 1",
    'line 1, column 58: an EXTERNAL table can not be made of a query: leave out EXTERNAL, or AS',
  ],
  [
    'create external table t like u',
    'line 1, column 25: an EXTERNAL table needs its columns and LOCATION, not LIKE',
  ],
  ["create table t (a int) location ''", 'line 1, column 33: a location can not be empty'],
  [
    'alter table t rename to a.b',
    'line 1, column 25: a table stays in its database: write the new name alone',
  ],
  ['alter table t add column (a int, b int)', 'line 1, column 26: add one column at a time'],
  ["alter table t add partition (a='x', a='y')", 'line 1, column 37: the column a is given twice'],
  ['alter table t add partition (a<1)', 'line 1, column 31: expected "=", found "<"'],
  ['alter table t drop column a', 'line 1, column 20: expected IF or PARTITION, found "column"'],
  [
    'set x',
    'line 1, column 6: expected TO, "=", a value, DEFAULT or a name, but the text ends here',
  ],
  ['set x to null', 'line 1, column 10: a variable can not be NULL: write TO DEFAULT'],
  [
    'show tables form x',
    'line 1, column 13: expected IN or FROM, found "form" (did you mean FROM?)',
  ],
  [
    'explain drop table t',
    'line 1, column 9: expected ANALYZE, GLOBAL or a query (SELECT, WITH, FROM, VALUES or TABLE), found "drop"',
  ],
  ['select 1; select 2', 'line 1, column 11: a second statement begins here: send them one by one'],
  ['', 'line 1, column 1: there is no statement'],
  [' -- nothing\n;', 'line 1, column 1: there is no statement'],
  ['select (1', 'line 1, column 8: this "(" is never closed'],
  ['select 1)', 'line 1, column 9: this ")" closes nothing'],
  ['select [1)', 'line 1, column 10: expected "]" for the "[" before, found ")"'],
  [
    'insert into t (drop)',
    'line 1, column 21: expected a query (SELECT, WITH, FROM, VALUES or TABLE), but the text ends here',
  ],
  [
    '(drop table t)',
    'line 1, column 2: expected a query (SELECT, WITH, FROM, VALUES or TABLE), found "drop"',
  ],
  [
    'with a as (select 1) insert into t from a',
    'line 1, column 22: INSERT after WITH is not supported: write INSERT INTO table WITH … SELECT …',
  ],
  [
    "select\r\n 'abc",
    "line 2, column 2: this text is not closed: a ' is missing (a ' inside it is written twice)",
  ],
  [
    "select E'abc\\'",
    "line 1, column 8: this text is not closed: a ' is missing (a ' inside it is written twice)",
  ],
  ['select "abc', 'line 1, column 8: this quoted name is not closed: a " is missing'],
  ['select /* /* */', 'line 1, column 8: this comment is not closed: */ is missing'],
  ['select $a$ $b$', 'line 1, column 8: this text is not closed: $a$ is missing at its end'],
  ["select '\0'", "line 1, column 9: a NUL character can't be in a statement"],
  [
    "select '\ud800'",
    "line 1, column 9: half of a character (a surrogate) can't be in a statement",
  ],
  ["set x to E'\\000'", 'line 1, column 10: \\000 is no character that a text may have'],
  ['\\d t', 'line 1, column 1: commands that begin with \\ are for tsql, not SQL'],
]

t.test('each error has its place and says what to do', async (t) => {
  for (const [sql, message] of errors) {
    try {
      parseStatement(sql)
      t.fail(`nothing was wrong with ${sql}`)
    } catch (error) {
      t.type(error, SqlError)
      t.equal(error instanceof SqlError ? withPlace(error) : String(error), message, sql)
    }
  }
})

t.test('what is neither a query nor Tajo is refused with what to do instead', async (t) => {
  const refused = `ATTACH 'x' | DETACH x | COPY t TO 'x' | PRAGMA x | INSTALL x | LOAD x | CALL f() | EXPORT DATABASE 'x'
    | IMPORT DATABASE 'x' | UPDATE t SET a = 1 | DELETE FROM t | MERGE INTO t | BEGIN | START TRANSACTION | COMMIT
    | ROLLBACK | CHECKPOINT | VACUUM | ANALYZE | PREPARE p AS SELECT 1 | EXECUTE p | USE x | COMMENT ON x
    | CREATE VIEW v AS SELECT 1 | CREATE INDEX i ON t (a) | CREATE SCHEMA s | CREATE MACRO m() AS 1
    | CREATE SEQUENCE s | CREATE TEMP TABLE t (a INT) | CREATE OR REPLACE TABLE t (a INT) | DROP VIEW v | CREATE ROLE x
    | CREATE SECRET s | CREATE TYPE x AS ENUM ('a') | ALTER TABLESPACE x LOCATION 'y'`
  for (const sql of refused.split('|')) {
    const [first = ''] = sql.trim().split(' ')
    t.throws(
      () => parseStatement(sql),
      { message: new RegExp(`^${first}.* is not supported: `) },
      sql,
    )
  }
})
