/**
 * The elector's rules, one by one, as docs/ha-protocol.md states them. Pure function, no clock: every test plays the
 * driver by hand. What happens when many of them meet is the simulation's part (test/sim).
 */
import t from 'tap'
import { step } from '../../../lib/ha/rules/elector.ts'
import { begin, type State, wakeMs } from '../../../lib/ha/rules/elector-state.ts'
import type { Effect, Input } from '../../../lib/ha/rules/elector-step.ts'
import { periodsOf, periodWarnings } from '../../../lib/ha/rules/periods.ts'
import { problemOf, viewOf } from '../../../lib/ha/rules/picture.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { Pulse, Seen } from '../../../lib/ha/rules/watch.ts'
import type { Holder } from '../../../lib/ha/words/layout.ts'
import {
  REFUSED_MTIME_MS,
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
} from '../../../lib/ha/words/layout.ts'

const timing = makeTiming(1000)

/** One keeper's elector, driven by hand. */
class Bench {
  state: State
  now: number
  effects: Effect[] = []
  /** Why its renewals fail; null: they don't. */
  unwritable: string | null = null

  constructor(options: { priority?: number; address?: string; resume?: State['lease'] } = {}) {
    this.now = 100_000
    this.state = begin({
      address: options.address ?? 'b:26001',
      priority: options.priority ?? 100,
      timing,
      nowMs: this.now,
      canFence: false,
      resume: null,
    })
  }

  input(input: Input): Effect[] {
    const next = step(this.state, input, this.now)
    this.state = next.state
    this.effects = [...next.effects]
    return this.effects
  }

  /** Lets time pass in polls, answering every look with what `seen` says, and every ping. */
  pass(ms: number, seen: () => Seen): Effect[] {
    const all: Effect[] = []
    const untilMs = this.now + ms
    while (this.now < untilMs) {
      this.now = Math.min(untilMs, Math.max(this.now + 0.01, wakeMs(this.state)))
      const effects = this.input({ type: 'tick' })
      all.push(...effects)
      if (this.state.looking.busy) all.push(...this.looked(seen()))
      if (effects.some((e) => e.do === 'tell' && e.message.type === 'ping')) {
        all.push(...this.input({ type: 'pong' }))
      }
      if (effects.some((e) => e.do === 'renew')) all.push(...this.renewed())
    }
    return all
  }

  /** A scan that is begun now finds these backups. */
  found(...addresses: string[]): Effect[] {
    const candidates = addresses.map((address) => ({ address, priority: 200 }))
    return this.input({
      type: 'candidates',
      candidates,
      begunMs: this.now,
      pulseMs: 2 * timing.renewMs,
    })
  }

  looked(seen: Seen): Effect[] {
    return this.input({ type: 'looked', seen, startedMs: this.now })
  }

  renewed(
    outcome: 'touched' | 'missing' | 'replaced' | 'failed' = this.unwritable === null
      ? 'touched'
      : 'failed',
  ): Effect[] {
    const term = this.state.lease?.term ?? 0
    const why = this.unwritable ?? 'test'
    return this.input({ type: 'renewed', term, startedMs: this.now, outcome, why })
  }

  /** Brings it to `active` in term 2, from a released term. */
  activate(): void {
    this.activating()
    this.serves()
  }

  activating(): void {
    this.input({ type: 'tick' })
    this.looked(seenOf(1, RELEASED_MTIME_MS))
    this.input({ type: 'heartbeat-made', term: 2, startedMs: this.now })
    this.input({ type: 'claim-won', term: 2 })
    this.input({ type: 'below-ended', term: 2, proven: true })
  }

  /** Its catalog is open. Gives the effects of the renewal that lets it serve. */
  serves(): Effect[] {
    this.input({ type: 'opened', term: 2 })
    this.input({ type: 'marked', term: 2 })
    return this.renewed()
  }
}

const holder = (address: string): Holder => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce: address,
  hostname: 'h',
  master: { bootId: 'x', pidNamespace: 'x', pid: 1, startTicks: 1 },
  startedAt: '',
  version: '1',
  priority: 100,
  adminSocket: '',
})

const seenOf = (term: number, mtimeMs: number | null, more: Partial<Seen> = {}): Seen => ({
  newest: term,
  pulses: term === 0 ? [] : [{ term, mtimeMs }],
  servedTerm: term,
  holder: term === 0 ? null : holder('a:26001'),
  holderTerm: term,
  holderDead: false,
  successor: null,
  ...more,
})

const has = (effects: readonly Effect[], kind: Effect['do']): boolean =>
  effects.some((effect) => effect.do === kind)
const told = (effects: readonly Effect[], type: string): boolean =>
  effects.some((effect) => effect.do === 'tell' && effect.message.type === type)

const replies = (effects: readonly Effect[]): object[] =>
  effects.flatMap((e) => (e.do === 'tell' && e.message.type === 'reply' ? [e.message] : []))

t.test('Expiry: unchanged for T under an unbroken watch, then claim', async (t) => {
  const bench = new Bench()
  const quiet = () => seenOf(7, 5_000_000)
  t.notOk(has(bench.pass(timing.patienceMs - 1, quiet), 'claim'), 'not before T')
  t.ok(has(bench.pass(2 * timing.pollMs, quiet), 'claim'), 'then')
  t.match(bench.state.phase, { name: 'claiming', term: 8 })
})

t.test('a moving heartbeat is never claimed, however long', async (t) => {
  const bench = new Bench()
  let counter = 5_000_000
  t.notOk(
    has(
      bench.pass(20 * timing.monitorMs, () => seenOf(7, counter++)),
      'claim',
    ),
  )
})

t.test('a gap in its own polling is left out of the patience, and starts none over', async (t) => {
  const bench = new Bench()
  const quiet = () => seenOf(7, 5_000_000)
  bench.pass(timing.patienceMs - 2 * timing.pollMs, quiet)
  bench.now += 20 * timing.monitorMs
  t.notOk(has(bench.pass(timing.pollMs, quiet), 'claim'), 'the gap itself counts for nothing')
  t.ok(has(bench.pass(3 * timing.pollMs, quiet), 'claim'), 'what was watched before it does')
})

