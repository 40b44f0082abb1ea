/** By what a client proves whose it is: an administrator's token from the secret, a user's from his password, once for all. */
import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LogIn } from '../../../lib/access/log-in.ts'
import { verifierFor } from '../../../lib/access/scram.ts'
import { Seals } from '../../../lib/access/seal.ts'
import { readToken } from '../../../lib/access/token.ts'
import {
  type Credentials,
  NO_CREDENTIALS,
  OperatorCredentials,
  PasswordCredentials,
} from '../../../lib/client/credentials.ts'
import { TokenFile } from '../../../lib/client/token-file.ts'
import { RpcError } from '../../../lib/rpc/index.ts'
import { testdirOf } from '../../support/testdir.ts'

const SECRET = 'a secret of some thirty characters'
const CLUSTER = 'cluster-1'
const REFUSED = new RpcError('UNAUTHENTICATED', 'the token has ended: log in again')
const never = async (): Promise<never> => {
  throw new Error('nobody logs in')
}

function operator(
  more: {
    secret?: string | null
    authority?: string | null
    others?: Credentials
    eager?: boolean
    kept?: TokenFile
  } = {},
) {
  const { secret = SECRET, authority = 'PEM', others = NO_CREDENTIALS, eager = true, kept } = more
  const world = { nowMs: 1_000_000, secret, reads: 0, pinned: [] as string[] }
  const credentials = new OperatorCredentials({
    readSecret: async () => {
      world.reads += 1
      return world.secret === null ? null : { clusterId: CLUSTER, secret: world.secret, authority }
    },
    others,
    eager,
    pin: (clusterId, pem) => void world.pinned.push(`${clusterId} ${pem}`),
    kept,
    wallMs: () => world.nowMs,
  })
  const seen = async (atMs = world.nowMs) => {
    const text = await credentials.token(CLUSTER)
    return text === null ? null : readToken(new Seals(SECRET), text, atMs)
  }
  return { world, credentials, seen }
}

t.test(
  'whoever reads the secret is the administrator, and renews his token by himself',
  async (t) => {
    const { world, seen } = operator()
    t.match(await seen(), { principal: { kind: 'administrator' } })
    t.match(await seen(), { principal: { kind: 'administrator' } })
    t.equal(world.reads, 1, 'it is kept')
    world.nowMs += 31 * 60_000
    t.match(
      await seen(world.nowMs + 59 * 60_000),
      { principal: { kind: 'administrator' } },
      'a new one',
    )
    t.equal(world.reads, 2)
  },
)

t.test('another cluster is shown no token', async (t) => {
  const { credentials, world } = operator()
  t.equal(await credentials.token('cluster-2'), null)
  await t.rejects(credentials.renew(REFUSED, 'cluster-2', never, null), REFUSED)
  t.equal(world.reads, 2)
})

t.test('a host whose clock is behind is let in at the second try', async (t) => {
  const { credentials, seen, world } = operator()
  const thereMs = world.nowMs + 5 * 3_600_000
  t.equal(await seen(thereMs), 'ended')
  await credentials.renew(REFUSED, CLUSTER, never, thereMs)
  t.match(await seen(thereMs), { principal: { kind: 'administrator' } })
})

t.test('a secret that was made anew is read again', async (t) => {
  const { credentials, seen, world } = operator({ secret: 'another secret of thirty characters' })
  t.equal(await seen(), 'strange')
  world.secret = SECRET
  await credentials.renew(REFUSED, CLUSTER, never, world.nowMs)
  t.match(await seen(), { principal: { kind: 'administrator' } })
})

t.test('while the directory hangs what was made before is good until it ends', async (t) => {
  const kept = new TokenFile(join(t.testdir(), 'tokens'))
  const first = operator({ kept })
  t.match(await first.seen(), { principal: { kind: 'administrator' } })
  const file = join(t.testdirName, 'tokens', `${CLUSTER}.json`)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(join(t.testdirName, 'tokens')).mode & 0o777, 0o700)
  const next = operator({ kept })
  t.match(await next.seen(), { principal: { kind: 'administrator' } })
  t.equal(next.world.reads, 0, 'the next run makes none')
  t.equal(await next.credentials.token('cluster-2'), null)
  const hung = operator({ kept, secret: null })
  hung.world.nowMs += 40 * 60_000
  t.match(await hung.seen(), { principal: { kind: 'administrator' } })
  t.match(await hung.seen(), { principal: { kind: 'administrator' } })
  t.equal(hung.world.reads, 1, 'and does not hold up each request')
  hung.world.nowMs += 20 * 60_000
  t.equal(await hung.seen(), null)
  chmodSync(file, 0o640)
  const open = operator({ kept, secret: null })
  t.equal(await open.seen(), null, 'one that others may read is not used')
})

