/**
 * A term of the shared catalog begins with a reference: what that counts and what not, what a backup that follows in its
 * memory goes on from, and of what checkpoints are made. The rules are those of docs/ha-protocol.md, "A term begins with a
 * reference"; test/sim/references.test.ts tries them in every order.
 */
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import { FileError } from '../../../lib/catalog/shared/files.ts'
import { Memory } from '../../../lib/catalog/shared/memory.ts'
import { glanceAt } from '../../../lib/catalog/shared/newest.ts'
import { encodeRecord } from '../../../lib/catalog/shared/records.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import {
  batchOf,
  codeOf,
  fileOf,
  NEVER,
  newCatalog,
  outcomeOf,
  tableOf,
  transaction,
} from '../../contract/catalog.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { type MemDirectory, memDirectory, memFiles } from '../../support/mem-files.ts'
import { until } from '../../support/until.ts'

const directory = '/shared/system/catalog'
const epoch = (term: number): string => `${directory}/epoch-${String(term).padStart(10, '0')}`

interface With {
  readonly fault?: Parameters<typeof memFiles>[1]
  readonly memory?: Memory
  readonly journalBytes?: number
}
function storeOn(disk: MemDirectory, { fault, ...more }: With = {}) {
  const files = memFiles(disk, fault)
  return { files, store: new SharedStore({ directory, files, log: () => {}, ...more }) }
}

const insert = (index: number) =>
  transaction(
    [{ do: 'write', tableId: 1, schemaVersion: 1, mode: 'append', files: [fileOf(`f${index}`)] }],
    outcomeOf(`q${index}`),
  )

const filesIn = (state: CatalogState): string =>
  [...(state.table(1)?.files ?? [])].map(({ path }) => path).join(' ')

const readBy = async (disk: MemDirectory, term: number, memory?: Memory): Promise<string> => {
  const { store } = storeOn(disk, memory === undefined ? {} : { memory })
  const { state } = await store.open(term, NEVER)
  await store.close()
  return filesIn(state)
}

/** Term 1: a table, and f1. */
async function begun(): Promise<MemDirectory> {
  const disk = memDirectory()
  const catalog = newCatalog(storeOn(disk).store)
  await catalog.open(1, NEVER)
  await catalog.transact(() => transaction([{ do: 'create-table', table: tableOf(1) }]))
  await catalog.transact(() => insert(1))
  await catalog.close()
  return disk
}

const appended = async (store: SharedStore, state: CatalogState, seq: number, index: number) => {
  const batch = batchOf(state, seq, [insert(index)])
  await store.append(batch)
  return batch.after
}

t.test('what a deposed holder writes after its successor has begun does not count', async (t) => {
  const disk = await begun()
  const { store } = storeOn(disk)
  const { state } = await store.open(2, NEVER)
  t.equal(await readBy(disk, 3), 'f1')
  await appended(store, state, 1, 2)
  t.equal(await readBy(disk, 4), 'f1')
  t.equal(await readBy(disk, 5), 'f1', 'nor for those that go on from there')
})

t.test('a term that was begun counts though it holds nothing else', async (t) => {
  const disk = await begun()
  const { store } = storeOn(disk)
  const { state } = await store.open(2, NEVER)
  await readBy(disk, 3)
  await appended(store, state, 1, 2)
  disk.files.delete(`${epoch(3)}/journal-0000000001`)
  t.equal(await codeOf(storeOn(disk).store.open(4, NEVER)), 'CORRUPT', 'the mark says it was begun')
})

