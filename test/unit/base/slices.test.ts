import t from 'tap'
import {
  background,
  inSlices,
  sortedInSlices,
  type Turns,
  yieldingTo,
} from '../../../lib/base/slices.ts'

/** A clock that goes on by `stepMs` at each look, and the turns that were given. */
function byHand(stepMs: number): Turns & { turns: number } {
  let nowMs = 0
  return {
    turns: 0,
    nowMs() {
      nowMs += stepMs
      return nowMs
    },
    async turn() {
      this.turns += 1
    },
  }
}

t.test('everything is taken in order, and the loop has its turn after each 5 ms', async (t) => {
  const hand = byHand(1)
  const taken: number[] = []
  await inSlices(
    Array.from({ length: 25 }, (_, i) => i),
    (i) => taken.push(i),
    hand,
  )
  t.same(
    taken,
    Array.from({ length: 25 }, (_, i) => i),
  )
  t.equal(hand.turns, 5)
})

t.test('short work has no turn at all', async (t) => {
  const hand = byHand(0)
  await inSlices([1, 2, 3], undefined, hand)
  t.equal(hand.turns, 0)
})

t.test('what is thrown ends it, and closes a generator', async (t) => {
  let isClosed = false
  function* items(): Generator<number> {
    try {
      yield 1
      yield 2
    } finally {
      isClosed = true
    }
  }
  const taken: number[] = []
  await t.rejects(
    inSlices(items(), (i) => {
      taken.push(i)
      throw new Error('no more')
    }),
    { message: 'no more' },
  )
  t.same(taken, [1])
  t.ok(isClosed)
})

t.test('timers run between the slices of the real loop', async (t) => {
  let beats = 0
  const timer = setInterval(() => {
    beats += 1
  }, 1)
  let steps = 0
  function* work(): Generator<void> {
    while (beats < 2) {
      steps += 1
      yield
    }
  }
  await inSlices(work())
  clearInterval(timer)
  t.ok(steps > 0)
  t.ok(beats >= 2)
})

t.test('words are sorted in slices as in one piece', async (t) => {
  const hand = byHand(1)
  const words = Array.from({ length: 3500 }, (_, i) => `t${(i * 7919) % 2999}`)
  t.same(await sortedInSlices(words, hand), [...words].sort())
  t.ok(hand.turns > 1000)
  t.same(await sortedInSlices([]), [])
  t.same(await sortedInSlices(['b', 'a']), ['a', 'b'])
})

t.test('in the background a slice is followed by a longer rest', async (t) => {
  const beganMs = background.nowMs()
  for (let i = 0; i < 5; i += 1) await background.turn()
  // A timer may be early by a millisecond.
  t.ok(background.nowMs() - beganMs >= 5 * 19)
})

t.test('a slice waits for as long as there are others, and not for ever', async (t) => {
  const rest = byHand(0)
  let nowMs = 0
  const resting: Turns = {
    nowMs: () => nowMs,
    turn: async () => {
      nowMs += 1000
      await rest.turn()
    },
  }
  let others = 3
  const turns = yieldingTo(() => {
    others -= 1
    return others >= 0
  }, resting)
  await turns.turn()
  t.equal(rest.turns, 3)
  await turns.turn()
  t.equal(rest.turns, 3, 'where there are none it does not')
  others = Number.POSITIVE_INFINITY
  await turns.turn()
  t.equal(nowMs, 600_000)
  await turns.turn()
  t.equal(nowMs, 600_000, 'it has waited enough')
})
