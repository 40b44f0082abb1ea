/**
 * When an active offers its role, and how long it waits for an answer. Pure: the driver is played by hand. What follows when
 * the rules meet is the simulation's part (test/sim/network.test.ts).
 */
import t from 'tap'
import type { Publication } from '../../../lib/ha/directory/network-publication.ts'
import { step } from '../../../lib/ha/rules/elector.ts'
import { begin, type State } from '../../../lib/ha/rules/elector-state.ts'
import type { Effect, Input } from '../../../lib/ha/rules/elector-step.ts'
import { networkProblemOf } from '../../../lib/ha/rules/network-offer.ts'
import { type Hearing, NOTHING, type Rank } from '../../../lib/ha/rules/network-rank.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { Seen } from '../../../lib/ha/rules/watch.ts'
import { TAKE_OVER } from '../../support/take-over.ts'

const timing = makeTiming(1000)
const WORKER: Rank = { ...NOTHING, worker: true }
const WITNESS: Rank = { ...NOTHING, witness: true }
const ALL: Rank = { worker: true, witness: true, master: true }

/** The active master a:26001, which hears all at first, and its backups. */
class Bench {
  now = 100_000
  state: State
  #published: Publication[] = []

  constructor(backups: readonly { address: string; monitorMs?: number }[]) {
    const untilMs = this.now + timing.deadlineMs
    const resume = { term: 3, serving: true, untilMs, takeOver: TAKE_OVER }
    const nowMs = this.now
    const { address, priority } = { address: 'a:26001', priority: 100 }
    this.state = begin({ address, priority, timing, nowMs, canFence: false, resume })
    const candidates = backups.map((one) => ({ priority: 100, ...one }))
    this.input({ type: 'candidates', candidates, begunMs: nowMs, pulseMs: 200 })
    this.hears(ALL)
  }

  input(input: Input): readonly Effect[] {
    const next = step(this.state, input, this.now)
    this.state = next.state
    return next.effects
  }

