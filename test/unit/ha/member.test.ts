/**
 * The master's side against a keeper played by hand: what it does when keepers die, fall silent or don't come up. What
 * follows from that in a cluster is the simulation's part (test/sim).
 */

import t, { type Test } from 'tap'
import { MemberCore } from '../../../lib/ha/member/member.ts'
import type { OnTrouble, Service } from '../../../lib/ha/member/member-api.ts'
import { opensBeside } from '../../../lib/ha/member/member-view.ts'
import { newContest } from '../../../lib/ha/rules/contest-state.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { HaError } from '../../../lib/ha/words/errors.ts'
import type { Picture, Start, ToKeeper, ToMaster } from '../../../lib/ha/words/messages.ts'
import { peerAt } from '../../support/fake-member.ts'
import { TAKE_OVER } from '../../support/take-over.ts'

const timing = makeTiming(1000)
const takeOver = TAKE_OVER
const JOINED = {
  clusterId: 'c1',
  secret: 'secret',
  storage: { granularityMs: 1, slowestRenewalMs: 1, network: false, warnings: [] },
  cluster: {
    format: 4,
    clusterId: 'c1',
    generation: 1,
    catalog: { class: 'SharedStore', uri: '' },
    createdAt: '',
  },
  newest: 0,
} as const

const pictureOf = (begunTerm: number): Picture => ({
  clusterId: 'c1',
  begunTerm,
  newestTerm: begunTerm,
  active: null,
  opening: false,
  peers: [],
  lastRenewalMs: null,
  storage: 'ok',
  space: null,
  problem: null,
  failure: null,
  warnings: [],
  network: { trouble: null, workers: [] },
  contest: newContest(0),
  facts: {
    address: '',
    clusterId: '',
    directory: '',
    priority: 0,
    by: '',
    mount: 0,
    served: 0,
    holds: null,
  },
  directories: [],
})

/** Time goes by only when told to. */
class HandClock {
  now = 5000
  readonly #timers = new Set<{ atMs: number; run: () => void }>()
  nowMs = (): number => this.now
  wallMs = (): number => this.now
  after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.now + delayMs, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }
  pass(ms: number): void {
    const endMs = this.now + ms
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.now = Math.max(this.now, due.atMs)
      due.run()
    }
    this.now = endMs
  }
}

interface FakeKeeper {
  readonly told: ToKeeper[]
  say(message: ToMaster): void
  die(): void
  killed: boolean
}

function member(t: Test, service: Partial<Service> = {}) {
  const clock = new HandClock()
  const keepers: FakeKeeper[] = []
  const core = new MemberCore(
    {
      clock,
      log: () => {},
      service: {
        activate: async () => {},
        drain: async () => {},
        deactivate: async () => {},
        ...service,
      },
      spawnKeeper: () => {
        const told: ToKeeper[] = []
        let hear = (_: ToMaster): void => {}
        let close = (): void => {}
        const keeper: FakeKeeper = {
          told,
          say: (message) => hear(message),
          die: () => close(),
          killed: false,
        }
        keepers.push(keeper)
        return {
          pid: keepers.length,
          kill: () => {
            keeper.killed = true
          },
          link: {
            send: (message) => void told.push(message),
            onMessage: (listener) => {
              hear = listener
            },
            onClose: (listener) => {
              close = listener
            },
          },
        }
      },
    },
    {
      type: 'start',
      directory: '/ha',
      self: {
        address: 'a:26001',
        addresses: {
          umbilical: 'a:26001',
          clientRpc: '',
          resourceTracker: '',
          catalog: '',
          infoHttp: '',
        },
        nonce: 'n',
        master: { bootId: 'b', pidNamespace: 'p', pid: 1, startTicks: 1 },
        startedAt: '',
        version: '1',
        priority: 100,
        adminSocket: '',
      },
      hostname: 'a',
      timing,
      catalog: { class: 'none', uri: '' },
      fencing: [],
      severalHosts: false,
      openingDirectory: null,
      catalogTerm: 0,
      catalogCluster: null,
      fresh: { clusterId: 'c1', secret: 'secret' },
    },
  )
  const failures: HaError[] = []
  core.onFailure((error) => failures.push(error))
  const newest = (): FakeKeeper => {
    const keeper = keepers.at(-1)
    if (keeper === undefined) throw new Error('no keeper was started')
    return keeper
  }
  t.teardown(() => newest().say({ type: 'left' }))
  return { clock, core, keepers, newest, failures }
}

