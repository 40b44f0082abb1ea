/**
 * The store in the shared directory when the storage fails: no acknowledged change is lost, none is doubled, whatever
 * call fails, hangs, lands late or is the last one of its process.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import type { Change } from '../../../lib/catalog/model.ts'
import { openFiles } from '../../../lib/catalog/shared/files.ts'
import { NEWEST_JOURNAL_FORMAT } from '../../../lib/catalog/shared/journal-format.ts'
import { encodeRecord, followedByWhole, takeRecords } from '../../../lib/catalog/shared/records.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import {
  batchOf,
  codeOf,
  fileOf,
  kept,
  NEVER,
  newCatalog,
  outcomeOf,
  tableOf,
  transaction,
} from '../../contract/catalog.ts'
import {
  type Fault,
  type MemDirectory,
  type MemFiles,
  memDirectory,
  memFiles,
} from '../../support/mem-files.ts'
import { putOld } from '../../support/old-catalog.ts'
import { until } from '../../support/until.ts'

const directory = '/shared/system/catalog'
const storeOn = (
  disk: MemDirectory,
  fault?: Parameters<typeof memFiles>[1],
  journalBytes = 4000,
) => {
  const files = memFiles(disk, fault)
  return { files, store: new SharedStore({ directory, files, log: () => {}, journalBytes }) }
}

const insert = (index: number) => () =>
  transaction(
    [{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files: [fileOf(`f${index}`)] }],
    outcomeOf(`q${index}`),
  )

/** A catalog with one table, opened by terms 1 and 2. */
async function begun(): Promise<MemDirectory> {
  const disk = memDirectory()
  for (const term of [1, 2]) {
    const catalog = newCatalog(storeOn(disk).store)
    await catalog.open(term, NEVER)
    if (term === 1) {
      await catalog.transact(() => transaction([{ do: 'create-table', table: tableOf(1) }]))
    }
    await catalog.close()
  }
  return disk
}

type FaultAt = (call: string, number: number, files: MemFiles) => Fault | null

/** Runs inserts under `term` until the process is dead or all are done; answers which were acknowledged. */
async function inserting(disk: MemDirectory, term: number, faultAt: FaultAt, from: number) {
  const { files, store } = storeOn(disk, (call, _, number) => faultAt(call, number, files), 1200)
  const catalog = newCatalog(store)
  const ending = new AbortController()
  const acknowledged: number[] = []
  let finished = false
  const work = async (): Promise<void> => {
    await catalog.open(term, ending.signal)
    for (let index = from; index < from + 12; index += 1) {
      await catalog.transact(insert(index))
      acknowledged.push(index)
    }
  }
  const done = work().catch((error: unknown) => codeOf(Promise.reject(error)))
  void done.then(() => {
    finished = true
  })
  const isOver = (): boolean => finished || files.crashed()
  await until('all inserts are done, or the process is dead', isOver, { everyMs: 1 })
  ending.abort()
  await catalog.close()
  return { acknowledged, calls: files.calls.length }
}

async function readBy(
  disk: MemDirectory,
  term: number,
): Promise<{ files: number[]; asked: number[] }> {
  const { data } = kept(await storeOn(disk).store.open(term, NEVER))
  const numbers = (names: string[]) => names.map((name) => Number(name.slice(1)))
  return {
    files: numbers((data.tables[0]?.files ?? []).map(({ path }) => path)),
    asked: numbers(data.outcomes.map(({ queryId }) => queryId)),
  }
}

t.test('a crash in any step of a take-over or a change loses nothing acknowledged', async (t) => {
  const whole = await inserting(await begun(), 3, () => null, 0)
  t.equal(whole.acknowledged.length, 12)
  t.ok(whole.calls > 40, `${whole.calls} calls, with new parts in between`)
  for (let last = 0; last < whole.calls; last += 1) {
    const disk = await begun()
    const first = await inserting(disk, 3, (_, n) => (n === last ? { how: 'crash' } : null), 0)
    // The next one crashes too, at another place, and the one after it reads.
    const then = (last * 7) % 20
    const second = await inserting(disk, 4, (_, n) => (n === then ? { how: 'crash' } : null), 100)
    const { files, asked } = await readBy(disk, 5)
    const acknowledged = [...first.acknowledged, ...second.acknowledged]
    const missing = acknowledged.filter((index) => !files.includes(index))
    if (missing.length > 0) t.fail(`crash in call ${last}, then ${then}: ${missing} are lost`)
    if (new Set(files).size !== files.length) t.fail(`crash in call ${last}: doubled`)
    if (String(files) !== String(asked)) t.fail(`crash in call ${last}: ${files} and ${asked}`)
    if (files.length > acknowledged.length + 2) t.fail(`crash in call ${last}: too much`)
  }
})

