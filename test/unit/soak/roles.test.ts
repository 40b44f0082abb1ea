/** The soak on HDFS sees two actives, times without one, and moves: a judge that is blind would call every cluster right. */
import t from 'tap'
import {
  doubleLooks,
  type Look,
  movesOf,
  twoActives,
  untilServedMs,
} from '../../soak/hdfs/roles.ts'

/** Looks of 200 ms: a letter for each host in each of them, a capital for one that said "active" after `tookMs`. */
const looksOf = (texts: readonly string[], tookMs = 20): Look[] =>
  texts.map((text, i) =>
    [...text].map((letter) => ({
      host: letter.toLowerCase(),
      askedMs: 200 * i,
      saidMs: 200 * i + tookMs,
      isActive: letter !== letter.toLowerCase(),
    })),
  )

t.test('two that are active at once are seen, one after the other is no fault', async (t) => {
  t.same(twoActives(looksOf(['Ab', 'Ab', 'aB', 'aB'])), [])
  t.same(twoActives(looksOf(['Ab', 'Ab', 'AB', 'aB', 'aB'])), [], 'it may have answered before')
  t.same(twoActives(looksOf(['Ab', 'AB', 'AB', 'aB'])), ['a and b for at least 180 ms'])
  t.same(twoActives(looksOf(['Ab', 'aB', 'AB', 'Ab', 'Ab'])), [], 'the role went and came back')
  t.equal(doubleLooks(looksOf(['Ab', 'AB', 'aB'])), 1)
})

t.test('the time until one is active for good', async (t) => {
  t.equal(untilServedMs(looksOf(['Ab', 'Ab']), 0), 0)
  t.equal(untilServedMs(looksOf(['Ab', 'ab', 'ab', 'aB']), 100), 520)
  t.equal(untilServedMs(looksOf(['Ab', 'ab', 'Ab', 'ab', 'aB']), 0), 820, 'not before the last gap')
  t.equal(untilServedMs(looksOf(['Ab', 'ab']), 0), null)
})

t.test('moves of the role', async (t) => {
  t.equal(movesOf(looksOf(['Ab', 'ab', 'Ab'])), 0, 'the same one again')
  t.equal(movesOf(looksOf(['Ab', 'aB', 'Ab'])), 2)
})
