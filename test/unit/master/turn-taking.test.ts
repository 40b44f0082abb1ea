/** When the joining of small files takes its turn among queries that leave it no slot, and when it rests. */
import t from 'tap'
import { TurnTaking } from '../../../lib/master/queries/compaction/compactor.ts'

const CHECK_MS = 1000

/** Held up from 0 on, and overdue. */
function overdue(): TurnTaking {
  const turns = new TurnTaking(0, CHECK_MS)
  turns.heldUp(0)
  return turns
}

const begun = (turns: TurnTaking, of: { left?: number; files?: number }, nowMs: number): void => {
  turns.begin({ tableId: 1, left: 0, files: 100, ...of }, nowMs)
  turns.began({ inTurn: true, hasSlot: false })
}

t.test('it is overdue once it was held up for three looks', async (t) => {
  const turns = new TurnTaking(0, CHECK_MS)
  t.notOk(turns.isOverdue(10_000))
  turns.heldUp(500)
  turns.heldUp(2000)
  t.notOk(turns.isOverdue(3499))
  t.ok(turns.isOverdue(3500), 'since it was for the first time')
  t.strictSame(turns.next(true, 100, 3500), { inTurn: true, isBehind: false, restMs: 0 })
  t.notOk(turns.next(false, 100, 3500).inTurn)
  turns.succeeded(true, 4000)
  t.notOk(turns.isOverdue(9000), 'one that gave way to all came to its end')
})

t.test('it rests for twice as long as its turn took, its waiting included', async (t) => {
  const turns = overdue()
  begun(turns, {}, 3000)
  turns.succeeded(false, 5000)
  t.equal(turns.next(true, 100, 5000).restMs, 4000)
  t.equal(turns.next(true, 100, 8000).restMs, 1000)
  t.equal(turns.next(true, 100, 9000).restMs, 0)
  t.equal(turns.next(false, 100, 5000).restMs, 0, 'what is no turn needs no rest')
})

t.test('one that has its slot at once tries whether it is left another one', async (t) => {
  const turns = overdue()
  turns.begin({ tableId: 1, left: 0, files: 100 }, 3000)
  turns.began({ inTurn: true, hasSlot: true })
  turns.succeeded(false, 4000)
  t.strictSame(turns.next(true, 100, 4000), { inTurn: false, isBehind: false, restMs: 0 })
  turns.began({ inTurn: false, hasSlot: true })
  t.ok(turns.next(true, 100, 4000).inTurn, 'and was not')
})

t.test('it neither rests nor tries while files come faster', async (t) => {
  const turns = overdue()
  begun(turns, {}, 3000)
  turns.succeeded(false, 5000)
  t.strictSame(turns.next(true, 101, 5000), { inTurn: true, isBehind: true, restMs: 0 })
  begun(turns, { files: 90 }, 5000)
  t.ok(turns.next(true, 91, 5000).isBehind, 'than at the best of times')
  turns.began({ inTurn: true, hasSlot: true })
  t.ok(turns.next(true, 91, 5000).inTurn)
  turns.leftAlone()
  t.notOk(turns.next(true, 1000, 5000).isBehind)
})

t.test('nor while one table has more than a turn takes', async (t) => {
  for (const end of ['taken', 'settled', 'dropped'] as const) {
    const turns = overdue()
    begun(turns, { left: 5 }, 3000)
    t.ok(turns.next(true, 100, 3000).isBehind)
    turns.keep(() => true)
    t.ok(turns.next(true, 100, 3000).isBehind)
    if (end === 'taken') begun(turns, {}, 4000)
    else if (end === 'settled') turns.settled(1)
    else turns.keep((id) => id !== 1)
    t.notOk(turns.next(true, 100, 4000).isBehind, end)
  }
})
