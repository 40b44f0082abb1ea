/**
 * The rules of a cut network one by one: the ear, ranks, names and files, orders through the directory. What follows when
 * they meet is the simulation's part (test/sim/network.test.ts).
 */
import t from 'tap'
import { decodeOrder, orderOf } from '../../../lib/ha/directory/directory-order.ts'
import {
  decodePublication,
  publicationFile,
  publicationOf,
} from '../../../lib/ha/directory/network-publication.ts'
import { type Answer, NetworkEar, type Target } from '../../../lib/ha/member/network-ear.ts'
import {
  compareRanks,
  describeRank,
  type Hearing,
  hasLost,
  NOTHING,
  onClock,
  rankOf,
  rankSince,
} from '../../../lib/ha/rules/network-rank.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { encode } from '../../../lib/ha/words/layout.ts'

const timing = makeTiming(1000)

/** An ear whose time and answers a test holds in its hands. */
class Bench {
  nowMs = 5000
  readonly told: Hearing[] = []
  readonly asked: string[] = []
  answers: Readonly<Record<string, Answer>> = {}
  /** Of each answer. */
  delayMs = 0
  /** The last sign of life on the stream that is silent longest. */
  signMs: number | null = null
  readonly ear: NetworkEar
  #timers: { atMs: number; run: () => void }[] = []

  constructor() {
    this.ear = new NetworkEar({
      clock: {
        nowMs: () => this.nowMs,
        after: (delayMs, run) => {
          const timer = { atMs: this.nowMs + delayMs, run }
          this.#timers.push(timer)
          return () => {
            this.#timers = this.#timers.filter((one) => one !== timer)
          }
        },
      },
      timing,
      network: 'here',
      ask: ({ address }, limitMs) => {
        this.asked.push(address)
        const answer = this.answers[address] ?? 'silent'
        if (this.delayMs === 0) return Promise.resolve(answer)
        return new Promise((done) => {
          const inTime = this.delayMs <= limitMs
          const atMs = this.nowMs + Math.min(this.delayMs, limitMs)
          this.#timers.push({ atMs, run: () => done(inTime ? answer : 'silent') })
        })
      },
      quietSinceMs: (limitMs) =>
        this.signMs !== null && this.signMs < this.nowMs - limitMs ? this.signMs : null,
      tell: (hearing) => this.told.push(hearing),
    })
  }

  get last(): Hearing | undefined {
    return this.told.at(-1)
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    for (;;) {
      await new Promise((done) => setImmediate(done))
      const next = this.#timers.sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.run()
    }
    this.nowMs = untilMs
  }
}

const worker = (address: string, network: string | null): Target => ({
  kind: 'worker',
  address,
  network,
})
const master: Target = { kind: 'master', address: 'm2', network: 'there' }

t.test('who answers is heard, and at rest hardly anybody is asked', async (t) => {
  const bench = new Bench()
  bench.answers = { w1: 'answered', m2: 'answered', w0: 'answered' }
  bench.ear.follow([worker('w0', 'here'), worker('w1', 'there'), master], [])
  await bench.pass(2000)
  t.match(bench.last, { known: { worker: true, witness: false, master: true }, measuring: false })
  t.same(bench.last && rankOf(bench.last), { worker: true, witness: false, master: true })
  t.notOk(bench.asked.includes('w0'), 'nobody on this network is asked')
  bench.asked.length = 0
  await bench.pass(10_000)
  t.ok(bench.asked.length <= 12, `${bench.asked.length} requests in ten M`)
})

t.test('an answer that is later than a silence is long ends it, up to 3P', async (t) => {
  for (const [periods, heard] of [
    [2.5, true],
    [3.1, false],
  ] as const) {
    const bench = new Bench()
    bench.answers = { m2: 'answered' }
    bench.delayMs = periods * timing.renewMs
    bench.ear.follow([master], [])
    await bench.pass(2.2 * timing.renewMs)
    t.match(bench.last, { heardMs: { master: null } }, 'told as one')
    await bench.pass(5 * timing.renewMs)
    t.equal(bench.last && rankOf(bench.last).master, heard)
  }
})

