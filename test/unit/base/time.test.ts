/** Waiting, and bounding a wait: what ends it, and that no timer is left of it. */
import t from 'tap'
import { type Clock, pause, Signal, within } from '../../../lib/base/time.ts'
import { HandClock } from '../../support/hand-clock.ts'

/** Timers by hand, and how many of them have neither run nor been cancelled. */
class CountingClock implements Clock {
  readonly #hand = new HandClock()
  readonly #set = new Set<object>()
  nowMs = this.#hand.nowMs
  get waiting(): number {
    return this.#set.size
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = {}
    this.#set.add(timer)
    const cancel = this.#hand.after(delayMs, () => this.#set.delete(timer) && run())
    return () => {
      this.#set.delete(timer)
      cancel()
    }
  }
  advance(ms: number): Promise<void> {
    return this.#hand.advance(ms)
  }
}

t.test('news are not missed', async (t) => {
  const clock = new HandClock()
  const news = new Signal()
  news.wake()
  await news.wait(clock, 1e9)
  let woken = false
  const waiting = news.wait(clock, 1000).then(() => {
    woken = true
  })
  await clock.advance(999)
  t.notOk(woken)
  await clock.advance(1)
  await waiting
  const ended = new AbortController()
  const forever = news.wait(clock, 1e9, ended.signal)
  ended.abort()
  await forever
})

t.test('a pause that ends early leaves no timer', async (t) => {
  const clock = new CountingClock()
  const ended = new AbortController()
  const paused = pause(clock, 1e9, ended.signal)
  t.equal(clock.waiting, 1)
  ended.abort()
  await paused
  await pause(clock, 1e9, ended.signal)
  t.equal(clock.waiting, 0)
})

t.test('work has so much time, and then what is said of late work counts', async (t) => {
  const clock = new CountingClock()
  const never = new Promise<string>(() => {})
  t.equal(await within(clock, 10, Promise.resolve('done'), () => 'late'), 'done')
  await t.rejects(
    within(clock, 10, Promise.reject(new Error('failed')), () => 'late'),
    /failed/,
  )
  t.equal(clock.waiting, 0, 'whoever was in time leaves no timer')
  const late = within(clock, 10, never, () => 'late')
  const refused = within(clock, 10, never, () => {
    throw new Error('too late')
  })
  const told = Promise.all([late, t.rejects(refused, /too late/)])
  await clock.advance(10)
  t.equal((await told)[0], 'late')
})

t.test("what fails when nobody waits any more is nobody's failure", async (t) => {
  const clock = new HandClock()
  let fail = (_: Error): void => {}
  const work = new Promise<void>((_, reject) => {
    fail = reject
  })
  const late = within(clock, 10, work, () => 'late')
  await clock.advance(10)
  t.equal(await late, 'late')
  fail(new Error('failed'))
  await clock.advance(0)
})
