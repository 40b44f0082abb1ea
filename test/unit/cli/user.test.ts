/** `tajo user`: what may be typed, and that no password is in what is sent. */
import t from 'tap'
import { readVerifier } from '../../../lib/access/index.ts'
import { statementFor, userCall } from '../../../lib/cli/user.ts'

t.test('verbs and names', async (t) => {
  t.same(userCall(['add', 'anna']), { verb: 'add', name: 'anna' })
  t.same(userCall(['list']), { verb: 'list', name: '' })
  for (const [words, why] of [
    [[], "'tajo user' does not know '' (allowed are add, passwd, drop, list)"],
    [['ad', 'anna'], "does not know 'ad'"],
    [['add'], "'tajo user add' needs a user's name"],
    [['list', 'anna'], "'tajo user list' takes no name"],
  ] as const) {
    t.throws(() => userCall(words), { message: new RegExp(why.replace(/[()]/g, '\\$&')) })
  }
})

t.test('a verifier is sent, and names are quoted', async (t) => {
  const added = await statementFor({ verb: 'add', name: 'an"na' }, 'a password')
  const [, verifier = ''] = /^CREATE USER "an""na" PASSWORD '([^']*)'$/.exec(added) ?? []
  t.ok(readVerifier(verifier), added)
  t.notMatch(added, /a password/)
  t.match(
    await statementFor({ verb: 'passwd', name: 'anna' }, 'b'),
    /^ALTER USER "anna" PASSWORD 'S/,
  )
  t.equal(await statementFor({ verb: 'drop', name: 'anna' }, ''), 'DROP USER "anna"')
})
