/**
 * The model: what each change does, what it refuses, and that it agrees with a naive model that copies everything.
 */
import t from 'tap'
import { Draft, OUTCOMES_KEPT, OUTCOMES_KEPT_MS, OUTCOMES_MAX } from '../../../lib/catalog/apply.ts'
import { CatalogError } from '../../../lib/catalog/errors.ts'
import type {
  CatalogData,
  Change,
  DataFile,
  Join,
  PlainTable,
  Transaction,
} from '../../../lib/catalog/model.ts'
import { CatalogState, contentVersionOf, EMPTY } from '../../../lib/catalog/state.ts'
import { fileOf, outcomeOf, sorted, tableOf, transaction } from '../../contract/catalog.ts'
import { fc } from '../../support/properties.ts'

const write = (
  tableId: number,
  mode: 'append' | 'overwrite' | 'overwrite-partitions',
  files: DataFile[],
  schemaVersion = 1,
): Change => ({ do: 'write', tableId, schemaVersion, mode, files })

const KEEP_MS = 60_000
const compact = (tableId: number, joins: Join[], schemaVersion = 1): Change => ({
  ...{ do: 'compact', tableId, schemaVersion, joins },
  keepMs: KEEP_MS,
})

const draftWith = (...changes: Change[]): Draft => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  draft.apply(transaction(changes))
  return draft
}
const refusal = (draft: Draft, ...changes: Change[]): string => {
  const before = sorted(draft.toData())
  try {
    draft.apply(transaction([...changes]))
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error
    t.same(sorted(draft.toData()), before, 'a refused transaction changes nothing')
    return `${error.code}: ${error.message}`
  }
  return 'was done'
}
const paths = (draft: Draft, id: number): string[] =>
  (draft.table(id)?.files ?? []).map(({ path }) => path)
const litterOf = (draft: Draft): string[] =>
  draft
    .litter()
    .map(({ path }) => path)
    .sort()

