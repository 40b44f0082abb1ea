/**
 * The store where nobody may read a file that still grows: HDFS's NFS gateway spoils such a file for all that read it there.
 * Each change is a closed file of its own then, whoever looks spoils nothing, and nothing acknowledged is lost or doubled,
 * as with a journal in one file.
 */
import { join } from 'node:path'
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import type { CatalogData } from '../../../lib/catalog/model.ts'
import {
  FileError,
  leavingSpoilt,
  openFiles,
  SpoiltFiles,
} from '../../../lib/catalog/shared/files.ts'
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
import { type Gateway, gatewayFiles } from '../../support/gateway-files.ts'
import { HandClock, settle } from '../../support/hand-clock.ts'
import { type Fault, type MemDirectory, memDirectory, memFiles } from '../../support/mem-files.ts'
import { putOld } from '../../support/old-catalog.ts'
import { until } from '../../support/until.ts'

const directory = '/shared/system/catalog'
const epoch = (term: number): string => `${directory}/epoch-${String(term).padStart(10, '0')}`

interface Host {
  readonly gateway?: Gateway
  readonly growing?: boolean
  readonly fault?: Parameters<typeof memFiles>[1]
  readonly between?: () => Promise<void>
  readonly journalFiles?: number
}

function storeOf(disk: MemDirectory, host: Host = {}) {
  const { gateway = new Map(), growing = false, fault, between, journalFiles = 5 } = host
  const inner = memFiles(disk, fault)
  const files = gatewayFiles(inner, disk, {
    gateway,
    growingFilesReadable: growing,
    ...(between === undefined ? {} : { between }),
  })
  const store = new SharedStore({ directory, files, log: () => {}, journalFiles })
  return { store, inner }
}

const create = () => transaction([{ do: 'create-table', table: tableOf(1) }])
const insert = (index: number) => () =>
  transaction(
    [{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files: [fileOf(`f${index}`)] }],
    outcomeOf(`q${index}`),
  )

async function catalogWith(disk: MemDirectory, term: number, host: Host = {}) {
  const { store } = storeOf(disk, host)
  const catalog = newCatalog(store)
  await catalog.open(term, NEVER)
  return { catalog, store }
}

async function begun(): Promise<MemDirectory> {
  const disk = memDirectory()
  const { catalog } = await catalogWith(disk, 1)
  await catalog.transact(create)
  await catalog.close()
  return disk
}

/** Timers of a catalog that waits keep no process alive. */
async function awaited<T>(what: string, work: Promise<T>): Promise<T> {
  let done = false
  const end = (): void => {
    done = true
  }
  work.then(end, end)
  await until(what, () => done, { everyMs: 1 })
  return work
}

const filesIn = (data: Pick<CatalogData, 'tables'>): number[] =>
  (data.tables[0]?.files ?? []).map(({ path }) => Number(path.slice(1)))

const numbers = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + i)

/** What a backup's host sees in every moment of a term of 12 changes, and then serves itself. */
async function lookedAt(growing: boolean): Promise<{ looks: number; taken: number[] | string }> {
  const disk = await begun()
  const gateway: Gateway = new Map()
  let looks = 0
  const looker = storeOf(disk, { gateway, growing }).store
  const between = async (): Promise<void> => {
    looks += 1
    // Only that a file is spoilt matters here, not that this look has failed of it.
    await looker.readOnly().catch(() => undefined)
    await looker.restorable().catch(() => undefined)
  }
  const { catalog } = await catalogWith(disk, 2, { growing, between, journalFiles: 4 })
  for (const index of numbers(0, 12)) await catalog.transact(insert(index))
  await catalog.close()
  const next = storeOf(disk, { gateway, growing }).store
  const taken = await next.open(3, NEVER).then(
    (opened) => filesIn(kept(opened).data),
    (error) => String(error.code),
  )
  return { looks, taken }
}

