/**
 * Changes that are too long for one record: they come and go in pieces, as a whole or not at all, wherever a process dies,
 * and the event loop has its turns meanwhile.
 */
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { CatalogData, Change, DataFile, Transaction } from '../../../lib/catalog/model.ts'
import { groupRecords } from '../../../lib/catalog/shared/records.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import type { Progress } from '../../../lib/catalog/store.ts'
import {
  TransactionAssembler,
  type TransactionPiece,
  transactionPieces,
} from '../../../lib/catalog/transaction-pieces.ts'
import {
  codeOf,
  fileOf,
  kept,
  NEVER,
  newCatalog,
  outcomeOf,
  tableOf,
  transaction,
} from '../../contract/catalog.ts'
import { gatewayFiles } from '../../support/gateway-files.ts'
import { longestTurn } from '../../support/longest-turn.ts'
import { type Fault, type MemDirectory, memDirectory, memFiles } from '../../support/mem-files.ts'
import { until } from '../../support/until.ts'

const byJson = <T>(value: T): T => JSON.parse(JSON.stringify(value))
const files = (count: number, partitions: number): DataFile[] =>
  Array.from({ length: count }, (_, at) =>
    fileOf(`data-${at}/f`, {
      rows: at % 3 === 0 ? null : at,
      partition: partitions === 0 ? [] : [`p${at % partitions}`, at % 2 === 0 ? null : 'ä'],
    }),
  )

// ---- pieces ------------------------------------------------------------------------------------------------------------

const load: CatalogData = {
  ...EMPTY,
  databases: [...EMPTY.databases, { name: 'x', createdAt: '' }],
  tables: [tableOf(1, { files: files(2100, 3) }), tableOf(2, { name: 'b' })],
  outcomes: Array.from({ length: 1500 }, (_, at) => outcomeOf(`q${at}`)),
  litter: Array.from({ length: 2500 }, (_, at) => ({ path: `/l${at}`, sinceMs: at })),
  publications: [{ queryId: 'p', staging: '/s', location: '/t' }],
  nextTableId: 3,
}
const many = Array.from({ length: 1500 }, (_, at) => `/old${at}`)
const changes: Change[] = [
  { do: 'load', data: load },
  { do: 'create-table', table: tableOf(3, { files: files(1700, 0) }) },
  {
    do: 'write',
    tableId: 3,
    schemaVersion: 1,
    mode: 'append',
    files: files(1200, 0).map((one) => ({ ...one, path: `more-${one.path}` })),
  },
  { do: 'write', tableId: 2, schemaVersion: 1, mode: 'overwrite', files: [fileOf('one')] },
  { do: 'add-litter', paths: many },
  { do: 'litter-removed', paths: many.slice(3) },
  {
    ...{ do: 'compact', tableId: 3, schemaVersion: 1, keepMs: 7 },
    joins: Array.from({ length: 600 }, (_, at) => ({
      replaced: [`data-${2 * at}/f`, `data-${2 * at + 1}/f`],
      files: [fileOf(`joined-${at}`, { rows: null })],
    })),
  },
  { do: 'drop-table', tableId: 2, litter: many },
  { do: 'drop-database', name: 'x' },
]
const after = (one: Transaction): CatalogData => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  draft.apply(one)
  return draft.seal().state.toData()
}

t.test('a transaction does what it did, again of its pieces', async (t) => {
  const small = transaction(changes.slice(-1), outcomeOf('q'))
  t.same([...transactionPieces(small)], [{ transaction: small }], 'a small one is one piece')
  const large = transaction(changes, outcomeOf('q'))
  const pieces = [...transactionPieces(large)].map(byJson)
  const longest = Math.max(...pieces.map((piece) => JSON.stringify(piece).length))
  t.ok(longest < 200_000, `the longest piece has ${longest} characters`)
  const assembler = new TransactionAssembler()
  const made = pieces.map((piece) => assembler.add(piece))
  const whole = made.pop() ?? null
  t.ok(made.every((one) => one === null))
  t.notOk(assembler.isUnfinished)
  t.ok(whole?.changes.every((change) => !('files' in change) || change.files instanceof FileList))
  t.ok(JSON.stringify(after(whole as Transaction)) === JSON.stringify(after(large)))
  t.same(assembler.add({ transaction: small }), small, 'the next one follows')
})

