/** The catalog of an active master: who sees what when, what shares a flush, and what a failing store does to whom. */
import t from 'tap'
import { Catalog, type CatalogOptions } from '../../../lib/catalog/catalog.ts'
import { CatalogError, type CatalogErrorCode } from '../../../lib/catalog/errors.ts'
import type { Batch, CatalogStore } from '../../../lib/catalog/store.ts'
import { MemStore, memKept } from '../../../lib/catalog/store.ts'
import { codeOf, NEVER, outcomeOf, transaction } from '../../contract/catalog.ts'

/** A clock that stands still until it is told to go on. */
function handClock() {
  let now = 0
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    nowMs: () => now,
    after(delayMs: number, run: () => void) {
      const timer = { at: now + delayMs, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    async go(ms: number) {
      now += ms
      for (const timer of [...timers]) {
        if (timer.at > now) continue
        timers.delete(timer)
        timer.run()
      }
      await settled()
    },
  }
}
const settled = async (): Promise<void> => {
  for (let i = 0; i < 50; i += 1) await Promise.resolve()
}

type Answer = 'kept' | 'lost reply' | 'not kept' | CatalogErrorCode
/** A MemStore whose appends wait to be let go, each with its answer. */
function heldStore() {
  const kept = memKept()
  const mem = new MemStore(kept)
  const waiting: { batch: Batch; answer: (how: Answer) => void }[] = []
  let opens = 0
  let away = false
  const store: CatalogStore = {
    open: async (term) => {
      opens += 1
      if (away) throw new CatalogError('UNAVAILABLE', 'away')
      return mem.open(term)
    },
    close: () => mem.close(),
    append: (batch) =>
      new Promise((resolve, reject) => {
        const answer = async (how: Answer): Promise<void> => {
          if (how === 'kept' || how === 'lost reply') await mem.append(batch)
          if (how === 'kept') resolve()
          else if (how === 'lost reply' || how === 'not kept') {
            reject(new CatalogError('UNAVAILABLE', how))
          } else reject(new CatalogError(how, how))
        }
        waiting.push({ batch, answer: (how) => void answer(how) })
      }),
  }
  return {
    ...{ kept, store, waiting },
    opens: () => opens,
    setAway: (is: boolean) => {
      away = is
    },
    async next(how: Answer): Promise<Batch> {
      await settled()
      const one = waiting.shift()
      if (one === undefined) throw new Error('nothing is being appended')
      one.answer(how)
      await settled()
      return one.batch
    },
  }
}

async function openCatalog(options: Partial<CatalogOptions> = {}) {
  const held = heldStore()
  const clock = handClock()
  const term = new AbortController()
  const base = { store: held.store, commit: async () => {}, clock, log: () => {} }
  const catalog = new Catalog({ ...base, ...options })
  await catalog.open(1, term.signal)
  const create = (name: string) =>
    catalog.transact(() =>
      transaction([{ do: 'create-database', name, createdAt: '' }], outcomeOf(name)),
    )
  const names = () =>
    catalog
      .state()
      .databaseNames()
      .filter((name) => name !== 'default')
  return { ...held, clock, term, catalog, create, names }
}

t.test('a store that is away is tried for a while, and every time is told', async (t) => {
  const { store, setAway } = heldStore()
  const clock = handClock()
  const options = { store, commit: async () => {}, clock, log: () => {}, openPatienceMs: 10_000 }
  const catalog = new Catalog(options)
  const told: string[] = []
  const open = () =>
    catalog.open(1, new AbortController().signal, { onTrouble: (why) => told.push(why) })
  setAway(true)
  const back = open()
  await clock.go(500)
  t.same(new Set(told), new Set(['away']))
  setAway(false)
  await clock.go(2000)
  await back
  setAway(true)
  let ended: unknown = null
  open().catch((error: unknown) => {
    ended = error
  })
  for (let i = 0; i < 9; i += 1) await clock.go(1000)
  t.equal(ended, null)
  for (let i = 0; i < 4; i += 1) await clock.go(1000)
  t.match(ended, { code: 'UNAVAILABLE', message: 'away' }, 'another master may do better')
})

t.test(
  'an opening that goes on is never given up, one that stands still is, and both are told',
  async (t) => {
    const { store } = heldStore()
    const clock = handClock()
    let say: (done: number) => void = () => {}
    let opens = 0
    const slow: CatalogStore = {
      ...store,
      append: (batch) => store.append(batch),
      close: () => store.close(),
      open: (_term, _signal, opening) => {
        opens += 1
        say = (done) => opening?.onProgress?.({ phase: 'reading the journal', done, of: 1000 })
        return new Promise(() => {})
      },
    }
    const options = { commit: async () => {}, clock, log: () => {}, openPatienceMs: 10_000 }
    const catalog = new Catalog({ ...options, store: slow })
    const told: string[] = []
    let ended: unknown = null
    catalog
      .open(1, new AbortController().signal, { onTrouble: (why) => told.push(why) })
      .catch((error: unknown) => {
        ended = error
      })
    await clock.go(0)
    for (let done = 1; done <= 10; done += 1) {
      say(done)
      await clock.go(9000)
    }
    t.equal(ended, null, 'after nine times its patience')
    t.match(told.at(-1), /is being opened for 81 s: reading the journal, 10 of 1000$/)
    // What it has come to once is read again: no progress, and given as much time as it took, 81 s, and its patience.
    for (let done = 1; done <= 9; done += 1) {
      say(done)
      await clock.go(9000)
    }
    t.equal(ended, null)
    say(9)
    await clock.go(900)
    t.equal(ended, null)
    await clock.go(200)
    t.match(ended, {
      code: 'UNAVAILABLE',
      message: /no progress for 91 s: reading the journal, 9 of 1000/,
    })
    t.equal(opens, 1)
  },
)

t.test('an opening of which nothing is heard is given up after its patience', async (t) => {
  const { store } = heldStore()
  const clock = handClock()
  const silent: CatalogStore = {
    ...store,
    append: (batch) => store.append(batch),
    close: () => store.close(),
    open: (_term, _signal, opening) => {
      opening?.onProgress?.({ phase: 'reading the journal', done: 1, of: null })
      return new Promise(() => {})
    },
  }
  const options = { commit: async () => {}, clock, log: () => {}, openPatienceMs: 10_000 }
  const catalog = new Catalog({ ...options, store: silent })
  const ended = catalog.open(1, new AbortController().signal)
  ended.catch(() => undefined)
  await clock.go(0)
  await clock.go(9900)
  await clock.go(200)
  await t.rejects(ended, { code: 'UNAVAILABLE', message: /no progress for 10 s: .*, 1 so far/ })
})

t.test('readers see a change only when it is durable and committed', async (t) => {
  let commit = (): void => {}
  const c = await openCatalog({ commit: () => new Promise((resolve) => (commit = resolve)) })
  const change = c.create('a')
  t.same(c.names(), [])
  await c.next('kept')
  t.same(c.names(), [], 'durable is not enough')
  commit()
  t.same((await change).databaseNames(), ['a', 'default'])
  t.same(c.names(), ['a'])
})

t.test('what queues meanwhile shares the next flush, and is decided upon the newest', async (t) => {
  const c = await openCatalog()
  const first = c.create('a')
  await settled()
  const change = { do: 'create-database', name: 'a', createdAt: '' } as const
  const same = codeOf(c.catalog.transact(() => transaction([change])))
  const more = ['b', 'c', 'd'].map(c.create)
  const broken = c.catalog.transact(() => {
    throw new Error('the build says no')
  })
  t.equal(await same, 'EXISTS', 'although a is only being written')
  await t.rejects(broken, /the build says no/)
  t.equal(c.catalog.pending, 4)
  t.equal((await c.next('kept')).transactions.length, 1)
  await first
  t.equal((await c.next('kept')).transactions.length, 3)
  await Promise.all(more)
  t.same(c.names(), ['a', 'b', 'c', 'd'])
  await c.catalog.idle()
})

t.test('refused by the store: its callers hear it, those behind are decided anew', async (t) => {
  for (const code of ['FULL', 'BAD_STORE'] as const) {
    const c = await openCatalog()
    const first = codeOf(c.create('a'))
    await settled()
    const child = c.catalog.transact((state) => {
      if (state.database('a') !== null) return transaction([{ do: 'drop-database', name: 'a' }])
      return transaction([{ do: 'create-database', name: 'without-a', createdAt: '' }])
    })
    await c.next(code)
    t.equal(await first, code)
    t.equal((await c.next('kept')).firstSeq, 1, 'the number is used again')
    await child
    t.same(c.names(), ['without-a'])
  }
})

t.test('a lost answer is cleared up: done once, and nobody hears of it', async (t) => {
  for (const how of ['lost reply', 'not kept'] as const) {
    const c = await openCatalog()
    const first = c.create('a')
    await settled()
    const second = c.create('b')
    c.setAway(true)
    await c.next(how)
    await c.clock.go(20)
    await c.clock.go(40)
    t.equal(c.opens(), 4, 'tried again, with pauses that grow')
    c.setAway(false)
    await c.clock.go(80)
    if (how === 'not kept') t.equal((await c.next('kept')).firstSeq, 1)
    t.equal((await c.next('kept')).firstSeq, 2)
    await Promise.all([first, second])
    t.same(c.names(), ['a', 'b'])
    t.equal(c.kept.seq, 2)
  }
})

t.test(
  'a store that keeps changes waiting is told of after a second, with its own words',
  async (t) => {
    const c = await openCatalog()
    t.equal(c.catalog.trouble(), null)
    const first = c.create('a')
    await settled()
    await c.clock.go(900)
    t.equal(c.catalog.trouble(), null, 'not before')
    await c.clock.go(200)
    t.match(c.catalog.trouble(), /for 1 s now: it does not answer/)
    c.setAway(true)
    await c.next('not kept')
    await c.clock.go(3000)
    t.match(c.catalog.trouble(), /catalog store, for 4 s now: away/)
    c.setAway(false)
    await c.clock.go(5000)
    await c.next('kept')
    await first
    t.equal(c.catalog.trouble(), null)
  },
)

t.test(
  'a store that stays away: callers are told after a while, the catalog recovers',
  async (t) => {
    const c = await openCatalog({ patienceMs: 1000 })
    const first = codeOf(c.create('a'))
    await settled()
    const second = codeOf(c.create('b'))
    c.setAway(true)
    await c.next('lost reply')
    for (let i = 0; i < 20; i += 1) await c.clock.go(100)
    t.equal(await first, 'UNAVAILABLE')
    t.equal(await second, 'UNAVAILABLE')
    const third = codeOf(c.create('c'))
    for (let i = 0; i < 20; i += 1) await c.clock.go(100)
    t.equal(await third, 'UNAVAILABLE')
    c.setAway(false)
    await c.clock.go(5000)
    t.same(c.names(), ['a'], 'the one whose fate was open was done; those behind never were')
    const again = codeOf(c.create('a'))
    t.equal(await again, 'CONFLICT', 'asked again, it is known by its query id')
    const last = c.create('d')
    await c.next('kept')
    await last
    t.same(c.names(), ['a', 'd'])
  },
)

t.test('the term ends: everybody is told, whatever hangs', async (t) => {
  const c = await openCatalog()
  const calls = ['a', 'b'].map((name) => codeOf(c.create(name)))
  await settled()
  calls.push(codeOf(c.create('c')))
  c.term.abort()
  t.same(await Promise.all(calls), ['NOT_ACTIVE', 'NOT_ACTIVE', 'NOT_ACTIVE'])
  t.equal(await codeOf(c.create('d')), 'NOT_ACTIVE')
  await c.next('kept')
  t.same(c.names(), [], 'durable, and never acknowledged')
  await c.catalog.close()
  t.throws(() => c.catalog.state(), { code: 'NOT_ACTIVE' })
  await c.catalog.open(2, NEVER)
  t.same(c.names(), ['a', 'b'], 'the next term has it')
})

t.test('a higher term, a commit that is refused, a store that has lost changes', async (t) => {
  const given: string[] = []
  const stale = await openCatalog({ onGone: (why: string) => void given.push(why) })
  const one = codeOf(stale.create('a'))
  await stale.next('STALE_TERM')
  t.equal(await one, 'NOT_ACTIVE')
  t.equal(await codeOf(stale.create('b')), 'NOT_ACTIVE')
  t.equal(given.length, 1, 'the term is given up, once: the election may know of no other')

  const deposed = await openCatalog({ commit: () => Promise.reject(new Error('deposed')) })
  const two = codeOf(deposed.create('a'))
  await deposed.next('kept')
  t.equal(await two, 'NOT_ACTIVE')
  t.same(deposed.names(), [])

  const broken: string[] = []
  const robbed = await openCatalog({ onBroken: ({ message }) => broken.push(message) })
  const fine = robbed.create('a')
  await robbed.next('kept')
  await fine
  const three = codeOf(robbed.create('b'))
  await settled()
  robbed.kept.seq = 0
  t.same(broken, [])
  await robbed.next('not kept')
  t.equal(await three, 'NOT_ACTIVE', 'it may have been done: the next active knows')
  t.equal(await codeOf(robbed.create('c')), 'NOT_ACTIVE')
  t.same(broken, ['the catalog store has kept 0 changes of term 1, not 1 or 2'], 'told once')
  t.same(robbed.names(), ['a'], 'reading goes on')
})

t.test('too many waiting changes are refused at once', async (t) => {
  const c = await openCatalog({ queueMax: 2 })
  const first = c.create('a')
  await settled()
  const queued = [c.create('b'), c.create('c')]
  t.equal(await codeOf(c.create('d')), 'UNAVAILABLE')
  await c.next('kept')
  await c.next('kept')
  await Promise.all([first, ...queued])
  t.same(c.names(), ['a', 'b', 'c'])
})