t.test('a backup that looks in any moment spoils nothing, and takes over', async (t) => {
  const { looks, taken } = await lookedAt(false)
  t.ok(looks > 40, `${looks} looks`)
  t.same(taken, numbers(0, 12))
})

t.test('with a journal that grows, the same looks leave nobody able to open it', async (t) => {
  const { taken } = await lookedAt(true)
  t.equal(taken, 'UNAVAILABLE')
})

t.test('every look sees all that was acknowledged before it, and nothing else', async (t) => {
  const disk = await begun()
  const acknowledged: number[] = []
  let flying = -1
  const looker = storeOf(disk).store
  const between = async (): Promise<void> => {
    const had = [...acknowledged]
    const seen = filesIn((await looker.readOnly()).data)
    const most = [...acknowledged, flying]
    const isFine = seen.length >= had.length && String(seen) === String(most.slice(0, seen.length))
    if (!isFine) t.fail(`${seen} instead of ${had}`)
  }
  const { catalog } = await catalogWith(disk, 2, { between, journalFiles: 3 })
  for (const index of numbers(0, 8)) {
    flying = index
    await catalog.transact(insert(index))
    acknowledged.push(index)
  }
  await catalog.close()
  t.equal(acknowledged.length, 8)
})

t.test('a crash in any step of a take-over or a change loses nothing acknowledged', async (t) => {
  const run = async (disk: MemDirectory, term: number, fault: Host['fault'], from: number) => {
    const { store, inner } = storeOf(disk, { ...(fault === undefined ? {} : { fault }) })
    const catalog = newCatalog(store)
    const ending = new AbortController()
    const acknowledged: number[] = []
    let finished = false
    const work = async (): Promise<void> => {
      await catalog.open(term, ending.signal)
      for (const index of numbers(from, 8)) {
        await catalog.transact(insert(index))
        acknowledged.push(index)
      }
    }
    const end = (): void => {
      finished = true
    }
    work().then(end, end)
    const isOver = (): boolean => finished || inner.crashed()
    await until('all inserts are done, or the process is dead', isOver, { everyMs: 1 })
    ending.abort()
    await catalog.close()
    return { acknowledged, calls: inner.calls.length }
  }
  const { calls } = await run(await begun(), 2, undefined, 0)
  t.ok(calls > 60, `${calls} calls`)
  for (let last = 0; last < calls; last += 2) {
    const disk = await begun()
    const crash =
      (at: number): Host['fault'] =>
      (_call, _path, number): Fault | null =>
        number === at ? { how: 'crash' } : null
    const first = await run(disk, 2, crash(last), 0)
    const second = await run(disk, 3, crash((last * 7) % 20), 100)
    const files = filesIn(kept(await storeOf(disk).store.open(4, NEVER)).data)
    const acknowledged = [...first.acknowledged, ...second.acknowledged]
    const missing = acknowledged.filter((index) => !files.includes(index))
    if (missing.length > 0) t.fail(`crash in call ${last}: ${missing} are lost`)
    if (new Set(files).size !== files.length) t.fail(`crash in call ${last}: doubled`)
    if (files.length > acknowledged.length + 2) t.fail(`crash in call ${last}: too much`)
  }
})

t.test(
  'a call that fails in any way loses and doubles nothing, and the term goes on',
  async (t) => {
    const ways: Fault[] = [{ how: 'fail' }, { how: 'torn' }, { how: 'lands' }, { how: 'late' }]
    for (const way of ways) {
      for (let at = 22; at < 60; at += 3) {
        const disk = await begun()
        const fault: Host['fault'] = (call, _path, number) => {
          if (number > at + 3) inner.landLate()
          if (number !== at) return null
          return call === 'write' ? way : { how: 'fail' }
        }
        const { store, inner } = storeOf(disk, { fault })
        const catalog = newCatalog(store)
        const work = async (): Promise<void> => {
          await catalog.open(2, NEVER)
          for (const index of numbers(0, 6)) await catalog.transact(insert(index))
        }
        await awaited('all are done', work())
        await catalog.close()
        const files = filesIn(kept(await storeOf(disk).store.open(3, NEVER)).data)
        if (String(files) !== String(numbers(0, 6))) t.fail(`${way.how} in call ${at}: ${files}`)
      }
    }
  },
)