t.test('what is refused says why, and leaves everything as it was', async (t) => {
  const draft = draftWith(
    { do: 'create-table', table: tableOf(1) },
    { do: 'create-database', name: 'd', createdAt: '' },
  )
  const table = tableOf(2, { name: 't1' })
  const cases: [RegExp, ...Change[]][] = [
    [/^EXISTS: database 'd'/, { do: 'create-database', name: 'd', createdAt: '' }],
    [/^MISSING: database 'x'/, { do: 'drop-database', name: 'x' }],
    [/^CONFLICT: database 'default' can't/, { do: 'drop-database', name: 'default' }],
    [/^EXISTS: table default.t1/, { do: 'create-table', table }],
    [/^MISSING: database 'x'/, { do: 'create-table', table: { ...table, database: 'x' } }],
    [/^CONFLICT: table id 9/, { do: 'create-table', table: tableOf(9) }],
    [/^MISSING: table with id 7/, { do: 'drop-table', tableId: 7, litter: ['/x'] }],
    [/^EXISTS: table default.t1/, { do: 'rename-table', tableId: 1, name: 't1' }],
    [/^MISSING: column 'b'/, { do: 'rename-column', tableId: 1, from: 'b', to: 'c' }],
    [/^EXISTS: column 'a'/, { do: 'add-column', tableId: 1, column: { name: 'a', type: 'INT4' } }],
    [/^CONFLICT: .*altered meanwhile/, write(1, 'append', [fileOf('x')], 2)],
    [/^CONFLICT: file x has 1 partition/, write(1, 'append', [fileOf('x', { partition: ['1'] })])],
    [/^MISSING: partition/, { do: 'drop-partition', tableId: 1, partition: [] }],
    [
      /^CONFLICT: database 'd' is not empty/,
      { do: 'create-table', table: tableOf(2, { database: 'd' }) },
      { do: 'drop-database', name: 'd' },
    ],
    [
      /^MISSING: table with id 5/,
      { do: 'add-litter', paths: ['/l'] },
      { do: 'drop-table', tableId: 1, litter: ['/t1'] },
      { do: 'create-table', table: { ...table, name: 'other' } },
      write(2, 'append', [fileOf('x')]),
      { do: 'create-database', name: 'e', createdAt: '' },
      { do: 'drop-table', tableId: 5, litter: [] },
    ],
  ]
  for (const [expected, ...changes] of cases) t.match(refusal(draft, ...changes), expected)
  draft.apply(transaction([], outcomeOf('q')))
  t.throws(
    () => draft.apply(transaction([{ do: 'drop-table', tableId: 1, litter: [] }], outcomeOf('q'))),
    { code: 'CONFLICT', message: /query q has ended already/ },
  )
  t.ok(draft.table(1), 'done once')
})

t.test(
  'what falls out of a table becomes litter, unless it is written again or was brought from elsewhere',
  async (t) => {
    const draft = draftWith(
      { do: 'create-table', table: tableOf(1) },
      write(1, 'append', [fileOf('a'), fileOf('b'), fileOf('/elsewhere/c')]),
      write(1, 'overwrite', [fileOf('b'), fileOf('d')]),
    )
    t.same(paths(draft, 1), ['b', 'd'])
    t.same(litterOf(draft), ['/warehouse/default/t1/a'])
  },
)

t.test('a table’s content has a version that never comes again', async (t) => {
  const partitionColumns = [{ name: 'p', type: 'TEXT' }]
  const draft = draftWith({ do: 'create-table', table: tableOf(1, { partitionColumns }) })
  const version = (): number => contentVersionOf(draft.table(1) ?? {})
  const files = [fileOf('a', { partition: ['1'] })]
  const seen = [version()]
  const changing: Change[] = [
    write(1, 'append', files),
    write(1, 'append', files),
    write(1, 'overwrite-partitions', []),
    { do: 'drop-partition', tableId: 1, partition: ['1'] },
    write(1, 'overwrite', []),
  ]
  for (const change of changing) {
    draft.apply(transaction([change]))
    seen.push(version())
  }
  t.same(
    seen,
    [...new Set(seen)].sort((a, b) => a - b),
    'each one is higher',
  )
  t.ok(Number(seen[1]) >= transaction([]).atMs, 'also than those of a day that was taken back')
  const last = version()
  for (const change of [
    write(1, 'append', []),
    { do: 'rename-table', tableId: 1, name: 'other' },
    { do: 'add-column', tableId: 1, column: { name: 'b', type: 'INT4' } },
  ] as const) {
    draft.apply(transaction([change]))
    t.equal(version(), last, `${change.do}: its rows are the same`)
  }
  const basedOn = (read: number, schemaVersion = 2): Change => ({
    ...{ do: 'write', tableId: 1, schemaVersion, mode: 'overwrite', files, basedOn: read },
  })
  t.match(refusal(draft, basedOn(last - 1)), /^CHANGED: table default.other was changed/)
  t.match(refusal(draft, basedOn(last, 1)), /^CHANGED: /, 'its columns are others')
  draft.apply(transaction([basedOn(last)]))
  t.match(refusal(draft, basedOn(last)), /^CHANGED: /)
})

t.test('partitions are overwritten and dropped one by one', async (t) => {
  const partitionColumns = [{ name: 'p', type: 'TEXT' }]
  const at = (path: string, value: string | null) => fileOf(path, { partition: [value] })
  const draft = draftWith(
    { do: 'create-table', table: tableOf(1, { partitionColumns }) },
    write(1, 'append', [at('a', '1'), at('b', '2'), at('n', null), at('t', 'null')]),
    write(1, 'overwrite-partitions', [at('c', '1'), at('m', null)]),
  )
  t.same(paths(draft, 1), ['b', 't', 'c', 'm'], "NULL is not the text 'null'")
  t.same(litterOf(draft), ['/warehouse/default/t1/a', '/warehouse/default/t1/n'])
  draft.apply(transaction([{ do: 'drop-partition', tableId: 1, partition: ['2'] }]))
  t.same(paths(draft, 1), ['t', 'c', 'm'])
})

t.test(
  'an external table: overwriting ends the whole directory, dropping leaves the data',
  async (t) => {
    const partitionColumns = [{ name: 'p', type: 'TEXT' }]
    const external = { kind: 'external', wholeDirectory: true } as const
    const draft = draftWith(
      { do: 'create-table', table: tableOf(1, external) },
      { do: 'create-table', table: tableOf(2, { ...external, partitionColumns }) },
      write(1, 'append', [fileOf('a')]),
    )
    t.equal(draft.table(1)?.wholeDirectory, true, 'appending keeps it')
    draft.apply(transaction([write(1, 'overwrite', [fileOf('b')])]))
    t.equal(draft.table(1)?.wholeDirectory, false)
    const one = fileOf('x', { partition: ['1'] })
    t.match(refusal(draft, write(2, 'overwrite-partitions', [one])), /CONFLICT.*whatever stands in/)
    draft.apply(
      transaction([
        write(2, 'append', [one]),
        { do: 'drop-partition', tableId: 2, partition: ['1'] },
      ]),
    )
    t.same(litterOf(draft), ['/warehouse/default/t1/a'], 'a dropped partition is the user’s')
  },
)

t.test('where all files fall, so do the directories that queries have made for them', async (t) => {
  const paths = ['data-1/p=1/a', 'data-1/p=2/b', 'data-2/c', 'data-3/d', 'mine/e', 'data-4', '/u/f']
  const table = tableOf(1, { files: paths.map((path) => fileOf(path)) })
  const draft = draftWith({ do: 'create-table', table })
  draft.apply(transaction([write(1, 'overwrite', [fileOf('data-3/new'), fileOf('data-5/x')])]))
  const below = (path: string): string => `/warehouse/default/t1/${path}`
  t.same(litterOf(draft), ['data-1', 'data-2', 'data-3/d', 'data-4', 'mine/e'].map(below))
})

t.test('files are joined where they stood, and nothing else changes', async (t) => {
  const p = (path: string, rows: number, ...partition: string[]) =>
    fileOf(path, { rows, partition })
  const files = [p('1', 3, 'x'), p('2', 2, 'y'), p('3', 4, 'x'), p('4', 1, 'y'), p('5', 9, 'x')]
  const partitionColumns = [{ name: 'p', type: 'TEXT' }]
  const draft = draftWith({ do: 'create-table', table: tableOf(1, { partitionColumns, files }) })
  const before = draft.table(1)
  draft.apply(
    transaction([
      compact(1, [
        { replaced: ['3', '5'], files: [p('n/1', 13, 'x')] },
        { replaced: ['2', '4'], files: [p('n/2', 3, 'y')] },
      ]),
    ]),
  )
  t.same(paths(draft, 1), ['1', 'n/1', 'n/2'])
  t.equal(contentVersionOf(draft.table(1) ?? tableOf(1)), contentVersionOf(before ?? tableOf(1)))
  t.equal(draft.table(1)?.schemaVersion, 1)
  const { atMs } = transaction([])
  t.same(
    draft.litter().map(({ path, sinceMs }) => [path, sinceMs]),
    ['3', '5', '2', '4'].map((path) => [`/warehouse/default/t1/${path}`, atMs + KEEP_MS]),
  )
})

t.test('what else was changed meanwhile wins over the joining of files', async (t) => {
  const a = fileOf('a', { partition: ['1'] })
  const b = fileOf('b', { partition: ['1'] })
  const other = fileOf('c', { partition: ['2'] })
  const partitionColumns = [{ name: 'p', type: 'TEXT' }]
  const table = tableOf(1, { partitionColumns, files: [a, b, other] })
  const join = compact(1, [
    { replaced: ['a', 'b'], files: [fileOf('n', { rows: 6, partition: ['1'] })] },
  ])
  const gone = /^CONFLICT: table default\.t1: file a is none of its files any more/
  const ofPartition = (value: string): Change =>
    write(1, 'overwrite-partitions', [fileOf('z', { partition: [value] })])
  const column = { name: 'n', type: 'INT4' }
  const after: [RegExp | string[], Change][] = [
    [['n', 'z', 'c'], write(1, 'append', [fileOf('z', { partition: ['1'] })])],
    [gone, write(1, 'overwrite', [other])],
    [gone, ofPartition('1')],
    [['n', 'z'], ofPartition('2')],
    [gone, { do: 'drop-partition', tableId: 1, partition: ['1'] }],
    [['n'], { do: 'drop-partition', tableId: 1, partition: ['2'] }],
    [/^MISSING: table with id 1/, { do: 'drop-table', tableId: 1, litter: ['/x'] }],
    [['n', 'c'], { do: 'rename-table', tableId: 1, name: 'other' }],
    [/^CONFLICT: .*altered meanwhile/, { do: 'add-column', tableId: 1, column }],
    [gone, join],
  ]
  for (const [expected, change] of after) {
    const draft = draftWith({ do: 'create-table', table }, change)
    if (expected instanceof RegExp) t.match(refusal(draft, join), expected, change.do)
    else {
      t.equal(refusal(draft, join), 'was done', change.do)
      t.same(paths(draft, 1), expected, change.do)
    }
  }
  const refused: [RegExp, Partial<PlainTable>, Join][] = [
    [/has 3$/, {}, { replaced: ['a', 'b'], files: [fileOf('n', { partition: ['1'] })] }],
    [
      /file c is none of its files any more, in partition \(1\)/,
      {},
      { replaced: ['a', 'c'], files: [fileOf('n', { partition: ['1'] })] },
    ],
    [
      /several partitions/,
      {},
      { replaced: ['a'], files: [fileOf('m', { partition: ['2'] }), { ...a, path: 'n' }] },
    ],
    [/is one of its files/, {}, { replaced: ['a'], files: [b] }],
    [/is external/, { kind: 'external' }, { replaced: ['a'], files: [a] }],
    [/brought by a user/, {}, { replaced: ['/user/a'], files: [a] }],
    [/nothing is joined/, {}, { replaced: [], files: [a] }],
  ]
  for (const [expected, more, one] of refused) {
    const draft = draftWith({ do: 'create-table', table: tableOf(1, { ...table, ...more }) })
    t.match(refusal(draft, compact(1, [one])), expected)
  }
})

t.test('outcomes are forgotten when old and many, never more than the bound stay', async (t) => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  const record = (index: number, atMs: number): void =>
    draft.apply({ ...transaction([], outcomeOf(`q${index}`, { atMs })), atMs })
  const count = (): number => draft.toData().outcomes.length
  for (let index = 0; index < OUTCOMES_KEPT + 5000; index += 1) record(index, 1000)
  t.equal(count(), OUTCOMES_KEPT + 5000, 'young ones stay')
  for (let index = 0; index < 1000; index += 1) record(20_000 + index, 1001 + OUTCOMES_KEPT_MS)
  t.equal(count(), OUTCOMES_KEPT)
  t.equal(draft.outcome('q5999'), null)
  t.ok(draft.outcome('q6000'))
  for (let index = 0; index < OUTCOMES_MAX; index += 1) record(30_000 + index, 2000)
  t.equal(count(), OUTCOMES_MAX)
})