t.test('a look that hung counts to its start only', async (t) => {
  const bench = new Bench()
  const seen = seenOf(7, 5_000_000)
  bench.pass(timing.patienceMs - timing.pollMs, () => seen)
  const startedMs = bench.now - timing.pollMs / 2
  bench.now += 1.2 * timing.pollMs
  t.notOk(has(bench.input({ type: 'looked', seen, startedMs }), 'claim'), 'it ended after T')
})

t.test("a holder is judged by its own periods, not by the observer's", async (t) => {
  for (const monitorMs of [20_000, 500]) {
    const theirs = periodsOf(makeTiming(monitorMs))
    const bench = new Bench()
    const seen = () =>
      seenOf(7, null, { pulses: [{ term: 7, mtimeMs: 5_000_000, periods: theirs }] })
    t.notOk(
      has(bench.pass(theirs.patienceMs - 1, seen), 'claim'),
      `not before its T (${monitorMs})`,
    )
    t.ok(has(bench.pass(2 * theirs.pollMs, seen), 'claim'), 'then')
    bench.input({ type: 'heartbeat-made', term: 8, startedMs: bench.now })
    bench.input({ type: 'claim-won', term: 8 })
    const { settleMs } = theirs
    const below: Input = { type: 'below-ended', term: 8, proven: false, settleMs }
    t.notOk(told(bench.input(below), 'activate'))
    const mine = () => seenOf(8, 6_000_000)
    t.notOk(told(bench.pass(settleMs - 1, mine), 'activate'), 'not before its S')
    t.ok(told(bench.pass(2, mine), 'activate'), 'then')
  }
})

t.test('of several that beat the longest periods count', async (t) => {
  const slow = periodsOf(makeTiming(20_000))
  const bench = new Bench()
  const pulses = [
    { term: 8, mtimeMs: 5_000_000, periods: periodsOf(makeTiming(500)) },
    { term: 7, mtimeMs: 5_000_000, periods: slow },
  ]
  const seen = () => seenOf(8, null, { pulses, servedTerm: 7 })
  t.notOk(has(bench.pass(slow.patienceMs - 100, seen), 'claim'))
  t.ok(has(bench.pass(200, seen), 'claim'))
})

t.test('a heartbeat that is gone from a term that served: by its holder’s periods', async (t) => {
  const theirs = periodsOf(makeTiming(20_000))
  const bench = new Bench()
  const seen = () =>
    seenOf(7, null, {
      holder: null,
      holderTerm: 0,
      pulses: [{ term: 7, mtimeMs: null, periods: theirs }],
    })
  t.notOk(
    has(bench.pass(theirs.patienceMs - 100, seen), 'claim'),
    'it may act until its own deadline',
  )
  t.ok(has(bench.pass(200, seen), 'claim'))
})

t.test('it looks as often as the holder asks for', async (t) => {
  const theirs = periodsOf(makeTiming(500))
  const bench = new Bench()
  const seen = () => seenOf(7, null, { pulses: [{ term: 7, mtimeMs: 5e6, periods: theirs }] })
  bench.pass(timing.pollMs, seen)
  const looks = bench.pass(1000, seen).filter((effect) => effect.do === 'look').length
  t.ok(looks >= 11, `${looks} looks until its expiry`)
})

t.test(
  'a storage too slow for them: by the periods that it can keep, with a warning',
  async (t) => {
    const theirs = periodsOf(makeTiming(500))
    const slowMs = 2000
    const bench = new Bench()
    bench.input({ type: 'pace', monitorMs: slowMs })
    const { patienceMs } = makeTiming(slowMs)
    const holderOfIt = { ...holder('a:26001'), periods: theirs }
    const pulses = [{ term: 7, mtimeMs: 5e6, periods: theirs }]
    const seen = () => seenOf(7, null, { pulses, holder: holderOfIt })
    t.notOk(has(bench.pass(patienceMs - 1, seen), 'claim'))
    t.match(periodWarnings(bench.state, []), [
      /interval of a:26001 is 500 ms, here it is 1000/,
      /2000 ms/,
    ])
    // Looks of 80 ms are longer than the holder's gap, 50 ms.
    t.ok(has(bench.pass(200, seen), 'claim'))
  },
)

t.test('while a claim can not be read nobody takes over without proof', async (t) => {
  const bench = new Bench()
  const unreadable = 'EIO'
  const seen = () => seenOf(7, 5_000_000, { holder: null, holderTerm: 0, unreadable })
  t.notOk(has(bench.pass(20 * timing.monitorMs, seen), 'claim'))
  t.match(problemOf(bench.state, null, bench.now), /EIO.*unknown/)
  bench.now += timing.pollMs
  t.ok(
    has(bench.looked(seenOf(7, RELEASED_MTIME_MS, { unreadable })), 'claim'),
    'a release is proof',
  )
})

t.test(
  'unreadable storage means unknown: nobody takes over blind, not by command either',
  async (t) => {
    const bench = new Bench()
    bench.pass(timing.patienceMs - 10, () => seenOf(7, 5_000_000))
    for (let i = 0; i < 100; i += 1) {
      bench.now += timing.pollMs
      t.notOk(has(bench.input({ type: 'look-failed', why: 'EIO' }), 'claim'))
    }
    const effects = bench.input({ type: 'take-over', id: 1, force: true, by: 'me' })
    t.match(effects, [{ do: 'tell', message: { type: 'reply', id: 1, error: { code: 'UNSAFE' } } }])
  },
)

t.test('proof: a release, a dead process: claimed at once and without settling', async (t) => {
  const proofs: Seen[] = [
    seenOf(7, RELEASED_MTIME_MS),
    seenOf(7, RELEASED_FOR_MTIME_MS, { successor: 'b:26001' }),
    seenOf(7, 5_000_000, { holderDead: true }),
    seenOf(0, null),
  ]
  for (const seen of proofs) {
    const bench = new Bench()
    bench.input({ type: 'tick' })
    t.ok(has(bench.looked(seen), 'claim'))
    const term = seen.newest + 1
    bench.input({ type: 'heartbeat-made', term, startedMs: bench.now })
    t.match(bench.input({ type: 'claim-won', term }), [{ do: 'end-below', term }])
    t.ok(told(bench.input({ type: 'below-ended', term, proven: true }), 'activate'))
  }
})