t.test('without space a change is refused, nothing of it stays, and it goes on', async (t) => {
  const disk = await begun()
  let full = false
  const fault: Host['fault'] = (call) =>
    full && call === 'write' ? { how: 'torn', errno: 'ENOSPC' } : null
  const { catalog } = await catalogWith(disk, 2, { fault })
  await catalog.transact(insert(1))
  const before = [...disk.files.keys()].sort()
  full = true
  for (let i = 0; i < 3; i += 1) t.equal(await codeOf(catalog.transact(insert(2))), 'FULL')
  t.same([...disk.files.keys()].sort(), before, 'attempts leave no files behind')
  full = false
  await catalog.transact(insert(3))
  await catalog.close()
  const names = [...disk.files.keys()].filter((path) => path.startsWith(`${epoch(2)}/journal-`))
  t.match(names.sort(), [/1$/, /\.0000000000-\d+$/, /\.0000000001-\d+$/, /\.0000000005-\d+$/])
  t.same(filesIn(kept(await storeOf(disk).store.open(3, NEVER)).data), [1, 3])
})

t.test('what a deposed master writes late is read by nobody', async (t) => {
  for (const halted of [1, 2, 3]) {
    const disk = await begun()
    let goOn = (): void => {}
    const paused = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let calls = Number.NEGATIVE_INFINITY
    // Before the create, before the write, and in the middle of it.
    const between = (): Promise<void> => {
      calls += 1
      return calls === halted ? paused : Promise.resolve()
    }
    const { catalog } = await catalogWith(disk, 2, { between })
    await catalog.transact(insert(1))
    calls = 0
    const late = catalog.transact(insert(2))
    await until('it is paused', () => calls === halted, { everyMs: 1 })
    const { catalog: next } = await catalogWith(disk, 3)
    goOn()
    await late
    await next.transact(insert(3))
    await next.close()
    await catalog.close()
    t.same(filesIn(kept(await storeOf(disk).store.open(4, NEVER)).data), [1, 3])
  }
})

t.test(
  'one that is missing or cut off in the middle is damage; at the end it never was',
  async (t) => {
    const opened = async (change: (disk: MemDirectory, paths: string[]) => void) => {
      const disk = await begun()
      const { catalog } = await catalogWith(disk, 2, { journalFiles: 100 })
      for (const index of numbers(0, 4)) await catalog.transact(insert(index))
      await catalog.close()
      change(
        disk,
        [...disk.files.keys()]
          .filter((path) => /journal-\d+\.\d/.test(path) && path.startsWith(epoch(2)))
          .sort(),
      )
      const { store } = storeOf(disk)
      const { restorable } = await store.restorable()
      const best = restorable[0]
      const back =
        best === undefined
          ? 'nothing'
          : `${filesIn(best.state.toData())} ${best.lossy ? 'lossy' : 'whole'}`
      const read = await store.open(3, NEVER).then(
        (opened) => String(filesIn(kept(opened).data)),
        (error) => String(error.code),
      )
      return [read, back]
    }
    const cut = (disk: MemDirectory, path = ''): void => {
      disk.files.set(path, (disk.files.get(path) ?? Buffer.alloc(0)).subarray(0, -1))
    }
    t.same(await opened(() => {}), ['0,1,2,3', '0,1,2,3 whole'])
    t.same(await opened((disk, [, , second = '']) => void disk.files.delete(second)), [
      'CORRUPT',
      '0 lossy',
    ])
    t.same(await opened((disk, [, , second]) => cut(disk, second)), ['CORRUPT', '0 lossy'])
    t.same(await opened((disk, paths) => cut(disk, paths.at(-1))), ['0,1,2', '0,1,2 whole'])
    t.same(
      await opened((disk, [, first = '', second = '']) => {
        disk.files.set(second, disk.files.get(first) ?? Buffer.alloc(0))
      }),
      ['CORRUPT', '0 lossy'],
    )
  },
)