// ---- against a naive model --------------------------------------------------------------------------------------------

/** The same rules, written down as plainly as possible: copies everything, knows no draft, no index, no undo. */
function naive(data: CatalogData, { changes, outcome, atMs }: Transaction): CatalogData {
  const next = structuredClone(data) as {
    -readonly [K in keyof CatalogData]: CatalogData[K] extends readonly (infer Row)[]
      ? { -readonly [F in keyof Row]: Row[F] }[]
      : CatalogData[K]
  }
  const no = (code: string): never => {
    throw new Error(code)
  }
  const tableAt = (id: number) => next.tables.find((one) => one.id === id) ?? no('MISSING')
  const named = (database: string, name: string) =>
    next.tables.some((one) => one.database === database && one.name === name)
  const litter = (all: string[], keepMs = 0): void => {
    next.litter = next.litter.filter(({ path }) => !all.includes(path))
    next.litter.push(...[...new Set(all)].map((path) => ({ path, sinceMs: atMs + keepMs })))
  }
  if (outcome !== null && next.outcomes.some((one) => one.queryId === outcome.queryId))
    no('CONFLICT')
  for (const change of changes) {
    switch (change.do) {
      case 'create-database':
        if (next.databases.some(({ name }) => name === change.name)) no('EXISTS')
        next.databases.push({ name: change.name, createdAt: change.createdAt })
        break
      case 'drop-database':
        if (!next.databases.some(({ name }) => name === change.name)) no('MISSING')
        if (change.name === 'default') no('CONFLICT')
        if (next.tables.some(({ database }) => database === change.name)) no('CONFLICT')
        next.databases = next.databases.filter(({ name }) => name !== change.name)
        break
      case 'create-table':
        if (!next.databases.some(({ name }) => name === change.table.database)) no('MISSING')
        if (named(change.table.database, change.table.name)) no('EXISTS')
        if (change.table.id !== next.nextTableId) no('CONFLICT')
        next.nextTableId += 1
        next.tables.push({ ...change.table, files: [...change.table.files] })
        break
      case 'drop-table':
        tableAt(change.tableId)
        next.tables = next.tables.filter(({ id }) => id !== change.tableId)
        litter([...change.litter])
        break
      case 'rename-table': {
        const table = tableAt(change.tableId)
        if (named(table.database, change.name)) no('EXISTS')
        table.name = change.name
        break
      }
      case 'add-column': {
        const table = tableAt(change.tableId)
        if (table.columns.some(({ name }) => name === change.column.name)) no('EXISTS')
        table.columns = [...table.columns, change.column]
        table.schemaVersion += 1
        break
      }
      case 'write': {
        const table = tableAt(change.tableId)
        if (table.schemaVersion !== change.schemaVersion) no('CONFLICT')
        const old = [...table.files]
        const kept = change.mode === 'append' ? old : []
        table.files = [...kept, ...change.files]
        const paths = change.files.map(({ path }) => path)
        const isChanged = change.mode !== 'append' || change.files.length > 0
        if (isChanged)
          table.contentVersion = Math.max((table.contentVersion ?? 0) + 1, Math.round(atMs))
        if (change.mode === 'append') break
        const fallen = old.filter(({ path }) => !paths.includes(path))
        litter(fallen.map(({ path }) => `${table.location}/${path}`))
        break
      }
      case 'compact': {
        const table = tableAt(change.tableId)
        if (table.schemaVersion !== change.schemaVersion) no('CONFLICT')
        for (const { replaced, files } of change.joins) {
          const all = [...table.files]
          const old = all.filter(({ path }) => replaced.includes(path))
          const has = (path: string) => all.some((file) => file.path === path)
          if (replaced.length === 0 || !replaced.every(has)) no('CONFLICT')
          const rows = (list: readonly DataFile[]) =>
            list.reduce((sum, one) => sum + (one.rows ?? Number.NaN), 0)
          if (rows(old) !== rows(files)) no('CONFLICT')
          const at = all.indexOf(old[0] ?? no('CONFLICT'))
          const before = all.slice(0, at)
          const after = all.slice(at).filter((file) => !old.includes(file))
          if ([...before, ...after].some(({ path }) => files[0]?.path === path)) no('CONFLICT')
          table.files = [...before, ...files, ...after]
          litter(
            replaced.map((path) => `${table.location}/${path}`),
            change.keepMs,
          )
        }
        break
      }
      case 'add-litter':
        litter([...change.paths])
        break
      case 'litter-removed':
        next.litter = next.litter.filter(({ path }) => !change.paths.includes(path))
        break
      default:
        throw new Error(`the naive model has no ${change.do}`)
    }
  }
  if (outcome !== null) next.outcomes.push(outcome)
  return next as CatalogData
}

