/** Seals and tokens: who has the secret makes them, nobody else changes a letter, and each ends. */
import t from 'tap'
import { Seals } from '../../../lib/access/seal.ts'
import { makeToken, markOf, readToken } from '../../../lib/access/token.ts'

const SECRET = 'a secret of some thirty characters'
const ADMIN = {
  principal: { kind: 'administrator', name: 'root' },
  mark: null,
  endMs: 5000,
} as const
const ANNA = { principal: { kind: 'user', name: 'anna' }, mark: 'm', endMs: 5000 } as const

t.test('a token is known at every master of the cluster, and at no other', async (t) => {
  for (const token of [ADMIN, ANNA]) {
    const text = makeToken(new Seals(SECRET), token)
    t.match(text, /^[\w.-]+$/, 'good for a header')
    t.same(readToken(new Seals(SECRET), text, 4999), token)
    t.equal(readToken(new Seals(SECRET), text, 5000), 'ended')
    t.equal(readToken(new Seals(`${SECRET}s`), text, 0), 'strange')
  }
})

t.test('whoever changes one has none', async (t) => {
  const seals = new Seals(SECRET)
  const text = makeToken(seals, ANNA)
  const [body = '', mark = ''] = text.split('.')
  const payload = JSON.parse(Buffer.from(body, 'base64url').toString())
  const forged = Buffer.from(JSON.stringify({ ...payload, kind: 'administrator' }))
  for (const one of [
    `${forged.toString('base64url')}.${mark}`,
    body,
    `${body}.`,
    `${text}.${mark}`,
    `${body}.${mark.slice(1)}`,
    `.${mark}`,
    '',
    '.',
    'x'.repeat(100_000),
  ]) {
    t.equal(readToken(seals, one, 0), 'strange')
  }
})

t.test('what was sealed for something else is no token', async (t) => {
  const seals = new Seals(SECRET)
  const { principal, endMs } = ADMIN
  const value = { v: 1, ...principal, end: endMs }
  t.equal(readToken(seals, seals.seal('log-in begun', value), 0), 'strange')
  t.same(readToken(seals, seals.seal('session token', value), 0), ADMIN)
  for (const other of [
    { ...value, v: 2 },
    { ...value, kind: 'owner' },
    { ...value, kind: 'user' },
    { ...value, end: '9' },
    null,
    7,
  ]) {
    t.equal(readToken(seals, seals.seal('session token', other), 0), 'strange')
  }
})

t.test('a password’s mark is the same each time, and another one’s is another', async (t) => {
  t.equal(markOf('one'), markOf('one'))
  t.not(markOf('one'), markOf('two'))
})