t.test('a transaction with a part missing, or one too much, is refused', async (t) => {
  const pieces = [...transactionPieces(transaction(changes, null))].map(byJson)
  const refused = (some: readonly TransactionPiece[]): string => {
    const assembler = new TransactionAssembler()
    try {
      for (const piece of some) assembler.add(piece)
    } catch (error) {
      return (error as Error).message
    }
    return assembler.isUnfinished ? 'unfinished' : 'not refused'
  }
  for (let at = 0; at < pieces.length; at += 1) {
    const without = pieces.filter((_, index) => index !== at)
    t.not(refused(without), 'not refused', `without piece ${at}`)
    const twice = pieces.flatMap((piece, index) => (index === at ? [piece, piece] : [piece]))
    t.not(refused(twice), 'not refused', `piece ${at} twice`)
  }
})

// ---- a journal of them -------------------------------------------------------------------------------------------------

const directory = '/shared/system/catalog'
/** Of some records, and where names are long, in closed files, of two of these. */
const LONG = 5000
const bulk = (name: string, count = LONG, nameLength = 60): Change => ({
  ...{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' },
  files: Array.from({ length: count }, (_, at) =>
    fileOf(`${name}/${'x'.repeat(nameLength)}-${at}`),
  ),
})
const create: Change = { do: 'create-table', table: tableOf(1) }

interface Host {
  readonly growing: boolean
  readonly fault?: Parameters<typeof memFiles>[1]
}
function storeOn(disk: MemDirectory, { growing, fault }: Host) {
  const inner = memFiles(disk, fault)
  const files = growing
    ? inner
    : gatewayFiles(inner, disk, { gateway: new Map(), growingFilesReadable: false })
  return {
    inner,
    store: new SharedStore({ directory, files, log: () => {}, journalBytes: 2 ** 30 }),
  }
}

async function begun(host: Host): Promise<MemDirectory> {
  const disk = memDirectory()
  const catalog = newCatalog(storeOn(disk, host).store)
  await catalog.open(1, NEVER)
  await catalog.transact(() => transaction([create]))
  await catalog.close()
  return disk
}

const filesIn = ({ state }: { readonly state: CatalogState }): number =>
  state.table(1)?.files.length ?? Number.NaN
const readBy = async (disk: MemDirectory, term: number, host: Host): Promise<number> =>
  filesIn(await storeOn(disk, host).store.open(term, NEVER))
const journalsOf = (disk: MemDirectory): string[] =>
  [...disk.files.keys()].filter((path) => path.includes('/journal-')).sort()

for (const growing of [true, false]) {
  const kind = growing ? 'in one file' : 'in closed files'
  const large = (name: string): Change => bulk(name, LONG, growing ? 60 : 900)

  t.test(`${kind}: a long change is several records, and read as it was`, async (t) => {
    const disk = await begun({ growing })
    const catalog = newCatalog(storeOn(disk, { growing }).store)
    await catalog.open(2, NEVER)
    await catalog.transact(() => transaction([large('a')], outcomeOf('a')))
    const one = { do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' } as const
    await catalog.transact(() => transaction([{ ...one, files: [fileOf('last')] }]))
    const expected = catalog.state().toData()
    await catalog.close()
    const text = journalsOf(disk).map((path) => disk.files.get(path)?.toString() ?? '')
    const lines = text.flatMap((each) => each.split('\n'))
    t.ok(Math.max(...lines.map(({ length }) => length)) < 1_500_000, 'no record is long')
    t.equal(lines.filter((line) => /\{"seq":\d+,"end":\d+\}/.test(line)).length, 1)
    const formats = text.map((each) => /"journal":(\d)/.exec(each)?.[1]).filter(Boolean)
    t.ok(formats.includes('3'), 'an older reader is stopped at its part')
    t.ok(formats.includes('2'), 'and at no other one')
    if (!growing) {
      const longest = Math.max(...journalsOf(disk).map((path) => disk.files.get(path)?.length ?? 0))
      t.ok(longest < 5_000_000, `the longest file has ${longest} bytes`)
    }
    const { data } = kept(await storeOn(disk, { growing }).store.open(3, NEVER))
    t.ok(JSON.stringify(data) === JSON.stringify(expected))
  })

  t.test(`${kind}: wherever the process dies, all of it is there or nothing`, async (t) => {
    let sawNothing = 0
    let sawAll = 0
    for (let at = 0; ; at += 1) {
      const disk = await begun({ growing })
      const crash: Fault = { how: 'crash' }
      let from = Number.POSITIVE_INFINITY
      const fault = (_call: string, _path: string, number: number): Fault | null =>
        number === from + at ? crash : null
      const { inner, store } = storeOn(disk, { growing, fault })
      const catalog = newCatalog(store)
      await catalog.open(2, NEVER)
      from = inner.calls.length
      let acknowledged = false
      void catalog
        .transact(() => transaction([large('a')], outcomeOf('a')))
        .then(() => {
          acknowledged = true
        })
        .catch(() => undefined)
      await until('it is done or dead', () => acknowledged || inner.crashed(), { everyMs: 1 })
      await catalog.close()
      const found = await readBy(disk, 3, { growing })
      t.ok(found === LONG || (found === 0 && !acknowledged), `call ${at}: ${found} files`)
      if (found === 0) sawNothing += 1
      else sawAll += 1
      if (acknowledged) break
    }
    t.ok(sawNothing > 5 && sawAll > 0, `nothing ${sawNothing} times, all ${sawAll} times`)
  })

  t.test(`${kind}: without space nothing of it stays, and the store goes on`, async (t) => {
    const disk = await begun({ growing })
    let writes = 0
    const full: Fault = { how: 'torn', errno: 'ENOSPC' }
    // Asked twice a write: after the first record of the part that takes long changes, and after one closed file.
    const fault = (call: string, path: string): Fault | null => {
      if (call !== 'write' || !path.includes('journal-0000000002')) return null
      writes += 1
      return writes === (growing ? 3 : 5) ? full : null
    }
    const catalog = newCatalog(storeOn(disk, { growing, fault }).store)
    await catalog.open(2, NEVER)
    t.equal(await codeOf(catalog.transact(() => transaction([large('a')]))), 'FULL')
    const one = { do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' } as const
    await catalog.transact(() => transaction([{ ...one, files: [fileOf('small')] }]))
    await catalog.transact(() => transaction([large('b')]))
    await catalog.close()
    t.equal(await readBy(disk, 3, { growing }), LONG + 1)
    const text = [...disk.files.values()].join('')
    t.notMatch(text, /"a\/xxx/)
  })
}

async function withLong(): Promise<{ disk: MemDirectory; path: string }> {
  const disk = await begun({ growing: true })
  const catalog = newCatalog(storeOn(disk, { growing: true }).store)
  await catalog.open(2, NEVER)
  await catalog.transact(() => transaction([bulk('a')]))
  await catalog.close()
  const path = journalsOf(disk).at(-1) ?? ''
  return { disk, path }
}

t.test(
  'without its end it is passed over at the end of a journal, and damage before it',
  async (t) => {
    const whole = await withLong()
    const bytes = whole.disk.files.get(whole.path) ?? Buffer.alloc(0)
    const ends = bytes.lastIndexOf('\n', bytes.length - 2) + 1
    whole.disk.files.set(whole.path, bytes.subarray(0, ends))
    t.equal(await readBy(whole.disk, 3, { growing: true }), 0, 'the end is missing')

    const named = await withLong()
    // The next term has named the length.
    t.equal(await readBy(named.disk, 3, { growing: true }), LONG)
    named.disk.files.set(named.path, bytes.subarray(0, ends))
    t.equal(await codeOf(readBy(named.disk, 4, { growing: true })), 'CORRUPT')

    const broken = await withLong()
    const edited = Buffer.from(bytes)
    edited.write('?', Math.floor(bytes.length / 2))
    broken.disk.files.set(broken.path, edited)
    t.equal(await codeOf(readBy(broken.disk, 3, { growing: true })), 'CORRUPT', 'a record within')

    const without = await withLong()
    const lines = bytes.toString().split('\n')
    lines.splice(2, 1)
    without.disk.files.set(without.path, Buffer.from(lines.join('\n')))
    t.equal(await codeOf(readBy(without.disk, 3, { growing: true })), 'CORRUPT', 'one too few')

    const second = await withLong()
    const [record = Buffer.alloc(0)] = groupRecords(2, [transaction([create])])
    second.disk.files.set(second.path, Buffer.concat([bytes.subarray(0, ends), record]))
    t.equal(await codeOf(readBy(second.disk, 3, { growing: true })), 'CORRUPT', 'another begins')
  },
)

// ---- slices ------------------------------------------------------------------------------------------------------------

/** Some slices' work on a quick machine, too. */
const MANY = 150_000

t.test('a long change is decided, written and read in slices', async (t) => {
  const many = FileList.of(files(MANY, 50).map((one) => ({ ...one, partition: [] })))
  const disk = await begun({ growing: true })
  const catalog = newCatalog(storeOn(disk, { growing: true }).store)
  await catalog.open(2, NEVER)
  const write = { do: 'write', tableId: 1, schemaVersion: 1, files: many } as const
  const order: string[] = []
  const done = await longestTurn(async () => {
    await Promise.all([
      catalog
        .transact(() => transaction([{ ...write, mode: 'append' }]))
        .then(() => order.push('first')),
      catalog
        .transact((state) => {
          order.push(`second sees ${state.table(1)?.files.length}`)
          return transaction([{ ...write, mode: 'append' }])
        })
        .then(() => order.push('second')),
    ])
  })
  t.ok(done.turns > 5, `${done.turns} turns meanwhile, the longest of ${done.ms} ms`)
  t.same(order, [`second sees ${MANY}`, 'first', 'second'])
  const dropped = await longestTurn(() =>
    catalog.transact(() => transaction([{ ...write, files: [], mode: 'overwrite' }])),
  )
  t.ok(dropped.turns > 5, `${dropped.turns} turns meanwhile, the longest of ${dropped.ms} ms`)
  t.equal(catalog.state().litterCount, MANY)
  await catalog.close()
  const told = new Set<string>()
  const onProgress = ({ phase, done }: Progress): unknown => told.add(`${phase}: ${done}`)
  const { store } = storeOn(disk, { growing: true })
  const read = await longestTurn(() => store.open(3, NEVER, { onProgress }))
  t.ok(read.turns > 5, `${read.turns} turns meanwhile, the longest of ${read.ms} ms`)
  for (const phase of ['reading', 'taking in']) {
    const of = [...told].filter((one) => one.startsWith(`${phase} the journal `))
    t.ok(of.length > 2, `${of.length} signs that it goes on, while ${phase}`)
  }
})

t.test('a long change that is refused leaves everything as it was, and others go on', async (t) => {
  const disk = await begun({ growing: true })
  const catalog = newCatalog(storeOn(disk, { growing: true }).store)
  await catalog.open(2, NEVER)
  const append = { do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' } as const
  const before = catalog.state().toData()
  const refused = codeOf(
    catalog.transact(() =>
      transaction([bulk('a', 40_000), { ...append, schemaVersion: 9, files: [] }]),
    ),
  )
  const small = catalog.transact(() => transaction([{ ...append, files: [fileOf('small')] }]))
  t.equal(await refused, 'CONFLICT')
  t.same([...((await small).table(1)?.files ?? [])], [fileOf('small')])
  await catalog.idle()
  t.equal(before.tables[0]?.files.length, 0)
  await catalog.close()
  t.equal(await readBy(disk, 3, { growing: true }), 1)
})

t.test('whatever is asked for while a long change ends is decided', async (t) => {
  const catalog = newCatalog(storeOn(await begun({ growing: true }), { growing: true }).store)
  await catalog.open(2, NEVER)
  const small: Promise<unknown>[] = []
  const append = { do: 'write', tableId: 1, schemaVersion: 1, mode: 'append' } as const
  const askAfter = async (microtasks: number): Promise<void> => {
    for (let i = 0; i < microtasks; i += 1) await null
    await catalog.transact(() => transaction([{ ...append, files: [fileOf(`${microtasks}`)] }]))
  }
  const long = catalog.transact(() => transaction([bulk('a', 40_000)]))
  const last = catalog.transact(() => {
    for (let i = 0; i < 20; i += 1) small.push(askAfter(i))
    return transaction([{ ...append, files: [fileOf('last')] }])
  })
  let done = false
  void Promise.all([long, last])
    .then(() => Promise.all(small))
    .then(() => {
      done = true
    })
  await until('all of them are done', () => done)
  t.equal(catalog.state().table(1)?.files.length, 40_021)
  await catalog.close()
})

t.test(
  'the term ends in the middle of a long change: its caller and all behind are told',
  async (t) => {
    const disk = await begun({ growing: true })
    const catalog = newCatalog(storeOn(disk, { growing: true }).store)
    await catalog.open(2, NEVER)
    const long = codeOf(catalog.transact(() => transaction([bulk('a', 40_000)])))
    const behind = codeOf(catalog.transact(() => transaction([bulk('b', 10)])))
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(catalog.pending, 2)
    await catalog.close()
    t.same([await long, await behind], ['NOT_ACTIVE', 'NOT_ACTIVE'])
    t.equal(await readBy(disk, 3, { growing: true }), 0)
  },
)