t.test('a backup goes on from its memory, and reads what is new only', async (t) => {
  const disk = await begun()
  const { store: active } = storeOn(disk)
  let { state } = await active.open(2, NEVER)
  const memory = new Memory()
  const backup = storeOn(disk, { memory })
  await backup.store.follow()
  for (let index = 2; index < 6; index += 1) {
    state = await appended(active, state, index - 1, index)
    await backup.store.follow()
    t.equal(filesIn(memory.known?.state as CatalogState), filesIn(state))
  }
  await appended(active, state, 5, 6)
  const from = backup.files.calls.length
  const opened = await backup.store.open(3, NEVER)
  t.equal(filesIn(opened.state), 'f1 f2 f3 f4 f5 f6')
  const read = backup.files.calls.slice(from).filter((call) => call.startsWith('readAt'))
  t.notOk(
    read.some((call) => call.includes(epoch(1))),
    'nothing of before',
  )
  t.equal(await readBy(disk, 4), 'f1 f2 f3 f4 f5 f6', 'and the same without a memory')
})

t.test('a backup at rest reads nothing, and sees whatever has come', async (t) => {
  const disk = await begun()
  const memory = new Memory()
  const { store: backup, files } = storeOn(disk, { memory })
  const calls = async (): Promise<string[]> => {
    const from = files.calls.length
    await backup.follow()
    return files.calls.slice(from).map((call) => call.split(' ')[0] ?? '')
  }
  const isKnown = async (state: CatalogState, what: string): Promise<void> => {
    await backup.follow()
    t.equal(filesIn(memory.known?.state as CatalogState), filesIn(state), what)
    // In a part that it had not known it looks once more.
    await backup.follow()
    const { known } = memory
    t.strictSame(await calls(), ['list', 'list', 'lookAt'], `${what}, and then nothing`)
    t.equal(memory.known, known)
  }
  const { store: active } = storeOn(disk, { journalBytes: 2000 })
  let { state } = await active.open(2, NEVER)
  await isKnown(state, 'a term that has written nothing')
  const parts = new Set<number>()
  for (let index = 2; index < 12; index += 1) {
    state = await appended(active, state, index - 1, index)
    await isKnown(state, `change ${index}`)
    parts.add(memory.known?.part ?? 0)
  }
  t.ok(parts.size > 1, 'among them were new parts')
  const { store: next } = storeOn(disk)
  const opened = await next.open(3, NEVER)
  await isKnown(opened.state, 'a new term')
  t.equal(memory.known?.term, 3)
  await isKnown(await appended(next, opened.state, 1, 12), 'a change of it')
})

t.test('what a glance does not show is seen at one look of ten', async (t) => {
  const disk = await begun()
  const { store, files } = storeOn(disk, { memory: new Memory() })
  const reads: number[] = []
  for (let look = 0; look < 24; look += 1) {
    const from = files.calls.length
    await store.follow()
    if (files.calls.slice(from).some((call) => call.startsWith('readAt'))) reads.push(look)
  }
  t.strictSame(reads, [0, 1, 11, 21])
})

t.test(
  'a file that was listed while it was written is another glance when it is whole',
  async (t) => {
    const disk = await begun()
    const { files } = storeOn(disk)
    const place = { term: 2, part: 1, position: { bytes: 0, seq: 0, checksum: 0 } }
    const look = { files, directory, takesOver: false }
    const known = { ...place, state: CatalogState.from(EMPTY), tail: Buffer.alloc(0) }
    const chain = { links: [], base: null }
    disk.dirs.add(epoch(2))
    const seen: string[] = []
    for (const bytes of [10, 20]) {
      disk.files.set(`${epoch(2)}/journal-0000000001.0000000001-20`, Buffer.alloc(bytes))
      seen.push(await glanceAt(look, { ...known, chain }))
    }
    t.not(seen[0], seen[1])
  },
)

t.test('whoever follows takes the turns that it is given', async (t) => {
  const disk = await begun()
  const memory = new Memory()
  const { store } = storeOn(disk, { memory })
  let nowMs = 0
  let taken = 0
  await store.follow({
    nowMs: () => {
      nowMs += 1
      return nowMs
    },
    turn: async () => {
      taken += 1
    },
  })
  t.ok(taken > 0)
  t.equal(filesIn(memory.known?.state as CatalogState), 'f1')
})

