/** tsql's parts: the command line, where statements end, what is printed, what is remembered and offered. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../lib/base/time.ts'
import { CliError } from '../../../../lib/cli/exit.ts'
import { Completion } from '../../../../lib/cli/tsql/completion.ts'
import { keptLine } from '../../../../lib/cli/tsql/kept-line.ts'
import { dfs } from '../../../../lib/cli/tsql/meta-dfs.ts'
import { parseOptions } from '../../../../lib/cli/tsql/option-parser.ts'
import { fillIn, plainOptions, type TsqlOptions } from '../../../../lib/cli/tsql/options.ts'
import { type PrintSettings, printerFor } from '../../../../lib/cli/tsql/printers.ts'
import { QueueNotice, TroubleNotice } from '../../../../lib/cli/tsql/progress-bar.ts'
import { Settings } from '../../../../lib/cli/tsql/settings.ts'
import { byteText, errorText } from '../../../../lib/cli/tsql/shell.ts'
import {
  onlyStatement,
  type Piece,
  StatementReader,
  split,
} from '../../../../lib/cli/tsql/statement-reader.ts'
import { HISTORY_LINES, HistoryFile } from '../../../../lib/cli/tsql/terminal.ts'
import { displayWidth } from '../../../../lib/cli/tsql/width.ts'
import { QueryError, type TajoClient } from '../../../../lib/client/index.ts'
import { splitStatements } from '../../../../lib/sql/split.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { testdirOf } from '../../../support/testdir.ts'

/** The sentence of the usage error, with its exit code checked. */
function usageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    t.equal(error.exitCode, 2)
    return error.message
  }
  throw new Error('no error was thrown')
}

t.test('the command line: the short way and the parser agree', async (t) => {
  const lines: readonly (readonly string[])[] = [
    [],
    ['sales'],
    ['-c', 'select 1'],
    ['-f', 'x.sql', 'sales'],
    ['-h', 'host1', '-c', 'select 1', '--format', 'csv'],
    ['-B', '-f', 'x.sql'],
    ['-f', '-', '--json'],
    ['-c', '-- a comment\nselect 1'],
    ['-c', '--json'],
    ['-c', '-f', '-h', 'host1'],
    ['-f', '-x.sql'],
  ]
  for (const line of lines) t.same(plainOptions(line), parseOptions(line), line.join(' '))
  const all = parseOptions(
    '--host h -p 27002 -param a=1 -param -b=x=y --file=- --background -format json db'.split(' '),
  )
  t.same(all, {
    command: null,
    file: '-',
    host: 'h',
    port: 27_002,
    user: null,
    background: true,
    params: { a: '1', '-b': 'x=y' },
    format: 'json',
    config: null,
    database: 'db',
  } satisfies TsqlOptions)
})

t.test('a wrong command line says what is allowed', async (t) => {
  const wrong = (line: string, expected: RegExp): void => {
    const words = line.split(' ')
    t.equal(plainOptions(words), null, `${line} goes to the parser`)
    t.match(
      usageOf(() => parseOptions(words)),
      expected,
    )
  }
  wrong('-c', /-c needs a value/)
  wrong('-c a -c b', /-c is given twice/)
  wrong('-c a -f b', /exclude each other/)
  wrong('-p 70000', /'70000' is no port/)
  wrong('--json --format csv', /--json and --format csv exclude each other/)
  wrong('-h -c a', /-h needs a value/)
  wrong('--format xml', /'xml' is none of table, csv, json/)
  wrong('-param a', /'a' is not name=value/)
  wrong('--formt csv', /did you mean --format\?/)
  wrong('a b', /does not know 'b'/)
})

t.test('parameters: filled in, and missed where some are given', async (t) => {
  t.equal(fillIn(`a \${x} \${y}`, {}), `a \${x} \${y}`)
  t.equal(fillIn(`a \${x}\${x}`, { x: "'$&'" }), "a '$&''$&'")
  t.match(
    usageOf(() => fillIn(`\${toString}`, { x: '1' })),
    /-param toString=VALUE/,
  )
})

async function piecesOf(text: string): Promise<Piece[]> {
  const reader = new StatementReader(split)
  const pieces: Piece[] = []
  for (const line of text.split('\n')) pieces.push(...(await reader.feed(line)))
  return [...pieces, ...(await reader.end())]
}

