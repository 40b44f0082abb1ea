/** Where statements end, how names and texts are written, and that no text at all does harm. */
import t from 'tap'
import {
  engineText,
  fromDuckDb,
  parseStatement,
  parseType,
  placeAt,
  placeWithin,
  quoteName,
  quoteText,
  SQL_WORDS,
  SqlError,
  splitStatements,
} from '../../../lib/sql/index.ts'
import { fc } from '../../support/properties.ts'

t.test('statements end at semicolons that are in nothing', async (t) => {
  const text = `select 1;\n  -- no; \n insert into t /* ; */ values (';', ";", $$;$$, E'\\';');;\n ; select (1`
  t.strictSame(splitStatements(text), {
    statements: [
      { text: 'select 1', place: { line: 1, column: 1 } },
      {
        text: `insert into t /* ; */ values (';', ";", $$;$$, E'\\';')`,
        place: { line: 3, column: 2 },
      },
    ],
    rest: { text: 'select (1', place: { line: 4, column: 4 }, inside: 'parenthesis' },
  })
})

t.test('what is unfinished says in what', async (t) => {
  const inside = (text: string) => splitStatements(text).rest?.inside ?? null
  t.equal(inside(''), null)
  t.equal(inside(' -- select\n'), null)
  t.equal(inside('select 1; /* done */ '), null)
  t.equal(inside('select 1'), 'statement')
  t.equal(inside('select (1'), 'parenthesis')
  t.equal(inside("select 'a;"), 'string')
  t.equal(inside("select e'a\\';"), 'string')
  t.equal(inside('select "a;'), 'quoted name')
  t.equal(inside('/* a; /* */'), 'comment')
  t.equal(inside('select $x$ a; $$'), 'dollar quote')
})

t.test('places', async (t) => {
  const text = 'a\nbc\r\nd\re'
  t.strictSame(
    [0, 1, 2, 3, 6, 8, 9].map((offset) => placeAt(text, offset)),
    [
      { line: 1, column: 1 },
      { line: 1, column: 2 },
      { line: 2, column: 1 },
      { line: 2, column: 2 },
      { line: 3, column: 1 },
      { line: 4, column: 1 },
      { line: 4, column: 2 },
    ],
  )
  t.strictSame(placeWithin({ line: 3, column: 5 }, { line: 1, column: 2 }), { line: 3, column: 6 })
  t.strictSame(placeWithin({ line: 3, column: 5 }, { line: 2, column: 2 }), { line: 4, column: 2 })
})

t.test('the database default is quoted for DuckDB, and places stay the user’s', async (t) => {
  const query = {
    text: 'select Default.t.a, \'default.x\', "default".y\nfrom default.t',
    place: { line: 2, column: 5 },
  }
  const engine = engineText(query)
  t.equal(engine.text, 'select "default".t.a, \'default.x\', "default".y\nfrom "default".t')
  const places = ['select', 't.a', "'default", '.t', 'from'].map((piece) =>
    engine.placeOf(engine.text.indexOf(piece)),
  )
  t.strictSame(places, [
    { line: 2, column: 5 },
    { line: 2, column: 20 },
    { line: 2, column: 25 },
    { line: 2, column: 19 },
    { line: 3, column: 1 },
  ])
  t.strictSame(engine.placeOf(engine.text.lastIndexOf('.t')), { line: 3, column: 13 })
})

const legible = fc
  .string({ minLength: 1, maxLength: 40, unit: 'binary' })
  .filter((text) => !/[\p{Cc}\p{Cs}/]/u.test(text) && !text.startsWith('.'))

t.test('names and texts come back as they were written', async (t) => {
  fc.assert(
    fc.property(legible, legible, (database, name) => {
      const sql = `drop table ${quoteName(database)}.${quoteName(name)}`
      const statement = parseStatement(sql)
      return (
        statement.is === 'drop-table' &&
        statement.table.database === database &&
        statement.table.name === name
      )
    }),
  )
  const anyText = fc
    .string({ unit: 'binary', maxLength: 40 })
    .filter((text) => !/[\0\p{Cs}]/u.test(text))
  fc.assert(
    fc.property(anyText, (value) => {
      const statement = parseStatement(`set x to ${quoteText(value)}`)
      return statement.is === 'set' && statement.value === value
    }),
  )
  const escaped: Readonly<Record<string, string>> = {
    "E'\\t\\n\\\\\\'\\x41\\101\\u00fc\\U0001F600\\q'''": "\t\n\\'AAü😀q'",
    "$$it's$$": "it's",
    '$a$ $$ $a$': ' $$ ',
  }
  for (const [sql, value] of Object.entries(escaped)) {
    t.match(parseStatement(`set x to ${sql}`), { value }, sql)
  }
})