t.test(
  'one call that fails, in any way, loses and doubles nothing, and the term goes on',
  async (t) => {
    const ways: Fault[] = [
      { how: 'fail' },
      { how: 'torn' },
      { how: 'lands' },
      { how: 'fail', errno: 'ESTALE' },
      { how: 'late' },
    ]
    const { calls } = await inserting(await begun(), 3, () => null, 0)
    for (const way of ways) {
      for (let at = 0; at < calls; at += way.how === 'fail' ? 1 : 2) {
        const disk = await begun()
        const fault: FaultAt = (call, n, files) => {
          if (n > at + 3) files.landLate()
          if (n !== at) return null
          // Only a write can land in part or late.
          return call === 'write' ? way : { how: 'fail', errno: way.errno ?? 'EIO' }
        }
        const { acknowledged } = await inserting(disk, 3, fault, 0)
        const read = await readBy(disk, 4)
        const where = `${way.how} ${way.errno ?? ''} in call ${at}`
        if (acknowledged.length !== 12) t.fail(`${where}: only ${acknowledged.length} were done`)
        if (String(read.files) !== String(acknowledged)) t.fail(`${where}: ${read.files}`)
        if (String(read.asked) !== String(acknowledged)) t.fail(`${where}: ${read.asked}`)
      }
    }
  },
)

t.test('a change that failed and lands after the term has gone on does not count', async (t) => {
  const disk = await begun()
  let broken = false
  const { files, store } = storeOn(disk, (call, path) =>
    broken && call === 'write' && path.includes('journal') ? { how: 'late' } : null,
  )
  const opened = await store.open(3, NEVER)
  const state = opened.state
  const lost = batchOf(state, 1, [insert(1)()])
  broken = true
  t.equal(await codeOf(store.append(lost)), 'UNAVAILABLE')
  broken = false
  t.equal(await codeOf(store.append(lost)), 'UNAVAILABLE', 'this part is closed')
  t.equal((await store.open(3, NEVER)).seq, 0)
  files.landLate()
  const other = batchOf(state, 1, [insert(2)()])
  await store.append(other)
  t.same((await readBy(disk, 4)).files, [2])
})

t.test('without space a change is refused and the store goes on when there is some', async (t) => {
  for (const journalBytes of [1, 4000]) {
    const disk = await begun()
    let full = false
    const { store } = storeOn(
      disk,
      (call) => (full && call === 'write' ? { how: 'torn', errno: 'ENOSPC' } : null),
      journalBytes,
    )
    const catalog = newCatalog(store)
    await catalog.open(3, NEVER)
    await catalog.transact(insert(1))
    full = true
    t.equal(await codeOf(catalog.transact(insert(2))), 'FULL')
    t.equal(await codeOf(catalog.transact(insert(2))), 'FULL')
    t.equal(catalog.state().outcome('q2'), null)
    const before = [...disk.files.keys()].length
    for (let i = 0; i < 5; i += 1) await codeOf(catalog.transact(insert(2)))
    t.equal([...disk.files.keys()].length, before, 'attempts leave no files behind')
    full = false
    await catalog.transact(insert(3))
    t.same((await readBy(disk, 4)).files, [1, 3])
  }
})

t.test(
  'where what has no space can not be cut off again, the change counts as unknown',
  async (t) => {
    const disk = await begun()
    let full = false
    const { store } = storeOn(disk, (call) => {
      if (!full || (call !== 'write' && call !== 'cutTo')) return null
      return {
        how: call === 'write' ? 'lands' : 'fail',
        errno: call === 'write' ? 'ENOSPC' : 'EIO',
      }
    })
    const { data } = kept(await store.open(3, NEVER))
    const state = CatalogState.from(data)
    full = true
    t.equal(await codeOf(store.append(batchOf(state, 1, [insert(1)()]))), 'UNAVAILABLE')
    full = false
    t.equal((await store.open(3, NEVER)).seq, 1, 'it did land')
  },
)

