/** Types in Tajo's spelling and DuckDB's, and that DuckDB agrees. */
import { DuckDBInstance } from '@duckdb/node-api'
import t from 'tap'
import { fromDuckDb, parseType, quoteName, SqlError, toDuckDb } from '../../../lib/sql/index.ts'
import { fc } from '../../support/properties.ts'

const spellings: Readonly<Record<string, string>> = {
  bool: 'BOOLEAN',
  tinyint: 'INT1',
  smallint: 'INT2',
  int: 'INT4',
  integer: 'INT4',
  bigint: 'INT8',
  real: 'FLOAT4',
  'float(24)': 'FLOAT4',
  'float(25)': 'FLOAT8',
  float: 'FLOAT8',
  'double  precision': 'FLOAT8',
  numeric: 'NUMERIC(38,10)',
  'decimal(5)': 'NUMERIC(5,0)',
  'dec (5, 2)': 'NUMERIC(5,2)',
  char: 'CHAR(1)',
  'character(7)': 'CHAR(7)',
  'character varying(7)': 'VARCHAR(7)',
  'national character varying (7)': 'VARCHAR(7)',
  varchar: 'VARCHAR',
  string: 'TEXT',
  bytea: 'BLOB',
  'time without time zone': 'TIME',
  'timestamp with time zone': 'TIMESTAMPTZ',
  timestamptz: 'TIMESTAMPTZ',
  'int[][]': 'ARRAY<ARRAY<INT4>>',
  'array<text>': 'ARRAY<TEXT>',
  'map<text, array<int>>': 'MAP<TEXT, ARRAY<INT4>>',
  'record(a int, "B c" struct(date date))': 'RECORD(a INT4, "B c" RECORD(date DATE))',
}

t.test('one spelling for each type', async (t) => {
  for (const [written, kept] of Object.entries(spellings))
    t.equal(parseType(written), kept, written)
})

t.test('what is no type', async (t) => {
  const wrong: Readonly<Record<string, string>> = {
    inet4: 'INET4 is not supported: use TEXT',
    varchr: 'unknown type VARCHR (did you mean VARCHAR?)',
    'int unsigned': 'UNSIGNED does not belong to the type INT',
    'decimal(39)': 'DECIMAL(39): 39 is not from 1 to 38',
    'decimal(3,4)': 'DECIMAL(3,4): more decimals than digits',
    'decimal(1,2,3)': 'DECIMAL takes two numbers in parentheses',
    'int(3)': 'INT takes nothing in parentheses',
    "char('x')": "CHAR('x'): 'x' is not from 1 to 1000000000",
    'float(54)': 'FLOAT(54): 54 is not from 1 to 53',
    record: 'RECORD needs its fields: RECORD(a INT4, b TEXT)',
    'record(a int, A text)': 'the field a is there twice',
    'union(a int)': 'UNION is not a type of a column: use RECORD(…)',
    'array<int': 'expected ">", but the text ends here',
    '': 'expected a type, but the text ends here',
    'timestamp with': 'expected TIME, but the text ends here',
  }
  for (const [written, message] of Object.entries(wrong)) {
    t.throws(() => parseType(written), { name: 'SqlError', message }, written)
    t.throws(() => toDuckDb(written), SqlError, written)
  }
})

t.test("DuckDB's types as Tajo's", async (t) => {
  const kept: Readonly<Record<string, string>> = {
    'DECIMAL(18,3)': 'NUMERIC(18,3)',
    HUGEINT: 'NUMERIC(38,0)',
    UTINYINT: 'INT2',
    USMALLINT: 'INT4',
    UINTEGER: 'INT8',
    UBIGINT: 'NUMERIC(20,0)',
    UHUGEINT: 'TEXT',
    TIMESTAMP_NS: 'TIMESTAMP',
    JSON: 'TEXT',
    BIT: 'TEXT',
    '"NULL"': 'TEXT',
    VARIANT: 'TEXT',
    "ENUM('a', 'it''s')": 'TEXT',
    "ENUM('a')[]": 'ARRAY<TEXT>',
    'UNION(num INTEGER)': 'TEXT',
    'INTEGER[2][]': 'ARRAY<ARRAY<INT4>>',
    'STRUCT(INTEGER, INTEGER)': 'TEXT',
    'STRUCT(a INTEGER, "B""c" MAP(VARCHAR, DATE), Abc UUID)':
      'RECORD(a INT4, "B""c" MAP<TEXT, DATE>, "Abc" UUID)',
    'no such thing (': 'TEXT',
    '': 'TEXT',
  }
  for (const [theirs, ours] of Object.entries(kept)) t.equal(fromDuckDb(theirs), ours, theirs)
})

const simple = fc.constantFrom(
  ...['BOOLEAN', 'INT1', 'INT2', 'INT4', 'INT8', 'FLOAT4', 'FLOAT8', 'NUMERIC(10,2)', 'TEXT'],
  ...['DATE', 'TIME', 'TIMESTAMP', 'TIMESTAMPTZ', 'INTERVAL', 'BLOB', 'UUID', 'NUMERIC(38,0)'],
)
const fieldName = fc
  .string({ minLength: 1, maxLength: 8, unit: 'grapheme' })
  .filter((name) => !/\p{C}/u.test(name))
/** In the catalog's spelling. */
const { type } = fc.letrec<{ type: string }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    simple,
    tie('type').map((of) => `ARRAY<${of}>`),
    fc.tuple(simple, tie('type')).map(([key, value]) => `MAP<${key}, ${value}>`),
    fc
      .uniqueArray(fc.tuple(fieldName, tie('type')), {
        minLength: 1,
        maxLength: 3,
        selector: ([name]) => name.toLowerCase(),
      })
      .map(
        (fields) => `RECORD(${fields.map(([name, of]) => `${quoteName(name)} ${of}`).join(', ')})`,
      ),
  ),
}))

t.test('the catalog’s spelling is its own, and comes back from DuckDB', async (t) => {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  t.teardown(() => {
    connection.closeSync()
    instance.closeSync()
  })
  const property = fc.asyncProperty(type, async (tajo) => {
    if (parseType(tajo) !== tajo) throw new Error(`${tajo} became ${parseType(tajo)}`)
    const theirs = toDuckDb(tajo)
    const reader = await connection.runAndReadAll(`DESCRIBE SELECT NULL::${theirs} AS x`)
    const described = String(reader.getRowsJS()[0]?.[1])
    if (fromDuckDb(described) !== tajo) throw new Error(`${tajo}: ${theirs}: ${described}`)
  })
  await fc.assert(property, { numRuns: 200 })
  t.pass()
})

t.test('DuckDB reads what characters become', async (t) => {
  t.equal(toDuckDb('CHAR(3)'), 'VARCHAR')
  t.equal(toDuckDb('VARCHAR(3)'), 'VARCHAR')
  t.equal(toDuckDb('VARCHAR'), 'VARCHAR')
})