t.test('words to offer', async (t) => {
  for (const word of ['SELECT', 'OVERWRITE', 'INT4', 'WHERE']) t.ok(SQL_WORDS.includes(word), word)
})

t.test('keys of options are only keys', async (t) => {
  const statement = parseStatement("alter table t set property '__proto__'='x'")
  t.equal(JSON.stringify(statement).includes('{"__proto__":"x"}'), true)
})

/** Anything but an SqlError fails. */
function onlySqlErrors(text: string): void {
  for (const read of [parseStatement, parseType]) {
    try {
      read(text)
    } catch (error) {
      if (!(error instanceof SqlError)) throw error
    }
  }
  splitStatements(text)
  fromDuckDb(text)
}

const pieces = fc.constantFrom(
  ...`create drop table external database insert overwrite into location alter add column partition set property
    rename to show tables in desc explain analyze truncate optimize select from values with as using csv if not exists purge
    int4 text numeric array map record timestamp time zone default null like by unset a "b" 't' E'x\\' $$ $x$ ' " /* */
    -- ( ) [ ] { } < > , . ; = - + 1 2.5 :: -> @ \\ \u00e4 \u3000 \ud800 \0`.split(/\s+/),
  '\n',
)

t.test('no text does harm', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), onlySqlErrors))
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (words) => onlySqlErrors(words.join(' '))),
    { numRuns: 100 },
  )
  const statements = [
    "create external table t (a int, b map<text, record(c text)>) using csv with ('a'='b') location '/x'",
    "insert overwrite into location '/x' using json with ('a'='b') select (1, [2], {'a': 3}) from t",
    "alter table t add if not exists partition (a='x', b=null) location '/y'",
  ]
  fc.assert(
    fc.property(
      fc.constantFrom(...statements),
      fc.nat(),
      fc.nat(5),
      pieces,
      (sql, where, cut, piece) => {
        const at = where % sql.length
        onlySqlErrors(`${sql.slice(0, at)}${piece}${sql.slice(at + cut)}`)
      },
    ),
    { numRuns: 100 },
  )
  t.pass()
})

t.test('long and deep texts end as soon as others', async (t) => {
  const many = (piece: string, times = 15_000 / piece.length) => piece.repeat(Math.floor(times))
  const hostile = [
    `select ${many('(')}`,
    `select ${many('()')}`,
    `select ${many('[{')}`,
    many("'"),
    `'${many("''")}`,
    `select ${many('/*')}`,
    `select ${many('$a')}`,
    `select ${many('$a$ $b$ ')}$a$ $c`,
    `select E'${many("\\'")}`,
    many('-- \n'),
    many(';'),
    many('a '),
    `select ${many('a')}`,
    `create table t (a ${many('array<')}`,
    `create table t (a ${many('map<int,')}`,
    `create table t (a ${many('record(a ')}`,
    `create table t (a int${many('[]')})`,
    `create table t (${many('a int,')}`,
    `create table t (a numeric(${many('1,')}1))`,
    `create table t (a ${many('int ')})`,
    `truncate ${many('a,')}`,
    `insert into t (${many('a,')}`,
    `insert into t values ${many('(1),')}(1)`,
    `drop table ${many('"')}x`,
    `set ${many('a.')}a to 1`,
    `alter table t add partition (${many('a=1,')}`,
    `create table t ${many('using csv ')}`,
  ]
  for (const sql of hostile) onlySqlErrors(sql)
  const columns = Array.from({ length: 2_000 }, (_, i) => `c${i} int`).join(', ')
  t.match(parseStatement(`create table t (${columns})`), { is: 'create-table' })
  t.throws(() => parseStatement(`create table t (${columns}) foo`), SqlError)
  t.equal(parseStatement(`insert into t values ${many('(1),', 10_000)}(1)`).is, 'insert')
})
