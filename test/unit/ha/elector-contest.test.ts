/** What the elector makes of a mismatch: it does not claim, an operator decides, and one of two actives stands back. */
import t from 'tap'
import { directoryNotes } from '../../../lib/ha/rules/contest-rules.ts'
import { type ContestFacts, newContest } from '../../../lib/ha/rules/contest-state.ts'
import { step } from '../../../lib/ha/rules/elector.ts'
import { begin, type State } from '../../../lib/ha/rules/elector-state.ts'
import type { Effect, Input } from '../../../lib/ha/rules/elector-step.ts'
import { problemOf } from '../../../lib/ha/rules/picture.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { Seen } from '../../../lib/ha/rules/watch.ts'
import type { ToMaster } from '../../../lib/ha/words/messages.ts'

const timing = makeTiming(1000)
const NEW: Seen = {
  newest: 0,
  pulses: [],
  servedTerm: 0,
  holder: null,
  holderTerm: 0,
  holderDead: false,
  successor: null,
}

class Bench {
  now = 100_000
  state: State
  effects: Effect[] = []

  constructor(address = 'b:1') {
    this.state = begin({
      address,
      priority: 100,
      timing,
      nowMs: this.now,
      canFence: false,
      resume: null,
      identity: { clusterId: 'one', directory: '/here', by: `${address} process` },
      contest: newContest(this.now),
    })
    this.input({ type: 'listed', addresses: ['a:1'] })
    this.input({ type: 'place', place: 'mount' })
  }

  input(input: Input): Effect[] {
    const next = step(this.state, input, this.now)
    this.state = next.state
    this.effects.push(...next.effects)
    return [...next.effects]
  }

  told(type: ToMaster['type']): ToMaster[] {
    return this.effects.flatMap((one) =>
      one.do === 'tell' && one.message.type === type ? [one.message] : [],
    )
  }

  claims(): number {
    return this.effects.filter(({ do: what }) => what === 'claim').length
  }

  /** The other's answer to the newest letter: it belongs to another cluster. */
  stranger(more: Partial<ContestFacts> = {}): Effect[] {
    const call = this.state.contest.peers.find(({ address }) => address === 'a:1')?.call
    if (call?.nonce != null) this.input({ type: 'contest-made', id: call.id, made: false })
    const facts: ContestFacts = {
      address: 'a:1',
      clusterId: 'two',
      directory: '/there',
      priority: 100,
      by: 'a:1 process',
      mount: 0,
      served: 0,
      holds: null,
      ...more,
    }
    const delivery = { is: 'stranger', facts } as const
    return this.input({ type: 'delivered', id: call?.id ?? 0, delivery })
  }

  /** A letter of the other, and its answers to those of this one. */
  answer(check: 'exists' | 'unknown'): void {
    const facts: ContestFacts = {
      address: 'a:1',
      clusterId: 'one',
      directory: '/there',
      priority: 100,
      by: 'a:1 process',
      mount: 0,
      served: 0,
      holds: null,
    }
    this.input({ type: 'suspect', address: 'a:1' })
    for (let letters = 0; letters < 4; letters += 1) {
      const { call = null } = this.state.contest.peers[0] ?? {}
      if (call === null) return
      if (call.nonce !== null) this.input({ type: 'contest-made', id: call.id, made: true })
      const said = { mine: check, toward: `${this.state.address} process 0` } as const
      const reply = { ...facts, ...said, check: call.nonce === null ? null : check }
      this.input({ type: 'delivered', id: call.id, delivery: { is: 'answered', reply } })
    }
  }

  silent(): void {
    this.input({ type: 'suspect', address: 'a:1' })
    const { call = null } = this.state.contest.peers[0] ?? {}
    if (call?.nonce != null) this.input({ type: 'contest-made', id: call.id, made: true })
    this.input({ type: 'delivered', id: call?.id ?? 0, delivery: { is: 'unreachable' } })
  }

  pass(ms: number): void {
    const untilMs = this.now + ms
    while (this.now < untilMs) {
      this.now = Math.min(untilMs, this.now + timing.pollMs)
      this.input({ type: 'pong' })
      if (this.state.looking.busy) this.input({ type: 'looked', seen: NEW, startedMs: this.now })
      const term = this.state.lease?.term
      if (this.state.lease?.renewing && term !== undefined) {
        const renewed = { term, startedMs: this.now, outcome: 'touched', why: '' } as const
        this.input({ type: 'renewed', ...renewed })
      }
    }
  }

  activate(): void {
    this.pass(timing.monitorMs)
    this.input({ type: 'heartbeat-made', term: 1, startedMs: this.now })
    this.input({ type: 'claim-won', term: 1 })
    this.input({ type: 'below-ended', term: 1, proven: true })
    this.input({ type: 'opened', term: 1 })
    this.input({ type: 'marked', term: 1 })
    this.input({ type: 'renewed', term: 1, startedMs: this.now, outcome: 'touched', why: '' })
  }
}

t.test('a started master claims nothing before M/2, unless the others were tried', async (t) => {
  const waits = new Bench()
  waits.pass(timing.monitorMs / 2 - 2)
  t.equal(waits.claims(), 0)
  t.match(problemOf(waits.state, null, waits.now), /a:1 has not been tried yet/)
  waits.pass(2 * timing.pollMs)
  t.equal(waits.claims(), 1)

  const tried = new Bench()
  const [letter] = tried.told('send-letter')
  t.match(letter, { to: 'a:1', letter: { nonce: null, directory: '/here' } })
  tried.input({ type: 'delivered', id: 1, delivery: { is: 'unreachable' } })
  tried.pass(2 * timing.pollMs)
  t.equal(tried.claims(), 1)
})

