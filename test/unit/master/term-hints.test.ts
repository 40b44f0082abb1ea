/** Terms that a master hears of and that its directory does not show. */
import t from 'tap'
import { TermHints } from '../../../lib/master/term-hints.ts'
import { HandClock } from '../../support/hand-clock.ts'

const M = 1000

t.test(
  'a heard term is a hint: one look at once, then one in M, and a word to people',
  async (t) => {
    const clock = new HandClock()
    const looks: string[] = []
    let term = 3
    const hints = new TermHints({
      term: () => term,
      look: (why) => looks.push(why),
      everyMs: M,
      clock,
      random: () => 0.5,
    })
    for (let i = 0; i < 5; i++) hints.hear(9_999_999_999)
    t.same(looks, ['term 9999999999 was heard of'])
    t.same(hints.warnings(), [], 'a look may show it yet')
    await clock.advance(1.2 * M)
    hints.hear(9_999_999_999)
    t.equal(looks.length, 1)
    t.match(hints.warnings(), [/named term 9999999999, and tajo\.rootdir shows none above 3/])
    await clock.advance(0.3 * M)
    hints.hear(9_999_999_999)
    t.equal(looks.length, 2)
    await clock.advance(61_000)
    t.same(hints.warnings(), [], 'it is forgotten')
    hints.hear(4)
    term = 4
    await clock.advance(2 * M)
    t.same(hints.warnings(), [], 'one that the directory shows is news to nobody')
  },
)
