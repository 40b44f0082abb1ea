/**
 * Files of the catalog that somebody removes while it is used, or while nobody uses it: what is written into a file without
 * a name is never acknowledged, and what was acknowledged is there again, or its absence is told; never an older catalog,
 * never an empty one.
 */
import { mkdir, rm, symlink } from 'node:fs/promises'
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import type { Served } from '../../../lib/catalog/shared/begun.ts'
import { FileError } from '../../../lib/catalog/shared/files.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
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
import { type MemDirectory, memDirectory, memFiles } from '../../support/mem-files.ts'
import { putOld } from '../../support/old-catalog.ts'
import { testdirOf } from '../../support/testdir.ts'
import { until } from '../../support/until.ts'

const directory = '/shared/system/catalog'
const epoch = (term: number) => `${directory}/epoch-000000000${term}`
const mark = (term: number, part = 1) => `${directory}/begun-000000000${term}-000000000${part}`

interface With {
  readonly fault?: Parameters<typeof memFiles>[1]
  readonly served?: Served
  readonly journalBytes?: number
}
const storeOn = (disk: MemDirectory, { fault, served, journalBytes = 4000 }: With = {}) =>
  new SharedStore({
    directory,
    files: memFiles(disk, fault),
    log: () => {},
    journalBytes,
    ...(served === undefined ? {} : { served: async () => served }),
  })

const insert = (index: number) => () =>
  transaction(
    [{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files: [fileOf(`f${index}`)] }],
    outcomeOf(`q${index}`),
  )

/** Terms 1 and 2 have been there: a table with f0 of term 1, f1 of term 2. */
async function begun(options: With = {}): Promise<MemDirectory> {
  const disk = memDirectory()
  for (const term of [1, 2]) {
    const catalog = newCatalog(storeOn(disk, options))
    await catalog.open(term, NEVER)
    if (term === 1) {
      await catalog.transact(() => transaction([{ do: 'create-table', table: tableOf(1) }]))
    }
    await catalog.transact(insert(term - 1))
    await catalog.close()
  }
  return disk
}

const remove = (disk: MemDirectory, isGone: (path: string) => boolean): string[] => {
  const gone = [...disk.files.keys()].filter(isGone)
  for (const path of gone) disk.files.delete(path)
  return gone
}

const readBy = async (disk: MemDirectory, term: number, served?: Served): Promise<string> => {
  const opened = await storeOn(disk, served === undefined ? {} : { served }).open(term, NEVER)
  const { data } = kept(opened)
  return (data.tables[0]?.files ?? []).map(({ path }) => path).join(' ')
}
/** The paths, or how it was refused. */
const seenBy = (disk: MemDirectory, term: number, served?: Served): Promise<string> =>
  readBy(disk, term, served).catch((error) => `${error.code}`)

t.test(
  'what is written into a file without its name is not acknowledged, and nothing is lost',
  async (t) => {
    const ways: { how: string; isGone: (path: string) => boolean }[] = [
      { how: 'all of it', isGone: () => true },
      { how: "the term's files", isGone: (path) => path.startsWith(epoch(3)) },
      { how: 'the journal', isGone: (path) => path.startsWith(`${epoch(3)}/journal`) },
    ]
    for (const { how, isGone } of ways) {
      const disk = await begun()
      const given: string[] = []
      const catalog = newCatalog(storeOn(disk), { onGone: (why: string) => given.push(why) })
      await catalog.open(3, NEVER)
      await catalog.transact(insert(2))
      t.not(remove(disk, isGone).length, 0)
      t.equal(await codeOf(catalog.transact(insert(3))), 'NOT_ACTIVE', `${how}: not acknowledged`)
      await until('the term is given up', () => given.length === 1, { everyMs: 1 })
      t.match(given[0], /journal-0000000001 is gone: somebody has removed it/)
      t.equal(await codeOf(catalog.transact(insert(4))), 'NOT_ACTIVE')
      await catalog.close()
      t.equal(await readBy(disk, 4), 'f0 f1 f2', `${how}: all that was acknowledged is there`)
    }
  },
)

