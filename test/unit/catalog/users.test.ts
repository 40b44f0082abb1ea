/**
 * Users and what they may do, in the catalog: what goes when a table, a database or a user goes, and that versions before there
 * were users stop at what they can't read, and at nothing else.
 */
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import { DumpReader, dumpPieces, isEmptyCatalog } from '../../../lib/catalog/dump.ts'
import type { CatalogData, Change, Grant } from '../../../lib/catalog/model.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import { kept, NEVER, newCatalog, tableOf, transaction, userOf } from '../../contract/catalog.ts'
import { type MemDirectory, memDirectory, memFiles } from '../../support/mem-files.ts'

const onTable = (tableId: number): Grant => ({ on: 'table', tableId, privilege: 'SELECT' })
const onSales: Grant = { on: 'database', database: 'sales', privilege: 'INSERT' }

function draftOf(...changes: readonly Change[]): Draft {
  const draft = Draft.of(CatalogState.from(EMPTY))
  draft.apply(transaction(changes))
  return draft
}

const START: readonly Change[] = [
  { do: 'create-database', name: 'sales', createdAt: '' },
  { do: 'create-user', user: userOf('ann') },
  { do: 'create-table', table: tableOf(1, { owner: 'ann' }) },
  { do: 'create-table', table: tableOf(2) },
  { do: 'grant', user: 'ann', grants: [onTable(1), onTable(2), onSales] },
]

t.test('a grant is there once, and revoking what is not there changes nothing', async (t) => {
  const draft = draftOf(...START)
  draft.apply(transaction([{ do: 'grant', user: 'ann', grants: [onTable(2)] }]))
  t.same(draft.user('ann')?.grants, [onTable(1), onSales, onTable(2)])
  const other: Grant = { on: 'table', tableId: 2, privilege: 'ALL' }
  draft.apply(transaction([{ do: 'revoke', user: 'ann', grants: [onSales, other] }]))
  t.same(draft.user('ann')?.grants, [onTable(1), onTable(2)])
})

t.test('what is granted on a table or a database goes with it', async (t) => {
  const draft = draftOf(...START)
  draft.apply(transaction([{ do: 'rename-table', tableId: 2, name: 'other' }]))
  t.same(draft.user('ann')?.grants.length, 3, 'a new name changes nothing')
  draft.apply(transaction([{ do: 'drop-table', tableId: 2, litter: [] }]))
  t.same(draft.user('ann')?.grants, [onTable(1), onSales])
  draft.apply(transaction([{ do: 'drop-database', name: 'sales' }]))
  draft.apply(transaction([{ do: 'create-database', name: 'sales', createdAt: '' }]))
  t.same(draft.user('ann')?.grants, [onTable(1)], 'the next database of its name is another one')
})

t.test("a dropped user's tables are the administrator's, and never his successor's", async (t) => {
  const draft = draftOf(...START, { do: 'drop-user', user: 'ann' })
  t.same(draft.table(1)?.owner, undefined)
  t.notOk('owner' in (draft.table(1) ?? {}))
  draft.apply(transaction([{ do: 'create-table', table: tableOf(3, { owner: 'ann' }) }]))
  t.equal(draft.table(3)?.owner, undefined, 'a query that outlived its user')
  draft.apply(transaction([{ do: 'create-user', user: userOf('ann') }]))
  t.same(
    draft.toData().tables.filter(({ owner }) => owner !== undefined),
    [],
  )
  t.same(draft.user('ann')?.grants, [])
})

t.test('what does not fit is refused', async (t) => {
  const cases: readonly [Change, string][] = [
    [{ do: 'create-user', user: userOf('ann') }, 'EXISTS'],
    [{ do: 'set-verifier', user: 'bob', verifier: '' }, 'MISSING'],
    [{ do: 'drop-user', user: 'bob' }, 'MISSING'],
    [{ do: 'grant', user: 'bob', grants: [] }, 'MISSING'],
    [{ do: 'revoke', user: 'bob', grants: [] }, 'MISSING'],
    [{ do: 'grant', user: 'ann', grants: [onTable(9)] }, 'MISSING'],
    [
      { do: 'grant', user: 'ann', grants: [{ on: 'database', database: 'x', privilege: 'ALL' }] },
      'MISSING',
    ],
  ]
  for (const [change, code] of cases) {
    const draft = draftOf(...START)
    const before = draft.toData()
    t.throws(() => draft.apply(transaction([change])), { code }, JSON.stringify(change))
    t.same(draft.toData(), before)
  }
})

