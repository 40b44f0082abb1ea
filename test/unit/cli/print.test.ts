import t from 'tap'
import { CliError, describeError, EXIT, exitCodeOf, oneLine } from '../../../lib/cli/exit.ts'
import { duration, json, plain, table } from '../../../lib/cli/print.ts'
import { HaError } from '../../../lib/ha/words/errors.ts'

t.test('a table lines up and has no blanks at line ends', async (t) => {
  const text = table(
    [{ title: 'ADDRESS' }, { title: 'EPOCH', align: 'right' }, { title: 'NOTE' }],
    [
      ['a-long-name:26001', '7', ''],
      ['b:1', '123456', 'down'],
    ],
  )
  t.equal(
    text,
    [
      'ADDRESS             EPOCH  NOTE',
      'a-long-name:26001       7',
      'b:1                123456  down',
    ].join('\n'),
  )
  t.equal(table([{ title: 'A' }], []), 'A')
})

t.test('nothing that was read moves the cursor or fakes a line', async (t) => {
  t.equal(plain('a\u001b[2Jb\nc\u009bd\u2028e'), 'a?[2Jb?c?d?e')
  t.notMatch(table([{ title: 'A' }], [['x\ny']]), /x\ny/)
})

t.test('durations as people read them', async (t) => {
  const said = [
    0, 0.44, 9.94, 9.96, 87.4, 999.4, 999.6, 4210, 59_960, 185_000, 7_260_000, 273_600_000,
  ]
  t.same(said.map(duration), [
    '0.0 ms',
    '0.4 ms',
    '9.9 ms',
    '10 ms',
    '87 ms',
    '999 ms',
    '1.0 s',
    '4.2 s',
    '1 min 0 s',
    '3 min 5 s',
    '2 h 1 min',
    '3 d 4 h',
  ])
})

t.test('exit codes', async (t) => {
  t.same(EXIT, { done: 0, failed: 1, usage: 2, unknownMaster: 3, unsafe: 4 })
  t.equal(exitCodeOf('UNSAFE'), 4)
  t.equal(exitCodeOf('NOT_ACTIVE'), 1)
  t.same(describeError(new CliError(EXIT.unknownMaster, 'x')), { message: 'x', exitCode: 3 })
  t.equal(describeError(new HaError('UNSAFE', 'no')).exitCode, 4)
  t.equal(describeError(new HaError('TIMEOUT', 'no')).exitCode, 1)
  t.same(describeError('thrown text'), { message: 'thrown text', exitCode: 1 })
  t.equal(oneLine('a\n  b\n'), 'a b')
})

t.test('one JSON document', async (t) => {
  t.same(JSON.parse(json({ a: [1] })), { a: [1] })
})
