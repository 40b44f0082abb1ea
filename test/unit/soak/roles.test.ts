/** The soak on HDFS sees two actives, times without one, and moves: a judge that is blind would call every cluster right. */
import t from 'tap'
import { doubleLooks, type Look, movesOf, serviceFrom, twoActives } from '../../soak/rig/roles.ts'

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

t.test('the time until a master serves, and times without one after that', async (t) => {
  t.same(serviceFrom(looksOf(['Ab', 'Ab']), 0), { servedMs: 0, laterGapMs: 0 })
  t.same(serviceFrom(looksOf(['Ab', 'ab', 'ab', 'aB']), 100), { servedMs: 520, laterGapMs: 0 })
  const twice = looksOf(['Ab', 'ab', 'Ab', 'ab', 'ab', 'aB'])
  t.same(serviceFrom(twice, 0), { servedMs: 420, laterGapMs: 420 })
  t.same(serviceFrom(looksOf(['Ab', 'ab']), 0), { servedMs: null, laterGapMs: 0 })
})

t.test('moves of the role', async (t) => {
  t.equal(movesOf(looksOf(['Ab', 'ab', 'Ab'])), 0, 'the same one again')
  t.equal(movesOf(looksOf(['Ab', 'aB', 'Ab'])), 2)
})