t.test('a file that was replaced or cut off is noticed like one that is gone', async (t) => {
  const ways: Record<string, (disk: MemDirectory, path: string) => void> = {
    replaced: (disk, path) => void disk.ids.set(path, 99),
    'cut off': (disk, path) => void disk.files.set(path, Buffer.alloc(3)),
  }
  for (const [how, change] of Object.entries(ways)) {
    const disk = await begun()
    const given: string[] = []
    const catalog = newCatalog(storeOn(disk), { onGone: (why: string) => given.push(why) })
    await catalog.open(3, NEVER)
    change(disk, `${epoch(3)}/journal-0000000001`)
    // A write beyond the cut would make it long enough again: its place is what the next reader stumbles over.
    if (how === 'cut off') void catalog.prove()
    else t.equal(await codeOf(catalog.transact(insert(2))), 'NOT_ACTIVE', how)
    await until('the term is given up', () => given.length === 1, { everyMs: 1 })
    await catalog.close()
    t.equal(await readBy(disk, 4), 'f0 f1')
  }
})

t.test(
  'a mount that numbers its files anew is no damage: what stands in the file decides',
  async (t) => {
    const disk = await begun()
    const catalog = newCatalog(storeOn(disk))
    await catalog.open(3, NEVER)
    const files = memFiles(disk)
    const renumbered = new SharedStore({
      directory,
      log: () => {},
      files: {
        ...files,
        lookAt: async (path) => {
          const seen = await files.lookAt(path)
          return seen === 'missing' ? seen : { ...seen, fileId: `${seen.fileId} anew` }
        },
      },
    })
    const other = newCatalog(renumbered)
    await other.open(4, NEVER)
    await other.transact(insert(2))
    await other.prove()
    await other.transact(insert(3))
    t.equal(await readBy(disk, 5), 'f0 f1 f2 f3')
  },
)

t.test('the look is once a commit group, beside its renewal', async (t) => {
  const disk = await begun()
  const files = memFiles(disk)
  const store = new SharedStore({ directory, files, log: () => {} })
  let release = (): void => {}
  const commit = (): Promise<void> =>
    new Promise((resolve) => {
      release = resolve
    })
  const catalog = newCatalog(store, { commit })
  await catalog.open(3, NEVER)
  const from = files.calls.length
  const three = [2, 3, 4].map((index) => catalog.transact(insert(index)))
  const looks = () => files.calls.slice(from).filter((call) => call.startsWith('lookAt'))
  await until('it has looked while the renewal is under way', () => looks().length >= 3, {
    everyMs: 1,
  })
  release()
  await Promise.all(three)
  // What it rests on is known by what stands in it, until that has been seen once.
  const found = looks().map((call) => call.slice(`lookAt ${directory}/`.length))
  const own = 'epoch-0000000003/journal-0000000001'
  t.same(
    found.filter((name) => name === own),
    [own],
  )
  t.same(
    [...new Set(found)].sort(),
    [1, 2, 3].map((term) => `epoch-000000000${term}/journal-0000000001`),
  )
})

t.test('while nobody can tell, nothing is acknowledged, and it goes on afterwards', async (t) => {
  const disk = await begun()
  let blind = 3
  const store = storeOn(disk, {
    fault: (call) => (call === 'lookAt' && blind-- > 0 ? { how: 'fail' } : null),
  })
  blind = 0
  const catalog = newCatalog(store)
  await catalog.open(3, NEVER)
  blind = 3
  let done = false
  const change = catalog.transact(insert(2)).then(() => {
    done = true
  })
  await until('it is acknowledged', () => done, { everyMs: 1 })
  await change
  t.ok(blind <= 0)
  t.equal(await readBy(disk, 4), 'f0 f1 f2')
})

t.test('now and then the active looks for all its files', async (t) => {
  const disk = await begun()
  const given: string[] = []
  const catalog = newCatalog(storeOn(disk), { onGone: (why: string) => given.push(why) })
  await catalog.open(3, NEVER)
  await catalog.transact(insert(2))
  await catalog.prove()
  disk.files.delete(mark(3))
  await catalog.prove()
  t.ok(disk.files.has(mark(3)), 'the mark is made again')
  t.same(given, [])
  disk.files.delete(`${epoch(1)}/journal-0000000001`)
  await catalog.prove()
  t.match(given, [/epoch-0000000001.journal-0000000001 is gone/])
  t.equal(await codeOf(catalog.transact(insert(3))), 'NOT_ACTIVE')
  await catalog.close()
  t.equal(await readBy(disk, 4), 'f0 f1 f2')
})

t.test('what is in memory only is held until it is written', async (t) => {
  const disk = await begun()
  const given: string[] = []
  let full = false
  const store = storeOn(disk, {
    fault: (call) => (full && call === 'create' ? { how: 'fail', errno: 'ENOSPC' } : null),
  })
  const catalog = newCatalog(store, { onGone: (why: string) => given.push(why) })
  await catalog.open(3, NEVER)
  await catalog.transact(insert(2))
  full = true
  remove(disk, () => true)
  const from = [...disk.files.keys()].length
  void catalog.prove()
  t.equal(await codeOf(catalog.transact(insert(3))), 'NOT_ACTIVE')
  t.same([given.length, [...disk.files.keys()].length], [0, from])
  t.equal(catalog.state().outcome('q2')?.state, 'done', 'it can be read all the while')
  full = false
  await until('the term is given up', () => given.length === 1, { everyMs: 1 })
  await catalog.close()
  t.equal(await readBy(disk, 4), 'f0 f1 f2')
})