t.test('damage is told, never taken for the end of a file or for nothing', async (t) => {
  const damaged = async (change: (disk: MemDirectory) => void): Promise<string> => {
    const disk = await begun()
    const catalog = newCatalog(storeOn(disk).store)
    await catalog.open(3, NEVER)
    for (let index = 0; index < 4; index += 1) await catalog.transact(insert(index))
    await catalog.close()
    change(disk)
    return storeOn(disk)
      .store.open(4, NEVER)
      .then(
        ({ state }) => `${state.table(1)?.files.length} files`,
        (error) => `${error.code}`,
      )
  }
  const edit = (disk: MemDirectory, name: string, how: (bytes: Buffer) => Buffer): void => {
    const path = `${directory}/epoch-0000000003/${name}-0000000001`
    disk.files.set(path, how(Buffer.from(disk.files.get(path) ?? Buffer.alloc(0))))
  }
  const flip = (at: (bytes: Buffer) => number) => (bytes: Buffer) => {
    const place = at(bytes)
    bytes[place] = (bytes[place] ?? 0) ^ 1
    return bytes
  }
  t.equal(await damaged(() => {}), '4 files')
  t.equal(await damaged((disk) => edit(disk, 'journal', (b) => b.subarray(0, -9))), '3 files')
  t.equal(
    await damaged((disk) =>
      edit(
        disk,
        'journal',
        flip((b) => b.length - 9),
      ),
    ),
    '3 files',
  )
  t.equal(
    await damaged((disk) =>
      edit(
        disk,
        'journal',
        flip((b) => b.indexOf('f1')),
      ),
    ),
    'CORRUPT',
  )
  // For readers of earlier formats alone.
  t.equal(await damaged((disk) => edit(disk, 'snapshot', () => Buffer.alloc(0))), '4 files')
  t.equal(await damaged((disk) => edit(disk, 'journal', () => Buffer.alloc(0))), 'CORRUPT')
  const newer = encodeRecord({ journal: NEWEST_JOURNAL_FORMAT + 1, term: 3, part: 1 })
  t.equal(await damaged((disk) => edit(disk, 'journal', () => newer)), 'BAD_STORE')
})

t.test('damage of a snapshot of an earlier version is told as well', async (t) => {
  const opened = async (how: (bytes: Buffer) => Buffer): Promise<string> => {
    const disk = memDirectory()
    const draft = Draft.of(CatalogState.from(EMPTY))
    draft.apply(transaction([{ do: 'create-table', table: tableOf(1) }]))
    const { state } = draft.seal()
    putOld(disk, directory, { term: 3, state, groups: [[insert(0)()], [insert(1)(), insert(2)()]] })
    const path = `${directory}/epoch-0000000003/snapshot-0000000001`
    disk.files.set(path, how(Buffer.from(disk.files.get(path) ?? Buffer.alloc(0))))
    return storeOn(disk)
      .store.open(4, NEVER)
      .then(
        ({ state }) => `${state.table(1)?.files.length} files`,
        (error) => `${error.code}`,
      )
  }
  t.equal(await opened((bytes) => bytes), '3 files')
  const flipped = (bytes: Buffer): Buffer => {
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  }
  t.equal(await opened(flipped), 'CORRUPT')
  t.equal(await opened((b) => b.subarray(0, -1)), 'CORRUPT')
  t.equal(await opened(() => Buffer.alloc(0)), 'CORRUPT')
  const withoutEnd = (b: Buffer) => b.subarray(0, b.lastIndexOf('\n', b.length - 2) + 1)
  t.equal(await opened(withoutEnd), 'CORRUPT')
  const newer = encodeRecord({ snapshot: 4, term: 3, part: 1 })
  t.equal(await opened(() => newer), 'BAD_STORE')
})

t.test('unreadable storage is never taken for an empty one', async (t) => {
  for (const errno of ['EIO', 'ESTALE', 'EACCES']) {
    for (const call of ['list', 'readAt']) {
      const disk = await begun()
      const { store } = storeOn(disk, (one) => (one === call ? { how: 'fail', errno } : null))
      const code = await codeOf(store.open(3, NEVER))
      t.equal(code, errno === 'EACCES' ? 'BAD_STORE' : 'UNAVAILABLE')
      t.equal(await codeOf(store.readOnly()), code)
    }
  }
})

