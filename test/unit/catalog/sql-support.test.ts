/** URIs of catalog databases, what their errors mean, and text that a database can't keep as it is. */
import { SqlError } from 'mariadb'
import pg from 'pg'
import t from 'tap'
import { mariadbKindOf } from '../../../lib/catalog/database/mariadb-store.ts'
import { postgresKindOf } from '../../../lib/catalog/database/postgres-store.ts'
import { fromSqlText, toSqlText } from '../../../lib/catalog/database/sql-connection.ts'
import { duckdbKindOf } from '../../../lib/catalog/derby/embedded-duckdb.ts'
import { parseJdbc } from '../../../lib/catalog/uri.ts'
import { fc } from '../../support/properties.ts'

const POSTGRES = { schemes: ['postgresql'], defaultPort: 5432 }
const parse = (uri: string, user = '', password = '') =>
  parseJdbc({ uri, user, password }, POSTGRES)

t.test('URIs as Tajo has them', async (t) => {
  t.match(parse('jdbc:postgresql://db.example:5433/tajo?createDatabaseIfNotExist=true', 'u', 'p'), {
    ...{ host: 'db.example', port: 5433, database: 'tajo', user: 'u', password: 'p' },
    ...{ createDatabase: true, tls: null },
  })
  t.match(parse('jdbc:postgresql://h/a%20b?user=x&password=y%26z'), {
    ...{ port: 5432, database: 'a b', user: 'x', password: 'y&z', createDatabase: false },
  })
  t.match(parse('jdbc:postgresql://me:s%40f@[::1]/d', 'other'), {
    ...{ host: '::1', user: 'other', password: 's@f' },
  })
  t.equal(parse('jdbc:postgresql://h/d?sslmode=verify-full').tls, 'verified')
  t.equal(parse('jdbc:postgresql://h/d?sslMode=REQUIRED').tls, 'any')
  t.equal(parse('jdbc:postgresql://h/d?useSSL=true').tls, 'verified')
})

t.test('wrong ones are told without the password', async (t) => {
  const wrong = [
    ...['', 'postgresql://h/d', 'jdbc:mysql://h/d', 'jdbc:postgresql:d', 'jdbc:postgresql:///d'],
    ...['jdbc:postgresql://h', 'jdbc:postgresql://h/', 'jdbc:postgresql://u:secret@h:x/d'],
    ...['jdbc:postgresql://u:secret@a:1,b:2/d', 'jdbc:postgresql://h/%zz?password=secret'],
  ]
  for (const uri of wrong) {
    try {
      parse(uri)
      t.fail(`taken: ${uri}`)
    } catch (error) {
      t.match(error, { code: 'BAD_STORE', message: /^tajo\.catalog\.uri: / }, uri)
      t.notMatch(`${error}${(error as Error).cause}`, /secret/)
    }
  }
})

t.test('a full disk and a quota that is used up are told in many words', async (t) => {
  const mariadb: [number, string, string][] = [
    [
      1021,
      'Disk full (./a); waiting for someone to free some space... (errno: 28 "No space left on device")',
      'full',
    ],
    [1021, 'Disk full (./a) (errno: 122 "Disk quota exceeded")', 'full'],
    [1114, "The table 'catalog_files' is full", 'full'],
    [1030, 'Got error 28 "No space left on device" from storage engine InnoDB', 'full'],
    [
      1030,
      'Got error 122 "Internal (unspecified) error in handler" from storage engine',
      'refused',
    ],
    [1030, "Got error 168 - 'Disk quota exceeded' from storage engine", 'full'],
    [1026, 'Error writing file \'./a\' (errno: 122 "Disk quota exceeded")', 'full'],
    [1005, 'Can\'t create table `a`.`b` (errno: 28 "No space left on device")', 'full'],
    [1005, "Can't create table `a`.`b` (errno: 150)", 'refused'],
    [1006, "Can't create database 'a' (errno: 122)", 'full'],
    [3, 'Error writing file \'/tmp/MY1\' (Errcode: 28 "No space left on device")', 'full'],
    [1, "Can't create/write to file '/tmp/MY1' (OS errno 28 - No space left on device)", 'full'],
    [1064, "near 'No space left on device'", 'refused'],
  ]
  for (const [errno, text, kind] of mariadb) {
    t.equal(mariadbKindOf(Object.assign(new SqlError(text), { errno, fatal: false })), kind, text)
  }
  const postgres: [string, string, string][] = [
    ['53100', 'could not extend file "base/1/2": Kein Platz', 'full'],
    ['58030', 'could not extend file "base/1/2": Disk quota exceeded', 'full'],
    ['XX000', 'could not write to file "pg_wal/x": Disk quota exceeded', 'full'],
    ['58030', 'could not read file "base/1/2": Input/output error', 'lost'],
    ['22001', 'Disk quota exceeded', 'refused'],
  ]
  for (const [state, text, kind] of postgres) {
    const error = Object.assign(new pg.DatabaseError(text, text.length, 'error'), { code: state })
    t.equal(postgresKindOf(error), kind, text)
  }
  for (const words of ['No space left on device', 'Disk quota exceeded']) {
    const text = `IO Error: Could not write file "/a/tajo-catalog.duckdb.wal": ${words}`
    t.equal(duckdbKindOf(new Error(text)), 'full', text)
  }
  t.equal(
    duckdbKindOf(new Error('IO Error: Could not write file "/a": Input/output error')),
    'lost',
  )
})

t.test('every text comes back, and what is kept is plain Unicode', async (t) => {
  const any = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes)),
    fc.constantFrom('\0', '\ud800', '\u001bjson:"x"', ''),
  )
  fc.assert(
    fc.property(any, (text) => {
      const kept = toSqlText(text)
      return (
        fromSqlText(kept) === text && !kept.includes('\0') && Buffer.from(kept).toString() === kept
      )
    }),
  )
  t.equal(toSqlText('plain ü'), 'plain ü', 'readable')
})
