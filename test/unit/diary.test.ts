/** A schedule's diary leaves out what only says again that all is as it was, and says the rest in sentences. */
import t from 'tap'
import { diary } from '../sim/diary.ts'

t.test('a diary tells what changed', async (t) => {
  const entryOf = diary()
  const entries = [
    '      0.00  m1:26001 starts',
    '     45.83  m1:26001 is backup, epoch 0',
    '     46.74  m1:26001 info: claiming term 1: there was no term yet',
    '     46.74  m1:26001 is backup, epoch 0',
    '     52.73  m1:26001 is activating, epoch 1',
    '     57.01  m1:26001 is active, epoch 1',
    '     58.00  m1:26001 is active, epoch 1',
    '   1072.39  FAULT kill master at m1:26001',
    'what has no time stays as it is',
  ].map(entryOf)
  t.same(entries, [
    '    0.000 s  m1:26001 starts.',
    '    0.046 s  m1:26001 is a backup.',
    '    0.047 s  m1:26001 says: claiming term 1: there was no term yet.',
    null,
    '    0.053 s  m1:26001 holds term 1 and opens it.',
    '    0.057 s  m1:26001 serves term 1.',
    null,
    '    1.072 s  *** The nemesis strikes: kill master at m1:26001.',
    'what has no time stays as it is',
  ])
})