t.test(
  'each file alone, all of a term, all: an older or empty catalog is never served',
  async (t) => {
    const paths = [...(await begun()).files.keys()]
    t.equal(paths.length, 6)
    for (const path of paths) {
      const disk = await begun()
      disk.files.delete(path)
      // The newest rests on the one before it; the snapshots are for earlier versions alone.
      const newest = path.includes('/journal-')
      t.equal(await seenBy(disk, 3), newest ? 'CORRUPT' : 'f0 f1', path)
      const look = storeOn(disk).readOnly()
      if (newest) t.equal(await codeOf(look), 'CORRUPT', `${path}: a dump`)
      else t.equal((await look).data.tables[0]?.files.length, 2, `${path}: a dump`)
    }
    const disk = await begun()
    remove(disk, (path) => path.startsWith(epoch(2)))
    t.equal(await seenBy(disk, 3), 'CORRUPT', "the newest term's files")
    disk.dirs.delete(epoch(2))
    t.equal(await seenBy(disk, 3), 'CORRUPT', 'and its directory')
    t.match(
      await storeOn(disk)
        .open(3, NEVER)
        .catch(({ message }) => message),
      /the catalog of term 2 \(part 1\) is not in .*tajo catalog restore/,
    )
    const bare = await begun()
    remove(bare, (path) => path.startsWith(`${directory}/epoch`))
    t.equal(await seenBy(bare, 3), 'CORRUPT', 'rm */*')
  },
)

t.test('the history tells what the directory can not: all of it is gone', async (t) => {
  const by = 'the history says so'
  const served = (term: number, part: number | null): Served => ({
    begun: { term, part, by },
    recorded: true,
  })
  const none: Served = { begun: null, recorded: true }
  const disk = await begun()
  remove(disk, () => true)
  disk.dirs.clear()
  t.equal(await seenBy(disk, 3, served(2, 1)), 'CORRUPT')
  t.equal(await seenBy(disk, 3, served(2, null)), 'CORRUPT', 'a record of an earlier version')
  t.equal(await seenBy(disk, 3, { begun: null, recorded: false }), 'CORRUPT', 'no history either')
  t.equal(await seenBy(memDirectory(), 3, none), '', 'no term ever served with this store')
  t.equal(await seenBy(memDirectory(), 1, { begun: null, recorded: false }), '', 'the first term')
  const older = await begun()
  remove(older, (path) => path.startsWith(epoch(2)) || path === mark(2))
  t.equal(await seenBy(older, 3, served(2, 1)), 'CORRUPT')
  t.equal(await seenBy(older, 3, served(1, 1)), 'f0', 'term 2 never served')
  t.equal(await seenBy(await begun(), 3, served(2, 1)), 'f0 f1')
})

t.test('files of an earlier version, without marks, open with all they hold', async (t) => {
  const history: Served = { begun: { term: 2, part: null, by: 'the history' }, recorded: true }
  const old = (format: 1 | 2): MemDirectory => {
    const disk = memDirectory()
    const draft = Draft.of(CatalogState.from(EMPTY))
    draft.apply(transaction([{ do: 'create-table', table: tableOf(1) }]))
    const began = { term: 2, format, mark: false }
    const { state } = draft.seal()
    putOld(disk, directory, { ...began, state, groups: [[insert(0)()]] })
    draft.apply(insert(0)())
    const next = { part: 2, seq: 1, state: draft.seal().state, groups: [[insert(1)()]] }
    putOld(disk, directory, { ...began, ...next })
    return disk
  }
  for (const format of [1, 2] as const) {
    t.equal(await seenBy(old(format), 3, history), 'f0 f1')
    const disk = old(format)
    t.equal(await seenBy(disk, 3), 'f0 f1')
    t.equal(await seenBy(disk, 4), 'f0 f1', 'and so does the one that goes on from it')
    const { restorable } = await storeOn(old(format)).restorable()
    t.match(restorable, [
      { term: 2, part: 2, lossy: false, how: null },
      { term: 2, part: 1, lossy: false, how: null },
    ])
    const single = old(format)
    remove(single, (path) => path.includes('0000000002/journal'))
    t.equal(await seenBy(single, 3, history), 'CORRUPT', 'its journals were removed')
  }
})