const nameArb = fc.constantFrom('a', 'b', 'c')
const databaseArb = fc.constantFrom('default', 'x', 'y')
const idArb = fc.nat({ max: 6 })
const changeArb: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constant('create-database' as const), name: databaseArb, createdAt: nameArb }),
  fc.record({ do: fc.constant('drop-database' as const), name: databaseArb }),
  fc.tuple(idArb, databaseArb, nameArb).map(
    ([id, database, name]): Change => ({
      do: 'create-table',
      table: tableOf(id, { database, name }),
    }),
  ),
  fc.record({
    ...{ do: fc.constant('drop-table' as const), tableId: idArb },
    litter: fc.array(nameArb, { maxLength: 2 }),
  }),
  fc.record({ do: fc.constant('rename-table' as const), tableId: idArb, name: nameArb }),
  fc.tuple(idArb, nameArb).map(
    ([tableId, name]): Change => ({
      do: 'add-column',
      tableId,
      column: { name, type: 'INT4' },
    }),
  ),
  fc
    .tuple(idArb, fc.constantFrom('append' as const, 'overwrite' as const), nameArb, fc.nat(2))
    .map(([id, mode, path, version]) => write(id, mode, [fileOf(path)], version + 1)),
  fc
    .tuple(idArb, fc.subarray(['a', 'b', 'c']), fc.constantFrom('a', 'd', 'e'), fc.nat(5))
    .map(([id, replaced, path, more]) => {
      const rows = 3 * replaced.length + Number(more === 5)
      return compact(id, [{ replaced, files: [fileOf(path, { rows })] }], 1 + (more % 2))
    }),
  fc.record({ do: fc.constant('add-litter' as const), paths: fc.array(nameArb, { maxLength: 2 }) }),
  fc.record({ do: fc.constant('litter-removed' as const), paths: fc.tuple(nameArb) }),
)
const transactionArb = fc.record({
  changes: fc.array(changeArb, { maxLength: 4 }),
  query: fc.option(fc.nat({ max: 30 })),
  seal: fc.boolean(),
})

