/** A backup knows the catalog from its first whole look on, and how old that is; a look that fails changes nothing of it. */
import t from 'tap'
import { eventLoop } from '../../../lib/base/slices.ts'
import { CatalogFollower } from '../../../lib/master/queries/catalog/catalog-follower.ts'
import { HandClock } from '../../support/hand-clock.ts'

t.test(
  'nothing is known before the first whole look, and its age counts from its beginning',
  async (t) => {
    const clock = new HandClock()
    const said: string[] = []
    let answer: () => Promise<void> = async () => {
      await new Promise<void>((resolve) => clock.after(3000, resolve))
    }
    let mayFollow = true
    const follower = new CatalogFollower({
      open: async () => ({
        follow: (turns) => {
          t.equal(turns, eventLoop)
          return answer()
        },
        close: async () => {},
      }),
      turns: eventLoop,
      mayFollow: () => mayFollow,
      everyMs: 500,
      clock,
      log: (_level, text) => void said.push(text),
    })
    follower.start()
    await clock.advance(2000)
    t.equal(follower.ageMs, null)
    await clock.advance(1000)
    t.equal(follower.ageMs, 3000)
    t.same(said, ['the catalog is known: a take-over reads what is new'])
    answer = async () => {}
    await clock.advance(500)
    t.equal(follower.ageMs, 0, 'the next look')
    answer = async () => {
      throw new Error('EIO')
    }
    await clock.advance(1000)
    t.equal(follower.ageMs, 1000)
    t.same(said.slice(1), ["the catalog can't be followed: EIO"], 'told once')
    answer = async () => {}
    mayFollow = false
    await clock.advance(1000)
    t.equal(follower.ageMs, 2000, 'while a term is open here nobody looks')
    mayFollow = true
    await clock.advance(500)
    t.equal(follower.ageMs, 0)
    t.equal(said.length, 2, 'it is known once')
    follower.stop()
  },
)