t.test('a part that was never begun is passed over, whatever is in it', async (t) => {
  const crash = async (last: number): Promise<MemDirectory> => {
    const disk = await begun()
    let calls = 0
    const store = storeOn(disk, { fault: () => (calls++ === last ? { how: 'crash' } : null) })
    void store.open(3, NEVER).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 5))
    return disk
  }
  for (let last = 0; last < 30; last += 1) {
    t.equal(await seenBy(await crash(last), 4), 'f0 f1', `a crash in call ${last}`)
  }
})

interface Seen {
  readonly from: string
  readonly files: string
  readonly lossy: boolean
  readonly how: string | null
}
async function restorableOf(disk: MemDirectory): Promise<{ seen: Seen[]; lost: string[] }> {
  const { restorable, lost } = await storeOn(disk).restorable()
  const seen = restorable.map(({ term, part, state, lossy, how }) => ({
    from: `${term}/${part}`,
    files: (state.toData().tables[0]?.files ?? []).map(({ path }) => path).join(' '),
    lossy,
    how,
  }))
  return { seen, lost: lost.map(({ term, part, why }) => `${term}/${part}: ${why}`) }
}

t.test('what can be brought back is told with what is missing in it', async (t) => {
  const whole = await restorableOf(await begun())
  t.same(whole, {
    seen: [
      { from: '2/1', files: 'f0 f1', lossy: false, how: null },
      { from: '1/1', files: 'f0', lossy: false, how: null },
    ],
    lost: [],
  })
  const without = async (...names: string[]) => {
    const disk = await begun()
    for (const name of names) disk.files.delete(`${directory}/${name}`)
    return restorableOf(disk)
  }
  const journal = 'journal-0000000001'
  const noJournal = await without(`epoch-0000000002/${journal}`)
  t.match(noJournal, {
    seen: [{ from: '1/1', files: 'f0', lossy: false }],
    lost: [/^2\/1: no checkpoint of it is left, and its journal is missing/],
  })
  const lower = await without(`epoch-0000000001/${journal}`)
  t.match(lower.lost, [
    /^2\/1: what it began with is lost, term 1 \(part 1\): no checkpoint of it is left, and its journal/,
    /^1\/1: /,
  ])
  const kept = await begun()
  await checkpointed(kept, 3)
  const all = await restorableOf(kept)
  t.match(all.seen[0], { from: '3/1', files: 'f0 f1 f2', lossy: false, how: null })
  remove(kept, (path) => path.startsWith(epoch(1)) || path.startsWith(epoch(2)))
  t.match((await restorableOf(kept)).seen, [{ from: '3/1', files: 'f0 f1 f2', lossy: false }])
  remove(kept, (path) => path.includes('/journal-'))
  t.match((await restorableOf(kept)).seen, [
    { from: '3/1', files: 'f0 f1 f2', lossy: true, how: /its journal is missing/ },
  ])
})

/** A term with f2 and a checkpoint after it. */
async function checkpointed(disk: MemDirectory, term: number): Promise<void> {
  const catalog = newCatalog(storeOn(disk, { journalBytes: 1 }))
  await catalog.open(term, NEVER)
  await catalog.transact(insert(2))
  const isWhole = (path: string): boolean => path.startsWith(`${epoch(term)}/whole-`)
  await until('there is a checkpoint', () => [...disk.files.keys()].some(isWhole), { everyMs: 1 })
  await catalog.close()
}

t.test('a checkpoint that is broken is passed over where the rest is there', async (t) => {
  const disk = await begun()
  await checkpointed(disk, 3)
  const path = [...disk.files.keys()].find((one) => one.includes('/checkpoint-')) ?? ''
  const bytes = Buffer.from(disk.files.get(path) ?? Buffer.alloc(0))
  bytes[20] = (bytes[20] ?? 0) ^ 1
  disk.files.set(path, bytes)
  t.equal(await seenBy(disk, 4), 'f0 f1 f2')
  t.match((await restorableOf(disk)).seen[0], {
    how: /its checkpoint after change 1 is lost .*; it is made anew from term 2/,
  })
  remove(disk, (one) => one.startsWith(`${epoch(1)}/`))
  t.equal(await seenBy(disk, 5), 'CORRUPT')
})