t.test('a file that somebody removes under the active is noticed, and written anew', async (t) => {
  for (const which of [1, 3]) {
    const disk = await begun()
    const { store } = storeOf(disk, { journalFiles: 100 })
    let gone = ''
    const catalog = newCatalog(store, { onGone: (why) => (gone = why) })
    await catalog.open(2, NEVER)
    for (const index of numbers(0, 3)) await catalog.transact(insert(index))
    const name = `.000000000${which}-`
    const path = [...disk.files.keys()].find(
      (one) => one.startsWith(epoch(2)) && one.includes(name),
    )
    disk.files.delete(path ?? '')
    await catalog.prove()
    await until('the term is given up', () => gone !== '', { everyMs: 1 })
    t.match(gone, /journal-0000000001\.000000000.* is gone: somebody has removed it/)
    await catalog.close()
    t.same(filesIn(kept(await storeOf(disk).store.open(3, NEVER)).data), [0, 1, 2])
  }
})

t.test(
  'the number of files is bounded, and what went before is merged into a checkpoint',
  async (t) => {
    const disk = await begun()
    const { catalog } = await catalogWith(disk, 2, { journalFiles: 10 })
    let [most, count] = [0, 0]
    const filesNow = (): number =>
      [...disk.files.keys()].filter((path) => path.startsWith(epoch(2))).length
    const go = async (): Promise<void> => {
      await catalog.transact(insert(count))
      count += 1
      // As between two changes of people: a checkpoint that has become due is made meanwhile.
      for (let turn = 0; turn < 50; turn += 1) await settle()
      most = Math.max(most, filesNow())
    }
    while (count < 95) await go()
    await catalog.prove()
    await catalog.close()
    t.ok(most <= 5 * 13, `${most} files at most`)
    t.same(filesIn(kept(await storeOf(disk).store.open(3, NEVER)).data), numbers(0, count))
  },
)

t.test('a long checkpoint is not made anew for few files', async (t) => {
  const disk = await begun()
  const { catalog } = await catalogWith(disk, 2, { journalFiles: 2 })
  const files = numbers(0, 8000).map((index) => fileOf(`long-${index}`))
  await catalog.transact(() =>
    transaction([{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files }]),
  )
  const whole = (): string[] =>
    [...disk.files.keys()].filter((path) => path.startsWith(`${epoch(2)}/whole-`)).sort()
  await until('there is a checkpoint', () => whole().length > 0, { everyMs: 1 })
  const [first] = whole()
  const bytes = Number(first?.split('-').at(-1))
  t.ok(bytes > 2 * 65_536, `${bytes} bytes`)
  for (const index of numbers(0, Math.floor(bytes / 65_536) - 2)) {
    await catalog.transact(insert(index))
  }
  await new Promise((resolve) => setImmediate(resolve))
  t.same(whole(), [first])
  for (const index of numbers(20_000, 5)) await catalog.transact(insert(index))
  await until('but in the end', () => whole().length > 1, { everyMs: 1 })
  await catalog.close()
})

