/** The ledger of the soak sees what it is there for: a judge that is blind would call every cluster right. */
import t from 'tap'
import { Ledger } from '../../soak/ground/ledger.ts'

const rows = (...ids: number[]): Map<number, number> => {
  const found = new Map<number, number>()
  for (const id of ids) found.set(id, (found.get(id) ?? 0) + 1)
  return found
}

t.test('what was acknowledged is there once, what failed at most once', async (t) => {
  const ledger = new Ledger()
  ledger.sent(1, 3)
  ledger.acknowledged(1, 3)
  ledger.sent(4, 2)
  const right = { acknowledged: 3, unknown: 2, lost: [], doubled: [], foreign: [] }
  t.same(ledger.judge(rows(1, 2, 3)), right)
  t.same(ledger.judge(rows(1, 2, 3, 4, 5)), right)
  t.same(ledger.judge(rows(1, 3)).lost, [2])
  t.same(ledger.judge(rows(1, 2, 2, 3)).doubled, [2])
  t.same(ledger.judge(rows(1, 2, 3, 5, 5)).doubled, [5])
  t.same(ledger.judge(rows(1, 2, 3, 6)).foreign, [6])
})