t.test('something else in the place of a file is damage of that part alone', async (t) => {
  const reads = ['read', 'readAt', 'readWhole', 'list']
  for (const name of ['epoch-0000000002', 'epoch-0000000002/journal-0000000001']) {
    for (const errno of ['EISDIR', 'ELOOP', 'ENOTDIR', 'ENXIO', 'EIO']) {
      const disk = await begun()
      const fault: With['fault'] = (call, path) =>
        path.startsWith(`${directory}/${name}`) && reads.includes(call)
          ? { how: 'fail', errno }
          : null
      const refused = await storeOn(disk, { fault })
        .open(3, NEVER)
        .catch((error) => error)
      const damage = errno !== 'EIO'
      t.equal(refused.code, damage ? 'CORRUPT' : 'UNAVAILABLE', `${errno} at ${name}`)
      if (damage) t.match(refused.message, new RegExp(`${name} .*${errno}.*tajo catalog restore`))
      const { restorable, lost } = await storeOn(disk, { fault }).restorable()
      t.match(restorable, [{ term: 1, how: null }], 'the lower term is whole')
      t.match(lost, [{ term: 2, why: errno }])
    }
  }
})

t.test('the same on a real disk: a directory, a loop of links', async (t) => {
  const ways = {
    EISDIR: (path: string) => mkdir(path),
    ELOOP: (path: string) => symlink(path, path),
  }
  for (const [errno, put] of Object.entries(ways)) {
    const root = testdirOf(t)
    const store = () => new SharedStore({ directory: root, log: () => {} })
    for (const term of [1, 2]) {
      const catalog = newCatalog(store())
      await catalog.open(term, NEVER)
      await catalog.close()
    }
    const journal = `${root}/epoch-0000000002/journal-0000000001`
    await rm(journal)
    await put(journal)
    t.match(await codeOf(store().open(3, NEVER)), 'CORRUPT', errno)
    const { restorable } = await store().restorable()
    t.match(restorable, [{ term: 1, how: null }])
  }
})

t.test('a journal with a bad place is brought back up to there', async (t) => {
  const disk = await begun()
  const catalog = newCatalog(storeOn(disk))
  await catalog.open(3, NEVER)
  for (const index of [2, 3, 4]) await catalog.transact(insert(index))
  await catalog.close()
  const path = `${epoch(3)}/journal-0000000001`
  const bytes = Buffer.from(disk.files.get(path) ?? Buffer.alloc(0))
  const at = bytes.indexOf('f3')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  disk.files.set(path, bytes)
  t.equal(await seenBy(disk, 4), 'CORRUPT')
  const { seen } = await restorableOf(disk)
  t.match(seen[0], {
    from: '3/1',
    files: 'f0 f1 f2',
    lossy: true,
    how: /whole up to change 1 only/,
  })
})

t.test('what was brought back is what the next term opens', async (t) => {
  const disk = await begun()
  remove(disk, (path) => path.startsWith(epoch(2)))
  t.equal(await seenBy(disk, 3), 'CORRUPT')
  const store = storeOn(disk)
  const [newest] = (await store.restorable()).restorable
  t.ok(newest)
  if (newest === undefined) return
  t.match(JSON.parse(await store.replace(7, newest.state)), { store: 'SharedStore', part: 1 })
  t.equal(await store.newestTerm(), 7)
  t.equal(await seenBy(disk, 8), 'f0')
  t.equal(await seenBy(disk, 9), 'f0')
})

t.test('a mount that was taken away is no removal: nothing is written in its place', async (t) => {
  const disk = await begun()
  let device = 1
  const isThere = () => disk.files.size > 0
  const mem = memFiles(disk)
  const files: typeof mem = {
    ...mem,
    deviceOf: async () => device,
    // As on a disk, where a directory that is gone has no listing and takes no file.
    list: async (path) => (isThere() ? mem.list(path) : 'missing'),
    create: async (path, options) => {
      if (!isThere()) throw new FileError('ENOENT', `ENOENT ${path}`)
      return mem.create(path, options)
    },
  }
  const store = new SharedStore({ directory, files, log: () => {} })
  const given: string[] = []
  const catalog = newCatalog(store, { onGone: (why: string) => given.push(why) })
  await catalog.open(3, NEVER)
  await catalog.transact(insert(2))
  const kept = new Map(disk.files)
  remove(disk, () => true)
  device = 2
  await t.rejects(store.prove('appended'), { code: 'UNAVAILABLE', message: /its mount is gone/ })
  await catalog.prove()
  t.equal(disk.files.size, 0)
  t.same(given, [], 'the term is not given up for it')
  for (const [path, text] of kept) disk.files.set(path, text)
  device = 3
  await catalog.prove()
  await catalog.transact(insert(3))
  await catalog.close()
  t.equal(await readBy(disk, 4), 'f0 f1 f2 f3')
})
