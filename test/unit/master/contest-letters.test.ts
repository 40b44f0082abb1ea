/** Whose letters count: sealed with the secret, or an answer at a listed address by another cluster that lists us too. */
import { type Test, test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { ContestFacts, Letter, LetterReply } from '../../../lib/ha/index.ts'
import { ContestLetters } from '../../../lib/master/network/contest-letters.ts'
import { Guard, openAll, rpcServer } from '../../../lib/serve/index.ts'
import { freePortRow } from '../../support/free-ports.ts'

const facts = (address: string, clusterId = 'one'): ContestFacts => ({
  address,
  clusterId,
  directory: '/ha',
  priority: 100,
  by: `${address} process`,
  mount: 0,
  served: 3,
  holds: null,
})
const letterOf = (address: string, clusterId = 'one'): Letter => ({
  ...facts(address, clusterId),
  mine: 'open',
  toward: null,
  nonce: 'a_1.x-1',
})

interface Options {
  readonly clusterId?: string
  readonly secret?: string
  readonly lists?: boolean
}

/** A master that answers, and one that asks. */
async function two(t: Test, { clusterId = 'one', secret = 's', lists = true }: Options) {
  const port = await freePortRow(1)
  const at = `localhost:${port}`
  const taken: Letter[] = []
  const suspected: string[] = []
  const make = (address: string, own: { clusterId: string; secret: string; lists: boolean }) => {
    const letters = new ContestLetters({
      clusterId: () => own.clusterId,
      secret: () => own.secret,
      term: () => 1,
      listed: () => (own.lists ? [at, 'a:1'] : []),
      take: async (letter): Promise<LetterReply> => {
        taken.push(letter)
        return { ...facts(address, own.clusterId), mine: 'open', toward: null, check: 'exists' }
      },
      facts: () => facts(address, own.clusterId),
      suspect: (who) => void suspected.push(who),
      limitMs: 5000,
      clock: systemClock,
      log: () => {},
    })
    t.teardown(() => letters.close())
    return letters
  }
  const there = make(at, { clusterId, secret, lists })
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => 9,
    onNewerTerm: () => {},
    onRefused: () => {},
  })
  guard.join({ clusterId, secret })
  const handlers = {
    status: () => {
      throw new Error('not asked')
    },
    announce: () => ({ epoch: 1 }),
    watch: () => {},
    contest: (request: Parameters<ContestLetters['take']>[0]) => there.take(request),
  }
  const gate = {
    enter: () => ({
      term: 1,
      signal: new AbortController().signal,
      confirm: () => {},
      leave: () => {},
    }),
  }
  const app = rpcServer('umbilical', handlers, {
    guard,
    gate,
    clock: systemClock,
    log: () => {},
    beatMs: 50,
  })
  await openAll([{ bind: { key: 'test', host: 'localhost', port }, app }])
  t.teardown(() => app.close())
  const here = make('a:1', { clusterId: 'one', secret: 's', lists: true })
  return { here, at, taken, suspected }
}

test('one cluster, one secret: the letter comes, whatever terms the two know', async (t) => {
  const { here, at, taken } = await two(t, {})
  t.match(await here.deliver(at, letterOf('a:1')), {
    is: 'answered',
    reply: { address: at, check: 'exists', served: 3 },
  })
  t.same(taken, [letterOf('a:1')])
})

test('another secret: nothing is taken, both sides get to know', async (t) => {
  const { here, at, taken, suspected } = await two(t, { secret: 'other' })
  t.same(await here.deliver(at, letterOf('a:1')), { is: 'wrong-secret' })
  t.same(taken, [])
  t.same(suspected, ['a:1'], 'the other is asked back')
})

test('another cluster counts only where each lists the other', async (t) => {
  const mutual = await two(t, { clusterId: 'two', secret: 'other' })
  t.match(await mutual.here.deliver(mutual.at, letterOf('a:1')), {
    is: 'stranger',
    facts: { clusterId: 'two', served: 3 },
  })
  t.same(mutual.taken, [])
  const oneSided = await two(t, { clusterId: 'two', secret: 'other', lists: false })
  t.same(await oneSided.here.deliver(oneSided.at, letterOf('a:1')), { is: 'unreachable' })
  t.same(oneSided.suspected, [])
})

test('nobody there', async (t) => {
  const { here } = await two(t, {})
  t.same(await here.deliver(`localhost:${await freePortRow(1)}`, letterOf('a:1')), {
    is: 'unreachable',
  })
  t.same(await here.deliver('no address', letterOf('a:1')), { is: 'unreachable' })
})

test('a name that leads out of the directory is refused by the contract', async (t) => {
  const { here, at, taken } = await two(t, {})
  for (const nonce of ['../x', '.x', 'a/b', '']) {
    const delivery = await here.deliver(at, { ...letterOf('a:1'), nonce }).catch(() => null)
    t.not(delivery?.is, 'answered', nonce)
  }
  t.same(taken, [])
})