t.test('who is not eager looks for the secret when he has to', async (t) => {
  const { credentials, seen, world } = operator({ eager: false })
  t.equal(await seen(), null)
  t.equal(world.reads, 0)
  await credentials.renew(REFUSED, CLUSTER, never, null)
  t.match(await seen(), { principal: { kind: 'administrator' } })
})

t.test('a user logs in once for many statements, and again when he has to', async (t) => {
  const verifier = await verifierFor('right')
  const logIn = new LogIn({
    secret: SECRET,
    verifierOf: (user) => (user === 'anna' ? verifier : null),
    nowMs: () => 0,
    wallMs: () => 1_000_000,
  })
  let asked = 0
  const ask = async (method: string, message: Readonly<Record<string, string>>) => {
    asked += 1
    const { message: text = '', state = '' } = message
    const answer = method === 'beginLogIn' ? logIn.first(text, 'a') : logIn.final(text, state, 'a')
    if ('refused' in answer) throw new RpcError('UNAUTHENTICATED', answer.refused)
    return answer
  }
  const anna = new PasswordCredentials('anna', async () => 'right')
  t.equal(await anna.token(CLUSTER), null)
  await Promise.all([1, 2, 3].map(() => anna.renew(REFUSED, CLUSTER, ask)))
  t.equal(asked, 2)
  const token = readToken(new Seals(SECRET), (await anna.token(CLUSTER)) ?? '', 1_000_000)
  t.match(token, { principal: { kind: 'user', name: 'anna' } })
  t.equal(await anna.token('cluster-2'), null)
  const wrong = new PasswordCredentials('anna', async () => 'wrong')
  await t.rejects(wrong.renew(REFUSED, CLUSTER, ask), { code: 'UNAUTHENTICATED' })
  const false_ = async (method: string, message: Readonly<Record<string, string>>) => {
    const answer = await ask(method, message)
    return method === 'endLogIn' ? { ...answer, message: 'v=AAAA' } : answer
  }
  const deceived = new PasswordCredentials('anna', async () => 'right')
  await t.rejects(deceived.renew(REFUSED, CLUSTER, false_), {
    kind: 'refused',
    message: /false one/,
  })
  t.equal(
    await deceived.token(CLUSTER),
    null,
    'who does not know the verifier gets no token either',
  )
  const { credentials, world } = operator({ secret: null, others: anna })
  t.type(await credentials.token(CLUSTER), 'string', 'where the secret is not to be read')
  t.type(await credentials.token(CLUSTER), 'string')
  t.equal(world.reads, 1, 'which is asked once')
})

t.test('an administrator’s token goes to who shows the authority beside the secret', async (t) => {
  const { world, seen } = operator()
  t.match(await seen(), { principal: { kind: 'administrator' } })
  t.same(world.pinned[0], `${CLUSTER} PEM`, 'pinned before it is handed out')
  t.equal(await operator({ authority: null }).seen(), null, 'where there is none nobody gets one')
  const directory = testdirOf(t)
  const kept = new TokenFile(directory)
  await operator({ kept }).seen()
  const later = operator({ secret: null, kept })
  t.match(await later.seen(), { principal: { kind: 'administrator' } })
  t.same(later.world.pinned, [`${CLUSTER} PEM`], 'one that was kept, too')
})

t.test('whoever refuses a token does not decide how long the next one lives', async (t) => {
  const { world, credentials, seen } = operator()
  await seen()
  const inYears = world.nowMs + 10 * 365 * 86_400_000
  await credentials.renew(REFUSED, CLUSTER, never, inYears)
  t.equal(await seen(world.nowMs + 26 * 3_600_000), 'ended')
})