t.test('a listing that is old hides no term and no part from a take-over', async (t) => {
  const disk = await begun()
  const catalog = newCatalog(storeOn(disk, undefined, 1).store)
  await catalog.open(5, NEVER)
  for (let index = 0; index < 3; index += 1) await catalog.transact(insert(index))
  await catalog.close()
  const files = memFiles(disk)
  const oldListing: typeof files = {
    ...files,
    list: async (path) => {
      const names = await files.list(path)
      if (names === 'missing') return names
      return names.filter((name) => !/epoch-0000000005|-000000000[34]$/.test(name))
    },
  }
  const store = new SharedStore({ directory, files: oldListing, log: () => {} })
  const { data } = kept(await store.open(7, NEVER))
  t.equal(data.tables[0]?.files.length, 3)
})

t.test('a hanging open ends with its term, and holds nothing up afterwards', async (t) => {
  const disk = await begun()
  let hangs = true
  const hang = (call: string): Fault | null =>
    hangs && call === 'syncDir' ? { how: 'hang' } : null
  const { files, store } = storeOn(disk, hang)
  const catalog = newCatalog(store)
  const term = new AbortController()
  const opening = codeOf(catalog.open(3, term.signal))
  await until('it hangs', () => files.calls.at(-1)?.startsWith('syncDir'), { everyMs: 1 })
  term.abort()
  t.equal(await opening, 'NOT_ACTIVE')
  hangs = false
  await catalog.open(4, NEVER)
  await catalog.transact(insert(1))
  t.same((await readBy(disk, 5)).files, [1])
})

const termsOf = ({ dirs }: MemDirectory): string[] =>
  [...dirs].filter((path) => path.includes('epoch-')).sort()

const filesOf = ({ files }: MemDirectory, term: number): string[] =>
  [...files.keys()].filter((path) => path.includes(`epoch-000000000${term}`))

t.test('what lies below the checkpoint before the last is removed', async (t) => {
  const disk = memDirectory()
  for (let term = 1; term <= 9; term += 1) {
    const catalog = newCatalog(storeOn(disk, undefined, 1).store)
    await catalog.open(term, NEVER)
    const change = async (): Promise<void> => {
      const paths = ['x'.repeat(3000)]
      await catalog.transact(() => transaction([{ do: 'add-litter', paths }]))
      await catalog.transact(() => transaction([{ do: 'litter-removed', paths }]))
    }
    for (let index = 0; index < 5; index += 1) {
      await change()
      const name = `d${term}-${index}`
      await catalog.transact(() => transaction([{ do: 'create-database', name, createdAt: '' }]))
    }
    // A slow checkpoint removes nothing before the next one, which becomes due with further changes.
    const isTidy = async (): Promise<boolean> => {
      await catalog.prove()
      await change()
      return termsOf(disk).length <= 2 && filesOf(disk, term).length <= 20
    }
    await until('all but the newest few are removed', isTidy, { everyMs: 1 })
    await catalog.close()
  }
  t.equal((await storeOn(disk).store.readOnly()).data.databases.length, 46)
  const whole = [...disk.files.keys()].filter((path) => path.includes('/whole-')).sort()
  disk.files.delete(whole.at(-1) ?? '')
  t.equal((await storeOn(disk).store.readOnly()).data.databases.length, 46, 'without the last one')
})

