/**
 * What is special to the stores in databases, on real servers: crashes and restarts of the server, replies that are
 * lost, predecessors that are frozen or still write, servers that say no.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection } from 'mariadb'
import pg from 'pg'
import t, { type Test } from 'tap'
import { Draft } from '../../lib/catalog/apply.ts'
import type { Binding } from '../../lib/catalog/binding.ts'
import { MariadbStore } from '../../lib/catalog/database/mariadb-store.ts'
import { PostgresStore } from '../../lib/catalog/database/postgres-store.ts'
import type { SqlTimeouts } from '../../lib/catalog/database/sql-connection.ts'
import type { SqlKeeping } from '../../lib/catalog/database/sql-store.ts'
import { CatalogError } from '../../lib/catalog/errors.ts'
import type { Change, PlainTable, Transaction } from '../../lib/catalog/model.ts'
import { Memory } from '../../lib/catalog/shared/memory.ts'
import { CatalogState, EMPTY } from '../../lib/catalog/state.ts'
import type { ReadableStore } from '../../lib/catalog/store.ts'
import { CutProxy } from '../support/cut-proxy.ts'
import type { DatabaseServer } from '../support/database-server.ts'
import { startMariadb } from '../support/mariadb.ts'
import { pacedMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { startPostgres } from '../support/postgres.ts'
import { randomOf } from '../support/random.ts'
import { RandomChanges } from '../support/random-changes.ts'
import { until } from '../support/until.ts'
import { catalogSuite, kept, sorted } from './catalog.ts'

interface Login {
  readonly user: string
  readonly password: string
}

interface Kind {
  readonly name: 'postgres' | 'mariadb'
  start(t: Test): Promise<DatabaseServer>
  store(uri: string, server: Login, timeouts?: SqlTimeouts, keeping?: SqlKeeping): ReadableStore
  /** As somebody's hand in the database. */
  run(server: DatabaseServer, database: string, statements: readonly string[]): Promise<void>
}

/** For what is expected to hang. */
const IMPATIENT: SqlTimeouts = { connectMs: pacedMs(1500), statementMs: pacedMs(1500) }
const KINDS: readonly Kind[] = [
  {
    name: 'postgres',
    start: startPostgres,
    store: (uri, login, timeouts, keeping) =>
      new PostgresStore({ uri, ...login }, timeouts, keeping),
    async run({ port, user, password }, database, statements) {
      const client = new pg.Client({ host: '127.0.0.1', port, user, password, database })
      await client.connect()
      for (const sql of statements) await client.query(sql)
      await client.end()
    },
  },
  {
    name: 'mariadb',
    start: startMariadb,
    store: (uri, login, timeouts, keeping) =>
      new MariadbStore({ uri, ...login }, timeouts, keeping),
    async run({ port, user, password }, database, statements) {
      const at = { host: '127.0.0.1', port, user, password, database }
      const client = await createConnection(at)
      for (const sql of statements) await client.query(sql)
      await client.end()
    },
  },
]

/** A signal for each, as each term has its own: Node warns of many listeners on one. */
const never = (): AbortSignal => new AbortController().signal

/** What `Catalog` does with a store, one transaction at a time and without its patience. */
class Writer {
  readonly store: ReadableStore
  draft = Draft.of(CatalogState.from(EMPTY))
  seq = 0

  constructor(store: ReadableStore) {
    this.store = store
  }

  async open(term: number): Promise<this> {
    const { data, seq } = kept(await this.store.open(term, never()))
    this.draft = Draft.of(CatalogState.from(data))
    this.seq = seq
    return this
  }

  write(changes: readonly Change[], queryId: string | null = null): Promise<void> {
    return this.append(transaction(changes, queryId))
  }

  async append(one: Transaction): Promise<void> {
    this.draft.apply(one)
    const { state, delta } = this.draft.seal()
    await this.store.append({ firstSeq: this.seq + 1, transactions: [one], delta, after: state })
    this.seq++
  }

  outcomes(): string[] {
    return this.draft.toData().outcomes.map(({ queryId }) => queryId)
  }
}

const transaction = (changes: readonly Change[], queryId: string | null): Transaction => ({
  by: 'test',
  atMs: 1_700_000_000_000,
  changes,
  outcome:
    queryId === null
      ? null
      : { queryId, state: 'done', message: 'INSERT 1', rows: 1, atMs: 1_700_000_000_000 },
})

