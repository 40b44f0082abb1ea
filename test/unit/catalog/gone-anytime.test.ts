/**
 * Files of the catalog are removed before any call of a term, and the process dies soon after, or not: in every such case
 * the next term reads all that was acknowledged or is refused; what was acknowledged after the removal can be brought back;
 * and where nobody died, all is there without anybody's help. Each rule that this rests on is broken on purpose, and then
 * a violation is found.
 */
import t from 'tap'
import type { Served } from '../../../lib/catalog/shared/begun.ts'
import type { Files } from '../../../lib/catalog/shared/files.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'
import type { CatalogState } from '../../../lib/catalog/state.ts'
import { codeOf, NEVER, newCatalog, outcomeOf, transaction } from '../../contract/catalog.ts'
import {
  type MemDirectory,
  type MemFiles,
  memDirectory,
  memFiles,
} from '../../support/mem-files.ts'
import { until } from '../../support/until.ts'

const directory = '/shared/system/catalog'
const epoch = (term: number): string => `${directory}/epoch-000000000${term}`

/** What the election's history says; a removal of its directory takes it away. */
interface World {
  readonly disk: MemDirectory
  served: { term: number; part: number }[]
  recorded: boolean
}

const servedIn = ({ served, recorded }: World): Served => ({
  begun: served.length === 0 ? null : { by: 'history', ...(served.at(-1) as { term: 0; part: 0 }) },
  recorded,
})

interface Breaks {
  readonly files?: (files: MemFiles) => Files
  readonly history?: boolean
  /** The term is given up before the catalog is written anew. */
  readonly giveUpFirst?: boolean
}

function storeIn(world: World, breaks: Breaks, files: MemFiles): SharedStore {
  const broken = breaks.files?.(files) ?? files
  const served = async () => servedIn(world)
  return new SharedStore({
    directory,
    files: broken,
    log: () => {},
    journalBytes: 500,
    ...(breaks.history === false ? {} : { served }),
  })
}

