/** URIs of catalog databases, and text that a database can't keep as it is. */
import t from 'tap'
import { parseJdbc } from '../../../lib/catalog/jdbc-uri.ts'
import { fromSqlText, toSqlText } from '../../../lib/catalog/sql-text.ts'
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