t.test(
  'no catalog that can be brought back names a file that was joined before the oldest',
  async (t) => {
    const disk = memDirectory()
    let nowMs = 1_000_000
    const tick = (): number => {
      nowMs += 1
      return nowMs
    }
    let whileWriting: (() => void) | null = null
    const files = memFiles(disk, (call, path) => {
      if (call === 'write' && path.includes('journal-')) {
        whileWriting?.()
        whileWriting = null
      }
      return null
    })
    const store = () =>
      new SharedStore({
        ...{ directory, files, log: () => {}, journalBytes: 2000 },
        now: () => new Date(tick()),
      })
    const [head, keepMs] = [{ tableId: 1, schemaVersion: 1 }, 1]
    const bounds = new Set<number | null>()
    let made = 0
    for (let term = 1; term <= 6; term += 1) {
      const own = store()
      const catalog = newCatalog(own)
      await catalog.open(term, NEVER)
      const change = (...changes: Change[]) =>
        catalog.transact(() => ({ ...transaction(changes), atMs: tick() }))
      if (term === 1) await change({ do: 'create-table', table: tableOf(1) })
      for (let index = 0; index < 40; index += 1) {
        const names = [made, made + 1, made + 2].map((no) => `part-${String(no).padStart(40, '0')}`)
        made += 3
        const two = names.slice(0, 2).map((path) => fileOf(path, { rows: 1 }))
        await change({ do: 'write', ...head, mode: 'append', files: two })
        const joins = [
          { replaced: names.slice(0, 2), files: [fileOf(names[2] ?? '', { rows: 2 })] },
        ]
        const joining = new Promise<unknown>((done) => {
          whileWriting = () => done(change({ do: 'compact', ...head, joins, keepMs }))
        })
        await change({ do: 'create-database', name: `d${made}`, createdAt: '' })
        await joining
        // A checkpoint is made beside that.
        for (let turn = 0; turn < 20; turn += 1) await immediate()
        const boundMs = await own.oldestRestorableMs()
        if (bounds.has(boundMs)) continue
        bounds.add(boundMs)
        // Where the journals are lost as well, what its checkpoint says is all that is left of a part.
        const left = [...disk.files].filter(([path]) => !path.includes('/journal-'))
        const looker = storeOn({ ...disk, files: new Map(left) }).store
        const oldest = (await looker.restorable()).restorable.at(-1)?.state
        const named = new Set([...(oldest?.table(1)?.files ?? [])].map(({ path }) => path))
        const gone = catalog
          .state()
          .litter()
          .filter(({ path, joinedMs = Infinity }) => {
            return (
              joinedMs < (boundMs ?? -Infinity) &&
              named.has(path.slice('/warehouse/default/t1/'.length))
            )
          })
        if (gone.length > 0) t.same(gone, [], `term ${term}, at ${index}, oldest as of ${boundMs}`)
      }
      await catalog.close()
    }
    t.ok(bounds.size > 4, `it went on ${bounds.size} times`)
    t.ok(bounds.has(null), 'at first there is no checkpoint')

    // So little is changed from now on that no checkpoint would be due.
    const own = new SharedStore({ directory, files, log: () => {}, now: () => new Date(tick()) })
    const catalog = newCatalog(own)
    await catalog.open(13, NEVER)
    const beginMs = nowMs
    await until('whoever waits for it gets a newer one', async () => {
      own.checkpointSoon()
      const name = `late${tick()}`
      await catalog.transact(() => transaction([{ do: 'create-database', name, createdAt: '' }]))
      return ((await own.oldestRestorableMs()) ?? 0) > beginMs
    })
    await catalog.close()
  },
)

t.test('on the real disk: a torn tail, 100,000 changes, private files', async (t) => {
  const real = join(t.testdir({}), 'catalog')
  const store = new SharedStore({ directory: real, log: () => {}, journalBytes: 2 ** 30 })
  let state = CatalogState.from(kept(await store.open(1, NEVER)).data)
  const first = batchOf(state, 1, [transaction([{ do: 'create-table', table: tableOf(1) }])])
  await store.append(first)
  state = first.after
  const draft = Draft.of(state)
  let seq = 2
  for (let group = 0; group < 100; group += 1) {
    const transactions = Array.from({ length: 1000 }, (_, i) => insert(group * 1000 + i)())
    for (const one of transactions) draft.apply(one)
    const { state: after, delta } = draft.seal()
    await store.append({ firstSeq: seq, transactions, delta, after })
    seq += transactions.length
  }
  await store.close()
  const epoch = join(real, 'epoch-0000000001')
  const journal = join(epoch, 'journal-0000000001')
  writeFileSync(journal, readFileSync(journal).subarray(0, -100))
  const startedMs = performance.now()
  const openAs = async (term: number) => {
    const store = new SharedStore({ directory: real, log: () => {} })
    t.teardown(() => store.close())
    return store.open(term, NEVER)
  }
  const { data } = kept(await openAs(2))
  t.comment(`opened in ${Math.round(performance.now() - startedMs)} ms`)
  t.equal(data.tables[0]?.files.length, 99_000, 'the torn group is gone as a whole')
  const again = await openAs(3)
  t.ok(JSON.stringify(kept(again).data) === JSON.stringify(data), 'and stays so')
  t.equal(statSync(journal).mode & 0o777, 0o600)
  t.same(readdirSync(epoch).sort(), ['journal-0000000001', 'snapshot-0000000001'])
  const files = openFiles(real)
  t.equal(await files.read(join(real, 'nothing')), 'missing')
  t.equal(await files.create(journal, { durable: true }), 'exists')
  t.equal(await files.removeDir(epoch), 'kept')
})

