/** Statements about users: what they say, and that nobody is told a password that stands in one, right or misspelled. */
import t from 'tap'
import { parseStatement, SqlError, withoutPasswords } from '../../../lib/sql/index.ts'

const at = (column: number) => ({ line: 1, column })

t.test('each form', async (t) => {
  const forms: readonly [string, object][] = [
    [
      "CREATE USER Ann PASSWORD 'it''s'",
      { is: 'create-user', name: 'ann', place: at(13), ifNotExists: false, password: "it's" },
    ],
    [
      'create user if not exists "Ann B" password $$x$$;',
      { is: 'create-user', name: 'Ann B', place: at(27), ifNotExists: true, password: 'x' },
    ],
    [
      "ALTER USER ann PASSWORD 'x'",
      { is: 'alter-user', name: 'ann', place: at(12), password: 'x' },
    ],
    ['DROP USER ann', { is: 'drop-user', name: 'ann', place: at(11), ifExists: false }],
    ['DROP USER IF EXISTS ann', { is: 'drop-user', name: 'ann', place: at(21), ifExists: true }],
    [
      'GRANT SELECT, INSERT ON DATABASE d TO ann',
      {
        is: 'grant',
        what: {
          on: 'database',
          database: { name: 'd', place: at(34) },
          privileges: ['SELECT', 'INSERT'],
        },
        user: { name: 'ann', place: at(39) },
      },
    ],
    [
      'GRANT ALL PRIVILEGES ON TABLE d.t TO user',
      {
        is: 'grant',
        what: {
          on: 'table',
          table: { database: 'd', name: 't', place: at(31) },
          privileges: ['ALL'],
        },
        user: { name: 'user', place: at(38) },
      },
    ],
    [
      "REVOKE LOCATION '/data/x' FROM ann",
      {
        is: 'revoke',
        what: { on: 'location', location: { path: '/data/x', place: at(17) } },
        user: { name: 'ann', place: at(32) },
      },
    ],
    ['SHOW USERS', { is: 'show', what: 'users', named: null }],
    ['SHOW GRANTS', { is: 'show', what: 'grants', named: null }],
    ['SHOW GRANTS FOR ann', { is: 'show', what: 'grants', named: { name: 'ann', place: at(17) } }],
    // The words are names still.
    ['DROP TABLE password', { is: 'drop-table', table: { name: 'password' } }],
    ['SELECT user, grants FROM users', { is: 'query' }],
    ['SET timezone ON', { is: 'set', name: 'timezone', value: 'ON' }],
  ]
  for (const [sql, statement] of forms) t.match(parseStatement(sql), statement, sql)
})

t.test('what is wrong is told', async (t) => {
  const wrong: readonly [string, RegExp][] = [
    ["CREATE USER ann PASSWORD ''", /a password can not be empty/],
    ["CREATE USER 'ann' PASSWORD 'x'", /expected IF or the name of a user, found something else/],
    ['GRANT CREATE ON TABLE d.t TO ann', /CREATE is a privilege on a database/],
    ['GRANT READ ON TABLE d.t TO ann', /expected LOCATION, SELECT, INSERT, CREATE or ALL/],
    ["GRANT LOCATION '' TO ann", /a location can not be empty/],
    ['CREATE ROLE r', /there are no roles: GRANT … TO user/],
  ]
  for (const [sql, message] of wrong) t.throws(() => parseStatement(sql), { message }, sql)
})

const SECRET = 'Hunter2'
/** Each with what may be kept of it. */
const SPELLINGS: readonly [string, string][] = [
  [`CREATE USER ann PASSWORD '${SECRET}'`, "CREATE USER ann PASSWORD '…'"],
  [`create /* x */ user ann password E'${SECRET}';`, "create /* x */ user ann password '…'"],
  [
    `CREATE USER IF NOT EXISTS ann PASSWORD $$${SECRET}$$`,
    "CREATE USER IF NOT EXISTS ann PASSWORD '…'",
  ],
  [`ALTER USER "A b" PASSWORD '${SECRET}'`, `ALTER USER "A b" PASSWORD '…'`],
  [`CREATE USER password PASSWORD '${SECRET}'`, "CREATE USER password PASSWORD '…'"],
  [`CREATE USER user PASSWORD '${SECRET}'`, "CREATE USER user PASSWORD '…'"],
  // What does nothing, and is kept all the same.
  [`CREATE USER ann PASSWORD ${SECRET}`, "CREATE USER ann PASSWORD '…'"],
  [`CREATE USER ann PASSWORD '${SECRET}`, "CREATE USER ann PASSWORD '…'"],
  [`CREATE USER ann PASSWORD "${SECRET}"`, "CREATE USER ann PASSWORD '…'"],
  [`CREATE USER ann PASWORD '${SECRET}'`, "CREATE USER ann '…'"],
  [`CREATE USER ann WITH PASSWORD '${SECRET}'`, "CREATE USER ann '…'"],
  [`CREATE USER ann '${SECRET}'`, "CREATE USER ann '…'"],
  [`CREATE USER ann ${SECRET}`, "CREATE USER ann '…'"],
  [`CREATE USER '${SECRET}'`, "CREATE USER '…'"],
  [`CRAETE USER ann PASSWORD '${SECRET}'`, "CRAETE USER ann PASSWORD '…'"],
  [`CREATE USRE ann PASSWORD '${SECRET}'`, "CREATE USRE ann PASSWORD '…'"],
  [
    `GRANT ALL ON DATABASE d TO ann IDENTIFIED BY '${SECRET}'`,
    "GRANT ALL ON DATABASE d TO ann IDENTIFIED '…'",
  ],
  [
    `SELECT 1; ALTER USER ann PASSWORD '${SECRET}'; SELECT 2`,
    "SELECT 1; ALTER USER ann PASSWORD '…'",
  ],
  [`;;ALTER USER ann PASSWORD '${SECRET}'`, ";;ALTER USER ann PASSWORD '…'"],
]

t.test('no spelling of a statement gives its password away', async (t) => {
  for (const [sql, shown] of SPELLINGS) {
    t.equal(withoutPasswords(sql), shown, sql)
    try {
      parseStatement(sql)
    } catch (error) {
      t.type(error, SqlError)
      t.notMatch(String(error), new RegExp(SECRET, 'i'), sql)
    }
  }
})

t.test('all other statements are kept as they are', async (t) => {
  for (const sql of [
    'SELECT "user", password FROM users WHERE password = \'x\'',
    "(SELECT 'create user') UNION SELECT 'alter user ann password'",
    'CREATE TABLE users (name TEXT, password TEXT)',
    'ALTER TABLE users ADD COLUMN password TEXT',
    "INSERT INTO users SELECT 'ann', 'password', 'x'",
    'EXPLAIN SELECT password FROM users',
    'DROP USER ann',
    'GRANT SELECT ON TABLE users TO ann',
    'SHOW GRANTS FOR ann',
    "SELECT 'never closed password",
  ]) {
    t.equal(withoutPasswords(sql), sql)
  }
})