t.test(
  'journals of earlier versions, and of masters on other mounts, are gone on from',
  async (t) => {
    const disk = memDirectory()
    const draft = Draft.of(CatalogState.from(EMPTY))
    draft.apply(create())
    putOld(disk, directory, { term: 1, state: draft.seal().state, groups: [[insert(10)()]] })
    for (const [term, growing] of [
      [2, true],
      [3, false],
      [4, true],
    ] as const) {
      const { catalog } = await catalogWith(disk, term, {
        growing,
        gateway: new Map(),
        journalFiles: 99,
      })
      for (const index of numbers(term * 10, 3)) await catalog.transact(insert(index))
      await catalog.close()
      const gateway: Gateway = new Map()
      const beside = storeOf(disk, { gateway }).store.readOnly({ besideMasters: true })
      await t.rejects(beside, { code: 'UNAVAILABLE', message: /start the masters of this/ })
      const read = [...gateway.keys()].filter((path) => /journal-\d+#/.test(path))
      t.same(read, [], 'whoever looks beside a master leaves what may grow alone')
    }
    const stops = [2, 3, 4].map((term) =>
      disk.files
        .get(`${epoch(term)}/snapshot-0000000001`)
        ?.toString()
        .slice(18, 32),
    )
    t.same(new Set(stops), new Set(['{"snapshot":3,']), 'earlier versions refuse all of them')
    t.same(
      filesIn(kept(await storeOf(disk).store.open(5, NEVER)).data),
      [10, 20, 21, 22, 30, 31, 32, 40, 41, 42],
    )
  },
)

t.test('on a real disk: private files, each of the length in its name', async (t) => {
  const real = join(t.testdir({}), 'catalog')
  const files = { ...openFiles(real), growingFilesReadable: async () => false }
  const store = new SharedStore({ directory: real, files, log: () => {} })
  const catalog = newCatalog(store)
  await catalog.open(1, NEVER)
  await catalog.transact(create)
  await Promise.all(numbers(0, 50).map((index) => catalog.transact(insert(index))))
  await catalog.prove()
  await catalog.close()
  const listed = await files.list(join(real, 'epoch-0000000001'))
  const names = listed === 'missing' ? [] : listed
  t.ok(names.length > 3, `${names.length} files`)
  for (const name of names) {
    const bytes = /-(\d+)$/.exec(name.split('.')[1] ?? '')?.[1]
    if (bytes === undefined) continue
    const found = await files.read(join(real, 'epoch-0000000001', name))
    t.equal(found.length, Number(bytes), name)
    t.equal(await files.readWhole(join(real, 'epoch-0000000001', name), Number(bytes) + 1), 'short')
  }
  const { data } = kept(
    await new SharedStore({ directory: real, files, log: () => {} }).open(2, NEVER),
  )
  t.same(filesIn(data), numbers(0, 50))
})

t.test('a spoilt file is told with the cure, and left alone until it is forgotten', async (t) => {
  const clock = new HandClock()
  const disk = memDirectory()
  const inner = memFiles(disk)
  const gateway: Gateway = new Map()
  let away = false
  let asked = 0
  const through = gatewayFiles(inner, disk, { gateway })
  const counted = <T>(call: () => Promise<T>): Promise<T> => {
    asked += 1
    return away ? Promise.reject(new FileError('EIO', 'the gateway is away')) : call()
  }
  const files = leavingSpoilt(
    {
      ...through,
      read: (path) => counted(() => through.read(path)),
      readWhole: (path, bytes) => counted(() => through.readWhole(path, bytes)),
      readAt: (path, at, length) => counted(() => through.readAt(path, at, length)),
    },
    new SpoiltFiles(clock),
  )
  const path = `${directory}/journal-0000000001`
  disk.files.set(path, Buffer.from('begun'))
  t.equal(String(await files.read(path)), 'begun')
  away = true
  await t.rejects(files.read(path), { errno: 'EIO', message: 'the gateway is away' })
  away = false
  disk.files.set(path, Buffer.from('begun, and grown'))
  const told = { errno: 'EIO', message: /journal-0000000001 to its end.*Restart the gateway/ }
  await t.rejects(files.read(path), told)
  asked = 0
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(60_000)
    await t.rejects(files.read(path), told)
    await t.rejects(files.readWhole(path, 16), told)
    await t.rejects(files.readAt(path, 0, 1), told)
  }
  t.equal(asked, 0, 'each try would begin the ten minutes of the gateway anew')
  gateway.clear()
  await clock.advance(61_000)
  t.equal(String(await files.read(path)), 'begun, and grown', 'tried again when they are over')
})