/** Its opening of term 1 is refused; nobody else is there unless `others` are. */
function refusedBench(why: string, ...others: string[]): Bench {
  const bench = new Bench()
  bench.input({ type: 'tick' })
  bench.looked(seenOf(0, null))
  bench.input({ type: 'heartbeat-made', term: 1, startedMs: bench.now })
  bench.input({ type: 'claim-won', term: 1 })
  bench.input({ type: 'below-ended', term: 1, proven: true })
  const released = bench.input({ type: 'activation-failed', term: 1, why })
  t.match(
    released.filter((effect) => effect.do === 'release'),
    [{ release: { refused: true } }],
  )
  bench.input({ type: 'released', term: 1 })
  bench.input({ type: 'deactivated', term: 1 })
  bench.found(...others)
  return bench
}

const unserved = (term: number, mtimeMs = REFUSED_MTIME_MS) =>
  seenOf(term, mtimeMs, { servedTerm: 0 })

t.test('why a term was not served is told until a later one has served', async (t) => {
  const why = 'the catalog does not let us in'
  const bench = refusedBench(why)
  const told = new RegExp(`^${why} \\(this master claimed term 1 and could not serve`)
  bench.looked(unserved(1))
  t.match(problemOf(bench.state, null, bench.now), told)
  bench.looked(unserved(2))
  t.match(problemOf(bench.state, null, bench.now), told, 'another one did no better')
  bench.looked(seenOf(3, RELEASED_MTIME_MS))
  t.notMatch(problemOf(bench.state, null, bench.now), why)
})

/** How long it waits for the next claim after each of some that fail, and what it is told of them in the end. */
function failedClaims(bench: Bench, times: number): { waits: number[]; trouble: string | null } {
  const seen = () => seenOf(1, RELEASED_MTIME_MS)
  const waits: number[] = []
  let trouble: string | null = null
  for (let i = 0; i <= times; i += 1) {
    const fromMs = bench.now
    for (let claimed = false; !claimed && bench.now < fromMs + 3 * timing.monitorMs; ) {
      const effects = bench.pass(1, seen)
      const claim = effects.find((effect) => effect.do === 'claim')
      claimed = claim !== undefined
      if (claim !== undefined) trouble = claim.cause.trouble
    }
    waits.push(bench.now - fromMs)
    const why = 'ENOSPC: no space left on device'
    bench.input({ type: 'claim-lost', term: 2, why, failed: true, goesOn: true })
  }
  return { waits, trouble }
}

t.test('claims that fail get rarer: M/4, M/2, then M, and no rarer than that', async (t) => {
  const bench = new Bench()
  const { waits, trouble } = failedClaims(bench, 6)
  const M = timing.monitorMs
  const least = [0, M / 4, M / 2, M, M, M, M]
  for (const [i, waitMs] of waits.entries()) {
    const from = least[i] ?? 0
    t.ok(waitMs >= from, `${waitMs} ms before attempt ${i + 1}, at least ${from}`)
    t.ok(waitMs <= from + 3 * timing.pollMs, 'and no longer')
  }
  t.equal(trouble, 'could not claim term 2 (6 times): ENOSPC: no space left on device')

  bench.pass(M + 3 * timing.pollMs, () => seenOf(1, RELEASED_MTIME_MS))
  bench.input({ type: 'heartbeat-made', term: 2, startedMs: bench.now })
  bench.input({ type: 'claim-won', term: 2 })
  bench.input({ type: 'below-ended', term: 2, proven: true })
  const recorded = bench.serves()
  const record = recorded.find((effect) => effect.do === 'record')
  t.match(record?.cause.trouble, /7 times.*ENOSPC/, 'into the history')
  t.equal(bench.state.failure, null)
  t.equal(bench.state.failedClaims, 0, 'the next one that fails waits for M/4 again')
})

t.test('a command does not wait for the turn of a claim that failed', async (t) => {
  const bench = new Bench()
  failedClaims(bench, 4)
  const untilMs = bench.now + timing.monitorMs / 2
  bench.input({ type: 'take-over', id: 1, force: false, by: 'me' })
  const effects = bench.pass(untilMs - bench.now, () => seenOf(1, RELEASED_MTIME_MS))
  t.ok(has(effects, 'claim'))
})

t.test(
  'what came to nothing is known after another one serves, and explains nothing then',
  async (t) => {
    const bench = new Bench()
    failedClaims(bench, 1)
    bench.looked(seenOf(1, RELEASED_MTIME_MS))
    t.match(problemOf(bench.state, null, bench.now), /ENOSPC/)
    bench.looked(seenOf(3, 5_000_000))
    t.notMatch(problemOf(bench.state, null, bench.now), /ENOSPC/)
    t.match(bench.state.failure, { term: 2, why: /ENOSPC/, isOver: true })
    const over = bench.state.failure
    bench.looked(seenOf(3, 5_000_001))
    t.equal(bench.state.failure, over, 'nothing has changed')
  },
)

t.test('a term that could not be served is followed by the next claim after M', async (t) => {
  const [m, q] = [timing.monitorMs, timing.pollMs]
  const watching = new Bench()
  watching.found('c:26001')
  const claimsWithin = (bench: Bench, ms: number, seen = () => unserved(1)): boolean =>
    has(bench.pass(ms, seen), 'claim')
  watching.input({ type: 'tick' })
  watching.looked(unserved(1))
  t.notOk(claimsWithin(watching, m - 1), 'whoever only watched')
  t.match(problemOf(watching.state, null, watching.now), /^a:26001 claimed term 1 and could not/)
  t.ok(claimsWithin(watching, timing.rankStepMs + 2 * q))

  const alone = refusedBench('no')
  t.notOk(claimsWithin(alone, m - 1), 'whoever was refused itself')
  t.ok(claimsWithin(alone, 2 * q))

  const last = refusedBench('no', 'c:26001')
  t.notOk(claimsWithin(last, m + timing.graceMs - 1), 'the others go first')
  t.ok(claimsWithin(last, timing.rankStepMs + 2 * q), 'where they can')

  const mended = refusedBench('no')
  mended.looked(unserved(1))
  t.ok(
    claimsWithin(mended, 2 * q, () => seenOf(2, RELEASED_MTIME_MS)),
    'at once after a repair',
  )

  const asked = refusedBench('no')
  asked.looked(unserved(1))
  t.ok(
    has(asked.input({ type: 'take-over', id: 1, force: false, by: 'me' }), 'claim'),
    'by command',
  )
})