const REMOVALS: Readonly<Record<string, (world: World) => void>> = {
  snapshot: ({ disk }) => removed(disk, /0003\/snapshot/),
  journal: ({ disk }) => removed(disk, /0003\/journal/),
  'first journal': ({ disk }) => removed(disk, /0003\/journal-0000000001/),
  'a journal below': ({ disk }) => removed(disk, /0002\/journal/),
  'second journal': ({ disk }) => removed(disk, /0003\/journal-0000000002/),
  mark: ({ disk }) => removed(disk, /begun-0000000003/),
  "the term's directory": ({ disk }) => {
    removed(disk, /epoch-0000000003\//)
    disk.dirs.delete(epoch(3))
  },
  'all of the terms': ({ disk }) => removed(disk, /epoch-/),
  'the catalog': ({ disk }) => {
    removed(disk, /./)
    for (const path of disk.dirs) if (path.startsWith(directory)) disk.dirs.delete(path)
  },
  'the history': (world) => Object.assign(world, { served: [], recorded: false }),
}
function removed(disk: MemDirectory, what: RegExp): void {
  for (const path of disk.files.keys()) if (what.test(path)) disk.files.delete(path)
}

const change = (index: number) => () =>
  transaction(
    [{ do: 'create-database', name: `d${index}`, createdAt: 'then, a text of some length' }],
    outcomeOf(`q${index}`),
  )
const CHANGES = 4

const changesIn = (state: Pick<CatalogState, 'outcome'>): number[] =>
  Array.from({ length: 100 }, (_, index) => index).filter((i) => state.outcome(`q${i}`) !== null)

interface Run {
  readonly removal: string
  /** Before which call of term 3 it happens, and in which one the process dies; null: never. */
  readonly removeAt: number | null
  readonly crashAt: number | null
}

/** Null, or what is wrong. */
async function violationIn(
  run: Run,
  breaks: Breaks,
): Promise<{ found: string | null; calls: number }> {
  const world: World = { disk: memDirectory(), served: [], recorded: true }
  for (const term of [1, 2]) {
    const catalog = newCatalog(storeIn(world, {}, memFiles(world.disk)))
    await catalog.open(term, NEVER)
    world.served.push({ term, part: 1 })
    await catalog.transact(change(90 + term))
    await catalog.close()
  }
  const acked = [91, 92]
  let ackedAfter: number[] = []
  let isRemoved = false
  const files = memFiles(world.disk, (_, __, call) => {
    if (call === run.removeAt) {
      REMOVALS[run.removal]?.(world)
      isRemoved = true
      ackedAfter = []
    }
    return call === run.crashAt ? { how: 'crash' } : null
  })
  const ending = new AbortController()
  let givenUp = false
  const store = storeIn(world, breaks, files)
  const onGone = (): void => {
    givenUp = true
  }
  const catalog = newCatalog(breaks.giveUpFirst === true ? hasty(store) : store, { onGone })
  let over = false
  let changed = 0
  let opened = false
  const work = async (): Promise<void> => {
    await catalog.open(3, ending.signal)
    opened = true
    world.served.push({ term: 3, part: JSON.parse(catalog.note() ?? '{}').part })
    world.recorded = true
    for (let index = 0; index < CHANGES; index += 1) {
      // A removal in the moment of an acknowledgement is none before it.
      const wasRemoved = isRemoved
      await catalog.transact(change(index))
      acked.push(index)
      if (wasRemoved) ackedAfter.push(index)
    }
    changed = files.calls.length
    // A checkpoint may be under way: a removal at its calls is seen by a later look.
    for (let look = 0; look < 5; look += 1) await catalog.prove()
  }
  // Whoever is told so while the term goes on waits until the catalog was written anew.
  let refused = ''
  void work()
    .catch(async (error: unknown) => {
      refused = await codeOf(Promise.reject(error))
    })
    .finally(() => {
      over = true
    })
  const isOver = (): boolean => files.crashed() || (over && (givenUp || refused !== 'NOT_ACTIVE'))
  await until('it is dead, or done', isOver, { everyMs: 1 })
  const crashed = files.crashed()
  ending.abort()
  await catalog.close()
  return {
    calls: changed,
    found: await judge(world, { acked, ackedAfter, isHeld: opened && !crashed }, breaks),
  }
}

const hasty = (store: SharedStore) => ({
  open: store.open.bind(store),
  append: store.append.bind(store),
  prove: store.prove.bind(store),
  note: store.note.bind(store),
  close: store.close.bind(store),
})

async function judge(
  world: World,
  { acked, ackedAfter, isHeld }: { acked: number[]; ackedAfter: number[]; isHeld: boolean },
  breaks: Breaks,
): Promise<string | null> {
  const next = newCatalog(storeIn(world, breaks, memFiles(world.disk)))
  const refused = await next.open(4, NEVER).then(
    () => null,
    (error: { code: string }) => error.code,
  )
  if (refused === null) {
    const read = changesIn(next.state())
    await next.close()
    const lost = acked.filter((index) => !read.includes(index))
    return lost.length === 0 ? null : `served without ${lost}`
  }
  if (refused !== 'CORRUPT') return `refused with ${refused}`
  if (isHeld) return 'refused, though its holder could have written it anew'
  const { restorable } = await storeIn(world, breaks, memFiles(world.disk)).restorable()
  const best = restorable[0] === undefined ? [] : changesIn(restorable[0].state)
  const lost = ackedAfter.filter((index) => !best.includes(index))
  return lost.length === 0
    ? null
    : `refused, and ${lost} of after the removal can't be brought back`
}

const SOON = [1, 3, 9]

/** All runs with one removal; up to the first violation where one is looked for. */
async function explore(
  breaks: Breaks,
  { removals, stopAtFirst }: { removals: readonly string[]; stopAtFirst: boolean },
): Promise<{ runs: number; found: string[] }> {
  const none = { removal: 'none', removeAt: null, crashAt: null }
  const { calls } = await violationIn(none, {})
  const found: string[] = []
  let runs = 0
  for (const removal of removals) {
    for (let removeAt = 0; removeAt < calls; removeAt += 1) {
      for (const after of [null, ...SOON]) {
        const crashAt = after === null ? null : removeAt + after
        if (crashAt !== null && crashAt >= calls) continue
        runs += 1
        const one = await violationIn({ removal, removeAt, crashAt }, breaks)
        if (one.found === null) continue
        found.push(`${removal} before call ${removeAt}, crash in ${crashAt}: ${one.found}`)
        if (stopAtFirst) return { runs, found }
      }
    }
  }
  return { runs, found }
}

t.test('one removal at any moment loses nothing without a word', async (t) => {
  const { runs, found } = await explore({}, { removals: Object.keys(REMOVALS), stopAtFirst: false })
  t.comment(`${runs} runs`)
  t.same(found.slice(0, 20), [])
})

t.test('without a removal nothing is ever refused', async (t) => {
  const { calls, found } = await violationIn({ removal: 'none', removeAt: null, crashAt: null }, {})
  t.equal(found, null)
  for (let crashAt = 0; crashAt < calls; crashAt += 1) {
    const { found } = await violationIn({ removal: 'none', removeAt: null, crashAt }, {})
    if (found !== null) t.fail(`a crash in call ${crashAt}: ${found}`)
  }
})

const isMark = (path: string): boolean => path.includes('/begun-')
/** Each with the removal by which it shows. */
const BROKEN: Readonly<Record<string, Breaks & { readonly by: string }>> = {
  'acknowledge without a look at the name': {
    by: 'journal',
    files: (files) => {
      const { lookAt } = files
      return {
        ...files,
        lookAt: async (path) => {
          const seen = await lookAt(path)
          return seen === 'missing' ? { bytes: Number.MAX_SAFE_INTEGER, fileId: 'any' } : seen
        },
        create: async (path, options) => {
          const made = await files.create(path, options)
          if (made === 'exists') return made
          return Object.defineProperty({ ...made }, 'written', {
            get: () => ({ ...made.written, fileId: 'any' }),
          })
        },
      }
    },
  },
  'make no marks': {
    by: 'second journal',
    files: (files) => ({
      ...files,
      create: async (path, options) => (isMark(path) ? 'exists' : files.create(path, options)),
    }),
  },
  'do not ask the history': { by: 'the catalog', history: false },
  'give the term up before the catalog is written anew': { by: 'journal', giveUpFirst: true },
}
for (const [name, breaks] of Object.entries(BROKEN)) {
  t.test(`a violation is found: ${name}`, async (t) => {
    const { runs, found } = await explore(breaks, { removals: [breaks.by], stopAtFirst: true })
    t.equal(found.length, 1)
    t.comment(`after ${runs} runs: ${found[0]}`)
  })
}