t.test('a silence is as old as the last sign of life before the suspicion', async (t) => {
  const bench = new Bench()
  bench.answers = { w1: 'answered', m2: 'answered' }
  bench.ear.follow([worker('w1', 'there'), master], [])
  await bench.pass(1500)
  bench.answers = { w1: 'refused' }
  const lifeMs = bench.nowMs - 300
  bench.ear.suspect(lifeMs)
  await bench.pass(timing.renewMs)
  t.same(bench.last && rankOf(bench.last), { worker: true, witness: false, master: true })
  await bench.pass(2 * timing.renewMs)
  t.same(bench.last && rankOf(bench.last), NOTHING)
  t.match(bench.last, { sinceMs: lifeMs, silent: ['m2'], measuring: true })
  t.ok(bench.last && hasLost(bench.last))
  bench.answers = { w1: 'answered', m2: 'answered' }
  await bench.pass(timing.monitorMs)
  t.match(bench.last, { silent: [], measuring: false })
})

t.test('an answer at rest after that sign of life is the last one', async (t) => {
  const bench = new Bench()
  bench.answers = { m2: 'answered' }
  bench.ear.follow([master], [])
  await bench.pass(timing.monitorMs)
  bench.asked.length = 0
  for (let i = 0; i < 400 && bench.asked.length === 0; i += 1) await bench.pass(timing.pollMs)
  const answeredMs = bench.nowMs
  bench.answers = {}
  await bench.pass(3 * timing.renewMs)
  bench.ear.suspect(answeredMs - timing.pollMs)
  await bench.pass(3 * timing.renewMs)
  t.equal(bench.last && rankOf(bench.last).master, false)
  const lateMs = answeredMs - (bench.last?.sinceMs ?? 0)
  t.ok(lateMs >= 0 && lateMs <= timing.pollMs, `${lateMs} ms`)
})

t.test('its own stall is nobody’s silence', async (t) => {
  const bench = new Bench()
  bench.answers = { m2: 'answered' }
  bench.ear.follow([master], [])
  await bench.pass(300)
  bench.answers = {}
  await bench.pass(timing.renewMs)
  bench.nowMs += 800
  bench.answers = { m2: 'answered' }
  await bench.pass(timing.renewMs)
  t.ok(bench.told.every((hearing) => rankOf(hearing).master))
})

t.test('a silence is one, though the ear stalls again and again', async (t) => {
  const bench = new Bench()
  bench.answers = { m2: 'answered' }
  bench.ear.follow([master], [])
  await bench.pass(timing.monitorMs)
  bench.answers = {}
  bench.ear.suspect(bench.nowMs)
  for (let i = 0; i < 8; i += 1) {
    // One tick in time, and one that comes too late.
    await bench.pass(timing.renewMs)
    bench.nowMs += 3 * timing.renewMs
  }
  t.equal(bench.last && rankOf(bench.last).master, false)
})

t.test('at rest a silence begins with the request that had no answer', async (t) => {
  const bench = new Bench()
  bench.answers = { m2: 'answered' }
  bench.ear.follow([master], [])
  await bench.pass(timing.monitorMs)
  t.match(bench.last, { measuring: false })
  bench.answers = {}
  bench.asked.length = 0
  let askedMs = 0
  for (let i = 0; i < 40 && bench.last?.measuring === false; i += 1) {
    await bench.pass(timing.renewMs)
    if (bench.asked.length > 0 && askedMs === 0) askedMs = bench.nowMs
  }
  t.match(bench.last, { measuring: true }, 'no stream has told it: the rare request has')
  await bench.pass(2 * timing.renewMs)
  t.equal(bench.last && rankOf(bench.last).master, false)
  t.ok(Math.abs((bench.last?.sinceMs ?? 0) - askedMs) <= timing.renewMs, 'not when it was noticed')
})

t.test('where a stream has ended before that request, a silence begins there', async (t) => {
  const bench = new Bench()
  bench.answers = { m2: 'answered' }
  bench.ear.follow([master], [])
  await bench.pass(timing.monitorMs)
  bench.answers = {}
  bench.asked.length = 0
  for (let i = 0; i < 40 && bench.asked.length === 0; i += 1) {
    bench.signMs = bench.nowMs
    await bench.pass(timing.renewMs)
  }
  await bench.pass(4 * timing.renewMs)
  t.equal(bench.last && rankOf(bench.last).master, false)
  t.equal(bench.last?.sinceMs, bench.signMs)
})