t.test('a release stays one under a claim that has come to none, after its grace', async (t) => {
  for (const mtimeMs of [RELEASED_MTIME_MS, null]) {
    const bench = new Bench()
    const pulses = [
      { term: 8, mtimeMs: null },
      { term: 7, mtimeMs: mtimeMs ?? 5_000_000 },
    ]
    const seen = () =>
      seenOf(8, null, { pulses, servedTerm: 7, holderTerm: 7, holderDead: mtimeMs === null })
    t.notOk(has(bench.pass(timing.graceMs - timing.pollMs, seen), 'claim'), 'it may still go on')
    t.ok(has(bench.pass(3 * timing.pollMs, seen), 'claim'), 'the patience is not waited for')
  }
})

t.test('proof about the newest term does not end a heartbeat that stands below it', async (t) => {
  const bench = new Bench()
  bench.input({ type: 'tick' })
  const pulses = [
    { term: 8, mtimeMs: RELEASED_MTIME_MS },
    { term: 7, mtimeMs: 5_000_000 },
  ]
  t.notOk(has(bench.looked(seenOf(8, null, { pulses, servedTerm: 7 })), 'claim'))
})

t.test('without proof the winner waits S before it activates', async (t) => {
  const bench = new Bench()
  bench.pass(timing.patienceMs + 2 * timing.pollMs, () => seenOf(7, 5_000_000))
  bench.input({ type: 'heartbeat-made', term: 8, startedMs: bench.now })
  bench.input({ type: 'claim-won', term: 8 })
  t.notOk(
    told(
      bench.input({ type: 'below-ended', term: 8, proven: false, settleMs: timing.settleMs }),
      'activate',
    ),
  )
  const seen = () => seenOf(8, 6_000_000)
  t.notOk(told(bench.pass(timing.settleMs - 1, seen), 'activate'), 'not before S')
  t.ok(told(bench.pass(2, seen), 'activate'), 'then')
})

t.test('a slow claim is given up when the heartbeat below moved meanwhile', async (t) => {
  const bench = new Bench()
  bench.pass(timing.patienceMs + 2 * timing.pollMs, () => seenOf(7, 5_000_000))
  bench.input({ type: 'heartbeat-made', term: 8, startedMs: bench.now })
  bench.now += 3 * timing.pollMs
  t.notOk(has(bench.input({ type: 'claim-won', term: 8 }), 'end-below'))
  const pulses = [
    { term: 8, mtimeMs: 6_000_000 },
    { term: 7, mtimeMs: 5_000_001 },
  ]
  const effects = bench.looked(seenOf(8, null, { pulses, servedTerm: 7 }))
  t.match(
    effects.find((e) => e.do === 'abandon'),
    { term: 8 },
  )
  t.equal(bench.state.phase.name, 'watching')
})

t.test('a term is on record, and renewed since, before anything is answered under it', (t) => {
  const bench = new Bench()
  bench.input({ type: 'take-over', id: 1, force: false, by: 'me' })
  bench.activating()
  bench.now = bench.state.lease?.dueMs ?? 0
  t.ok(has(bench.input({ type: 'tick' }), 'renew'))
  const opened = bench.input({ type: 'opened', term: 2, keeps: 'part 1' })
  t.match(
    opened.find((effect) => effect.do === 'mark'),
    { term: 2, openedMs: bench.now, keeps: 'part 1', takeOver: { cause: { previousTerm: 1 } } },
  )
  t.notOk(has(bench.input({ type: 'opened', term: 2 }), 'mark'), 'a new keeper is told twice')
  bench.input({ type: 'marked', term: 2 })
  const before = bench.renewed()
  t.notOk(told(before, 'serve'), 'that renewal had begun before')
  t.ok(has(before, 'renew'), 'the next one begins at once')
  t.notOk(told(bench.renewed('failed'), 'serve'))
  bench.now = bench.state.lease?.dueMs ?? 0
  const startedMs = bench.now
  bench.input({ type: 'tick' })
  bench.now += timing.deadlineMs
  const late: Input = { type: 'renewed', term: 2, startedMs, outcome: 'touched', why: '' }
  t.notOk(told(bench.input(late), 'serve'), 'nothing is answered without a lease')
  t.equal(bench.state.phase.name, 'marking')
  const effects = bench.renewed()
  const messages = effects.flatMap((one) => (one.do === 'tell' ? [one.message] : []))
  t.match(messages, [{ type: 'lease' }, { type: 'serve', term: 2 }, { type: 'reply', error: null }])
  t.match(
    effects.find((effect) => effect.do === 'record'),
    { term: 2, cause: { previousTerm: 1 } },
  )
  t.ok(has(effects, 'unregister'))
  t.notOk(told(bench.renewed(), 'serve'), 'once')
  t.end()
})

