/** What the guard asks of clients: a token of this cluster that has not ended, unless nobody has to prove anything. */
import t from 'tap'
import { administrator, makeToken, Seals } from '../../../lib/access/index.ts'
import { Guard } from '../../../lib/serve/guard.ts'

const SECRET = 's'.repeat(64)
const CLUSTER = 'cluster-1'

function guardOf(authentication: 'password' | 'none') {
  const refused: string[] = []
  const guard = new Guard({
    authentication,
    wallMs: () => 1000,
    term: () => 1,
    onNewerTerm: () => {},
    onRefused: (what, from) => refused.push(`${what} ${from}`),
  })
  guard.join({ clusterId: CLUSTER, secret: SECRET })
  const who = (authorization?: string, cluster = CLUSTER) =>
    guard.requireUser(
      { 'x-tajo-cluster': cluster, ...(authorization !== undefined && { authorization }) },
      'h',
    )
  return { guard, refused, who }
}

const tokenOf = (secret: string, endMs: number): string =>
  makeToken(new Seals(secret), { principal: administrator('root'), mark: null, endMs })

t.test('with passwords a token is asked for', async (t) => {
  const { who, refused, guard } = guardOf('password')
  t.match(who(`Bearer ${tokenOf(SECRET, 1001)}`), { principal: { kind: 'administrator' } })
  for (const [header, why] of [
    [undefined, /log in first/],
    ['', /log in first/],
    ['Basic cm9vdDo=', /log in first/],
    ['Bearer a b', /log in first/],
    ['Bearer x', /none of this cluster's/],
    [`Bearer ${tokenOf('t'.repeat(64), 1001)}`, /none of this cluster's/],
    [`Bearer ${tokenOf(SECRET, 1000)}`, /has ended/],
  ] as const) {
    t.throws(() => who(header), { code: 'UNAUTHENTICATED', message: why }, String(header))
  }
  t.equal(guard.refused.token, 7)
  t.equal(refused.at(-1), 'token h')
  t.throws(() => who(`Bearer ${tokenOf(SECRET, 1001)}`, 'cluster-2'), { code: 'OTHER_CLUSTER' })
})

t.test('with none nobody has to prove anything', async (t) => {
  const { who } = guardOf('none')
  t.equal(who(), null)
  t.equal(who('Bearer x'), null)
  t.throws(() => who(undefined, 'cluster-2'), { code: 'OTHER_CLUSTER' })
})