/** Microtasks of what a message began. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Joined, and serving term 3. */
async function serving(t: Test) {
  const all = member(t)
  const joining = all.core.join()
  all.newest().say({ type: 'ready', joined: JOINED })
  t.match(await joining, { secret: 'secret' })
  all.newest().say({ type: 'picture', picture: pictureOf(2) })
  all.newest().say({ type: 'activate', term: 3, untilMs: all.clock.now + 400, takeOver })
  await settled()
  all.newest().say({ type: 'serve', term: 3 })
  t.equal(all.core.term(), 3)
  return all
}

t.test('what keeps a term from being served is told while it is waited for', async (t) => {
  let open = (): void => {}
  let trouble: OnTrouble = () => {}
  const { clock, core, newest } = member(t, {
    activate: (_term, _signal, { onTrouble }) => {
      onTrouble('no database listens there', new Error('ECONNREFUSED'))
      trouble = onTrouble
      return new Promise((resolve) => (open = resolve))
    },
  })
  const joining = core.join()
  newest().say({ type: 'ready', joined: JOINED })
  await joining
  newest().say({ type: 'picture', picture: pictureOf(2) })
  newest().say({ type: 'activate', term: 3, untilMs: clock.now + 400, takeOver })
  t.equal(core.view().problem, "term 3 can't be served yet: no database listens there")
  const isAsked = (): boolean => newest().told.some(({ type }) => type === 'no-room')
  t.notOk(isAsked())
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  trouble('the catalog finds no room', new Error('FULL', { cause: full }))
  t.ok(isAsked(), 'the keeper has kept some for it')
  open()
  await settled()
  t.equal(core.view().problem, null)
})

t.test(
  'nothing is answered before the keeper says so; what is committed meanwhile waits',
  async (t) => {
    const { clock, core, keepers, newest } = member(t, { keeps: () => 'part 1' })
    const joining = core.join()
    newest().say({ type: 'ready', joined: JOINED })
    await joining
    newest().say({ type: 'picture', picture: pictureOf(2) })
    newest().say({ type: 'activate', term: 3, untilMs: clock.now + 400, takeOver })
    await t.rejects(core.commit(), { code: 'NOT_ACTIVE' }, 'it is not open yet')
    await settled()
    t.match(newest().told.at(-1), { type: 'opened', term: 3, keeps: 'part 1' })
    const isClosed = (): void => {
      t.equal(core.mayServe(), false)
      t.equal(core.term(), null)
      t.match(core.view(), { state: 'activating', active: null })
    }
    isClosed()
    const committed = core.commit()
    t.notOk(newest().told.some(({ type }) => type === 'commit'))
    core.giveUp('for the test')
    t.match(newest().told.at(-1), { type: 'give-up', term: 3 })

    newest().die()
    t.equal(keepers.length, 2)
    t.match(newest().told, [{ type: 'start', resume: { term: 3, serving: false, takeOver } }])
    keepers[0]?.say({ type: 'serve', term: 3 })
    newest().say({ type: 'ready', joined: JOINED })
    t.match(newest().told.slice(1), [{ type: 'opened', term: 3, keeps: 'part 1' }], 'told anew')
    isClosed()
    newest().say({ type: 'serve', term: 2 })
    isClosed()
    newest().say({ type: 'lease', term: 3, untilMs: clock.now + 400, tookMs: 1 })
    isClosed()
    newest().say({ type: 'serve', term: 3 })
    t.ok(core.mayServe())
    t.equal(core.view().state, 'active')
    const asked = newest().told.at(-1)
    t.match(asked, { type: 'commit', term: 3 })
    newest().say({ type: 'committed', ids: [asked?.type === 'commit' ? asked.id : 0] })
    await committed
  },
)