type Ending = 'whole' | 'torn' | 'damaged'
function scanRecords(bytes: Buffer, take: (value: unknown) => void): Ending {
  const taken = takeRecords(bytes, take)
  if (taken === bytes.length) return 'whole'
  return followedByWhole(bytes, taken) ? 'damaged' : 'torn'
}

t.test('records: every cut of a file is torn at worst, every flipped bit is noticed', async (t) => {
  const values = [{ a: 1 }, { text: 'zeile\nzwei 数' }, 'x'.repeat(300)]
  const bytes = Buffer.concat(values.map(encodeRecord))
  for (let length = 0; length < bytes.length; length += 1) {
    const seen: unknown[] = []
    const ending = scanRecords(bytes.subarray(0, length), (value) => seen.push(value))
    const ok = ending !== 'damaged' && seen.every((value, i) => value !== undefined && i < 3)
    if (!ok) t.fail(`cut at ${length}: ${ending}`)
  }
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ 4
    const seen: unknown[] = []
    const ending = scanRecords(flipped, (value) => seen.push(value))
    if (ending === 'whole') t.fail(`flipped at ${at}: nobody noticed`)
    if (seen.some((value, i) => JSON.stringify(value) !== JSON.stringify(values[i])))
      t.fail(`at ${at}`)
  }
  t.same(CatalogState.from(EMPTY).toData(), EMPTY)
})

t.test('the catalog’s directory is made in the one that it lies in, which is not', async (t) => {
  const root = t.testdir({ system: {} })
  const directory = join(root, 'system', 'catalog')
  await openFiles(directory, join(root, 'system')).makeDirs(join(directory, 'epoch-1'))
  t.same(readdirSync(directory), ['epoch-1'])
  const gone = join(root, 'mountpoint', 'catalog')
  await t.rejects(
    openFiles(gone, join(root, 'mountpoint')).makeDirs(join(gone, 'epoch-1')),
    /no directory can be made/,
  )
  t.same(readdirSync(root), ['system'])
})

t.test('a term that has ended is told so whatever is damaged, and touches nothing', async (t) => {
  const directory = t.testdir({
    'epoch-0000000003': { 'snapshot-0000000001': 'rubbish', 'journal-0000000001': 'rubbish' },
    'epoch-0000000009': {},
    'begun-0000000003-0000000001': '',
  })
  const store = new SharedStore({ directory, log: () => {} })
  t.equal(await codeOf(store.open(5, NEVER)), 'STALE_TERM')
  const before = ['begun-0000000003-0000000001', 'epoch-0000000003', 'epoch-0000000009']
  t.same(readdirSync(directory).sort(), before)
  t.equal(await codeOf(store.open(10, NEVER)), 'CORRUPT', 'the newest is told what is wrong')
})

const OURS = '00000000-0000-4000-8000-000000000001'
const THEIRS = '00000000-0000-4000-8000-000000000002'

t.test("another cluster's catalog is refused before anything is read or made in it", async (t) => {
  const directory = t.testdir({
    [`cluster-${THEIRS}`]: '',
    'epoch-0000000003': { 'snapshot-0000000001': 'rubbish', 'journal-0000000001': 'rubbish' },
  })
  const store = new SharedStore({ directory, log: () => {}, binding: { clusterId: OURS } })
  t.equal(await codeOf(store.open(50, NEVER)), 'BAD_STORE')
  // A directory of a higher term would keep that cluster from opening its own.
  t.same(readdirSync(directory).sort(), [`cluster-${THEIRS}`, 'epoch-0000000003'])
})
