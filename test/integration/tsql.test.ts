/** tsql as a program: what scripts rely on, and a person at a terminal. The cluster is scripted (fake-queries.ts). */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type FakeCluster,
  type FakeMaster,
  fakeCluster,
  fakeWorker,
  type Say,
} from '../support/fake-queries.ts'
import { HOME, makeConf } from '../support/install.ts'
import { closed, start } from '../support/processes.ts'
import { type Ran, run } from '../support/run.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

/** What tsql remembers of these clusters, which are called alike in each run, is nobody else's. */
const home = mkdtempSync(join(tmpdir(), 'tajo-tsql-'))
process.env.HOME = home
t.teardown(() => rmSync(home, { recursive: true, force: true }))

const TSQL = [process.execPath, join(HOME, 'bin/tsql')]
const ROWS = 5000

interface World {
  readonly cluster: FakeCluster
  readonly master: FakeMaster
  readonly conf: string
  readonly dir: string
  tsql(words: readonly string[], input?: string): Promise<Ran>
}

/** `select`s give ROWS rows, `bad` ones fail, `slow` ones never end, others are changes. */
async function world(t: Test): Promise<World> {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const say: Say = (response) => {
    const columns = [
      { name: 'id', type: 'INT4' },
      { name: 'name', type: 'TEXT' },
    ]
    response.write(`${JSON.stringify({ columns })}\n`)
    for (let from = 0; from < ROWS; from += 1000) {
      const rows = Array.from({ length: 1000 }, (_, i) => [from + i, i === 0 ? null : `n${i}`])
      response.write(`${JSON.stringify({ rows })}\n`)
    }
    response.end(`${JSON.stringify({ end: { rows: ROWS } })}\n`)
  }
  const worker = await fakeWorker(t, say)
  cluster.script = ({ sql, session }) => {
    if (sql.startsWith('queued')) return { kind: 'select', state: 'queued' }
    if (sql.startsWith('slow')) return { state: 'running', progress: 0.5 }
    if (sql.startsWith('select')) {
      return { kind: 'select', state: 'running', worker: worker.address }
    }
    if (sql.startsWith('SET')) return { session: { ...session, variables: { zone: 'UTC' } } }
    if (!sql.startsWith('bad')) return { message: `DONE ${sql}`, rows: 1 }
    const place = { line: sql.split('\n').length, column: 5 }
    return { state: 'failed', error: { kind: 'user', message: 'it is bad', place } }
  }
  cluster.tables = { default: [], sales: [] }
  const dir = testdirOf(t)
  const site = {
    'tajo.master.client-rpc.address': master.client,
    'tajo.catalog.client-rpc.address': master.catalog,
  }
  const conf = makeConf(dir, { masters: 'localhost\n', site })
  const env = { HOME: dir, USER: 'me' }
  const tsql = (words: readonly string[], input?: string): Promise<Ran> =>
    run([...TSQL, '--config', conf, ...words], { env, ...(input === undefined ? {} : { input }) })
  return { cluster, master, conf, dir, tsql }
}

