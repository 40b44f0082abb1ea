/**
 * What every store of the catalog owes (lib/catalog/store.ts), as one suite that runs against each of them.
 *
 * The whole suite uses one kept catalog, with terms that go up; each test begins with an empty one.
 */
import type { Test } from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import { Draft } from '../../lib/catalog/apply.ts'
import { Catalog, type CatalogOptions } from '../../lib/catalog/catalog.ts'
import { CatalogError, type CatalogErrorCode } from '../../lib/catalog/errors.ts'
import { FileList } from '../../lib/catalog/file-list.ts'
import {
  type CatalogData,
  type Change,
  type DataFile,
  FAILURE_KINDS,
  type Grant,
  type Outcome,
  type PlainTable,
  type Table,
  type Transaction,
  type User,
} from '../../lib/catalog/model.ts'
import { CatalogState, contentVersionOf, EMPTY } from '../../lib/catalog/state.ts'
import type { Batch, CatalogStore, Opened, ReadableStore } from '../../lib/catalog/store.ts'

export interface SuiteOptions {
  /** Only one store object can have it open at a time (DerbyStore). */
  readonly exclusive?: boolean
}

export const NEVER: AbortSignal = new AbortController().signal
const AT = '2026-01-02T03:04:05.678Z'
const AT_MS = 1_767_323_045_678

export const transaction = (
  changes: readonly Change[],
  outcome: Outcome | null = null,
): Transaction => ({ by: 'suite', atMs: AT_MS, changes, outcome })

export const outcomeOf = (queryId: string, more: Partial<Outcome> = {}): Outcome => ({
  ...{ queryId, state: 'done', message: 'INSERT 1', rows: 1, atMs: AT_MS },
  ...more,
})

export const fileOf = (path: string, more: Partial<DataFile> = {}): DataFile => ({
  ...{ path, rows: 3, bytes: 100, partition: [] },
  ...more,
})

export const userOf = (name: string, grants: readonly Grant[] = []): User => ({
  ...{ name, verifier: `verifier of ${name}`, createdAt: AT, grants },
})

const GRANTS: readonly Grant[] = [
  { on: 'database', database: 'sales', privilege: 'ALL' },
  { on: 'database', database: 'sales', privilege: 'SELECT' },
  { on: 'table', tableId: 2, privilege: 'INSERT' },
  { on: 'location', path: "/data/o'brien \\ x" },
]

export const tableOf = (id: number, { files = [], ...more }: Partial<PlainTable> = {}): Table => ({
  ...{ id, database: 'default', name: `t${id}`, kind: 'managed', format: 'PARQUET' },
  ...{ options: {}, partitionColumns: [], wholeDirectory: false, schemaVersion: 1 },
  ...{ columns: [{ name: 'a', type: 'INT4' }], location: `/warehouse/default/t${id}` },
  createdAt: AT,
  ...more,
  files: FileList.of(files),
})

/** Data to compare: only outcomes and the files of a partition have an order that must be kept. */
export function sorted(data: CatalogData): CatalogData {
  const by = <T>(rows: readonly T[], key: (row: T) => string): T[] =>
    [...rows].sort((a, b) => (key(a) < key(b) ? -1 : Number(key(a) > key(b))))
  return {
    ...data,
    databases: by(data.databases, ({ name }) => name),
    tables: by(data.tables, ({ id }) => String(id).padStart(10, '0')).map((table) => ({
      ...table,
      files: by([...table.files], ({ partition }) => JSON.stringify(partition)),
    })),
    litter: by(data.litter, ({ path }) => path),
    publications: by(data.publications, ({ queryId }) => queryId),
    ...(data.users === undefined ? {} : { users: by(data.users, ({ name }) => name) }),
  }
}

/** What an opening gave, to compare. */
export const kept = ({ state, seq }: Opened): { data: CatalogData; seq: number } => ({
  data: state.toData(),
  seq,
})

