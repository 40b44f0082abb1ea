import t from 'tap'
import { type Delays, LoopPauses, PAUSE_WINDOW_MS } from '../../../lib/master/loop-pauses.ts'

function byHand() {
  let values: number[] = []
  const state = { nowMs: 0, isOn: false }
  const setOn = (isOn: boolean): boolean => {
    state.isOn = isOn
    return true
  }
  const delays: Delays = {
    get max() {
      return Math.max(0, ...values) * 1e6
    },
    percentile: () => Math.min(...values) * 1e6,
    enable: () => setOn(true),
    disable: () => setOn(false),
    reset: () => {
      values = []
    },
  }
  const pauses = new LoopPauses(() => state.nowMs, delays)
  return { state, pauses, saw: (...ms: number[]) => void values.push(...ms) }
}

t.test('no timer runs, and nothing is told, while nothing is to be measured', async (t) => {
  const { state, pauses } = byHand()
  t.equal(pauses.read(), null)
  t.notOk(state.isOn)
  pauses.measure(true)
  t.ok(state.isOn)
  t.equal(pauses.read(), null)
  pauses.measure(false)
  t.notOk(state.isOn)
})

t.test(
  'a pause is shown until the window after it has ended, however often it is asked for',
  async (t) => {
    const { state, pauses, saw } = byHand()
    pauses.measure(true)
    saw(80, 11)
    t.same(pauses.read(), { maxMs: 80, p99Ms: 11 })
    t.same(pauses.read(), { maxMs: 80, p99Ms: 11 })
    state.nowMs = PAUSE_WINDOW_MS
    pauses.beat()
    saw(12)
    t.same(pauses.read(), { maxMs: 80, p99Ms: 12 })
    state.nowMs += PAUSE_WINDOW_MS - 1
    pauses.beat()
    t.same(pauses.read(), { maxMs: 80, p99Ms: 12 })
    state.nowMs += 1
    pauses.beat()
    saw(13)
    t.same(pauses.read(), { maxMs: 13, p99Ms: 13 })
  },
)

t.test('the next term begins with nothing of the last', async (t) => {
  const { pauses, saw } = byHand()
  pauses.measure(true)
  saw(80)
  pauses.measure(false)
  pauses.measure(true)
  t.equal(pauses.read(), null)
})

t.test('the real one sees a loop that was held', async (t) => {
  const pauses = new LoopPauses(() => performance.now())
  pauses.measure(true)
  await new Promise((resolve) => setTimeout(resolve, 30))
  const untilMs = performance.now() + 60
  while (performance.now() < untilMs);
  await new Promise((resolve) => setTimeout(resolve, 30))
  t.ok((pauses.read()?.maxMs ?? 0) >= 60)
  pauses.measure(false)
})