t.test('statements and meta commands, with the lines on which they begin', async (t) => {
  const text = [
    '-- a comment',
    '\\d t',
    'select 1; select',
    '',
    "  'a;",
    "\\b' -- ;",
    '  from t; \\x',
    ';;',
    'select 2 -- the last one',
  ].join('\n')
  t.same(await piecesOf(text), [
    { is: 'meta', text: '\\d t', line: 2 },
    { is: 'statement', text: 'select 1', line: 3 },
    { is: 'statement', text: "select\n\n  'a;\n\\b' -- ;\n  from t", line: 3 },
    { is: 'statement', text: '\\x', line: 7 },
    { is: 'statement', text: 'select 2', line: 9 },
  ])
  const long = `select ${'1,\n'.repeat(6000)} 1;`
  t.match(await piecesOf(long), [{ is: 'statement', line: 1 }])
})

t.test('plain text is split without the lexer, and to the same', async (t) => {
  const texts = ['', ';', 'a', ' a ;\n b;c\n;\n\n  d ', 'a;b;', '\n\n a\nb;  c']
  for (const text of texts) {
    const { statements, rest } = splitStatements(text)
    const plainRest = rest === null ? null : { text: rest.text, place: rest.place }
    t.same(await split(text), { statements, rest: plainRest }, JSON.stringify(text))
  }
  t.equal(onlyStatement(" select 'a' -- b ;\n"), "select 'a' -- b")
  for (const text of ['', ' ;', 'a; b', '\\d', '-- a', '/* a */ b'])
    t.equal(onlyStatement(text), null)
})

const COLUMNS = [
  { name: 'id', type: 'INT8' },
  { name: 'text', type: 'TEXT' },
]
function printed(format: PrintSettings['format'], ...batches: unknown[][][]): string {
  const printer = printerFor(COLUMNS, { format, nullText: 'NULL' })
  return batches.map((batch) => printer.rows(batch)).join('') + printer.end()
}

t.test('a table: aligned, by what a terminal shows', async (t) => {
  const rows = [
    [1, 'a'],
    ['9007199254740993', null],
    [2, '日本'],
    [3, 'two\nlines\u001b[2J'],
    [4, { a: [1, null] }],
  ]
  t.equal(
    printed('table', rows.slice(0, 2), rows.slice(2)),
    [
      ' id               | text',
      '------------------+-------------------',
      '                1 | a',
      ' 9007199254740993 | NULL',
      '                2 | 日本',
      '                3 | two\\nlines\\x1b[2J',
      '                4 | {"a":[1,null]}',
      '',
    ].join('\n'),
  )
  t.equal(printed('table'), ' id | text\n----+------\n')
  t.same(['a', 'é', 'e\u0301', '日本', '👍', ''].map(displayWidth), [1, 1, 1, 4, 2, 0])
})

t.test('a table does not wait for the end of a long result', async (t) => {
  const printer = printerFor(COLUMNS, { format: 'table', nullText: '-' })
  t.equal(printer.rows(Array.from({ length: 999 }, () => [1, 'a'])), '')
  t.equal(printer.rows([[1, 'a']]).split('\n').length, 1003)
  t.equal(printer.rows([[1, null]]), '  1 | -\n')
  t.equal(printer.rows([[123, 'longer']]), ' 123 | longer\n')
  t.equal(printer.end(), '')
})

t.test('CSV is quoted where it must be, and NULL is not the empty text', async (t) => {
  const rows = [
    [1, 'a,b'],
    [2, 'say "x"'],
    [3, 'two\nlines'],
    [4, ''],
    [5, null],
    [6, ' blank'],
    [7, ['x']],
  ]
  t.equal(
    printed('csv', rows),
    'id,text\n1,"a,b"\n2,"say ""x"""\n3,"two\nlines"\n4,""\n5,\n6," blank"\n7,"[""x""]"\n',
  )
  t.equal(printed('csv'), 'id,text\n')
})

t.test('JSON is one document, with distinct names', async (t) => {
  t.same(JSON.parse(printed('json', [[1, 'a']], [], [['12', null]])), [
    { id: 1, text: 'a' },
    { id: '12', text: null },
  ])
  t.same(JSON.parse(printed('json')), [])
  const columns = ['a', 'a', 'a_2', 'a'].map((name) => ({ name, type: 'INT4' }))
  const printer = printerFor(columns, { format: 'json', nullText: '' })
  t.same(JSON.parse(printer.rows([[1, 2, 3, 4]]) + printer.end()), [
    { a: 1, a_3: 2, a_2: 3, a_4: 4 },
  ])
})