t.test('the draft agrees with the naive model, sealed states and deltas included', async () => {
  fc.assert(
    fc.property(fc.array(transactionArb, { maxLength: 60 }), (steps) => {
      let expected = EMPTY
      const draft = Draft.of(CatalogState.from(EMPTY))
      let state = CatalogState.from(EMPTY)
      let rows = EMPTY
      const sealed: [CatalogState, string][] = []
      for (const { changes, query, seal } of steps) {
        const one = transaction(changes, query === null ? null : outcomeOf(`q${query}`))
        let refused = ''
        try {
          expected = naive(expected, one)
        } catch (error) {
          refused = (error as Error).message
        }
        try {
          draft.apply(one)
          if (refused !== '') throw new Error(`was done, the naive model says ${refused}`)
        } catch (error) {
          if (!(error instanceof CatalogError) || error.code !== refused) throw error
        }
        agree(draft, expected)
        if (!seal) continue
        const { state: after, delta } = draft.seal()
        state = after
        rows = withDelta(rows, delta)
        agree(CatalogState.from(rows), expected)
        sealed.push([state, text(state.toData())])
      }
      for (const [old, was] of sealed) if (text(old.toData()) !== was) throw new Error('changed')
    }),
    { numRuns: 400 },
  )
})

const text = (data: CatalogData): string => JSON.stringify(sorted(data))