t.test('a take-over takes what the first look of a backup comes to', async (t) => {
  const disk = await begun()
  const { store: active } = storeOn(disk)
  const { state } = await active.open(2, NEVER)
  await appended(active, state, 1, 2)
  const readOfTerm1 = ({ files }: { files: { calls: string[] } }): number =>
    files.calls.filter((call) => call.startsWith('readAt') && call.includes(epoch(1))).length
  const alone = storeOn(disk, { memory: new Memory() })
  await alone.store.follow()
  const backup = storeOn(disk, { memory: new Memory() })
  const looking = backup.store.follow()
  const opened = await backup.store.open(3, NEVER)
  await looking
  t.equal(filesIn(opened.state), 'f1 f2')
  t.equal(readOfTerm1(backup), readOfTerm1(alone), 'read once')
})

t.test('a take-over does not wait for a look that is never answered', async (t) => {
  const disk = await begun()
  const clock = new HandClock()
  const memory = new Memory(clock)
  let hangs = 1
  const fault = (call: string) =>
    call === 'readAt' && hangs-- > 0 ? { how: 'hang' as const } : null
  const { store } = storeOn(disk, { memory, fault })
  void store.follow()
  await until('it hangs', () => hangs < 1)
  const opened = store.open(2, NEVER)
  await clock.advance(1000)
  const { state } = await opened
  t.equal(filesIn(state), 'f1')
})

t.test(
  'what a backup has read of a term, and its successor has not taken, is forgotten',
  async (t) => {
    const disk = await begun()
    const { store } = storeOn(disk)
    const { state } = await store.open(2, NEVER)
    const memory = new Memory()
    const backup = storeOn(disk, { memory }).store
    const { store: next } = storeOn(disk)
    const { state: taken } = await next.open(3, NEVER)
    await appended(store, state, 1, 2)
    const journal = `${epoch(3)}/journal-0000000001`
    const hidden = disk.files.get(journal) ?? Buffer.alloc(0)
    disk.files.delete(journal)
    disk.files.delete(`${directory}/begun-0000000003-0000000001`)
    await backup.follow()
    t.equal(filesIn(memory.known?.state as CatalogState), 'f1 f2')
    disk.files.set(journal, hidden)
    disk.files.set(`${directory}/begun-0000000003-0000000001`, Buffer.alloc(0))
    await appended(next, taken, 1, 3)
    t.equal(await readBy(disk, 4, memory), 'f1 f3')
  },
)

t.test('a record that was cut off and replaced is noticed by whoever had read it', async (t) => {
  const disk = await begun()
  const memory = new Memory()
  const backup = storeOn(disk, { memory }).store
  const { store } = storeOn(disk)
  const { state } = await store.open(2, NEVER)
  await appended(store, state, 1, 7)
  await backup.follow()
  t.equal(filesIn(memory.known?.state as CatalogState), 'f1 f7')
  await store.close()
  // As after a write that found no space, though all of it had landed: it is cut off, and others follow.
  const path = `${epoch(2)}/journal-0000000001`
  const bytes = disk.files.get(path) ?? Buffer.alloc(0)
  const cut = bytes.subarray(
    0,
    bytes.length - encodeRecord({ seq: 1, transactions: [insert(7)] }).length,
  )
  disk.files.set(path, cut)
  await backup.follow()
  t.equal(filesIn(memory.known?.state as CatalogState), 'f1', 'cut off alone')
  disk.files.set(path, bytes)
  await backup.follow()
  const others = [
    encodeRecord({ seq: 1, transactions: [insert(8)] }),
    encodeRecord({ seq: 2, transactions: [insert(9)] }),
  ]
  disk.files.set(path, Buffer.concat([cut, ...others]))
  await backup.follow()
  t.equal(filesIn(memory.known?.state as CatalogState), 'f1 f8 f9')
  t.equal(await readBy(disk, 3, memory), 'f1 f8 f9')
})