  /** Renewals and pings go on meanwhile. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.now += Math.min(10, left)
      const term = this.state.lease?.term ?? 0
      this.input({ type: 'renewed', term, startedMs: this.now, outcome: 'touched', why: '' })
      this.input({ type: 'pong' })
      this.input({ type: 'posted', publications: this.#published, begunMs: this.now })
    }
  }

  hears(rank: Rank, sinceMs = this.now): void {
    const { now } = this
    const of = (heard: boolean): number | null => (heard ? now : null)
    const hearing: Hearing = {
      heardMs: { worker: of(rank.worker), witness: of(rank.witness), master: of(rank.master) },
      known: ALL,
      silent: rank.master ? [] : ['b:26001'],
      sinceMs,
      measuring: false,
      madeMs: now,
      workersHeard: [],
      workers: [],
    }
    this.input({ type: 'hears', hearing })
  }

  publish(address: string, rank: Rank, answer: Publication['answer'] = null): void {
    const posted = { address, nonce: address, rank, workers: [], offer: null, answer }
    this.#published = [...this.#published.filter((one) => one.address !== address), posted]
    this.input({ type: 'posted', publications: this.#published, begunMs: this.now })
  }

  get offer(): State['network']['offer'] {
    return this.state.network.offer
  }
}

t.test('an offer is made once its rank has been below a published one for M/2', async (t) => {
  const bench = new Bench([{ address: 'b:26001' }])
  bench.publish('b:26001', ALL)
  bench.pass(1000)
  const cutMs = bench.now
  bench.pass(300)
  bench.hears(NOTHING, cutMs)
  bench.pass(timing.monitorMs / 2 - 310)
  t.equal(bench.offer, null)
  bench.pass(20)
  t.equal(bench.offer?.to, 'b:26001')
})

t.test('a backup that lost something meanwhile was above all the same', async (t) => {
  const bench = new Bench([{ address: 'b:26001' }])
  bench.publish('b:26001', ALL)
  bench.pass(1000)
  const cutMs = bench.now
  bench.pass(450)
  // The same cut, and it has noticed first: nothing of it says that its witness is new.
  bench.publish('b:26001', WITNESS)
  bench.pass(50)
  bench.hears(NOTHING, cutMs)
  bench.pass(20)
  t.equal(bench.offer?.to, 'b:26001', 'M/2 after the cut, not after the publication')
})

t.test('what it has found new is new', async (t) => {
  const bench = new Bench([{ address: 'b:26001' }])
  bench.publish('b:26001', NOTHING)
  bench.pass(1000)
  bench.hears(NOTHING)
  bench.pass(1000)
  bench.publish('b:26001', WITNESS)
  bench.pass(timing.monitorMs / 2 - 10)
  t.equal(bench.offer, null)
  bench.pass(20)
  t.equal(bench.offer?.to, 'b:26001')
})

t.test('a backup with a longer M is given its own time to answer', async (t) => {
  const bench = new Bench([{ address: 'b:26001', monitorMs: 20_000 }])
  bench.publish('b:26001', ALL)
  bench.hears(NOTHING)
  bench.pass(timing.monitorMs / 2 + 20)
  const nonce = bench.offer?.nonce ?? ''
  t.not(nonce, '')
  // It looks once in 2P = 4 s, and measures for 3P.
  bench.pass(10_000)
  t.equal(bench.offer?.nonce, nonce, 'it still stands')
  bench.publish('b:26001', WORKER, { nonce, trouble: null })
  t.equal(bench.state.phase.name, 'draining')
})

t.test(
  'it is withdrawn after that time, and of equal backups the quicker is asked first',
  async (t) => {
    const slow = { address: 'b:26001', monitorMs: 20_000 }
    const bench = new Bench([slow, { address: 'c:26001', monitorMs: 1000 }])
    bench.publish('b:26001', ALL)
    bench.publish('c:26001', ALL)
    bench.hears(NOTHING)
    bench.pass(timing.monitorMs / 2 + 20)
    t.equal(bench.offer?.to, 'c:26001')
    bench.pass(0.6 * timing.monitorMs + 20)
    t.equal(bench.offer?.to, 'b:26001', 'the next one, since that one has not answered')
    bench.pass(12_020)
    t.not(bench.offer?.to, 'b:26001')
    t.match(bench.state.network.failures, [{ address: 'c:26001' }, { address: 'b:26001' }])
  },
)

t.test('that its network is cut is told from M/2 on, while the role is offered too', async (t) => {
  const bench = new Bench([{ address: 'b:26001' }])
  bench.publish('b:26001', ALL)
  bench.hears(NOTHING)
  bench.pass(timing.monitorMs / 2 - 10)
  t.equal(networkProblemOf(bench.state, bench.now), null)
  bench.pass(20)
  t.not(bench.offer, null)
  t.match(
    networkProblemOf(bench.state, bench.now),
    /no answer from b:26001; it hears nobody\. Its role is being offered to b:26001: /,
  )
})

/** The offer is open, and b:26001 is asked. */
function offered(): { bench: Bench; nonce: string } {
  const bench = new Bench([{ address: 'b:26001' }])
  bench.publish('b:26001', ALL)
  bench.hears(WITNESS)
  bench.pass(timing.monitorMs / 2 + 20)
  return { bench, nonce: bench.offer?.nonce ?? '' }
}

t.test('an answer of an equal rank is not enough, a higher one is', async (t) => {
  for (const [rank, phase] of [
    [WITNESS, 'active'],
    [WORKER, 'draining'],
  ] as const) {
    const { bench, nonce } = offered()
    bench.publish('b:26001', rank, { nonce, trouble: null })
    t.equal(bench.state.phase.name, phase)
  }
})

t.test(
  'a backup whose answer is no better, thrice, is not offered the role again for M, 2M, 4M',
  async (t) => {
    const { bench, nonce: first } = offered()
    let nonce = first
    for (const waitM of [0, 0, 1, 2, 4]) {
      // A worker on the active's own host: published it counts, in an answer it does not.
      bench.publish('b:26001', WITNESS, { nonce, trouble: null })
      t.equal(bench.offer, null, 'withdrawn')
      t.match(bench.state.network.failures, [
        { address: 'b:26001', why: /^it hears a witness itself/ },
      ])
      bench.publish('b:26001', ALL)
      // Such an answer takes nothing away: the M/2 for which it has been better are over.
      if (waitM > 0) bench.pass(waitM * timing.monitorMs - 20)
      if (waitM > 0) t.equal(bench.offer, null, `not before ${waitM} M`)
      bench.pass(40)
      t.equal(bench.offer?.to, 'b:26001', `after ${waitM} M`)
      t.not(bench.offer?.nonce, nonce)
      nonce = bench.offer?.nonce ?? ''
    }
  },
)

t.test('an answer of nobody does not begin the M/2 anew', async (t) => {
  const { bench, nonce } = offered()
  bench.publish('b:26001', NOTHING, { nonce, trouble: null })
  t.equal(bench.offer, null, 'withdrawn')
  bench.pass(100)
  bench.publish('b:26001', WORKER)
  bench.pass(10)
  t.equal(bench.offer?.to, 'b:26001', 'it was a busy host')
  bench.publish('b:26001', NOTHING, { nonce: bench.offer?.nonce ?? '', trouble: null })
  bench.publish('b:26001', NOTHING)
  bench.publish('b:26001', WORKER)
  bench.pass(timing.monitorMs / 2 - 20)
  t.equal(bench.offer, null, 'a rank that stood does')
})

t.test('that the active is better off again is no failure of its successor', async (t) => {
  const { bench, nonce } = offered()
  bench.hears(WORKER)
  t.not(bench.offer, null, 'it is still below what the other publishes')
  bench.publish('b:26001', WORKER, { nonce, trouble: null })
  t.equal(bench.offer, null, 'withdrawn')
  t.same(bench.state.network.failures, [])
})

t.test('an answer that may be older than 2Q is asked for anew', async (t) => {
  for (const [gapMs, phase] of [
    [2 * timing.pollMs - 1, 'draining'],
    [2 * timing.pollMs + 1, 'active'],
  ] as const) {
    const { bench, nonce } = offered()
    // It has not looked for so long, and what it finds then may have stood there from the start.
    bench.now += gapMs
    bench.publish('b:26001', ALL, { nonce, trouble: null })
    t.equal(bench.state.phase.name, phase, `after ${gapMs} ms`)
    if (phase === 'active') t.not(bench.offer?.nonce, nonce, 'a new offer, or none yet')
  }
})

const heldBy = ({ address, nonce }: { address: string; nonce: string }): Seen => ({
  newest: 3,
  pulses: [{ term: 3, mtimeMs: 5_000_000 }],
  servedTerm: 3,
  holder: {
    address,
    addresses: { umbilical: '', clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
    nonce,
    hostname: 'h',
    master: { bootId: 'x', pidNamespace: 'x', pid: 1, startTicks: 1 },
    startedAt: '',
    version: '1',
    priority: 100,
    adminSocket: '',
  },
  holderTerm: 3,
  holderDead: false,
  successor: null,
})

/** The backup b:26001, which heard a witness and another master when a:26001, which hears nobody, offered it the role. */
class AskedBench {
  now = 100_000
  state: State
  readonly published: Effect[] = []
  readonly offeredMs: number
  readonly #nonce = '3-1'

  constructor() {
    const address = 'b:26001'
    const nowMs = this.now
    this.state = begin({ address, priority: 100, timing, nowMs, canFence: false, resume: null })
    this.#input({ type: 'pong' })
    this.hears(nowMs, nowMs)
    const offer = { nonce: this.#nonce, to: address, moves: 0 }
    const active = {
      address: 'a:26001',
      nonce: 'a',
      rank: NOTHING,
      workers: [],
      offer,
      answer: null,
    }
    this.now += 10
    this.offeredMs = this.now
    this.#input({ type: 'looked', seen: heldBy(active), startedMs: this.now })
    this.#input({ type: 'posted', publications: [active], begunMs: this.now })
    this.#input({ type: 'proven', nonce: this.#nonce, trouble: null })
  }

  /** When the newest answered question was sent to each; null: silent. */
  hears(witnessMs: number | null, masterMs: number | null): void {
    const hearing: Hearing = {
      heardMs: { worker: null, witness: witnessMs, master: masterMs },
      known: ALL,
      silent: ['a:26001'],
      sinceMs: this.now,
      measuring: true,
      madeMs: this.now,
      workersHeard: [],
      workers: [],
    }
    this.#input({ type: 'hears', hearing })
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.now += 10
      this.#input({ type: 'pong' })
    }
  }

  get last(): Effect | undefined {
    return this.published.at(-1)
  }

  #input(one: Input): void {
    const next = step(this.state, one, this.now)
    this.state = next.state
    this.published.push(...next.effects.filter((effect) => effect.do === 'publish'))
  }
}

t.test('a backup answers with what it has heard since it saw the offer', async (t) => {
  const bench = new AskedBench()
  for (let i = 0; i < 25; i += 1) {
    bench.pass(10)
    // Its witness answers again and again; the other master has last answered before the offer.
    bench.hears(bench.now, bench.offeredMs - 5)
  }
  t.match(bench.last, { rank: { ...NOTHING, witness: true }, answer: { nonce: '3-1' } })
})

t.test('that is more than the active hears: it answers at once', async (t) => {
  const bench = new AskedBench()
  bench.pass(20)
  bench.hears(bench.now, bench.offeredMs - 5)
  t.match(bench.last, { rank: WITNESS, answer: { nonce: '3-1' } })
})

t.test('that it hears nobody it says after 3P, and nothing of it before', async (t) => {
  const bench = new AskedBench()
  const before = bench.published.length
  bench.pass(2 * timing.renewMs + 10)
  // A silence by now, or answers that are late.
  bench.hears(null, null)
  bench.pass(timing.renewMs - 20)
  t.equal(bench.published.length, before, 'it would begin the M/2 of the active anew')
  bench.pass(20)
  t.match(bench.last, { rank: NOTHING, answer: { nonce: '3-1' } })
})

t.test('an answer that was late is one', async (t) => {
  const bench = new AskedBench()
  bench.pass(2 * timing.renewMs + 10)
  bench.hears(null, null)
  bench.pass(0.7 * timing.renewMs)
  bench.hears(bench.offeredMs + 5, null)
  t.match(bench.last, { rank: WITNESS, answer: { nonce: '3-1' } })
})

t.test(
  'hand-overs that follow each other wait M, 2M, 4M; who hears nobody waits for nothing',
  async (t) => {
    for (const [count, own, waitM] of [
      [1, WITNESS, 1],
      [2, WITNESS, 2],
      [3, WITNESS, 4],
      [3, NOTHING, 0.5],
    ] as const) {
      const bench = new Bench([{ address: 'b:26001' }])
      const { network } = bench.state
      bench.state = { ...bench.state, network: { ...network, moves: { count, atMs: bench.now } } }
      bench.publish('b:26001', ALL)
      bench.hears(own)
      bench.pass(waitM * timing.monitorMs - 10)
      t.equal(bench.offer, null, `${count} of them, and not before ${waitM} M`)
      bench.pass(20)
      t.equal(bench.offer?.moves, count, 'it carries their number')
    }
  },
)