t.test('a term that ends before it serves fails what waits for it', async (t) => {
  const { clock, core, newest } = member(t)
  const joining = core.join()
  newest().say({ type: 'ready', joined: JOINED })
  await joining
  newest().say({ type: 'picture', picture: pictureOf(2) })
  newest().say({ type: 'activate', term: 3, untilMs: clock.now + 400, takeOver })
  await settled()
  const committed = core.commit()
  newest().say({ type: 'suspend', term: 3 })
  t.match(newest().told.at(-1), { type: 'suspended', term: 3 })
  newest().say({ type: 'deactivate', term: 3, reason: 'gave-up' })
  await t.rejects(committed, { code: 'NOT_ACTIVE', message: 'gave-up' })
  await settled()
  t.match(newest().told.at(-1), { type: 'deactivated', term: 3 })
  newest().say({ type: 'serve', term: 3 })
  t.equal(core.term(), null)
  t.equal(core.view().state, 'backup')
})

t.test('whether another one opens its term now', async (t) => {
  const { core, newest } = member(t)
  const joining = core.join()
  newest().say({ type: 'ready', joined: JOINED })
  await joining
  const other = peerAt(26_011, { state: 'active', network: 'b net:[2]' })
  const told = (opening: boolean, active: Picture['active']): boolean[] => {
    newest().say({ type: 'picture', picture: { ...pictureOf(2), opening, active } })
    const view = core.view()
    return [view.opening, opensBeside(view)]
  }
  t.strictSame(told(false, other), [false, false])
  t.strictSame(told(true, other), [true, true])
  t.strictSame(told(true, { ...other, network: 'c net:[2]' }), [true, false], 'on another host')
})

t.test('the newest term known stays known when a keeper is replaced', async (t) => {
  const { core, keepers, newest } = await serving(t)
  const seen: number[] = []
  core.onState((view) => seen.push(view.epoch))
  newest().say({ type: 'picture', picture: pictureOf(7) })
  newest().die()
  t.equal(keepers.length, 2)
  newest().say({ type: 'ready', joined: JOINED })
  newest().say({ type: 'picture', picture: pictureOf(0) })
  newest().say({ type: 'deactivate', term: 3, reason: 'deposed' })
  await settled()
  t.equal(core.view().epoch, 7)
  t.ok(seen.length > 2)
  t.ok(
    seen.every((epoch) => epoch === 7),
    'in every view that was told',
  )
})

t.test('a new keeper is told the term, and asked again for the commits only', async (t) => {
  const { clock, core, keepers, newest } = await serving(t)
  const untilMs = clock.now + 400
  const committed = core.commit()
  const order = core.handOver(null, { force: false, by: 'test' })
  newest().die()
  await t.rejects(order, { code: 'KEEPER_FAILED' })
  t.ok(keepers[0]?.killed)
  t.match(newest().told, [
    { type: 'start', joined: JOINED, resume: { term: 3, serving: true, untilMs } },
  ])
  newest().say({ type: 'ready', joined: JOINED })
  const asked = newest().told.at(-1)
  t.match(asked, { type: 'commit', term: 3 })
  // What the dead one had still in the channel counts for nothing.
  const id = asked?.type === 'commit' ? asked.id : 0
  keepers[0]?.say({ type: 'lease', term: 3, untilMs: untilMs + 9000, tookMs: 1 })
  clock.pass(401)
  t.notOk(core.mayServe())
  newest().say({ type: 'committed', ids: [id] })
  t.match(newest().told.at(-1), { type: 'commit', id }, 'the word came too late: asked once more')
  newest().say({ type: 'lease', term: 3, untilMs: clock.now + 400, tookMs: 1 })
  newest().say({ type: 'committed', ids: [id] })
  await committed
})