t.test(
  'damage is told, and nothing taken for a beginning, only by who still has the term',
  async (t) => {
    const over = new Error('the term is over')
    const renewed = () => Promise.reject(over)
    await t.rejects(storeOn(memDirectory()).store.open(5, NEVER, { renewed }), over)
    const disk = await begun()
    disk.files.delete(`${epoch(1)}/journal-0000000001`)
    const before = [...disk.files.keys()]
    await t.rejects(storeOn(disk).store.open(5, NEVER, { renewed }), over)
    t.same([...disk.files.keys()], before)
    t.equal(
      await codeOf(storeOn(disk).store.open(5, NEVER, { renewed: async () => {} })),
      'CORRUPT',
    )
  },
)

t.test('a checkpoint is made of what was acknowledged, and of nothing else', async (t) => {
  const disk = await begun()
  const { store } = storeOn(disk, { journalBytes: 1 })
  let { state } = await store.open(2, NEVER)
  state = await appended(store, state, 1, 2)
  state = await appended(store, state, 2, 3)
  await new Promise((resolve) => setTimeout(resolve, 20))
  const isWhole = (path: string): boolean => path.includes('/whole-')
  t.notOk([...disk.files.keys()].some(isWhole), 'nothing of it was')
  store.confirmed(2)
  await until('one is made', () => [...disk.files.keys()].some(isWhole), { everyMs: 1 })
  await store.close()
})

t.test('a checkpoint is read once, also where its journal goes on beyond it', async (t) => {
  const disk = await begun()
  const { store } = storeOn(disk, { journalBytes: 1 })
  let { state } = await store.open(2, NEVER)
  store.confirmed(0)
  const isWhole = (path: string): boolean => path.includes('/whole-')
  await until('one is made', () => [...disk.files.keys()].some(isWhole), { everyMs: 1 })
  state = await appended(store, state, 1, 2)
  await store.close()
  const next = storeOn(disk)
  state = (await next.store.open(3, NEVER)).state
  await appended(next.store, state, 1, 3)
  await next.store.close()
  const backup = storeOn(disk, { memory: new Memory() })
  await backup.store.follow()
  const read = backup.files.calls.filter((call) => /^readAt .*checkpoint-/.test(call))
  t.equal(read.length, 1, read.join(', '))
  t.equal(await readBy(disk, 4), 'f1 f2 f3')
})

t.test(
  'many terms without a change are read through few, and begin with a copy at last',
  async (t) => {
    const disk = await begun()
    for (let term = 2; term < 40; term += 1) t.equal(await readBy(disk, term), 'f1')
    const journals = [...disk.files.keys()].filter((path) => path.includes('/journal-'))
    t.ok(journals.length > 30, 'none of them has served, so nothing was removed')
    const reader = storeOn(disk)
    await reader.store.open(40, NEVER)
    const read = reader.files.calls.filter((call) => /^readAt .*journal-/.test(call))
    t.ok(new Set(read).size <= 17, `${new Set(read).size} journals read`)
  },
)

t.test('terms that serve, without a change, are followed by checkpoints', async (t) => {
  const disk = await begun()
  for (let term = 2; term < 33; term += 1) {
    const catalog = newCatalog(storeOn(disk).store)
    await catalog.open(term, NEVER)
    await catalog.prove()
    const isWhole = (): boolean =>
      [...disk.files.keys()].some((path) => path.startsWith(`${epoch(term)}/whole-`))
    if (term % 8 === 0) await until(`term ${term} has a checkpoint`, isWhole, { everyMs: 1 })
    await catalog.close()
  }
  t.equal(await readBy(disk, 33), 'f1')
  const epochs = new Set([...disk.files.keys()].map((path) => path.slice(0, epoch(1).length)))
  t.ok(epochs.size <= 20, `${epochs.size} terms are kept`)
})