t.test('an error points to its place, whatever stands before it', async (t) => {
  const at = (line: number, column: number): QueryError =>
    new QueryError('user', 'bad', { place: { line, column } })
  t.equal(
    errorText(at(2, 4), 'select\n\t日本x', 10),
    'ERROR: bad\nLINE 11:  日本x\n              ^',
  )
  t.equal(errorText(at(1, 99), 'ab', 1), 'ERROR: bad\nLINE 1: ab\n          ^')
  t.equal(errorText(at(9, 1), 'ab', 1), 'ERROR: bad')
  t.equal(errorText(new Error('plain\none'), 'ab', 1), 'ERROR: plain?one')
  const [, shown = '', caret = ''] = errorText(at(1, 501), `${'x'.repeat(500)}Y`, 1).split('\n')
  t.ok(shown.length < 120)
  t.equal(shown[caret.indexOf('^')], 'Y')
})

t.test('settings of the shell: set, refused, back to the default', async (t) => {
  const settings = new Settings('csv')
  t.ok(settings.set('cli_null_char', '-'))
  t.ok(settings.set('ON_ERROR_STOP', 'off'))
  t.notOk(settings.set('TIMEZONE', 'UTC'))
  t.same(settings, { format: 'csv', nullText: '-', stopOnError: false })
  t.match(
    usageOf(() => settings.set('CLI_FORMAT', 'xml')),
    /one of table, csv, json/,
  )
  t.match(
    usageOf(() => settings.set('ON_ERROR_STOP', 'maybe')),
    /on or off/,
  )
  for (const name of settings.list().keys()) t.ok(settings.unset(name))
  t.same(settings, { format: 'table', nullText: 'NULL', stopOnError: true })
  t.same([0, 999, 1000, 172_000_000].map(byteText), ['0 B', '999 B', '1.0 kB', '172.0 MB'])
})

t.test('no password gets into the history, on whatever line it stands', async (t) => {
  const typed: readonly [string, string][] = [
    ['select password from users', 'select password from users'],
    ["create user ann password 'Hunter2';", "create user ann password '…'"],
    ['alter user ann', 'alter user ann'],
    ['password', 'password'],
    ["'Hunter2", "'…'"],
    ["more of Hunter2'", ''],
    ['; select 1;', ''],
  ]
  const reader = new StatementReader(split)
  for (const [line, kept] of typed) {
    const one = await keptLine(line, reader.begun)
    t.equal(one.trim(), kept, line)
    t.notMatch(one, /Hunter2/)
    await reader.feed(line.startsWith('select') ? `${line};` : line)
  }
})

t.test('the history: newest first, for its owner only, bounded, never in the way', async (t) => {
  const file = join(testdirOf(t), 'history')
  const history = new HistoryFile(file)
  t.same(history.load(), [])
  history.add('select 1')
  history.add('  ')
  history.add('two\nlines')
  t.same(new HistoryFile(file).load(), ['two lines', 'select 1'])
  t.equal(statSync(file).mode & 0o777, 0o600)
  const many = Array.from({ length: 2 * HISTORY_LINES + 1 }, (_, i) => `select ${i}`)
  writeFileSync(file, many.join('\n'), { mode: 0o644 })
  const kept = new HistoryFile(file).load()
  t.same([kept.length, kept[0]], [HISTORY_LINES, `select ${2 * HISTORY_LINES}`])
  t.equal(readFileSync(file, 'utf8').trim().split('\n').length, HISTORY_LINES)
  t.equal(statSync(file).mode & 0o777, 0o600)
  const nowhere = new HistoryFile('/dev/null/history')
  t.same(nowhere.load(), [])
  nowhere.add('x')
})

t.test('completion: commands, keywords as they are typed, and the catalog', async (t) => {
  let asked = 0
  const client = {
    session: { database: 'default' },
    databases: async () => {
      asked += 1
      return ['default', 'sales']
    },
    tablesAmong: async () => ({
      tables: [
        {
          name: 'orders',
          columns: [{ name: 'order_id' }, { name: 'price' }],
          partitionColumns: [{ name: 'day' }],
        },
      ],
      total: 1,
    }),
  } as unknown as TajoClient
  const completion = new Completion(client, systemClock)
  t.same(await completion.complete('\\ha'), [['\\haadmin'], '\\ha'])
  t.same(await completion.complete('\\c s'), [['sales'], 's'])
  t.same(await completion.complete('\\d o'), [['orders'], 'o'])
  t.same(await completion.complete('\\dfs o'), [[], 'o'])
  t.same(await completion.complete('SEL'), [['SELECT'], 'SEL'])
  t.same(await completion.complete('select * from or'), [
    ['or', 'order', 'order_id', 'orders'],
    'or',
  ])
  t.same(await completion.complete('select max(PRI'), [['price'], 'PRI'])
  t.same(await completion.complete('select * from sal'), [['sales.'], 'sal'])
  t.same((await completion.complete('select '))[1], '')
  t.equal(asked, 1, 'the catalog is remembered for a while')
  const broken = { ...client, databases: async () => Promise.reject(new Error('no master')) }
  const alone = new Completion(broken as unknown as TajoClient, systemClock)
  t.same(await alone.complete('drop ta'), [['table', 'tables'], 'ta'])
})