export async function codeOf(call: Promise<unknown>): Promise<CatalogErrorCode> {
  const thrown = await call.then(
    (value) => new Error(`answered ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (thrown instanceof CatalogError) return thrown.code
  throw thrown
}

export function newCatalog(
  store: CatalogStore,
  more: Partial<Omit<CatalogOptions, 'store'>> = {},
): Catalog {
  return new Catalog({ store, commit: async () => {}, clock: systemClock, log: () => {}, ...more })
}

/** A batch as `Catalog` makes it. */
export function batchOf(
  before: CatalogState,
  firstSeq: number,
  transactions: readonly Transaction[],
): Batch {
  const draft = Draft.of(before)
  for (const one of transactions) draft.apply(one)
  const { state: after, delta } = draft.seal()
  return { firstSeq, transactions, delta, after }
}

const EXOTIC = [
  `o'brien "quoted" \`tick\` \\ back`,
  'Ünïcødé 数据库 🦆',
  'tab\tnew\nline\r\n',
  '%_;-- $1 ?{}',
]

export function catalogSuite(
  t: Test,
  name: string,
  makeStore: () => ReadableStore | Promise<ReadableStore>,
  { exclusive = false }: SuiteOptions = {},
): void {
  let term = 0

  /** Does the work in a new term on an empty catalog, and answers what the next term's process reads. */
  async function reread(work: (catalog: Catalog) => Promise<unknown>) {
    const catalog = newCatalog(await makeStore())
    await catalog.open(++term, NEVER)
    await catalog.transact(() => transaction([{ do: 'load', data: EMPTY }]))
    await work(catalog)
    const expected = sorted(catalog.state().toData())
    await catalog.close()
    const store = await makeStore()
    const { data, seq } = kept(await store.open(++term, NEVER))
    await store.close()
    return { expected, found: sorted(data), seq }
  }

  t.test(`${name}: begins with the database default, in any first term`, async (t) => {
    const store = await makeStore()
    t.same(await store.readOnly(), { data: EMPTY, term: 0 })
    term = 41
    const { data, seq } = kept(await store.open(term, NEVER))
    t.same(data, EMPTY)
    t.equal(seq, 0)
    await store.close()
  })

  t.test(`${name}: every kind of change is there in the next term`, async (t) => {
    const partitioned = tableOf(2, {
      database: 'sales',
      format: 'TEXT',
      options: { 'text.delimiter': '|', 'text.null': '\\N' },
      partitionColumns: [
        { name: 'day', type: 'DATE' },
        { name: 'country', type: 'TEXT' },
      ],
      files: [
        fileOf('x/1', { partition: ['2026-01-01', 'de'] }),
        fileOf('x/2', { partition: ['2026-01-02', null], rows: null }),
      ],
    })
    const changes: Change[][] = [
      [{ do: 'create-database', name: 'sales', createdAt: AT }],
      [{ do: 'create-database', name: 'gone', createdAt: AT }],
      [{ do: 'create-table', table: tableOf(1) }],
      [{ do: 'create-table', table: partitioned }],
      [
        {
          do: 'create-table',
          table: tableOf(3, { kind: 'external', location: '/data/x', wholeDirectory: true }),
        },
      ],
      [{ do: 'rename-table', tableId: 1, name: 'renamed' }],
      [{ do: 'add-column', tableId: 1, column: { name: 'b', type: 'NUMERIC(10,2)' } }],
      [{ do: 'rename-column', tableId: 1, from: 'a', to: 'z' }],
      [{ do: 'set-options', tableId: 1, options: { compression: 'zstd' } }],
      [
        {
          ...{ do: 'write', tableId: 2, schemaVersion: 1, mode: 'overwrite-partitions' },
          files: [fileOf('y/1', { partition: ['2026-01-01', 'de'], bytes: 2 ** 52 })],
        },
      ],
      [{ do: 'write', tableId: 1, schemaVersion: 4, mode: 'append', files: [fileOf('a/1')] }],
      [{ do: 'write', tableId: 1, schemaVersion: 4, mode: 'append', files: [fileOf('a/2')] }],
      [{ do: 'write', tableId: 3, schemaVersion: 1, mode: 'overwrite', files: [fileOf('n')] }],
      [
        {
          ...{ do: 'compact', tableId: 1, schemaVersion: 4, keepMs: 86_400_000 },
          joins: [{ replaced: ['a/1', 'a/2'], files: [fileOf('c/1', { rows: 6 })] }],
        },
      ],
      [{ do: 'drop-partition', tableId: 2, partition: ['2026-01-02', null] }],
      [{ do: 'add-litter', paths: ['/tmp/one', '/tmp/two'] }],
      [{ do: 'litter-removed', paths: ['/tmp/one', '/tmp/unknown'] }],
      [{ do: 'publish', publication: { queryId: 'p1', staging: '/s/1', location: '/l/1' } }],
      [{ do: 'publish', publication: { queryId: 'p2', staging: '/s/2', location: '/l/2' } }],
      [{ do: 'published', queryId: 'p1' }],
      [{ do: 'create-table', table: tableOf(4) }],
      [{ do: 'drop-table', tableId: 4, litter: ['/warehouse/default/t4'] }],
      [{ do: 'drop-database', name: 'gone' }],
      [{ do: 'create-user', user: userOf('ann') }],
      [{ do: 'create-user', user: userOf(EXOTIC[0] ?? '') }],
      [{ do: 'create-user', user: userOf('bob') }],
      [{ do: 'set-verifier', user: 'ann', verifier: 'another' }],
      [{ do: 'create-table', table: tableOf(5, { owner: 'ann' }) }],
      [{ do: 'create-table', table: tableOf(6, { owner: 'bob' }) }],
      [{ do: 'grant', user: 'ann', grants: GRANTS }],
      [{ do: 'revoke', user: 'ann', grants: GRANTS.slice(0, 1) }],
      [{ do: 'drop-user', user: 'bob' }],
    ]
    const { expected, found } = await reread(async (catalog) => {
      for (const [index, change] of changes.entries()) {
        const state = index % 2 === 0 ? 'done' : 'failed'
        const rows = index % 3 === 0 ? null : index
        // Every second failure is one as they were recorded before there were kinds.
        const kinds = index % 4 === 1 ? { kind: FAILURE_KINDS[index % 5] } : {}
        const outcome = outcomeOf(`q${99 - index}`, { state, rows, ...kinds })
        await catalog.transact(() => transaction(change, outcome))
      }
    })
    t.same(found, expected)
    t.same(
      expected.outcomes.map(({ queryId }) => queryId),
      changes.map((_, index) => `q${99 - index}`),
      'outcomes keep their order',
    )
    t.equal(expected.nextTableId, 7, 'the id of a dropped table is not used again')
    t.equal(expected.tables.length, 5)
  })

  t.test(`${name}: transactions that queue together are kept in their order`, async (t) => {
    const { expected, found } = await reread(async (catalog) => {
      await catalog.transact(() => transaction([{ do: 'create-table', table: tableOf(1) }]))
      await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          catalog.transact(() =>
            transaction(
              [
                {
                  ...{ do: 'write', tableId: 1, schemaVersion: 1 },
                  ...{ mode: index === 100 ? 'overwrite' : 'append' },
                  files: [fileOf(`f${index}`)],
                },
              ],
              outcomeOf(`r${index}`),
            ),
          ),
        ),
      )
    })
    t.same(found, expected)
    t.same(
      found.tables[0]?.files.map(({ path }) => path),
      Array.from({ length: 100 }, (_, index) => `f${index + 100}`),
    )
    t.equal(found.litter.length, 100)
  })

  t.test(`${name}: files that are joined stand where they stood`, async (t) => {
    const file = (path: string, partition: string) =>
      fileOf(path, { rows: path.length, partition: [partition] })
    const table = tableOf(1, {
      partitionColumns: [{ name: 'p', type: 'TEXT' }],
      files: ['a', 'b', 'c', 'd', 'e'].map((path, at) => file(path, at % 2 === 0 ? 'x' : 'y')),
    })
    const compact = (replaced: string[], made: DataFile): Change => ({
      ...{ do: 'compact', tableId: 1, schemaVersion: 1, keepMs: 1000 },
      joins: [{ replaced, files: [made] }],
    })
    const { expected, found } = await reread(async (catalog) => {
      await catalog.transact(() => transaction([{ do: 'create-table', table }]))
      await catalog.transact(() => transaction([compact(['c', 'e'], file('nn', 'x'))]))
      const refused = catalog.transact(() =>
        transaction([compact(['a', 'c'], file('mm', 'x'))], outcomeOf('late')),
      )
      t.equal(await codeOf(refused), 'CONFLICT')
      // Together, in one group.
      await Promise.all([
        catalog.transact(() => transaction([compact(['b', 'd'], file('oo', 'y'))])),
        catalog.transact(() =>
          transaction([
            {
              ...{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' },
              files: [file('f', 'x')],
            },
          ]),
        ),
        catalog.transact(() => transaction([compact(['a', 'nn'], file('ppp', 'x'))])),
      ])
    })
    t.same(found, expected)
    t.same(
      found.tables[0]?.files.map(({ path }) => path),
      ['ppp', 'f', 'oo'],
    )
    t.same(
      found.litter.map(({ path, sinceMs }) => [path.split('/').at(-1), sinceMs]),
      ['a', 'b', 'c', 'd', 'e', 'nn'].map((path) => [path, AT_MS + 1000]),
    )
    t.same(found.outcomes, [], 'what was refused left nothing')
  })

  t.test(`${name}: files that are joined before many others`, async (t) => {
    const paths = Array.from({ length: 600 }, (_, index) => `f${index}`)
    const { expected, found } = await reread(async (catalog) => {
      const table = tableOf(1, { files: paths.map((path) => fileOf(path)) })
      await catalog.transact(() => transaction([{ do: 'create-table', table }]))
      const joins = [{ replaced: ['f3', 'f4', 'f5'], files: [fileOf('n', { rows: 9 })] }]
      await catalog.transact(() =>
        transaction([{ do: 'compact', tableId: 1, schemaVersion: 1, joins, keepMs: 1000 }]),
      )
      await catalog.transact(() =>
        transaction([
          { do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files: [fileOf('last')] },
        ]),
      )
    })
    t.same(found, expected)
    t.same(
      found.tables[0]?.files.map(({ path }) => path),
      [...paths.slice(0, 3), 'n', ...paths.slice(6), 'last'],
    )
  })

  t.test(`${name}: exotic names and values, a large one, many files in one write`, async (t) => {
    const files = Array.from({ length: 2000 }, (_, index) => fileOf(`part/${index}`))
    const { expected, found } = await reread(async (catalog) => {
      for (const [index, text] of EXOTIC.entries()) {
        const table = tableOf(index + 1, {
          ...{ database: text, name: text, location: `/w/${text}`, options: { [text]: text } },
          columns: [{ name: text, type: 'TEXT' }],
          partitionColumns: [{ name: `p${text}`, type: 'TEXT' }],
          files: [fileOf(text, { partition: [text] }), fileOf('empty', { partition: [''] })],
        })
        await catalog.transact(() =>
          transaction(
            [
              { do: 'create-database', name: text, createdAt: AT },
              { do: 'create-table', table },
              { do: 'add-litter', paths: [text] },
              { do: 'publish', publication: { queryId: text, staging: text, location: text } },
            ],
            outcomeOf(text, { message: text }),
          ),
        )
      }
      const id = EXOTIC.length + 1
      const options = { large: 'x'.repeat(1024 * 1024) }
      const table = tableOf(id, { options, columns: manyColumns(), name: 'Case' })
      await catalog.transact(() =>
        transaction([
          { do: 'create-table', table },
          { do: 'create-table', table: tableOf(id + 1, { name: 'case' }) },
          { do: 'write', tableId: id, schemaVersion: 1, mode: 'append', files },
        ]),
      )
    })
    t.same(found, expected)
    t.equal(found.tables.at(-2)?.files.length, 2000)
    t.equal(found.tables.at(-2)?.options.large?.length, 1024 * 1024)
  })

  t.test(`${name}: what was made from an older content is refused in any later term`, async (t) => {
    const write = (mode: 'append' | 'overwrite', basedOn?: number): Change => ({
      ...{ do: 'write', tableId: 1, schemaVersion: 1, mode, basedOn },
      files: [fileOf(`${mode}-${basedOn}`)],
    })
    let read = 0
    const { expected, found } = await reread(async (catalog) => {
      await catalog.transact(() => transaction([{ do: 'create-table', table: tableOf(1) }]))
      await catalog.transact(() => transaction([write('append')]))
      read = contentVersionOf(catalog.state().table(1) ?? {})
      await catalog.transact(() => transaction([write('append')], outcomeOf('first')))
    })
    t.same(found, expected)
    const later = newCatalog(await makeStore())
    await later.open(++term, NEVER)
    const now = contentVersionOf(later.state().table(1) ?? {})
    t.ok(now > read && read > 0, `${read}, ${now}`)
    const change = (basedOn: number) =>
      later.transact(() => transaction([write('overwrite', basedOn)], outcomeOf('second')))
    t.equal(await codeOf(change(read)), 'CHANGED')
    t.equal(later.state().outcome('second'), null, 'nothing of it is kept')
    await change(now)
    t.same(later.state().table(1)?.files, [fileOf(`overwrite-${now}`)])
    await later.close()
  })

  t.test(`${name}: a term counts its transactions, and can be opened again`, async (t) => {
    const store = await makeStore()
    const { data } = kept(await store.open(++term, NEVER))
    const empty = batchOf(CatalogState.from(data), 1, [transaction([{ do: 'load', data: EMPTY }])])
    await store.append(empty)
    const two = batchOf(empty.after, 2, [
      transaction([{ do: 'create-table', table: tableOf(1) }], outcomeOf('a')),
      transaction([{ do: 'create-table', table: tableOf(2) }], outcomeOf('b')),
    ])
    await store.append(two)
    const again = await store.open(term, NEVER)
    t.equal(again.seq, 3)
    t.same(sorted(kept(again).data), sorted(two.after.toData()))
    const more = batchOf(two.after, 4, [
      transaction([{ do: 'drop-table', tableId: 1, litter: [] }], outcomeOf('c')),
    ])
    await store.append(more)
    await store.close()
    t.same(sorted(kept(await store.open(term, NEVER)).data), sorted(more.after.toData()))
    await store.close()
    const next = await makeStore()
    const opened = await next.open(++term, NEVER)
    t.equal(opened.seq, 0, 'the next term begins to count anew')
    t.same(sorted(kept(opened).data), sorted(more.after.toData()))
    await next.close()
    t.same((await next.readOnly()).term, term)
    t.same(sorted((await next.readOnly()).data), sorted(more.after.toData()))
  })

  if (exclusive) return
  t.test(`${name}: a lower term can neither append nor open any more`, async (t) => {
    const old = await makeStore()
    await old.open(++term, NEVER)
    const empty = batchOf(CatalogState.from(EMPTY), 1, [transaction([{ do: 'load', data: EMPTY }])])
    await old.append(empty)
    const next = await makeStore()
    const { data } = kept(await next.open(++term, NEVER))
    const late = batchOf(empty.after, 2, [
      transaction([{ do: 'create-table', table: tableOf(1, { name: 'late' }) }]),
    ])
    const refused = await old.append(late).then(
      () => 'written where nobody reads',
      (error: unknown) => (error as CatalogError).code,
    )
    t.ok(['written where nobody reads', 'STALE_TERM'].includes(refused), refused)
    t.equal(await codeOf(old.open(term - 1, NEVER)), 'STALE_TERM')
    const newer = batchOf(CatalogState.from(data), 1, [
      transaction([{ do: 'create-table', table: tableOf(1, { name: 'newer' }) }]),
    ])
    await next.append(newer)
    await Promise.all([old.close(), next.close()])
    const last = await makeStore()
    t.same(sorted(kept(await last.open(++term, NEVER)).data), sorted(newer.after.toData()))
    await last.close()
  })
}

const manyColumns = () =>
  Array.from({ length: 300 }, (_, index) => ({ name: `c${index}`, type: 'ARRAY<TEXT>' }))