function agree(state: CatalogState, expected: CatalogData): void {
  if (text(state.toData()) !== text(expected)) {
    throw new Error(`${text(state.toData())}\n${text(expected)}`)
  }
  for (const database of state.databaseNames()) {
    const names = expected.tables.filter((one) => one.database === database).map(({ name }) => name)
    const found = (state.tablesOf(database) ?? []).map(({ name }) => name)
    if (String(found) !== String(names.sort())) throw new Error(`${database}: ${found}, ${names}`)
    for (const name of names) if (state.find(database, name)?.name !== name) throw new Error(name)
  }
}

/** What a store of rows does with a delta. */
function withDelta(data: CatalogData, delta: ReturnType<Draft['seal']>['delta']): CatalogData {
  const rows = <T, K>(
    old: readonly T[],
    keyOf: (row: T) => K,
    put: readonly T[],
    gone: readonly K[],
  ) => {
    const map = new Map(old.map((row) => [keyOf(row), row]))
    for (const key of gone) map.delete(key)
    for (const row of put) map.set(keyOf(row), row)
    return [...map.values()]
  }
  for (const { before, after } of delta.tables.put) {
    const known = data.tables.find(({ id }) => id === after.id) ?? null
    if (JSON.stringify(known) !== JSON.stringify(before)) throw new Error('before is not what was')
  }
  const putTables = delta.tables.put.map(({ after }) => after)
  return {
    databases: rows(data.databases, ({ name }) => name, delta.databases.put, delta.databases.gone),
    tables: rows(data.tables, ({ id }) => id, putTables, delta.tables.gone),
    outcomes: rows(data.outcomes, (o) => o.queryId, delta.outcomes.put, delta.outcomes.gone),
    litter: rows(data.litter, ({ path }) => path, delta.litter.put, delta.litter.gone),
    publications: data.publications,
    nextTableId: delta.nextTableId,
  }
}