t.test('an opening reads a long journal in slices', async (t) => {
  const disk = await begun()
  const { store } = storeOn(disk)
  const { state } = await store.open(2, NEVER)
  const draft = Draft.of(state)
  for (let group = 0; group < 40; group += 1) {
    const transactions = Array.from({ length: 250 }, (_, i) => insert(100 + group * 250 + i))
    for (const one of transactions) draft.apply(one)
    const { state: after, delta } = draft.seal()
    await store.append({ firstSeq: 1 + group * 250, transactions, delta, after })
  }
  await store.close()
  let turns = 0
  const counting = setInterval(() => {
    turns += 1
  }, 0)
  await storeOn(disk).store.open(3, NEVER)
  clearInterval(counting)
  t.ok(turns > 3, `${turns} turns of the event loop meanwhile`)
})

t.test(
  'what its checkpoint has of a journal stands in for nothing that the journal has lost',
  async (t) => {
    for (const growing of [true, false]) {
      const disk = await begun()
      const files = { ...memFiles(disk), growingFilesReadable: async () => growing }
      const store = new SharedStore({ directory, files, log: () => {}, journalBytes: 500 })
      let { state } = await store.open(2, NEVER)
      for (let index = 2; index < 8; index += 1) {
        state = await appended(store, state, index - 1, index)
        if (index === 4) store.confirmed(3)
        if (index === 4) await until('there is a checkpoint', () => hasSign(disk), { everyMs: 1 })
      }
      await store.close()
      const sign = [...disk.files.keys()].find((path) => path.includes('/whole-')) ?? ''
      const path = sign.replace('/whole-', '/journal-').replace(/\.\d+-\d+$/, '')
      const groups = [...disk.files.keys()].filter((one) => one.startsWith(`${path}.`)).sort()
      if (growing) disk.files.set(path, (disk.files.get(path) ?? Buffer.alloc(0)).subarray(0, 300))
      // The first record is a file of its own.
      else disk.files.delete(groups[1] ?? '')
      const next = new SharedStore({ directory, files, log: () => {} })
      t.equal(await codeOf(next.open(3, NEVER)), 'CORRUPT')
    }
  },
)

const hasSign = (disk: MemDirectory): boolean =>
  [...disk.files.keys()].some((path) => path.includes('/whole-'))

t.test(
  'a first record that may be whole is never taken back: a successor may rest on it',
  async (t) => {
    const disk = await begun()
    let isFull = true
    let refuse = (): void => {}
    const { files } = storeOn(disk)
    const held: typeof files = {
      ...files,
      create: async (path, options) => {
        if (!path.includes('/begun-0000000002') || !isFull) return files.create(path, options)
        await new Promise<void>((resolve) => {
          refuse = resolve
        })
        throw new FileError('ENOSPC', `no room for ${path}`)
      },
    }
    const late = new SharedStore({ directory, files: held, log: () => {} })
    const opening = late.open(2, NEVER)
    await until('its mark is on its way', () => disk.files.has(`${epoch(2)}/journal-0000000001`), {
      everyMs: 1,
    })
    const { store } = storeOn(disk)
    const { state } = await store.open(3, NEVER)
    await appended(store, state, 1, 2)
    refuse()
    await opening
    t.equal(await readBy(disk, 4), 'f1 f2')
    isFull = false
    await late.prove('everything')
    t.ok(
      disk.files.has(`${directory}/begun-0000000002-0000000001`),
      'and is made when there is room',
    )
  },
)

t.test(
  'what says that a checkpoint is whole is made again where somebody removed it',
  async (t) => {
    const disk = await begun()
    const { store } = storeOn(disk, { journalBytes: 1 })
    const { state } = await store.open(2, NEVER)
    await appended(store, state, 1, 2)
    store.confirmed(1)
    await until('there is a checkpoint', () => hasSign(disk), { everyMs: 1 })
    await until('it counts here', async () => {
      for (const path of disk.files.keys()) if (path.includes('/whole-')) disk.files.delete(path)
      await store.prove('everything')
      return hasSign(disk)
    })
    await store.close()
    for (const path of disk.files.keys()) if (/whole-|journal-/.test(path)) disk.files.delete(path)
    const { restorable } = await storeOn(disk).store.restorable()
    t.equal(filesIn(restorable[0]?.state as CatalogState), 'f1 f2', 'and its own end tells it, too')
  },
)