// ---- formats -----------------------------------------------------------------------------------------------------------

const directory = '/shared/system/catalog'
const storeOn = (disk: MemDirectory) =>
  new SharedStore({ directory, files: memFiles(disk), log: () => {}, journalBytes: 2 ** 30 })

async function diskAfter(...transactions: readonly (readonly Change[])[]): Promise<MemDirectory> {
  const disk = memDirectory()
  const catalog = newCatalog(storeOn(disk))
  await catalog.open(1, NEVER)
  for (const changes of transactions) await catalog.transact(() => transaction(changes))
  await catalog.close()
  return disk
}

const formatsIn = (disk: MemDirectory, kind: 'journal' | 'checkpoint'): string[] =>
  [...disk.files.values()].flatMap((bytes) => {
    const found = new RegExp(`\\{"${kind}":(\\d)`).exec(bytes.toString())?.[1]
    return found === undefined ? [] : [found]
  })

t.test(
  'a journal without users is as it was, and one with them stops older versions',
  async (t) => {
    const plain = await diskAfter([{ do: 'create-table', table: tableOf(1) }])
    t.same([...new Set(formatsIn(plain, 'journal'))], ['2'])
    for (const changes of [
      [{ do: 'create-user', user: userOf('ann') }],
      [{ do: 'load', data: { ...EMPTY, users: [userOf('ann')] } }],
    ] as const) {
      const disk = await diskAfter([{ do: 'create-table', table: tableOf(1) }], changes)
      t.ok(formatsIn(disk, 'journal').includes('4'), 'an older reader is stopped at its part')
      const store = storeOn(disk)
      const { data } = kept(await store.open(2, NEVER))
      t.same(data.users, [userOf('ann')])
      await store.close()
    }
  },
)

t.test('a checkpoint with users is of another format, and one without is not', async (t) => {
  for (const [users, format] of [
    [undefined, '1'],
    [[userOf('ann', [onTable(1)])], '2'],
  ] as const) {
    const disk = memDirectory()
    const data = { ...EMPTY, tables: [tableOf(1)], nextTableId: 2, ...(users ? { users } : {}) }
    await storeOn(disk).replace(1, CatalogState.from(data))
    t.same(formatsIn(disk, 'checkpoint'), [format])
    const store = storeOn(disk)
    t.same(kept(await store.open(2, NEVER)).data, data)
    await store.close()
  }
})

// ---- dumps ---------------------------------------------------------------------------------------------------------------

const data: CatalogData = {
  ...EMPTY,
  tables: [tableOf(1, { owner: 'ann' })],
  users: [userOf('ann', [onTable(1), { on: 'location', path: '/data' }])],
  nextTableId: 2,
}
const encode = (catalog: CatalogData): string => [...dumpPieces(catalog, new Date(0))].join('')
function decode(text: string): CatalogData {
  const reader = new DumpReader()
  reader.push(text)
  return reader.end()
}

t.test('a dump with users has another format, and comes in as it went out', async (t) => {
  t.equal(JSON.parse(encode(EMPTY)).tajoCatalog, 1)
  t.equal(JSON.parse(encode(data)).tajoCatalog, 2)
  t.same(decode(encode(data)), data)
  t.notOk(isEmptyCatalog({ ...EMPTY, users: [userOf('ann')] }))
})

t.test('a dump whose users do not fit is refused, with the place', async (t) => {
  const whole = encode(data)
  const cases: [RegExp, string][] = [
    [
      /there is no user 'ann', whose it is/,
      whole.replace('"owner": "ann"', '"owner": "ann"').replace('"name": "ann"', '"name": "bob"'),
    ],
    [/user 'ann': there is no table with id 7/, whole.replace('"tableId": 1', '"tableId": 7')],
    [/catalog.users.0.grants.0.privilege/, whole.replace('"SELECT"', '"LOOK"')],
    [/catalog.users.0.grants.1.path/, whole.replace('"path": "/data"', '"way": "/data"')],
    [/user 'ann' is there twice/, encode({ ...data, users: [userOf('ann'), userOf('ann')] })],
  ]
  for (const [message, text] of cases) {
    t.not(text, whole, String(message))
    t.throws(() => decode(text), { code: 'CORRUPT', message })
  }
})
