/** What a take-over waits for that begins during a backup's first look, and what becomes of a look that it gives up. */
import t from 'tap'
import type { Known } from '../../../lib/catalog/shared/chain.ts'
import { Memory } from '../../../lib/catalog/shared/memory.ts'
import type { Progress } from '../../../lib/catalog/store.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NOTHING_NEW: Progress = { phase: 'reading', done: 0, of: null }

/** A look that does what the test says. */
function looking() {
  const clock = new HandClock()
  const memory = new Memory(clock)
  let end = (_: Known | null): void => {}
  let tell = (): void => {}
  const look = memory.learn((_, onProgress) => {
    tell = () => onProgress(NOTHING_NEW)
    return new Promise((resolve) => {
      end = resolve
    })
  })
  return { clock, memory, look, tell: () => tell(), end: (known: Known | null) => end(known) }
}

/** Whether it waits still. */
async function waits(promise: Promise<unknown>): Promise<boolean> {
  const wait = Symbol('wait')
  return (await Promise.race([promise, Promise.resolve(wait)])) === wait
}

const KNOWN = { term: 7 } as unknown as Known

t.test('a look that gets on is waited for, however long it takes', async (t) => {
  const { clock, memory, look, tell, end } = looking()
  let told = 0
  const known = memory.knownSoon(() => {
    told += 1
  })
  for (let i = 0; i < 20; i += 1) {
    await clock.advance(900)
    tell()
  }
  t.ok(await waits(known))
  t.equal(told, 20, 'and what it tells is told on')
  end(KNOWN)
  await look
  t.equal(await known, KNOWN)
  t.doesNotThrow(tell)
})

t.test('one pause of the process, in which nothing could be told, is no silence', async (t) => {
  const { clock, memory, tell, end } = looking()
  const known = memory.knownSoon()
  await clock.advance(400)
  await clock.stall(5000)
  tell()
  await clock.advance(900)
  t.ok(await waits(known))
  end(KNOWN)
  t.equal(await known, KNOWN)
})

t.test('one that is stuck is given up, and ends as soon as it comes unstuck', async (t) => {
  const { clock, memory, tell, end, look } = looking()
  const known = memory.knownSoon()
  await clock.advance(500)
  await clock.advance(500)
  t.equal(await known, null)
  t.throws(tell, { code: 'NOT_ACTIVE', message: /reads the catalog by itself/ })
  end(null)
  await look
  let told = 0
  await memory.learn(async (_, onProgress) => {
    onProgress(NOTHING_NEW)
    told += 1
    return null
  })
  t.equal(told, 1, 'the next one may tell what it likes')
})