t.test(
  'a statement that waits for long says once why, and not when it waits no more',
  async (t) => {
    const clock = new HandClock()
    const said: string[] = []
    const terminal = {
      out: async () => {},
      err: (line: string) => void said.push(line),
      redraw: null,
    }
    type Workers = Awaited<ReturnType<TajoClient['workers']>>
    const after = async (ms: number, workers: unknown, closed = false): Promise<string[]> => {
      said.length = 0
      const asked = async () => (workers instanceof Error ? Promise.reject(workers) : workers)
      const client = { workers: asked as () => Promise<Workers> }
      const notice = new QueueNotice(client, terminal, clock)
      await clock.advance(ms)
      notice.queued()
      notice.queued()
      if (closed) notice.close()
      await new Promise(setImmediate)
      return said
    }
    const worker = { state: 'live', slots: 2 }
    t.same(await after(1999, []), [])
    t.same(await after(2000, []), ['tsql: waiting for a worker: none is registered'])
    t.same(await after(2000, [], true), [])
    t.same(await after(2000, new Error('no master')), [])
    t.match(await after(2000, [worker, worker]), [/: the 4 slots of the 2 registered are taken$/])
    t.match(await after(2000, [{ ...worker, state: 'silent' }]), [/: none of 1 is heard from$/])
  },
)

t.test('a statement that waits because its changes have to says so after a second', async (t) => {
  const clock = new HandClock()
  const said: string[] = []
  let trouble: string | null = 'changes wait'
  const client = { trouble: async () => trouble }
  const terminal = { err: (line: string) => void said.push(line) }
  const first = new TroubleNotice(client, terminal, clock)
  await clock.advance(1000)
  t.same(said, [])
  await clock.advance(200)
  t.same(said, ['tsql: changes wait'])
  await clock.advance(20_000)
  t.equal(said.length, 1, 'once')
  first.close()
  trouble = null
  const second = new TroubleNotice(client, terminal, clock)
  await clock.advance(3000)
  trouble = 'later'
  await clock.advance(5000)
  t.same(said.slice(1), ['tsql: later'])
  second.close()
})

t.test('\\dfs removes nothing outside the warehouse', async (t) => {
  const root = mkdtempSync(join(testdirOf(t), 'w-'))
  const warehouse = join(root, 'warehouse')
  let said = ''
  const terminal = {
    out: async (text: string) => {
      said += text
    },
    err: () => {},
    redraw: null,
  }
  const tableLocations = async () =>
    new Map([['default.sales', join(warehouse, 'default/sales-1')]])
  const run = async (line: string): Promise<string> => {
    said = ''
    await dfs(line.split(' '), { warehouse, terminal, tableLocations })
    return said
  }
  await run('-mkdir a/b')
  writeFileSync(join(warehouse, 'a/b/x'), 'hello')
  writeFileSync(join(root, 'outside'), 'x')
  t.match(await run('-ls a/b'), /5 B.*x\n$/s)
  t.equal(await run('-cat a/b/x'), 'hello')
  t.match(await run('-du a'), /^5 B/)
  for (const path of ['.', '..', '../outside', root, '/']) {
    await t.rejects(run(`-rm -r ${path}`), /not inside the warehouse/)
  }
  await t.rejects(run('-cat nothing'), /nothing: no such file/)
  await t.rejects(run('-chmod x'), /-ls \| -du/)
  await t.rejects(run('-rm'), /a path is missing/)
  await run('-mkdir default/sales-1/data-2')
  for (const path of ['default', 'default/sales-1', 'default/sales-1/data-2']) {
    await t.rejects(run(`-rm -r ${path}`), /holds files of table default.sales: DROP TABLE/)
  }
  await run('-rm -r a')
  await t.rejects(run('-ls a'), /no such file/)
})
