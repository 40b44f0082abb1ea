/** What web pages read of the history: however many ask, at most one reading a second, and never two at once. */
import t from 'tap'
import { HaError, type HistoryEntry } from '../../../lib/ha/index.ts'
import { HistoryCache } from '../../../lib/master/view/history-cache.ts'
import { HandClock } from '../../support/hand-clock.ts'

const entryOf = (term: number): HistoryEntry => ({ term: { term } }) as HistoryEntry

t.test('one reading serves everybody for a second', async (t) => {
  const clock = new HandClock()
  const limits: number[] = []
  const history = new HistoryCache(async (limit) => {
    limits.push(limit)
    return [entryOf(3), entryOf(2), entryOf(1)].slice(0, limit)
  }, clock)
  const terms = async (limit: number): Promise<number[]> =>
    (await history.newest(limit)).map(({ term }) => term.term)

  const asked = Array.from({ length: 20 }, () => terms(3))
  t.same(await Promise.all(asked), Array(20).fill([3, 2, 1]))
  t.same(limits, [3], 'all that ask at once share it')
  await clock.advance(1000)
  t.same(await terms(2), [3, 2], 'who wants less gets a part of it')
  t.same(limits, [3])
  await clock.advance(1)
  t.same(await terms(2), [3, 2])
  t.same(limits, [3, 2], 'then it is read anew')
  t.same(await terms(3), [3, 2, 1])
  t.same(limits, [3, 2, 3], 'and where more is wanted')
})

t.test('a reading that failed is not kept', async (t) => {
  const failures: Error[] = [new HaError('TIMEOUT', 'late'), new Error('EIO')]
  const history = new HistoryCache(async () => {
    const error = failures.shift()
    if (error !== undefined) throw error
    return []
  }, new HandClock())
  await t.rejects(history.newest(1), { code: 'TIMEOUT', message: /can't be read: late/ })
  await t.rejects(history.newest(1), { code: 'UNAVAILABLE', message: /can't be read: EIO/ })
  t.same(await history.newest(1), [])
})