const table = (id: number, more: Partial<PlainTable> = {}): PlainTable => ({
  id,
  database: 'default',
  name: `t${id}`,
  kind: 'managed',
  format: 'PARQUET',
  options: { 'text.null': '\\N' },
  columns: [{ name: 'a', type: 'INT4' }],
  partitionColumns: [],
  location: `/warehouse/default/t${id}`,
  wholeDirectory: false,
  files: [],
  schemaVersion: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  ...more,
})
const created = (id: number, more: Partial<PlainTable> = {}): Change[] => [
  { do: 'create-table', table: table(id, more) },
]
const written = (tableId: number, path: string, rows = 1): Change => ({
  do: 'write',
  tableId,
  schemaVersion: 1,
  mode: 'append',
  files: [{ path, rows, bytes: 10, partition: [] }],
})

const code = (expected: CatalogError['code']) => (error: unknown) =>
  error instanceof CatalogError && error.code === expected

async function rejects(
  t: Test,
  promise: Promise<unknown>,
  expected: CatalogError['code'],
  what: string,
) {
  try {
    await promise
  } catch (error) {
    t.ok(code(expected)(error), `${what}: ${expected}, was: ${error}`)
    return error as CatalogError
  }
  t.fail(`${what}: did not reject`)
  return new CatalogError(expected, '')
}

/** Opens again under the same term until the server is back, as `Catalog` does. */
const reopened = (writer: Writer, term: number): Promise<Writer> =>
  until('the store opens again', () => writer.open(term), { everyMs: 50 })

/** And no READ COMMITTED. */
const COMMIT = /COMMIT(?!TED)/

let databases = 0