t.test('a mismatch bars it, and says so; an operator decides with force', async (t) => {
  const bench = new Bench()
  bench.stranger()
  bench.pass(2 * timing.monitorMs)
  t.equal(bench.claims(), 0)
  t.match(
    problemOf(bench.state, null, bench.now),
    /a:1 works on another directory \(\/here here, \/there there\)/,
  )
  bench.input({ type: 'take-over', id: 7, force: false, by: 'test' })
  t.match(bench.told('reply'), [{ id: 7, error: { code: 'UNSAFE', message: /another directory/ } }])
  t.equal(bench.claims(), 0)
  bench.input({ type: 'take-over', id: 8, force: true, by: 'test' })
  bench.pass(timing.pollMs)
  t.equal(bench.claims(), 1)
})

t.test('force does not help beside an active that is heard', async (t) => {
  const bench = new Bench()
  bench.stranger({ served: 1, holds: { term: 1, by: 'a:1 process' } })
  bench.pass(timing.pollMs)
  bench.input({ type: 'take-over', id: 8, force: true, by: 'test' })
  bench.pass(timing.pollMs)
  t.equal(bench.claims(), 0)
  t.match(bench.told('reply'), [
    { id: 8, error: { code: 'UNSAFE', message: /is active in term 1/ } },
  ])
})

t.test('a claim under way is given up once a mismatch is known', async (t) => {
  const claiming = (): Bench => {
    const bench = new Bench()
    bench.input({ type: 'delivered', id: 1, delivery: { is: 'unreachable' } })
    bench.pass(timing.pollMs)
    t.equal(bench.claims(), 1)
    bench.input({ type: 'heartbeat-made', term: 1, startedMs: bench.now })
    return bench
  }
  const learns = (bench: Bench, holds: ContestFacts['holds'] = null): void => {
    bench.input({ type: 'suspect', address: 'a:1' })
    bench.stranger({ holds, served: holds?.term ?? 0 })
  }
  const isOver = (bench: Bench): void => {
    t.ok(bench.effects.some((one) => one.do === 'abandon' && one.term === 1))
    t.same(bench.told('activate'), [])
    t.match(bench.state, { phase: { name: 'watching' }, lease: null })
  }
  const early = claiming()
  learns(early)
  early.input({ type: 'claim-won', term: 1 })
  t.notOk(early.effects.some(({ do: what }) => what === 'end-below'))
  isOver(early)

  const late = claiming()
  late.input({ type: 'claim-won', term: 1 })
  learns(late, { term: 1, by: 'a:1 process' })
  late.input({ type: 'below-ended', term: 1, proven: true })
  late.pass(timing.pollMs)
  isOver(late)

  const ordered = claiming()
  learns(ordered)
  ordered.input({ type: 'claim-won', term: 1 })
  ordered.input({ type: 'take-over', id: 8, force: true, by: 'test' })
  ordered.pass(timing.pollMs)
  t.equal(ordered.claims(), 2, 'an operator decides')
  ordered.input({ type: 'heartbeat-made', term: 1, startedMs: ordered.now })
  ordered.input({ type: 'claim-won', term: 1 })
  ordered.input({ type: 'below-ended', term: 1, proven: true })
  ordered.pass(timing.pollMs)
  t.match(ordered.told('activate'), [{ term: 1 }])
})

t.test(
  'of two actives the lower one refuses everything at once, and goes on renewing',
  async (t) => {
    const bench = new Bench()
    bench.input({ type: 'delivered', id: 1, delivery: { is: 'unreachable' } })
    bench.activate()
    bench.input({ type: 'suspect', address: 'a:1' })
    t.same(bench.told('suspend'), [])
    bench.stranger({ served: 1, holds: { term: 1, by: 'a:1 process' } })
    t.match(bench.told('suspend'), [{ term: 1 }])
    bench.input({ type: 'suspended', term: 1 })
    const leases = bench.told('lease').length
    const renewals = (): number => bench.effects.filter(({ do: what }) => what === 'renew').length
    const before = renewals()
    bench.pass(timing.monitorMs)
    t.equal(bench.told('lease').length, leases, 'it is told no lease')
    t.ok(renewals() > before, 'its term stays its own')
    t.match(problemOf(bench.state, null, bench.now), /a:1 is active in another directory/)
    t.match(bench.state.phase, { name: 'active', term: 1 })

    bench.input({ type: 'suspect', address: 'a:1' })
    bench.stranger({ by: 'another process', served: 0 })
    bench.pass(timing.monitorMs / 2)
    t.ok(bench.told('lease').length > leases, 'it goes on when the other serves no more')
  },
)

t.test(
  'an active tells of a listed master that fell silent before it had shown anything',
  async (t) => {
    const bench = new Bench()
    const notes = () => directoryNotes(bench.state, bench.now)
    bench.input({ type: 'delivered', id: 1, delivery: { is: 'unreachable' } })
    t.same(notes(), [], 'a backup has nothing to tell of it')
    bench.activate()
    t.match(notes(), [{ level: 'warning', text: /a:1 has not shown .*it gives no answer/ }])
    bench.answer('unknown')
    t.match(notes(), [{ text: /could not be found out: the storage did not answer/ }])
    bench.silent()
    t.match(notes(), [
      { text: /whether a:1 works on .* is not known: it gives no answer any more/ },
    ])
    bench.answer('exists')
    bench.silent()
    t.same(notes(), [], 'what was proven stands')
  },
)
