/** SCRAM-SHA-256 with the RFC's own exchange, PostgreSQL's verifiers, and what neither side takes from the other. */
import t from 'tap'
import {
  begin,
  clientExchange,
  finish,
  readClientFirst,
  readVerifier,
  ScramError,
  verifierFor,
} from '../../../lib/access/scram.ts'

/** RFC 7677, section 3. */
const RFC = {
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst:
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}

async function verifierOf(password: string, salt?: Buffer) {
  const read = readVerifier(await verifierFor(password, salt))
  if (read === null) throw new Error('a verifier of ours is none')
  return read
}

t.test('the exchange of RFC 7677, from both sides', async (t) => {
  const client = clientExchange('user', 'pencil', RFC.clientNonce)
  t.equal(client.first, RFC.clientFirst)
  const verifier = await verifierOf('pencil', Buffer.from(RFC.salt, 'base64'))
  const begun = begin(readClientFirst(client.first), verifier, RFC.serverNonce)
  t.equal(begun.serverFirst, RFC.serverFirst)
  t.equal(await client.final(begun.serverFirst), RFC.clientFinal)
  t.equal(finish(begun, RFC.clientFinal, verifier), RFC.serverFinal)
  client.check(RFC.serverFinal)
})

t.test('a wrong password does not come out right, nor does a server that knows none', async (t) => {
  const verifier = await verifierOf('pencil')
  const client = clientExchange('user', 'pencils')
  const begun = begin(readClientFirst(client.first), verifier)
  t.equal(finish(begun, await client.final(begun.serverFirst), verifier), null)
  const right = clientExchange('user', 'pencil')
  const second = begin(readClientFirst(right.first), verifier)
  const final = await right.final(second.serverFirst)
  const told = finish(second, final, verifier) ?? ''
  t.doesNotThrow(() => right.check(told))
  t.throws(() => right.check('v=AAAA'), ScramError)
  t.throws(() => right.check('e=other-error'), ScramError)
  const other = begin(readClientFirst(clientExchange('user', 'pencil').first), verifier)
  t.throws(() => finish(other, final, verifier), ScramError, 'it is no answer to another exchange')
})

t.test('what no side of ours says is refused', async (t) => {
  for (const message of [
    '',
    'n,,',
    'n,,n=user',
    'p=tls-unique,,n=user,r=abc',
    'n,a=other,n=user,r=abc',
    'n,,m=ext,n=user,r=abc',
    'n,,n=us=er,r=abc',
    'n,,n=user,r=a b',
  ]) {
    t.throws(() => readClientFirst(message), ScramError, message)
  }
  t.match(readClientFirst('y,,n=a=2Cb=3D2C,r=abc,x=more'), { user: 'a,b=2C', binding: 'y,,' })
  const { clientNonce: nonce } = RFC
  for (const answer of [
    '',
    `r=${nonce},s=AAAA,i=4096`,
    `r=other${nonce},s=AAAA,i=4096`,
    `r=${nonce}more,s=AA,i=4096`,
    `r=${nonce}more,s=AAAA,i=1`,
    `r=${nonce}more,s=AAAA,i=9999999`,
    `m=ext,r=${nonce}more,s=AAAA,i=4096`,
  ]) {
    await t.rejects(clientExchange('user', 'pencil', nonce).final(answer), ScramError, answer)
  }
  const verifier = await verifierOf('pencil')
  const begun = begin(readClientFirst(`n,,n=user,r=${nonce}`), verifier, 'server')
  for (const final of [
    '',
    `c=biws,r=${nonce}server`,
    `c=biws,r=${nonce}server,p=AAAA`,
    `c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`,
    `c=eSws,r=${nonce}server,p=${Buffer.alloc(32).toString('base64')}`,
  ]) {
    t.throws(() => finish(begun, final, verifier), ScramError, final)
  }
})

t.test('a verifier is read back, and what only looks like one is none', async (t) => {
  const text = await verifierFor('pencil', Buffer.from(RFC.salt, 'base64'))
  t.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[\w+/]{43}=:[\w+/]{43}=$/)
  t.not(await verifierFor('pencil'), await verifierFor('pencil'), 'each has a salt of its own')
  const parts = /^(.*?)\$(\d+):(.*?)\$(.*?):(.*)$/.exec(text) ?? []
  const [, name, , salt, stored, server] = parts
  for (const none of [
    'pencil',
    'SCRAM-SHA-256',
    'md5ae3c3a2d5c3b1a2b3c4d5e6f7a8b9c0d',
    `SCRAM-SHA-1$4096:${salt}$${stored}:${server}`,
    `${name}$1:${salt}$${stored}:${server}`,
    `${name}$4096:${salt}$${stored}`,
    `${name}$4096:${salt}$AAAA:${server}`,
    `${name}$4096:!!${salt}$${stored}:${server}`,
    `${text} `,
  ]) {
    t.equal(readVerifier(none), null, none)
  }
})