t.test('a keeper that dies with our last word leaves a backup behind', async (t) => {
  const { core, newest } = await serving(t)
  newest().say({ type: 'drain', term: 3, successor: 'b:26001' })
  await settled()
  t.match(newest().told.at(-1), { type: 'drained', term: 3 })
  t.equal(core.view().state, 'stepping-down')
  newest().die()
  t.match(newest().told, [{ type: 'start', resume: null }])
  newest().say({ type: 'ready', joined: JOINED })
  t.equal(core.view().state, 'backup')

  const failing = member(t, {
    activate: () => Promise.reject(new Error('no catalog')),
  })
  void failing.core.join()
  failing.newest().say({ type: 'ready', joined: JOINED })
  t.equal(failing.core.view().state, 'starting', 'until the first picture')
  failing.newest().say({ type: 'picture', picture: pictureOf(2) })
  failing.newest().say({ type: 'activate', term: 3, untilMs: failing.clock.now + 400, takeOver })
  await settled()
  t.match(failing.newest().told.at(-1), { type: 'activation-failed', term: 3 })
  t.equal(failing.core.view().state, 'activating')
  failing.newest().die()
  failing.newest().say({ type: 'ready', joined: JOINED })
  t.equal(failing.core.view().state, 'backup')
})

t.test('silence is death, but not while this process itself stood still', async (t) => {
  const { clock, keepers, newest } = await serving(t)
  clock.now += 60_000
  clock.pass(0)
  t.equal(keepers.length, 1, 'its own gap in time is not held against the keeper')
  clock.pass(2 * timing.monitorMs)
  t.equal(keepers.length, 2)
  t.ok(keepers[0]?.killed)
  t.equal((newest().told[0] as Start).resume?.term, 3)
})

t.test('a keeper that dies ten times in a minute is given up', async (t) => {
  const { core, keepers, newest, failures } = await serving(t)
  const committed = core.commit()
  while (failures.length === 0 && keepers.length < 20) newest().die()
  t.equal(keepers.length, 10)
  t.match(failures, [{ code: 'KEEPER_FAILED' }])
  await t.rejects(committed, { code: 'NOT_ACTIVE' })
  t.equal(core.view().state, 'stopped')
  t.equal(core.view().epoch, 3)
  await core.stop('again')
})

t.test('a refusal ends the start, and no other keeper is tried', async (t) => {
  const { core, keepers, newest, failures } = member(t)
  const joining = core.join()
  newest().say({ type: 'refused', code: 'BAD_STORAGE', message: 'not this one' })
  newest().die()
  await t.rejects(joining, { code: 'BAD_STORAGE', message: 'not this one' })
  t.equal(keepers.length, 1)
  t.same(failures, [], 'it was told by the rejection')
})

t.test('a keeper with a call that is never answered is replaced, at most once in M', async (t) => {
  const { clock, core, keepers, failures, newest } = await serving(t)
  newest().say({ type: 'lost-call', text: 'touch heartbeat is never answered' })
  t.equal(keepers.length, 2)
  t.equal(keepers[0]?.killed, true)
  t.match(newest().told[0], {
    type: 'start',
    joined: JOINED,
    resume: { term: 3 },
    lost: { text: /touch heartbeat/, untilMs: clock.now + 600_000 },
  })
  t.equal(core.term(), 3, 'its lease holds for as long as it was told')
  newest().say({ type: 'lost-call', text: 'again' })
  t.equal(keepers.length, 2, 'not at once')
  // Storage that never answers a touch: however long that lasts, it is no keeper that can't stay up.
  for (let i = 0; i < 30; i += 1) {
    newest().say({ type: 'ready', joined: JOINED })
    for (let ms = 0; ms < timing.monitorMs; ms += 50) {
      clock.pass(50)
      newest().say({ type: 'ping', ping: 1 })
    }
    newest().say({ type: 'lost-call', text: 'again' })
  }
  t.equal(keepers.length, 32)
  t.strictSame(failures, [])
})
