/** The log-in at a master: a token for the right password, no word on who exists, and guesses that slow down. */
import t from 'tap'
import { LogIn } from '../../../lib/access/log-in.ts'
import { clientExchange, ScramError, verifierFor } from '../../../lib/access/scram.ts'
import { Seals } from '../../../lib/access/seal.ts'
import { markOf, readToken } from '../../../lib/access/token.ts'

const SECRET = 'a secret of some thirty characters'
const HERE = '192.0.2.1'

async function world() {
  const users = new Map([['anna', await verifierFor('right')]])
  const time = { nowMs: 1000, wallMs: 1_000_000 }
  const make = (): LogIn =>
    new LogIn({
      secret: SECRET,
      verifierOf: (user) => users.get(user) ?? null,
      nowMs: () => time.nowMs,
      wallMs: () => time.wallMs,
    })
  const master = make()
  const enter = async (user: string, password: string, from = HERE) => {
    const client = clientExchange(user, password)
    const first = master.first(client.first, from)
    if ('refused' in first) return first
    return { ...master.final(await client.final(first.message), first.state, from), client }
  }
  const pass = (ms: number): void => {
    time.nowMs += ms
    time.wallMs += ms
  }
  return { users, time, enter, pass, make, master }
}

t.test('the right password gives a token that tells the user and his password', async (t) => {
  const { enter, users, time } = await world()
  const given = await enter('anna', 'right')
  if (!('token' in given)) throw new Error(given.refused)
  given.client.check(given.message)
  const token = readToken(new Seals(SECRET), given.token, time.wallMs)
  t.match(token, {
    principal: { kind: 'user', name: 'anna' },
    mark: markOf(users.get('anna') ?? ''),
    endMs: given.endMs,
  })
})

t.test('a wrong password and a user that there is not are told in the same way', async (t) => {
  const { enter, master } = await world()
  const of = (user: string) => {
    const first = master.first(`n,,n=${user},r=abc`, HERE)
    return 'refused' in first ? '' : first.message.replace(/^r=abc[^,]*/, '')
  }
  t.equal(of('nobody'), of('nobody'), 'the salt of nobody does not change')
  t.not(of('nobody'), of('nobody2'))
  t.equal(of('nobody').length, of('anna').length)
  const [wrong, none] = [await enter('anna', 'wrong'), await enter('nobody', 'wrong')]
  const text = (one: object): string => String((one as { refused?: string }).refused)
  t.equal(text(wrong).replace('anna', ''), text(none).replace('nobody', ''))
  t.match(text(wrong), /is wrong, or there is no such user/)
})

t.test('guesses slow down, for this user from this address alone', async (t) => {
  const { enter, pass } = await world()
  for (let i = 0; i < 5; i++) {
    t.match(await enter('anna', `guess ${i}`), { retryMs: null })
  }
  t.match(await enter('anna', 'right'), { retryMs: 1000, refused: /again in 1 s/ })
  t.match(await enter('anna', 'right', '192.0.2.2'), { token: String })
  t.match(await enter('bert', 'guess'), { retryMs: null }, 'another user is heard')
  pass(1000)
  t.match(await enter('anna', 'guess'), { retryMs: null })
  t.match(await enter('anna', 'guess'), { retryMs: 2000 })
  for (let i = 0; i < 10; i++) {
    pass(30_000)
    t.match(await enter('anna', 'guess'), { retryMs: null }, 'never longer than half a minute')
  }
  pass(30_000)
  t.match(await enter('anna', 'right'), { token: String })
  t.match(await enter('anna', 'guess'), { retryMs: null }, 'and all is forgotten')
  t.match(await enter('anna', 'right'), { token: String })
})

t.test('guesses that begin at the same time are counted one by one', async (t) => {
  const { master } = await world()
  const begun = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const client = clientExchange('anna', `guess ${i}`)
      const first = master.first(client.first, HERE)
      if ('refused' in first) throw new Error('refused before any was wrong')
      return { final: await client.final(first.message), state: first.state }
    }),
  )
  const answers = begun.map(({ final, state }) => master.final(final, state, HERE))
  const looked = answers.filter((one) => 'refused' in one && one.retryMs === null)
  t.equal(looked.length, 5)
})

t.test('a last message is good once, for a minute, from where the first came', async (t) => {
  const { master, pass, make } = await world()
  const late = { user: null, refused: 'the log-in took too long: begin again', retryMs: null }
  const exchange = async () => {
    const client = clientExchange('anna', 'right')
    const first = master.first(client.first, HERE)
    if ('refused' in first) throw new Error(first.refused)
    return { final: await client.final(first.message), state: first.state }
  }
  const { final, state } = await exchange()
  t.same(master.final(final, state, '192.0.2.2'), late)
  t.match(master.final(final, state, HERE), { token: String })
  t.same(master.final(final, state, HERE), late, 'once')
  const second = await exchange()
  t.same(master.final(second.final, `${second.state}x`, HERE), late)
  t.throws(() => master.final(final, second.state, HERE), ScramError)
  pass(60_000)
  t.same(master.final(second.final, second.state, HERE), late)
  const third = await exchange()
  t.match(make().final(third.final, third.state, HERE), { token: String }, 'after a failover, too')
})

t.test('a user whose password is changed between the messages is refused', async (t) => {
  const { master, users } = await world()
  const client = clientExchange('anna', 'right')
  const first = master.first(client.first, HERE)
  if ('refused' in first) throw new Error(first.refused)
  const final = await client.final(first.message)
  users.set('anna', await verifierFor('right'))
  t.match(master.final(final, first.state, HERE), { refused: String })
  users.delete('anna')
  t.match(master.final(final, first.state, HERE), { refused: String })
})