t.test('its own stall after a request at rest is nobody’s silence', async (t) => {
  for (const answersLater of [true, false]) {
    const bench = new Bench()
    bench.answers = { m2: 'answered' }
    bench.ear.follow([master], [])
    await bench.pass(timing.monitorMs)
    bench.answers = {}
    bench.asked.length = 0
    for (let i = 0; i < 40 && bench.asked.length === 0; i += 1) await bench.pass(timing.renewMs)
    // It stands still right after the request, and what has come meanwhile it can't have read.
    bench.nowMs += 5 * timing.monitorMs
    const wokenMs = bench.nowMs
    if (answersLater) bench.answers = { m2: 'answered' }
    await bench.pass(4 * timing.renewMs)
    const heard = bench.told.every((hearing) => rankOf(hearing).master)
    t.equal(heard, answersLater)
    if (!answersLater) t.ok((bench.last?.sinceMs ?? 0) >= wokenMs - 2 * timing.renewMs)
  }
})

t.test('ranks: a worker counts more than a witness, and that more than a master', (t) => {
  const [w, g, m] = [
    { ...NOTHING, worker: true },
    { ...NOTHING, witness: true },
    { ...NOTHING, master: true },
  ]
  t.ok(compareRanks(w, { ...g, master: true }) > 0)
  t.ok(compareRanks(g, m) > 0)
  t.equal(compareRanks(m, m), 0)
  t.equal(describeRank(NOTHING), 'nobody')
  t.equal(describeRank({ ...w, master: true }), 'a worker and a master')
  t.end()
})

t.test('what is compared is fresh, and without the workers of the other one’s host', (t) => {
  const hearing: Hearing = {
    heardMs: { worker: 100, witness: 50, master: null },
    known: { worker: true, witness: true, master: true },
    silent: [],
    sinceMs: 0,
    measuring: true,
    madeMs: 120,
    workersHeard: [{ network: 'theirs', heardMs: 100 }],
    workers: [],
  }
  t.same(rankSince(hearing, 90, 'other'), { worker: true, witness: false, master: false })
  t.same(rankSince(hearing, 90, 'theirs'), NOTHING)
  t.match(onClock(hearing, 1120), { madeMs: 1120, heardMs: { worker: 1100, master: null } })
  t.end()
})

t.test('publications: names and texts', (t) => {
  const path = publicationFile('host2:26001', 'abc#1.17', 3)
  t.equal(path, 'backup/host2_26001.network-abc_1.17-3')
  t.same(publicationOf('host2_26001.network-abc_1.17-3'), {
    life: 'host2_26001.network-abc_1.17',
    n: 3,
  })
  t.equal(publicationOf('host2_26001.json'), null)
  const whole = {
    address: 'host2:26001',
    nonce: 'abc',
    rank: NOTHING,
    workers: [{ address: 'w:1', network: null }],
    offer: { nonce: '4-1', to: 'host1:26001', moves: 0 },
    answer: null,
  }
  t.same(decodePublication(encode(whole)), whole)
  for (const wrong of ['', '{', 'null', '{}', encode({ ...whole, rank: {} })]) {
    t.equal(decodePublication(wrong), null, wrong)
  }
  t.equal(decodePublication(encode({ ...whole, offer: { nonce: 1 } })), null)
  t.end()
})

t.test('orders through the directory: names and texts', (t) => {
  const id = '0b1d4d0e-7a60-4b1c-8a3e-0c3b1f1f2a10'
  t.same(orderOf(`order-${id}.order`), { id, is: 'order' })
  t.same(orderOf(`order-${id}.reply`), { id, is: 'reply' })
  t.equal(orderOf('host2_26001.json'), null)
  const order = { to: 'a:1', term: 4, by: 'x', order: { name: 'takeOver', force: false } }
  t.same(decodeOrder(encode(order)), order)
  for (const wrong of [
    '',
    '{}',
    encode({ ...order, term: '4' }),
    encode({ ...order, order: {} }),
  ]) {
    t.equal(decodeOrder(wrong), null, wrong)
  }
  t.end()
})
