import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openFile } from '../../lib/catalog/derby/embedded-duckdb.ts'
import { EmbeddedStore } from '../../lib/catalog/derby/embedded-store.ts'
import { CatalogError } from '../../lib/catalog/errors.ts'
import { CatalogState, EMPTY } from '../../lib/catalog/state.ts'
import { parseDerby } from '../../lib/catalog/uri.ts'
import { closed, ended, start } from '../support/processes.ts'
import { until } from '../support/until.ts'
import {
  catalogSuite,
  codeOf,
  fileOf,
  kept,
  NEVER,
  newCatalog,
  outcomeOf,
  tableOf,
  transaction,
} from './catalog.ts'

const uriOf = (directory: string, more = ';create=true') => `jdbc:derby:${directory}${more}`

const suiteDirectory = t.testdir({})
catalogSuite(t, 'EmbeddedStore', () => new EmbeddedStore({ uri: uriOf(suiteDirectory) }), {
  exclusive: true,
})

async function refused(
  t: Test,
  call: Promise<unknown>,
  code: CatalogError['code'],
  ...parts: (string | RegExp)[]
) {
  const error = await call.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown as Error,
  )
  t.ok(error instanceof CatalogError && error.code === code, `${code}: ${error}`)
  for (const part of parts) t.match(error.message, part)
}

/** A process that opens the catalog, says so, and stays. */
const CHILD = `
  const { EmbeddedStore } = await import(process.argv[1])
  const store = new EmbeddedStore({ uri: process.argv[2], holder: 'localhost:26001' })
  await store.open(1, new AbortController().signal)
  console.log('open')
  setInterval(() => {}, 1000)
`
const MODULE = fileURLToPath(new URL('../../lib/catalog/derby/embedded-store.js', import.meta.url))

