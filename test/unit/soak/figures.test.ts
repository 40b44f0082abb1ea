/** The soak of lost hosts counts right: each kind of round for itself, and no quantile is better than what was measured. */
import t from 'tap'
import { quantile, type Round, table } from '../../soak/hosts/figures.ts'

t.test(
  'a quantile is a value that was measured, and never one that too few have kept',
  async (t) => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    t.same(
      [0.5, 0.95, 1].map((share) => quantile(hundred, share)),
      [50, 95, 100],
    )
    t.equal(quantile([3, 1, 2], 0.95), 3)
    t.equal(quantile([7], 0.5), 7)
  },
)

t.test('the table has a row for each event and size', async (t) => {
  const round = (event: string, tables: number, servedMs: number): Round => ({
    ...{ event, tables, servedMs, starvedMs: 100 },
    phases: { totalMs: servedMs - 50 },
  })
  const rounds = [round('freeze', 10, 900), round('power-off', 10, 700), round('freeze', 10, 800)]
  const [head = '', , ...rows] = table(rounds)
  t.equal(head.split('|').length, rows[0]?.split('|').length)
  t.same(rows, [
    '| freeze | 10 | 2 | 800 | 900 | 900 | 700 | 800 | 800 | 750 | 850 | 850 |',
    '| power-off | 10 | 1 | 700 | 700 | 700 | 600 | 600 | 600 | 650 | 650 | 650 |',
  ])
})