for (const kind of KINDS) {
  void t.test(kind.name, async (t) => {
    if (!hasParts(t, kind.name)) return
    const server = await kind.start(t)
    const fresh = () => `catalog_${++databases}?createDatabaseIfNotExist=true`
    const login = { user: server.user, password: server.password }
    const openStore = (
      rest: string,
      port?: number,
      timeouts?: SqlTimeouts,
      keeping?: SqlKeeping,
    ) => {
      const store = kind.store(server.uri(rest, port), login, timeouts, keeping)
      t.teardown(() => store.close())
      return new Writer(store)
    }

    const suiteUri = server.uri(fresh())
    await t.test('the contract of all stores', async (t) => {
      catalogSuite(t, kind.name, () => kind.store(suiteUri, login))
    })

    await t.test('what is written is read back, by a higher term and in a dump', async (t) => {
      const rest = fresh()
      const one = await openStore(rest).open(1)
      const odd = [
        'x\0y',
        'half \ud800 pair',
        '\' " \\ ` ; -- \n',
        'ünïcödé 🦆',
        ' ',
        'a ',
        'A',
        'a',
      ]
      await one.write(odd.map((name) => ({ do: 'create-database', name, createdAt: 'now' })))
      await one.write(created(1, { options: { big: 'é'.repeat(600_000), '': '' } }), 'q-1')
      const files = Array.from({ length: 2_000 }, (_, i) => ({
        path: `data-1/part-${i}`,
        rows: i % 2 === 0 ? i : null,
        bytes: i,
        partition: ['x', null],
      }))
      await one.write(
        created(2, {
          files,
          partitionColumns: [
            { name: 'p', type: 'TEXT' },
            { name: 'q', type: 'TEXT' },
          ],
        }),
      )
      await one.write([
        { do: 'publish', publication: { queryId: 'q-2', staging: '/s', location: '/l' } },
        { do: 'add-litter', paths: ['/a', '/a ', '/A'] },
      ])
      await one.write([{ do: 'litter-removed', paths: ['/a'] }])
      const want = one.draft.toData()
      t.strictSame((await one.store.readOnly()).data, want, 'dumped while it is open')
      const two = openStore(rest)
      t.strictSame(kept(await two.store.open(2, never())).data, want, 'taken over')
      t.equal((await two.store.readOnly()).term, 2)
      await two.open(2)
      await two.write([
        {
          do: 'write',
          tableId: 2,
          schemaVersion: 1,
          mode: 'overwrite-partitions',
          files: files.slice(0, 1),
        },
        { do: 'rename-column', tableId: 1, from: 'a', to: 'b' },
        { do: 'drop-database', name: 'a ' },
      ])
      await two.write([{ do: 'drop-table', tableId: 1, litter: ['/warehouse/default/t1'] }])
      t.strictSame(
        (await two.store.readOnly()).data,
        two.draft.toData(),
        'after overwrite and drop',
      )
    })

    await t.test(
      'tables of version 1 are read as they are, and brought up by a term',
      async (t) => {
        const rest = fresh()
        const database = rest.split('?')[0] ?? ''
        const old = await openStore(rest).open(1)
        await old.write(created(1), 'q-1')
        await old.store.close()
        await kind.run(server, database, [
          'ALTER TABLE catalog_outcomes DROP COLUMN failure_kind',
          'ALTER TABLE catalog_tables DROP COLUMN content_version',
          'ALTER TABLE catalog_term DROP COLUMN cluster_id',
          'ALTER TABLE catalog_term DROP COLUMN change_no',
          'ALTER TABLE catalog_term DROP COLUMN mark',
          'ALTER TABLE catalog_litter DROP COLUMN joined_ms',
          'ALTER TABLE catalog_tables DROP COLUMN owner',
          'DROP TABLE catalog_users',
          'DROP TABLE catalog_changes',
          'DELETE FROM catalog_schema WHERE version > 1',
        ])
        const want = old.draft.toData()
        const looker = openStore(rest).store
        t.strictSame(await looker.readOnly(), { data: want, term: 1 }, 'for a dump')
        t.strictSame(await looker.origin?.(), { clusterId: null, term: 1 }, 'it is nobody’s')
        const failed = (queryId: string): Transaction => ({
          ...transaction([], queryId),
          outcome: { queryId, state: 'failed', message: 'x', rows: null, kind: 'lost', atMs: 1 },
        })
        const fresher = await openStore(rest).open(2)
        t.strictSame(fresher.draft.toData(), want, 'for a term')
        await fresher.append(failed('q-2'))
        t.strictSame((await looker.readOnly()).data, fresher.draft.toData())
        t.equal(fresher.draft.toData().outcomes.at(-1)?.kind, 'lost')
        // As MariaDB leaves it when it is cut off right after the ALTER.
        await kind.run(server, database, ['DELETE FROM catalog_schema WHERE version > 1'])
        t.strictSame((await openStore(rest).open(3)).draft.toData(), fresher.draft.toData())
      },
    )

    await t.test('a database is one cluster’s, and no other’s', async (t) => {
      const rest = fresh()
      const of = (binding: Binding) => openStore(rest, undefined, undefined, { binding })
      const looker = openStore(rest).store
      t.strictSame(await looker.origin?.(), { clusterId: null, term: 0 }, 'not made by looking')
      const before = await openStore(rest).open(3)
      await before.write(created(1))
      t.strictSame(await looker.origin?.(), { clusterId: null, term: 3 }, 'of an earlier version')
      const [a, b] = [of({ clusterId: 'id-a' }), of({ clusterId: 'id-b' })]
      await a.open(3)
      t.strictSame(await looker.origin?.(), { clusterId: 'id-a', term: 3 }, 'bound at first use')
      for (const term of [1, 3, 4]) {
        const refused = await rejects(t, b.open(term), 'BAD_STORE', `term ${term} of another`)
        t.match(refused.message, /belongs to cluster id-a, and this is cluster id-b.*catalog\.uri/)
      }
      await a.write(created(2), 'q-1')
      t.strictSame(await looker.origin?.(), { clusterId: 'id-a', term: 3 }, 'nothing has changed')
      await (await of({ clusterId: 'id-a' }).open(4)).write(created(3))
      const taker = of({ clusterId: 'id-b', rebinds: true })
      await (await taker.open(1)).write(created(4))
      t.equal(taker.seq, 1, 'its terms begin anew')
      t.strictSame(await looker.origin?.(), { clusterId: 'id-b', term: 1 }, 'taken over')
      await rejects(t, of({ clusterId: 'id-a' }).open(5), 'BAD_STORE', 'the former one')
      t.equal((await of({ clusterId: 'id-b' }).open(2)).draft.toData().tables.length, 4)
    })

    await t.test('of two terms the lower one writes no more', async (t) => {
      const rest = fresh()
      const old = await openStore(rest).open(1)
      await old.write(created(1))
      const successor = await openStore(rest).open(2)
      await rejects(t, old.write([written(1, 'late')]), 'STALE_TERM', 'append of the lower term')
      await rejects(t, openStore(rest).open(1), 'STALE_TERM', 'open of the lower term')
      await successor.write([written(1, 'good')])
      t.strictSame(
        (await successor.store.readOnly()).data.tables[0]?.files.map(({ path }) => path),
        ['good'],
      )
    })

    await t.test(
      'opened again under the same term, the first opening writes no more',
      async (t) => {
        const rest = fresh()
        const first = await openStore(rest).open(3)
        await first.write(created(1))
        const again = await openStore(rest).open(3)
        t.equal(again.seq, 1, 'it goes on counting')
        await rejects(
          t,
          first.write([written(1, 'late')]),
          'STALE_TERM',
          'append of the first opening',
        )
        await again.write([written(1, 'good')])
      },
    )

    await t.test('twenty masters that start at once make the tables once', async (t) => {
      const rest = fresh()
      // As a master does it: again, while the store is not available.
      const open = async (term: number): Promise<Writer> => {
        const writer = openStore(rest)
        for (;;) {
          try {
            return await writer.open(term)
          } catch (error) {
            if (!code('UNAVAILABLE')(error)) throw error
          }
          await sleep(50)
        }
      }
      const opened = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => open(i + 1)))
      const lost = opened.filter((one) => one.status === 'rejected').map((one) => one.reason)
      t.ok(lost.every(code('STALE_TERM')), `the others are told why: ${lost.map(String)}`)
      const kept = await openStore(rest).store.readOnly()
      t.strictSame(
        kept.data.databases.map(({ name }) => name),
        ['default'],
      )
      t.ok(kept.term >= 1)
    })

    await t.test('nothing is made by looking', async (t) => {
      const name = `catalog_${++databases}`
      const { store } = openStore(`${name}?createDatabaseIfNotExist=true`)
      t.strictSame(await store.readOnly(), { data: EMPTY, term: 0 })
      await rejects(t, openStore(name).store.readOnly(), 'BAD_STORE', 'it was not made')
    })

    await t.test(
      'a server killed in the middle of writing: every acknowledged change once',
      async (t) => {
        const writer = await openStore(fresh()).open(1)
        await writer.write(created(1))
        const acknowledged: string[] = []
        let round = 0
        for (let i = 0; i < 150; i++) {
          const id = `q-${i}`
          if (i % 50 === 25) setTimeout(() => void server.kill(), round++)
          try {
            await writer.write([written(1, id)], id)
          } catch (error) {
            t.ok(code('UNAVAILABLE')(error), `append while the server dies: ${error}`)
            await server.kill()
            await server.start()
            await reopened(writer, 1)
            // Kept or not, the sequence number tells; if not, once more.
            if (!writer.outcomes().includes(id)) await writer.write([written(1, id)], id)
          }
          acknowledged.push(id)
        }
        await server.kill()
        await server.start()
        await reopened(writer, 2)
        t.strictSame(writer.outcomes(), acknowledged)
        t.strictSame(
          writer.draft.find('default', 't1')?.files.map(({ path }) => path),
          acknowledged,
        )
      },
    )

    await t.test('a server restarted in good order between two changes', async () => {
      const writer = await openStore(fresh()).open(1)
      await writer.write(created(1))
      await server.stop()
      await server.start()
      await writer.write([written(1, 'x')]).catch(() => reopened(writer, 1))
      await writer.write([written(1, 'y')])
    })

    await t.test(
      'the answer to COMMIT is lost: the number tells whether it was kept',
      async (t) => {
        const rest = fresh()
        await openStore(rest).open(1)
        const proxy = await CutProxy.start(t, server.port)
        const writer = await openStore(rest, proxy.port).open(1)
        await writer.write(created(1))
        let kept = 0
        for (const what of ['question', 'answer'] as const) {
          proxy.cutAt(COMMIT, what)
          await rejects(t, writer.write([written(1, what)], what), 'UNAVAILABLE', `${what} lost`)
          const before = writer.seq
          await reopened(writer, 1)
          t.equal(
            writer.outcomes().includes(what),
            writer.seq === before + 1,
            `${what}: consistent`,
          )
          kept += writer.seq - before
        }
        t.equal(kept, 1, 'kept when the answer was lost, not kept when the question was')
      },
    )

    await t.test('a predecessor that hangs with the row locked is put out', async (t) => {
      const rest = fresh()
      await openStore(rest).open(1)
      const proxy = await CutProxy.start(t, server.port)
      const frozen = await openStore(rest, proxy.port).open(1)
      await frozen.write(created(1))
      // Its COMMIT never arrives, and the connection stays.
      proxy.holdAt(COMMIT)
      const late = frozen.write([written(1, 'late')], 'late').catch((error: unknown) => error)
      await until('the commit is held', () => proxy.holding)
      const successor = await openStore(rest).open(2)
      t.notOk(successor.outcomes().includes('late'))
      proxy.letGo()
      t.ok(code('UNAVAILABLE')(await late), 'the frozen one learns nothing of its commit')
      await successor.write([written(1, 'good')])
      t.strictSame(
        (await successor.store.readOnly()).data.tables[0]?.files.map(({ path }) => path),
        ['good'],
      )
    })

    await t.test('a server that hangs: UNAVAILABLE, and on after it', async (t) => {
      const rest = fresh()
      await openStore(rest).open(1)
      const proxy = await CutProxy.start(t, server.port)
      const writer = await openStore(rest, proxy.port, IMPATIENT).open(1)
      await writer.write(created(1))
      proxy.freeze()
      await rejects(t, writer.write([written(1, 'x')], 'x'), 'UNAVAILABLE', 'append')
      await rejects(t, writer.open(1), 'UNAVAILABLE', 'open')
      const term = new AbortController()
      const opening = writer.store.open(1, term.signal)
      term.abort()
      await rejects(t, opening, 'NOT_ACTIVE', 'open in a term that ends meanwhile')
      proxy.thaw()
      await reopened(writer, 1)
      await writer.write([written(1, 'y')], 'y')
    })

    await t.test(
      'a change that the database refuses is not kept, and the store goes on',
      async (t) => {
        const rest = fresh()
        const writer = await openStore(rest).open(1)
        await writer.write(created(1))
        // MariaDB takes 16 MiB at a time; a number beyond BIGINT is for the others.
        const options = { big: 'x'.repeat(17_000_000) }
        const refused: Change[] =
          kind.name === 'mariadb'
            ? [{ do: 'set-options', tableId: 1, options }]
            : [written(1, 'x', 1e30)]
        await rejects(t, writer.write(refused), 'BAD_STORE', 'append')
        const kept = (await writer.store.readOnly()).data
        t.strictSame(
          kept.tables.map(({ files, options }) => [[...files], Object.keys(options)]),
          [[[], ['text.null']]],
        )
        writer.draft = Draft.of(CatalogState.from(kept))
        await writer.write([written(1, 'y')])
        t.strictSame((await openStore(rest).open(2)).draft.toData(), writer.draft.toData())
      },
    )

    /** A backup's: what it knows of the catalog, and by what it follows. */
    const backupOf = (rest: string, port?: number) => {
      const memory = new Memory()
      const store = () => openStore(rest, port, undefined, { memory }).store
      const follower = store()
      return { memory, store, follow: () => follower.follow?.() ?? t.fail('no follow') }
    }
    /** What no transaction has done shows who has read the tables, and who has not. */
    const byHand = (rest: string, name: string) =>
      kind.run(server, rest.split('?')[0] ?? '', [
        `UPDATE catalog_tables SET created_at = '${name}'`,
      ])
    const createdAt = (data: { tables: readonly PlainTable[] }) =>
      data.tables.map((one) => one.createdAt)

    await t.test('a backup that follows reads what has changed, and no more', async (t) => {
      const rest = fresh()
      const proxy = await CutProxy.start(t, server.port)
      const backup = backupOf(rest, proxy.port)
      await backup.follow()
      t.equal(backup.memory.rows, null, 'there is no catalog yet')
      const active = await openStore(rest).open(1)
      await active.write(created(1))
      await backup.follow()
      await byHand(rest, 'by hand')
      await active.write([written(1, 'x')], 'q-1')
      await active.write(created(2))
      await backup.follow()
      t.strictSame(
        createdAt(backup.memory.rows?.state.toData() ?? EMPTY),
        ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'],
        'the tables were not read again',
      )
      proxy.questions.length = 0
      for (let look = 0; look < 5; look += 1) await backup.follow()
      t.equal(proxy.questions.length, 5, 'one query a look where nothing has changed')
      proxy.questions.length = 0
      await active.write([written(2, 'y')], 'q-2')
      const store = backup.store()
      const { data, seq } = kept(await store.open(2, never()))
      t.strictSame(data, active.draft.toData(), 'with the change that it had not seen')
      t.equal(seq, 0)
      const asked = proxy.questions.join()
      t.match(asked, 'catalog_changes')
      t.notMatch(asked, 'FROM catalog_tables', 'nor were they at the take-over')
    })

    await t.test('following, and reading all, come to the same', async (t) => {
      const rest = fresh()
      const seed = Math.floor(Math.random() * 2 ** 32)
      t.comment(`seed ${seed}`)
      const random = new RandomChanges(randomOf(seed))
      const backup = backupOf(rest)
      let store = openStore(rest).store
      let { state } = await store.open(1, never())
      let seq = 0
      for (let step = 1; step <= 60; step += 1) {
        const batch = random.batch(state, seq + 1)
        await store.append(batch)
        seq += batch.transactions.length
        state = batch.after
        if (step % 7 === 0) await backup.follow()
        if (step % 20 !== 0) continue
        // The backup takes over, and its numbers of the rows have to be good for what it writes.
        const fresh = sorted((await store.readOnly()).data)
        store = backup.store()
        state = (await store.open(step, never())).state
        seq = 0
        t.strictSame(sorted(state.toData()), fresh, `step ${step}`)
        t.strictSame(sorted((await store.readOnly()).data), fresh, `step ${step}, read anew`)
      }
    })

    await t.test('what is known of another history is not gone on with', async (t) => {
      const cases: [string, string[]][] = [
        ['a master of an earlier version has written', ['UPDATE catalog_term SET kept = kept + 1']],
        ['somebody wants all to be read', ['UPDATE catalog_term SET mark = NULL']],
        [
          'a state of the same numbers was brought back',
          ["UPDATE catalog_term SET mark = CONCAT(term, '.', opening, '.', kept, '.other')"],
        ],
        ['what was kept is gone', ['DELETE FROM catalog_changes']],
        [
          'a change is of another history',
          [
            "UPDATE catalog_changes SET follows = 'x' WHERE change_no = (SELECT change_no FROM catalog_term)",
          ],
        ],
        ['nobody can read a change', ["UPDATE catalog_changes SET changes = '['"]],
      ]
      for (const [what, statements] of cases) {
        const rest = fresh()
        const backup = backupOf(rest)
        const active = await openStore(rest).open(1)
        await active.write(created(1))
        await backup.follow()
        t.not(backup.memory.rows, null)
        await active.write(created(2))
        await byHand(rest, 'by hand')
        await kind.run(server, rest.split('?')[0] ?? '', statements)
        const store = backup.store()
        const { data } = kept(await store.open(2, never()))
        t.strictSame(createdAt(data), ['by hand', 'by hand'], `${what}: all is read`)
        const later = backupOf(rest)
        await later.follow()
        const next = new Writer(store)
        await next.open(2)
        await next.write(created(3))
        await byHand(rest, 'later')
        await later.follow()
        t.strictSame(
          createdAt(later.memory.rows?.state.toData() ?? EMPTY).slice(0, 2),
          ['by hand', 'by hand'],
          `${what}: from then on it can be followed`,
        )
      }
    })

    await t.test('a backup that follows finds what was brought back', async (t) => {
      const rest = fresh()
      const database = rest.split('?')[0] ?? ''
      const backup = backupOf(rest)
      const active = await openStore(rest).open(1)
      await active.write(created(1))
      await backup.follow()
      await kind.run(server, database, [
        'CREATE TABLE term_then AS SELECT * FROM catalog_term',
        'CREATE TABLE changes_then AS SELECT * FROM catalog_changes',
      ])
      await active.write([{ do: 'set-options', tableId: 1, options: { lost: 'x' } }])
      await backup.follow()
      await kind.run(server, database, [
        "DELETE FROM catalog_options WHERE name = 'lost'",
        'UPDATE catalog_tables SET schema_version = 1',
        'DELETE FROM catalog_term',
        'INSERT INTO catalog_term SELECT * FROM term_then',
        'DELETE FROM catalog_changes',
        'INSERT INTO catalog_changes SELECT * FROM changes_then',
      ])
      await rejects(t, active.write(created(2)), 'GONE', 'the active finds out')
      const again = await openStore(rest).open(1)
      await again.write(created(2))
      await backup.follow()
      const want = again.draft.toData()
      t.strictSame(backup.memory.rows?.state.toData(), want, 'by following')
      t.strictSame(kept(await backup.store().open(2, never())).data, want, 'by taking over')
    })

    await t.test('a master that was active goes on from what it has written', async (t) => {
      const rest = fresh()
      const memory = new Memory()
      const mine = () => openStore(rest, undefined, undefined, { memory })
      const first = await mine().open(1)
      await first.write(created(1))
      await first.store.close()
      const other = await openStore(rest).open(2)
      await other.write([written(1, 'x')])
      await byHand(rest, 'by hand')
      const { data } = kept(await mine().store.open(3, never()))
      t.strictSame(createdAt(data), ['2026-01-01T00:00:00.000Z'], 'it has not read all')
      t.equal(data.tables[0]?.files.length, 1)
    })

    await t.test('what is kept of changes is bounded', async (t) => {
      const rest = fresh()
      const active = await openStore(rest).open(1)
      await kind.run(server, rest.split('?')[0] ?? '', [
        'UPDATE catalog_term SET change_no = 9998, mark = NULL',
      ])
      await active.write(created(1))
      await active.write(created(2))
      const backup = backupOf(rest)
      await active.write(created(3))
      await backup.follow()
      t.equal(backup.memory.rows?.no, 10_001)
      await kind.run(server, rest.split('?')[0] ?? '', [
        'CREATE TABLE left_over AS SELECT COUNT(*) AS n, MIN(change_no) AS first FROM catalog_changes',
        "UPDATE catalog_tables SET created_at = (SELECT CONCAT(n, ' from ', first) FROM left_over)",
      ])
      const { data } = await active.store.readOnly()
      t.equal(createdAt(data)[0], '3 from 9999')
    })

    await t.test('a hand on its row is told as what was found', async (t) => {
      const cases: [string, string[], RegExp][] = [
        [
          'UPDATE catalog_term SET kept = 7',
          ['append'],
          /7 transactions of term 3 .* changed its row/,
        ],
        ['DELETE FROM catalog_term', ['append', 'prove'], /catalog_term has lost its row/],
        ['DROP TABLE catalog_term', ['append', 'prove'], /somebody has removed its tables/],
      ]
      for (const [sql, calls, words] of cases) {
        for (const call of calls) {
          const rest = fresh()
          const writer = await openStore(rest).open(3)
          await writer.write(created(1))
          await kind.run(server, rest.split('?')[0] ?? '', [sql])
          const asked =
            call === 'append'
              ? writer.write([written(1, 'x')])
              : (writer.store.prove?.('everything') ?? Promise.resolve())
          const { message } = await rejects(t, asked, 'GONE', `${sql}: ${call}`)
          t.match(message, words)
          if (!sql.startsWith('DROP')) t.notMatch(message, /removed its tables/)
        }
      }
    })

    await t.test('what is wrong is said, without the password', async (t) => {
      const uri = server.uri('nothing_here')
      const said = async (
        store: ReadableStore,
        expected: CatalogError['code'],
        ...parts: string[]
      ) => {
        const { message, cause } = await rejects(t, store.open(1, never()), expected, parts.join())
        for (const part of parts) t.match(message, part)
        t.notMatch(`${message}${(cause as Error | undefined)?.message}`, /wrong-one|secret/)
        await store.close()
      }
      await said(
        kind.store(uri, login),
        'BAD_STORE',
        'nothing_here',
        'createDatabaseIfNotExist=true',
      )
      const stranger = { user: 'nobody', password: 'wrong-one' }
      await said(
        kind.store(uri, stranger),
        'BAD_STORE',
        'nobody',
        'tajo.catalog.connection.password',
      )
      const wrong = { user: server.user, password: 'wrong-one' }
      await said(
        kind.store(uri, wrong),
        'BAD_STORE',
        server.user,
        'tajo.catalog.connection.password',
      )
      const nowhere = `jdbc:${kind.name === 'postgres' ? 'postgresql' : 'mysql'}://127.0.0.1:1/x`
      await said(kind.store(nowhere, login), 'UNAVAILABLE', '127.0.0.1:1')
      const noHost = nowhere.replace('127.0.0.1', 'no-such-host.invalid')
      await said(kind.store(noHost, login), 'UNAVAILABLE', 'no-such-host.invalid')
    })
  })
}