async function startHolder(t: Test, directory: string) {
  const words = ['--input-type=module', '-e', CHILD, MODULE, uriOf(directory)]
  const child = start([process.execPath, ...words])
  t.teardown(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const isOpen = (): boolean => said.includes('open')
  await until('the child has the catalog open', isOpen, { needs: [child] })
  return child
}

void t.test('more tables and files than are read at a time', async (t) => {
  const uri = uriOf(t.testdir({}))
  const p = [{ name: 'p', type: 'TEXT' }]
  const files = Array.from({ length: 10_001 }, (_, at) =>
    fileOf(`data-${at}/f`, { partition: [`${at % 3}`], rows: at % 2 === 0 ? null : at }),
  )
  const tables = Array.from({ length: 210 }, (_, at) =>
    tableOf(at + 1, { options: { at: `${at}` }, columns: [{ name: `c${at}`, type: 'INT4' }] }),
  )
  const large = tableOf(211, { files, partitionColumns: p })
  const first = newCatalog(new EmbeddedStore({ uri }))
  await first.open(1, NEVER)
  const data = { ...EMPTY, tables: [...tables, large], nextTableId: 212 }
  await first.transact(() => transaction([{ do: 'load', data }]))
  await first.close()
  const store = new EmbeddedStore({ uri })
  t.same(kept(await store.open(2, NEVER)).data, data)
  await store.close()
})

void t.test('a second process is refused by name, and a crash blocks nobody', async (t) => {
  const directory = join(t.testdir({}), 'not', 'yet')
  const holder = await startHolder(t, directory)
  const second = new EmbeddedStore({ uri: uriOf(directory) })
  const pid = readdirSync(directory).includes('tajo-catalog.guard')
    ? JSON.parse(readFileSync(join(directory, 'tajo-catalog.guard'), 'utf8')).process.pid
    : 0
  await refused(
    t,
    second.open(2, NEVER),
    'IN_USE',
    `localhost:26001 on host ${hostname()}, pid ${pid}, since 20`,
    /SharedStore, PostgreSQLStore or MariaDBStore/,
  )
  await refused(t, second.readOnly(), 'IN_USE')
  process.kill(pid, 'SIGKILL')
  await ended(holder)
  t.equal(kept(await second.open(2, NEVER)).data.databases.length, 1)
  // In this process too.
  await refused(t, new EmbeddedStore({ uri: uriOf(directory) }).open(3, NEVER), 'IN_USE')
  await second.close()
  t.strictSame(
    readdirSync(directory).sort(),
    ['tajo-catalog.duckdb', 'tajo-catalog.made'],
    'nothing else is left',
  )
})

/** Writes one outcome after the other and says the number of each that was acknowledged. */
const WRITER = `
  const [url, uri] = process.argv.slice(1)
  const { EmbeddedStore } = await import(url)
  const { Draft } = await import(new URL('../apply.js', 'file://' + url))
  const store = new EmbeddedStore({ uri })
  const { state } = await store.open(1, new AbortController().signal)
  const draft = Draft.of(state)
  for (let i = 1; ; i++) {
    const outcome = { queryId: 'q' + i, state: 'done', message: '', rows: 1, atMs: 1 }
    const transaction = { by: 'test', atMs: 1, changes: [], outcome }
    draft.apply(transaction)
    const { state: after, delta } = draft.seal()
    await store.append({ firstSeq: i, transactions: [transaction], delta, after })
    process.stdout.write(i + '\\n')
  }
`

void t.test('a process killed while it writes has kept what it acknowledged, once', async (t) => {
  const directory = t.testdir({})
  const words = ['--input-type=module', '-e', WRITER, MODULE, uriOf(directory)]
  const child = start([process.execPath, ...words])
  t.teardown(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const hasWritten = (): boolean => said.split('\n').length > 20
  await until('it has written a while', hasWritten, { needs: [child] })
  child.kill('SIGKILL')
  await closed(child)
  const acknowledged = Number(said.trimEnd().split('\n').at(-1))
  const store = new EmbeddedStore({ uri: uriOf(directory) })
  const { data, seq } = kept(await store.open(1, NEVER))
  t.ok(seq >= acknowledged, `${seq} are kept, ${acknowledged} were acknowledged`)
  t.strictSame(
    data.outcomes.map(({ queryId }) => queryId),
    Array.from({ length: seq }, (_, i) => `q${i + 1}`),
  )
  await store.close()
})

void t.test('what stands in the directory', async (t) => {
  const derby = t.testdir({ derby: { 'service.properties': '', 'db.lck': '', seg0: {}, log: {} } })
  const directory = join(derby, 'derby')
  const store = new EmbeddedStore({ uri: uriOf(directory) })
  await refused(t, store.open(1, NEVER), 'BAD_STORE', /Apache Derby \(service\.properties, db\.lck/)
  t.strictSame(readdirSync(directory).sort(), ['db.lck', 'log', 'seg0', 'service.properties'])

  const missing = join(derby, 'missing')
  const noCreate = new EmbeddedStore({ uri: uriOf(missing, '') })
  await refused(t, noCreate.open(1, NEVER), 'BAD_STORE', /create=true/)
  const looked = await new EmbeddedStore({ uri: uriOf(missing) }).readOnly()
  t.strictSame(looked, { data: EMPTY, term: 0 })
  t.strictSame(readdirSync(derby), ['derby'], 'looking makes nothing')

  const systemDirectory = join(derby, 'mountpoint', 'system')
  const unmounted = { uri: uriOf(join(systemDirectory, 'derby')), systemDirectory }
  await refused(t, new EmbeddedStore(unmounted).open(1, NEVER), 'UNAVAILABLE', /can't make the/)
  t.strictSame(readdirSync(derby), ['derby'], 'nothing on the disk below a mount that is gone')

  const broken = join(derby, 'broken')
  mkdirSync(broken)
  writeFileSync(join(broken, 'tajo-catalog.duckdb'), 'no database'.repeat(1000))
  await refused(t, new EmbeddedStore({ uri: uriOf(broken) }).open(1, NEVER), 'CORRUPT')
  t.strictSame(readdirSync(broken), ['tajo-catalog.duckdb'], 'the guard is given back')

  const file = new EmbeddedStore({ uri: uriOf(join(broken, 'tajo-catalog.duckdb')) })
  await refused(t, file.open(1, NEVER), 'BAD_STORE', /tajo-catalog\.duckdb/)
})

void t.test(
  'a file with tables of version 1 is read as it is, and brought up by a term',
  async (t) => {
    const directory = join(t.testdir({}), 'old')
    const store = new EmbeddedStore({ uri: uriOf(directory) })
    await store.open(1, NEVER)
    await store.close()
    const file = await openFile(parseDerby(uriOf(directory)).file)
    const connection = await file.connect()
    await connection.query('ALTER TABLE catalog_outcomes DROP COLUMN failure_kind')
    await connection.query('ALTER TABLE catalog_tables DROP COLUMN content_version')
    await connection.query('ALTER TABLE catalog_term DROP COLUMN cluster_id')
    await connection.query("INSERT INTO catalog_outcomes VALUES (2, 'q', 'failed', 'x', NULL, 1)")
    await connection.query('DELETE FROM catalog_schema WHERE version > 1')
    await file.close()
    const outcomes = [{ queryId: 'q', state: 'failed', message: 'x', rows: null, atMs: 1 }]
    t.strictSame(await store.readOnly(), { data: { ...EMPTY, outcomes }, term: 1 })
    t.strictSame(kept(await store.open(2, NEVER)).data, { ...EMPTY, outcomes })
    await store.close()
    t.strictSame(kept(await store.open(3, NEVER)).data, { ...EMPTY, outcomes }, 'and once only')
    await store.close()
  },
)

void t.test('URIs', async (t) => {
  t.match(parseDerby('jdbc:derby:/a/b;user=x;create=TRUE'), { directory: '/a/b', create: true })
  t.match(parseDerby('jdbc:derby:directory:/a'), { directory: '/a', create: false })
  for (const uri of ['jdbc:derby:', 'jdbc:derby://host:1527/x', 'jdbc:derby:memory:x', '/a', '']) {
    t.throws(() => parseDerby(uri), { code: 'BAD_STORE', message: /jdbc:derby:DIRECTORY/ }, uri)
  }
})

const DATABASE = (name: string) => () =>
  transaction([{ do: 'create-database', name, createdAt: '' }], outcomeOf(name))

void t.test('files that are removed under it: nothing acknowledged is lost', async (t) => {
  const file = 'tajo-catalog.duckdb'
  for (const gone of [[file], [`${file}.wal`], [file, `${file}.wal`, 'tajo-catalog.made']]) {
    const directory = t.testdir({})
    const given: string[] = []
    const onGone = (why: string): void => void given.push(why)
    const catalog = newCatalog(new EmbeddedStore({ uri: uriOf(directory) }), { onGone })
    await catalog.open(1, NEVER)
    await catalog.transact(DATABASE('a'))
    for (const name of gone) rmSync(join(directory, name))
    const isGone = gone.includes(file)
    if (isGone) {
      t.equal(await codeOf(catalog.transact(DATABASE('b'))), 'NOT_ACTIVE', 'not acknowledged')
      await until('the term is given up', () => given.length === 1)
      t.match(given[0], /tajo-catalog.duckdb is gone: somebody has removed it/)
    } else await catalog.transact(DATABASE('b'))
    await catalog.close()
    const next = newCatalog(new EmbeddedStore({ uri: uriOf(directory) }))
    await next.open(2, NEVER)
    t.same(next.state().databaseNames().sort(), isGone ? ['a', 'default'] : ['a', 'b', 'default'])
    await next.close()
  }
})

void t.test(
  'files that are cut off or replaced under it: nothing acknowledged is lost',
  async (t) => {
    const name = 'tajo-catalog.duckdb'
    const empty = join(t.testdir({}), name)
    await (await openFile(empty)).close()
    type Harm = (file: string, wal: string) => void
    const cases: [string, Harm, RegExp | null][] = [
      [
        'cut to nothing',
        (file) => truncateSync(file),
        /has 0 bytes of \d+: somebody has cut it off/,
      ],
      ['half', (file) => truncateSync(file, statSync(file).size / 2), /somebody has cut it off/],
      [
        'another file renamed over it',
        (file) => {
          copyFileSync(empty, `${file}.new`)
          renameSync(`${file}.new`, file)
        },
        /is another file: somebody has replaced it/,
      ],
      [
        'other contents, no shorter',
        (file) => {
          const { size } = statSync(file)
          copyFileSync(empty, file)
          truncateSync(file, size)
        },
        /somebody has replaced them/,
      ],
      ['a directory', (file) => [rmSync(file), mkdirSync(file)], /is gone/],
      ['the log cut to nothing', (_, wal) => truncateSync(wal), null],
      ['the log cut in half', (_, wal) => truncateSync(wal, statSync(wal).size / 2), null],
      [
        'another log',
        (_, wal) => {
          const { size } = statSync(wal)
          rmSync(wal)
          writeFileSync(wal, 'x'.repeat(size + 10_000))
        },
        null,
      ],
    ]
    for (const [what, harm, expected] of cases) {
      for (const how of ['a change', 'a look', 'kill -9 after a change']) {
        await t.test(`${what}, ${how}`, async (t) => {
          const directory = t.testdir({})
          const file = join(directory, name)
          const before = newCatalog(new EmbeddedStore({ uri: uriOf(directory) }))
          await before.open(1, NEVER)
          await before.transact(DATABASE('a'))
          await before.close()
          const given: string[] = []
          const onGone = (why: string): void => void given.push(why)
          const catalog = newCatalog(new EmbeddedStore({ uri: uriOf(directory) }), { onGone })
          await catalog.open(2, NEVER)
          await catalog.transact(DATABASE('b'))
          await catalog.prove()
          harm(file, `${file}.wal`)
          const isLost = expected !== null
          if (how === 'a look') await catalog.prove()
          else if (isLost) t.equal(await codeOf(catalog.transact(DATABASE('c'))), 'NOT_ACTIVE')
          else await catalog.transact(DATABASE('c'))
          if (isLost) {
            await until('the term is given up', () => given.length === 1)
            t.match(given[0], expected)
          } else t.same(given, [])
          let after = directory
          if (how === 'kill -9 after a change') {
            // As the disk has it, without the order that closing would make.
            after = join(t.testdirName, 'copy')
            mkdirSync(after)
            for (const one of readdirSync(directory)) {
              if (/duckdb(\.wal)?$/.test(one)) copyFileSync(join(directory, one), join(after, one))
            }
          }
          await catalog.close()
          const next = newCatalog(new EmbeddedStore({ uri: uriOf(after) }))
          await next.open(3, NEVER)
          const kept =
            isLost || how === 'a look' ? ['a', 'b', 'default'] : ['a', 'b', 'c', 'default']
          t.same(next.state().databaseNames().sort(), kept)
          await next.close()
          const aside = readdirSync(directory).filter((one) => one.includes('.damaged-1'))
          t.equal(aside.includes(`${name}.damaged-1`), isLost, 'what is damaged is kept')
        })
      }
    }
  },
)

void t.test('a damaged file is moved aside by whoever loads a catalog in its place', async (t) => {
  const directory = t.testdir({ 'tajo-catalog.duckdb': 'no database'.repeat(1000) })
  const store = new EmbeddedStore({ uri: uriOf(directory) })
  await refused(t, store.open(1, NEVER), 'CORRUPT')
  await store.replace(1, CatalogState.from(EMPTY))
  await store.open(2, NEVER)
  await store.close()
  t.match(readFileSync(join(directory, 'tajo-catalog.duckdb.damaged-1'), 'utf8'), /^no database/)
})

void t.test('a catalog that is gone at the start is no first start', async (t) => {
  const directory = t.testdir({})
  const store = () => new EmbeddedStore({ uri: uriOf(directory) })
  const catalog = newCatalog(store())
  await catalog.open(1, NEVER)
  await catalog.transact(DATABASE('a'))
  const state = catalog.state()
  await catalog.close()
  rmSync(join(directory, 'tajo-catalog.duckdb'))
  await refused(t, store().open(2, NEVER), 'CORRUPT', /is gone, though a catalog was made there/)
  await refused(t, store().readOnly(), 'CORRUPT', /tajo catalog load FILE --force/)
  const anew = store()
  await anew.replace(2, state)
  await anew.close()
  const { data } = kept(await store().open(3, NEVER))
  t.same(data.databases.map(({ name }) => name).sort(), ['a', 'default'])
})

void t.test('what the history of terms knows to have served must be there', async (t) => {
  const directory = join(t.testdir({}), 'catalog')
  let newest = 0
  const asked: string[] = []
  const storeOf = (): EmbeddedStore =>
    new EmbeddedStore({
      uri: uriOf(directory),
      keeping: {
        served: async (upTo, name) => {
          asked.push(`${upTo} ${name}`)
          const by = `the history says that term ${newest} has served with it`
          const begun = newest === 0 ? null : { term: newest, part: null, by }
          return { begun, recorded: newest > 0 }
        },
      },
    })
  const store = storeOf()
  newest = 3
  await refused(t, store.open(4, NEVER), 'CORRUPT', /its database is gone, and the history says/)
  newest = 0
  await store.open(4, NEVER)
  await store.close()
  t.same(asked.at(-1), `4 ${join(directory, 'tajo-catalog.duckdb')}`)

  newest = 4
  await store.open(5, NEVER)
  await store.close()
  newest = 7
  await t.test('older than what has served', async (t) => {
    await refused(
      t,
      store.open(8, NEVER),
      'CORRUPT',
      'it is of term 5: an older state was brought back, and the history says that term 7 has',
      /tajo catalog dump FILE.*tajo catalog load FILE --force/,
    )
  })
  await store.close()
  t.match(JSON.parse(await store.replace(8, CatalogState.from(EMPTY))), {
    store: join(directory, 'tajo-catalog.duckdb'),
  })
  await store.close()
  newest = 8
  await store.open(9, NEVER)
  await store.close()
})

void t.test('a database without tables, where a catalog was made, is no first start', async (t) => {
  const directory = t.testdir({})
  const store = () => new EmbeddedStore({ uri: uriOf(directory) })
  const catalog = newCatalog(store())
  await catalog.open(1, NEVER)
  const state = catalog.state()
  await catalog.close()
  const file = join(directory, 'tajo-catalog.duckdb')
  rmSync(file)
  await (await openFile(file)).close()
  const bare = store()
  await refused(t, bare.open(2, NEVER), 'CORRUPT', /its tables are gone, and .*\.made/)
  await bare.close()
  const anew = store()
  await anew.replace(2, state)
  await anew.close()
  const again = store()
  await again.open(3, NEVER)
  await again.close()
})