t.test('-c: the result on stdout, nothing else; exit codes', async (t) => {
  const { tsql, cluster, master } = await world(t)
  const csv = await tsql(['-c', 'select 1', '--format', 'csv', 'sales'])
  t.same([csv.code, csv.stderr], [0, ''])
  t.equal(csv.stdout.split('\n').length, ROWS + 2)
  t.match(cluster.submitted[0]?.session, { database: 'sales', user: 'me' })

  const json = await tsql(['-c', 'select 1', '--json'])
  t.match(JSON.parse(json.stdout), { length: ROWS, 1: { id: 1, name: 'n1' } })

  const [host = '', port = ''] = master.client.split(':')
  const table = await tsql(['-h', host, '-p', port, '-c', 'select 1;'])
  t.match(table.stdout, /^ id {2}\| name\n-+\+-+\n {3}0 \| NULL\n {3}1 \| n1\n/)
  t.match(table.stdout, /\n\(5000 rows, \d+\.\d{3} sec, 3\d\.\d kB selected\)\n\n$/)

  const failed = await tsql(['-c', 'a; bad one; c'])
  t.same([failed.code, failed.stderr], [1, 'ERROR: it is bad\nLINE 1: bad one\n            ^\n'])
  t.match(failed.stdout, /^DONE a \(\d+\.\d+ sec\)\n$/)
  const lenient = await tsql(['-f', '-'], '\\set ON_ERROR_STOP off\nbad;\nb;')
  t.equal(lenient.code, 1)
  t.match(lenient.stdout, /DONE b/)

  const commented = await tsql(['-c', '-- only this one\nselect 1', '--format', 'csv'])
  t.same([commented.code, commented.stdout], [0, csv.stdout])

  const asked = cluster.submitted.length
  const nowhere = await tsql(['nodb', '-c', 'select 1'])
  t.same([nowhere.code, nowhere.stdout], [1, ''])
  t.equal(nowhere.stderr, 'ERROR: database "nodb" does not exist\n')
  t.equal(cluster.submitted.length, asked)
  t.match(await tsql(['SALES', '-p', '1', '-c', 'a']), { code: 3, stdout: '' })
  t.match(await tsql(['SALES', '-c', 'a']), { code: 0 })
  t.match(cluster.submitted.at(-1)?.session, { database: 'sales' })

  t.match(await tsql(['-x']), { code: 2, stdout: '', stderr: /does not know '-x'/ })
  t.match(await tsql(['--help']), { code: 0, stdout: /Exit codes: 0 all done/ })
  const nobody = await tsql(['-p', '1', '-c', 'a'])
  t.match(nobody, {
    code: 3,
    stderr: /no active master answered[^(]*\(\S+ can't be reached: connection refused/,
  })
})

t.test('-f and pipes: parameters, meta commands, lines of errors', async (t) => {
  const { tsql, dir, cluster } = await world(t)
  const file = join(dir, 'x.sql')
  writeFileSync(file, `-- all of it\n\\c sales\ninsert '\${a};'\n  into t;\n\nbad\n  thing;\n`)
  const ran = await tsql(['-f', file, '-param', 'a=1'])
  t.equal(ran.code, 1)
  t.match(ran.stdout, /^You are now connected to database "sales" as user "me"\.\nDONE insert/)
  t.equal(ran.stderr, 'ERROR: it is bad\nLINE 7:   thing\n            ^\n')
  t.match(cluster.submitted[0], { sql: "insert '1;'\n  into t", session: { database: 'sales' } })
  const piped = await tsql([], '\\set zone UTC\n\\set\n\\l\n\\nope')
  t.equal(piped.code, 1)
  t.match(piped.stdout, /'CURRENT_DATABASE'='default'\n'zone'='UTC'\ndefault\nsales\n/)
  t.match(piped.stderr, /unknown command \\nope/)
  t.match(await tsql(['-c', '\\! exit 3']), { code: 1, stderr: /exit code 3/ })
})

t.test('whoever waits for a worker is told so', async (t) => {
  const { conf } = await world(t)
  const child = start([...TSQL, '--config', conf, '-c', 'queued'])
  const said = gather(child)
  await until('it is told', () => said.text !== '')
  t.equal(said.text, 'tsql: waiting for a worker: none is registered\n')
  child.kill('SIGINT')
  t.same(await closed(child), [130, null])
})

t.test('Ctrl-C ends the query in the cluster, and a script with it', async (t) => {
  const { conf, cluster } = await world(t)
  const child = start([...TSQL, '--config', conf, '-c', 'slow a; b'])
  const said = gather(child)
  await until('it runs', () => cluster.submitted.length === 1)
  child.kill('SIGINT')
  t.same(await closed(child), [130, null])
  t.equal(said.text, 'ERROR: the query was cancelled\n')
  t.same(cluster.killed, [cluster.submitted[0]?.queryId])
  t.equal(cluster.submitted.length, 1)
})

t.test('a reader that has seen enough ends it without a word', async (t) => {
  const { conf } = await world(t)
  const words = [...TSQL, '--config', conf, '-c', "'select 1'"].join(' ')
  const ran = await run(['bash', '-c', `${words} | head -1; echo \${PIPESTATUS[0]}`])
  t.match(ran, { stdout: /^ id {2}\| name\n0\n$/, stderr: '' })
})

function gather(child: ChildProcessWithoutNullStreams): { text: string } {
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said.text += text
    })
  }
  return said
}

t.test('at a terminal: statements over lines, Ctrl-C, completion, history', async (t) => {
  const { conf, dir, cluster } = await world(t)
  // Without exec a shell without job control gets the Ctrl-C as well, and some end with its code after all.
  const line = ['exec', ...TSQL, '--config', conf].join(' ')
  const child = start(['script', '-qefc', line, '/dev/null'], {
    env: { HOME: dir, TERM: 'xterm', USER: 'me', SHELL: '/bin/sh' },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said = gather(child)
  const after = async (keys: string, expected: RegExp): Promise<void> => {
    said.text = ''
    child.stdin.write(keys)
    await until(`${JSON.stringify(keys)} is followed by ${expected}`, () => {
      if (expected.test(said.text)) return true
      throw new Error(`so far: ${JSON.stringify(said.text)}`)
    })
  }
  await after('', /default> /)
  await after('first\r', /-> /)
  await after('line;\r', /DONE first\?line.*default> /s)
  await after('half\r', /-> /)
  await after('\u0003', /\^C.*default> /s)
  await after('slow one;\r', /\[#+\.+\] 50%/)
  await after('\u0003', /the query was cancelled.*default> /s)
  await until('the cluster is told', () => cluster.killed.length > 0)
  t.same(cluster.killed, [cluster.submitted[1]?.queryId])
  await after('\\c sa', /sa/)
  await after('\t', /les/)
  await after('\r', /now connected to database "sales".*sales> /s)
  await after('bad;\r', /LINE 1: bad.*sales> /s)
  await after('\\! echo $((6*7))\r', /42.*sales> /s)
  child.stdin.write('\u0004')
  t.same(await closed(child), [0, null])
  const history = readFileSync(join(dir, '.tsql_history'), 'utf8').split('\n')
  t.match(history, [
    'first',
    'line;',
    'half',
    'slow one;',
    '\\c sales',
    'bad;',
    '\\! echo $((6*7))',
  ])
})