t.test('a term that can not be put on record is given up, once its master has dropped it', (t) => {
  const bench = new Bench()
  bench.input({ type: 'take-over', id: 1, force: false, by: 'me' })
  bench.activating()
  bench.input({ type: 'opened', term: 2 })
  const effects = bench.input({ type: 'marking-failed', term: 2, why: 'ENOSPC' })
  t.match(replies(effects), [{ error: { message: 'activation failed: ENOSPC' } }])
  t.ok(told(effects, 'deactivate'))
  t.notOk(has(effects, 'release'))
  t.match(
    bench.input({ type: 'deactivated', term: 2 }).find((effect) => effect.do === 'release'),
    { release: { reason: 'gave-up', by: 'ENOSPC', refused: true } },
    'the others hear why, and wait as for any that could not be opened',
  )
  bench.input({ type: 'released', term: 2 })
  t.match(problemOf(bench.state, null, bench.now), /^ENOSPC \(this master claimed term 2 and could/)
  t.end()
})

t.test('while a term goes on record it can be lost, left, given up and suspended', (t) => {
  const marking = (): Bench => {
    const bench = new Bench()
    bench.activating()
    bench.input({ type: 'opened', term: 2 })
    bench.input({ type: 'marked', term: 2 })
    return bench
  }
  const lost = marking()
  t.ok(told(lost.renewed('missing'), 'deactivate'))
  t.notOk(told(lost.input({ type: 'marked', term: 2 }), 'serve'))
  t.match(lost.state, { phase: { name: 'stepping-down' }, lease: null })

  const left = marking()
  t.ok(told(left.input({ type: 'leave', reason: 'x' }), 'deactivate'))
  t.notOk(told(left.renewed(), 'serve'))
  t.ok(has(left.input({ type: 'deactivated', term: 2 }), 'release'))

  const broken = marking()
  t.ok(told(broken.input({ type: 'give-up', term: 2, why: 'its files are gone' }), 'deactivate'))
  t.notOk(told(broken.renewed(), 'serve'))

  const hung = marking()
  hung.now += timing.deadlineMs
  t.ok(told(hung.input({ type: 'tick' }), 'suspend'))
  hung.input({ type: 'suspended', term: 2 })
  hung.now += timing.monitorMs
  hung.input({ type: 'pong' })
  hung.renewed('failed')
  hung.now += timing.renewMs
  hung.input({ type: 'tick' })
  t.ok(told(hung.renewed(), 'serve'), 'the term goes on where it stood')

  const dead = marking()
  t.match(
    dead.input({ type: 'master-gone' }).find((effect) => effect.do === 'release'),
    { release: { reason: 'master-died' } },
  )
  t.end()
})

t.test(
  'the deadline: suspended at the start of the last renewal + D, and resumed by the next',
  async (t) => {
    const bench = new Bench()
    bench.activate()
    const start = bench.now
    bench.renewed()
    bench.now = start + timing.deadlineMs - 0.1
    t.notOk(told(bench.input({ type: 'tick' }), 'suspend'))
    bench.now = start + timing.deadlineMs
    t.ok(told(bench.input({ type: 'tick' }), 'suspend'))
    bench.input({ type: 'suspended', term: 2 })
    bench.now += 60_000
    t.ok(told(bench.renewed(), 'lease'), 'nobody can have taken over without unlinking')
    t.equal(bench.state.phase.name, 'active')
  },
)

t.test('a renewal that hung proves nothing for now: the lease counts from its start', async (t) => {
  const bench = new Bench()
  bench.activate()
  const startedMs = bench.now
  bench.now += timing.deadlineMs + 5
  bench.input({ type: 'tick' })
  const late: Input = { type: 'renewed', term: 2, startedMs, outcome: 'touched', why: '' }
  const effects = bench.input(late)
  t.notOk(told(effects, 'lease'))
  t.ok(has(effects, 'renew'), 'renewed again at once')
})

t.test(
  'a master that does not confirm its suspension is killed; then comes its obituary',
  async (t) => {
    const bench = new Bench()
    bench.activate()
    bench.now += timing.deadlineMs
    bench.input({ type: 'tick' })
    bench.now += timing.renewMs
    t.ok(has(bench.input({ type: 'tick' }), 'kill-master'))
    const effects = bench.input({ type: 'master-gone' })
    t.match(
      effects.find((e) => e.do === 'release'),
      { term: 2, release: { reason: 'master-hung' } },
    )
    t.ok(has(bench.input({ type: 'released', term: 2 }), 'exit'))
  },
)

t.test('a keeper that stalled does not blame its master for a suspension unread', async (t) => {
  const bench = new Bench()
  bench.activate()
  bench.now += timing.deadlineMs
  t.ok(told(bench.input({ type: 'tick' }), 'suspend'))
  bench.now += 3 * timing.renewMs
  // Read after the stall, before the confirmation that was sent behind it.
  t.notOk(has(bench.input({ type: 'pong' }), 'kill-master'))
  t.notOk(has(bench.input({ type: 'suspended', term: 2 }), 'kill-master'))
  bench.now += timing.renewMs
  t.notOk(has(bench.input({ type: 'tick' }), 'kill-master'), 'confirmed')

  const silent = new Bench()
  silent.activate()
  silent.now += timing.deadlineMs
  silent.input({ type: 'tick' })
  silent.now += 3 * timing.renewMs
  t.notOk(has(silent.input({ type: 'tick' }), 'kill-master'))
  silent.now += timing.renewMs
  t.ok(has(silent.input({ type: 'tick' }), 'kill-master'), 'its time is given anew, once')
})

t.test('a master that answers no ping for its hang limit is killed', async (t) => {
  const bench = new Bench()
  bench.activate()
  let killed = false
  const start = bench.now
  while (!killed && bench.now - start < timing.monitorMs) {
    bench.now += timing.pollMs
    const effects = bench.input({ type: 'tick' })
    if (has(effects, 'renew')) bench.renewed()
    killed = has(effects, 'kill-master')
  }
  t.ok(killed)
  t.ok(bench.now - start >= timing.hangMs)
})

t.test(
  'an opening in which masters died before gets more time, and its end names it',
  async (t) => {
    const dead = { mtimeMs: RELEASED_MTIME_MS }
    const refused = { mtimeMs: REFUSED_MTIME_MS }
    const below: [number, Pulse[]][] = [
      [1, [{ term: 9, ...dead }]],
      [
        2,
        [
          { term: 10, ...dead },
          { term: 9, ...dead },
        ],
      ],
      [4, [11, 10, 9].map((term) => ({ term, ...dead }))],
      [8, [12, 11, 10, 9].map((term) => ({ term, ...dead }))],
      [8, [20, 19, 18, 17, 16, 15, 14, 13, 9].map((term) => ({ term, ...dead }))],
      // Whoever was refused had an opening that came to an end.
      [
        1,
        [
          { term: 11, ...refused },
          { term: 10, ...refused },
          { term: 9, ...dead },
        ],
      ],
      [
        2,
        [
          { term: 11, ...dead },
          { term: 10, ...refused },
          { term: 9, ...dead },
        ],
      ],
    ]
    for (const [times, pulses] of below) {
      const newest = pulses[0]?.term ?? 0
      const bench = new Bench()
      bench.input({ type: 'tick' })
      bench.looked({ ...seenOf(newest, RELEASED_MTIME_MS, { servedTerm: 9 }), pulses })
      // Who was refused is waited for, so that others may try.
      bench.pass(3 * timing.monitorMs, () => ({
        ...seenOf(newest, pulses[0]?.mtimeMs ?? 0, { servedTerm: 9 }),
        pulses,
      }))
      const term = newest + 1
      bench.input({ type: 'heartbeat-made', term, startedMs: bench.now })
      bench.input({ type: 'claim-won', term })
      bench.input({ type: 'below-ended', term, proven: true })
      t.equal(bench.state.phase.name, 'activating')
      const start = bench.now
      let killed = false
      while (!killed && bench.now - start < 20 * timing.monitorMs) {
        bench.now = Math.max(bench.now + 0.01, wakeMs(bench.state))
        const effects = bench.input({ type: 'tick' })
        if (has(effects, 'renew')) bench.renewed()
        killed = has(effects, 'kill-master')
      }
      const tookMs = bench.now - start
      t.ok(killed && tookMs >= times * timing.hangMs && tookMs < (times + 0.5) * timing.hangMs)
      const released = bench.input({ type: 'master-gone' })
      t.match(
        released.filter((effect) => effect.do === 'release'),
        [
          {
            release: { reason: 'master-hung', by: 'keeper', during: 'opening' },
          },
        ],
      )
    }
  },
)

t.test('a master that its host starves is spared once', async (t) => {
  const bench = new Bench()
  bench.activate()
  const start = bench.now
  let killed = false
  while (!killed && bench.now - start < 3 * timing.monitorMs) {
    bench.now += timing.pollMs
    const silent = bench.now - bench.state.pongMs >= timing.hangMs
    const effects = bench.input({ type: silent ? 'starved' : 'tick' })
    if (bench.state.lease?.renewing) bench.renewed()
    killed = has(effects, 'kill-master')
  }
  t.ok(killed)
  t.ok(bench.now - start >= 2 * timing.hangMs)
})

t.test('the term of a master that is killed and does not end is not renewed', async (t) => {
  const bench = new Bench()
  bench.activate()
  let killed = false
  while (!killed) {
    bench.now += timing.pollMs
    const effects = bench.input({ type: 'tick' })
    if (has(effects, 'renew')) bench.renewed()
    killed = has(effects, 'kill-master')
  }
  for (let passedMs = 0; passedMs < 2 * timing.monitorMs; passedMs += timing.pollMs) {
    bench.now += timing.pollMs
    t.notOk(has(bench.input({ type: 'tick' }), 'renew'))
  }
  t.ok(has(bench.input({ type: 'master-gone' }), 'release'), 'its obituary, when it is gone')
})

t.test('a starved master that has not confirmed its suspension is spared once', async (t) => {
  for (const confirms of [true, false]) {
    const bench = new Bench()
    bench.activate()
    bench.now += timing.deadlineMs
    t.ok(told(bench.input({ type: 'tick' }), 'suspend'))
    bench.now += timing.renewMs
    t.notOk(has(bench.input({ type: 'starved' }), 'kill-master'))
    bench.input({ type: 'pong' })
    bench.now += timing.renewMs
    t.notOk(has(bench.input({ type: 'tick' }), 'kill-master'), 'it has another hang limit')
    if (confirms) bench.input({ type: 'suspended', term: 2 })
    let killed = false
    for (let passedMs = 0; passedMs < timing.hangMs; passedMs += timing.renewMs) {
      bench.now += timing.renewMs
      killed = has(bench.input({ type: 'pong' }), 'kill-master') || killed
    }
    t.equal(killed, !confirms)
  }
})

t.test('deposed: ENOENT ends everything at once, and the master must confirm', async (t) => {
  for (const outcome of ['missing', 'replaced'] as const) {
    const bench = new Bench()
    bench.activate()
    t.ok(told(bench.renewed(outcome), 'deactivate'))
    t.equal(bench.state.phase.name, 'stepping-down')
    t.ok(has(bench.input({ type: 'deactivated', term: 2 }), 'register'))
    t.equal(bench.state.phase.name, 'watching')
  }
})

t.test(
  'a commit is answered by a renewal that begins after it, never by one under way',
  async (t) => {
    const bench = new Bench()
    bench.activate()
    bench.now += timing.renewMs
    t.ok(has(bench.input({ type: 'tick' }), 'renew'))
    bench.input({ type: 'commit', id: 9, term: 2 })
    const first = bench.renewed()
    t.notOk(told(first, 'committed'))
    t.ok(has(first, 'renew'), 'a second one begins at once')
    const said = bench.renewed().flatMap((e) => (e.do === 'tell' ? [e.message] : []))
    t.match(said.slice(0, 2), [{ type: 'lease' }, { type: 'committed', ids: [9] }])
  },
)

t.test(
  'a commit whose renewal failed waits for one that succeeds; deposed, it is never answered',
  async (t) => {
    const bench = new Bench()
    bench.activate()
    bench.input({ type: 'commit', id: 9, term: 2 })
    t.notOk(told(bench.renewed('failed'), 'committed'))
    t.same(bench.state.lease?.waiting, [9])
    t.notOk(told(bench.renewed('missing'), 'committed'))
  },
)

t.test('hand-over: drained first, released then, and the others hold back', async (t) => {
  const bench = new Bench()
  bench.activate()
  const order: Input = { type: 'hand-over', id: 1, successor: 'c:26001', force: false, by: 'me' }
  bench.found('c:26001')
  bench.now += 1
  const ordered = bench.input(order)
  t.ok(has(ordered, 'scan'))
  t.notOk(told(ordered, 'drain'), 'whoever was there may have left meanwhile')
  const asked = bench.found('c:26001')
  t.match(asked, [{ do: 'ask-proof', id: 1, address: 'c:26001' }])
  t.notOk(told(asked, 'drain'), 'not before it has shown that it can make its files')
  const proven = bench.input({ type: 'proof', id: 1, proof: { can: true } })
  t.ok(told(proven, 'drain'))
  t.notOk(has(proven, 'release'), 'not before the master has drained')
  t.ok(has(bench.input({ type: 'drained', term: 2 }), 'release'))
  t.notOk(
    has(
      bench.pass(timing.renewMs * 3, () => seenOf(2, 1)),
      'renew',
    ),
    'the last touch',
  )
  t.ok(told(bench.input({ type: 'released', term: 2 }), 'reply'))

  const third = new Bench({ address: 'd:26001' })
  const given = () => seenOf(2, RELEASED_FOR_MTIME_MS, { successor: 'c:26001' })
  t.notOk(has(third.pass(timing.graceMs - timing.pollMs, given), 'claim'), 'within the grace')
  t.ok(has(third.pass(3 * timing.pollMs, given), 'claim'), 'the named successor did not come')
})

t.test('hand-over: refused for a missing successor only after new scans', async (t) => {
  const bench = new Bench()
  bench.activate()
  const live = () => seenOf(2, 1)
  const order: Input = { type: 'hand-over', id: 1, successor: 'c:26001', force: false, by: 'me' }
  t.ok(has(bench.input(order), 'scan'), 'at once')
  const again = bench.input({ ...order, id: 2 })
  t.match(replies(again), [{ id: 2, error: { code: 'UNSAFE', message: /another hand-over/ } }])
  bench.found()
  const waiting = bench.pass(2 * timing.renewMs, live)
  t.ok(has(waiting, 'scan'), 'and again')
  t.same(replies(waiting), [], 'nothing is said meanwhile')
  t.ok(has(bench.found('c:26001'), 'ask-proof'))
  bench.pass(6 * timing.renewMs, live)
  t.match(bench.state.phase, { name: 'active' }, 'it is waited for')
  bench.input({ type: 'proof', id: 1, proof: { can: true } })
  t.match(bench.state.phase, { name: 'draining', release: { successor: 'c:26001', commandId: 1 } })

  const deposed = new Bench()
  deposed.activate()
  deposed.input(order)
  deposed.pass(timing.pollMs, live)
  t.match(replies(deposed.renewed('missing')), [{ id: 1, error: { code: 'NOT_ACTIVE' } }])
})

t.test('hand-over: refused when the successor can not make its files', async (t) => {
  const bench = new Bench()
  bench.activate()
  bench.input({ type: 'hand-over', id: 1, successor: null, force: false, by: 'me' })
  bench.found('c:26001')
  const why = 'ENOSPC: no space left'
  const answer = bench.input({ type: 'proof', id: 1, proof: { can: false, why } })
  t.match(replies(answer), [
    { id: 1, error: { code: 'UNSAFE', message: /^c:26001 can't take the role over: ENOSPC/ } },
  ])
  t.match(bench.state, { phase: { name: 'active' }, handOver: null })
})

t.test('hand-over to nobody is refused, unless forced', async (t) => {
  const bench = new Bench()
  bench.activate()
  const asked: Input = { type: 'hand-over', id: 1, successor: null, force: false, by: 'me' }
  bench.input(asked)
  const unread = bench.pass(4 * timing.renewMs, () => seenOf(2, 1))
  t.match(replies(unread), [{ error: { code: 'UNSAFE', message: /could not be read/ } }])
  bench.input(asked)
  bench.found()
  const refused = bench.pass(4 * timing.renewMs, () => seenOf(2, 1))
  t.match(replies(refused), [{ error: { code: 'UNSAFE', message: /no backup is live/ } }])
  t.notOk(told(refused, 'drain'))
  bench.input({ ...asked, force: true })
  t.notOk(told(bench.found(), 'drain'), 'a backup that was seen once may be seen to live yet')
  t.ok(
    told(
      bench.pass(4 * timing.renewMs, () => seenOf(2, 1)),
      'drain',
    ),
  )
  bench.input({ type: 'drained', term: 2 })
  bench.input({ type: 'released', term: 2 })
  bench.input({ type: 'deactivated', term: 2 })
  const released = () => seenOf(2, RELEASED_MTIME_MS)
  t.notOk(has(bench.pass(3 * timing.monitorMs, released), 'claim'), 'stood down')
  const command = bench.input({ type: 'take-over', id: 2, force: false, by: 'me' })
  t.ok(has(command, 'claim'), 'until somebody asks')
})

t.test('where the storage takes nothing, an order is refused with the errno', async (t) => {
  for (const why of ['EROFS: read-only file system', 'ENOSPC: no space', 'EDQUOT: quota']) {
    const bench = new Bench()
    bench.activate()
    bench.unwritable = why
    bench.input({ type: 'hand-over', id: 1, successor: null, force: false, by: 'me' })
    bench.found()
    const nobody = bench.pass(4 * timing.renewMs, () => seenOf(2, 1))
    const told = new RegExp(`no backup is live.*${why}`)
    t.match(replies(nobody), [{ error: { code: 'UNSAFE', message: told } }])

    const backup = new Bench()
    backup.input({ type: 'take-over', id: 2, force: false, by: 'me' })
    t.ok(has(backup.looked(seenOf(1, RELEASED_MTIME_MS)), 'claim'))
    const lost = { type: 'claim-lost', term: 2, why, failed: true, goesOn: true } as const
    t.match(replies(backup.input(lost)), [{ id: 2, error: { code: 'UNSAFE', message: why } }])
  }
})

t.test('a stand-down ends when a higher term has served', async (t) => {
  const bench = new Bench()
  bench.activate()
  const asked = { type: 'hand-over', id: 1, successor: null, force: true, by: 'me' } as const
  bench.input(asked)
  bench.found()
  bench.pass(5 * timing.renewMs, () => seenOf(2, 1))
  bench.input({ type: 'drained', term: 2 })
  bench.input({ type: 'released', term: 2 })
  bench.input({ type: 'deactivated', term: 2 })
  let counter = 5_000_000
  bench.pass(2 * timing.pollMs, () => seenOf(3, counter++, { servedTerm: 2 }))
  const other = viewOf(holder('a:26001'), 'active', 0)
  t.match(problemOf(bench.state, other, bench.now), /stood down.*until another master has served/)
  bench.pass(2 * timing.pollMs, () => seenOf(3, counter++))
  t.equal(problemOf(bench.state, other, bench.now), null)
  t.ok(
    has(
      bench.pass(2 * timing.monitorMs, () => seenOf(3, 5_000_000)),
      'claim',
    ),
  )
})

t.test('a forced take-over that can fence nobody says so', async (t) => {
  const bench = new Bench()
  let counter = 5_000_000
  bench.pass(timing.patienceMs, () => seenOf(7, counter++))
  const refused = bench.input({ type: 'take-over', id: 1, force: true, by: 'me' })
  t.match(replies(refused), [
    { error: { code: 'UNSAFE', message: /a:26001 .* set tajo\.master\.ha\.fencing\.methods/ } },
  ])
  const unforced = bench.input({ type: 'take-over', id: 2, force: false, by: 'me' })
  t.match(replies(unforced), [{ error: { code: 'UNSAFE', message: /hand over from there/ } }])
})

t.test('priority 0 never claims by itself', async (t) => {
  const bench = new Bench({ priority: 0 })
  const released = () => seenOf(7, RELEASED_MTIME_MS)
  t.notOk(has(bench.pass(3 * timing.monitorMs, released), 'claim'))
})

t.test('a better candidate goes first; a backup whose master does not answer never', async (t) => {
  const bench = new Bench()
  bench.found('a:1')
  bench.input({ type: 'tick' })
  t.notOk(has(bench.looked(seenOf(7, RELEASED_MTIME_MS)), 'claim'))
  t.ok(
    has(
      bench.pass(timing.rankStepMs + timing.pollMs, () => seenOf(7, RELEASED_MTIME_MS)),
      'claim',
    ),
  )

  const frozen = new Bench()
  for (let i = 0; i < 40; i += 1) {
    frozen.now += timing.pollMs
    const effects = frozen.input({ type: 'tick' })
    if (has(effects, 'look')) frozen.looked(seenOf(7, 5_000_000))
  }
  t.equal(frozen.state.phase.name, 'watching')
})

t.test(
  'a term that serves above ours while our renewals succeed raises the alarm and steps down',
  async (t) => {
    const bench = new Bench()
    bench.activate()
    bench.now += timing.renewMs
    bench.input({ type: 'tick' })
    bench.renewed()
    bench.now += timing.renewMs
    bench.input({ type: 'tick' })
    bench.looked(seenOf(3, 9, { servedTerm: 3 }))
    const effects = [...bench.renewed(), ...bench.renewed()]
    t.ok(effects.some((e) => e.do === 'log' && e.message.includes('SPLIT BRAIN')))
    t.ok(told(effects, 'deactivate'))
  },
)

t.test('a holder whose renewal is never answered steps down once a higher term serves', (t) => {
  for (const outcome of ['hangs', 'failed'] as const) {
    const bench = new Bench()
    bench.activate()
    bench.now += timing.renewMs
    bench.input({ type: 'tick' })
    bench.renewed()
    const renewedMs = bench.now
    bench.now += timing.renewMs
    t.ok(has(bench.input({ type: 'tick' }), 'renew'))
    if (outcome === 'failed') bench.renewed('failed')
    const seen = bench.looked(seenOf(3, 9, { servedTerm: 3 }))
    t.ok(told(seen, 'suspend'), `${outcome}: nothing is answered from there on`)
    bench.input({ type: 'suspended', term: 2 })
    bench.now = renewedMs + timing.deadlineMs - 1
    t.notOk(told(bench.input({ type: 'tick' }), 'deactivate'), 'its own renewal may still tell')
    bench.now = renewedMs + timing.deadlineMs
    t.ok(told(bench.input({ type: 'tick' }), 'deactivate'), `${outcome}: not after its deadline`)
    bench.input({ type: 'deactivated', term: 2 })
    t.equal(bench.state.phase.name, 'watching')
    bench.input({ type: 'renewed', term: 2, startedMs: renewedMs, outcome: 'touched', why: '' })
    t.equal(bench.state.phase.name, 'watching', 'an answer that comes after all changes nothing')
  }
  t.end()
})

t.test('a successor that serves before the last word of a release is on file is no news', (t) => {
  const bench = new Bench()
  bench.activate()
  bench.input({ type: 'give-up', term: 2, why: 'the test' })
  t.ok(has(bench.input({ type: 'deactivated', term: 2 }), 'release'))
  const seen = bench.looked(seenOf(3, 9, { servedTerm: 3 }))
  t.notOk(seen.some((effect) => effect.do === 'log' && effect.message.includes('suspended')))
  bench.input({ type: 'released', term: 2 })
  t.equal(bench.state.phase.name, 'stepping-down')
  t.end()
})

t.test('a renewal that began before a higher term was seen to serve resumes nothing', (t) => {
  const bench = new Bench()
  bench.activate()
  bench.now += timing.renewMs
  t.ok(has(bench.input({ type: 'tick' }), 'renew'))
  const startedMs = bench.now
  bench.now += 1
  bench.looked(seenOf(3, 9, { servedTerm: 3 }))
  bench.input({ type: 'suspended', term: 2 })
  bench.now += 1
  const effects = bench.input({ type: 'renewed', term: 2, startedMs, outcome: 'touched', why: '' })
  t.notOk(told(effects, 'lease'))
  t.ok(bench.state.lease?.suspended?.confirmed)
  t.equal(bench.state.phase.name, 'active', 'the next one tells')
  t.match(problemOf(bench.state, null, bench.now), 'term 2 is suspended: term 3 serves above it')
  t.ok(has(effects, 'renew'), 'at once')
  t.ok(told(bench.renewed('missing'), 'deactivate'))
  t.end()
})

t.test('a dead master: obituary while holding, a quiet leave while watching', async (t) => {
  const active = new Bench()
  active.activate()
  t.match(
    active.input({ type: 'master-gone' }).find((e) => e.do === 'release'),
    {
      release: { reason: 'master-died' },
    },
  )
  const backup = new Bench()
  const effects = backup.input({ type: 'master-gone' })
  t.ok(has(effects, 'unregister'))
  t.ok(has(effects, 'exit'))
})
