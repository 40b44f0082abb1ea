/**
 * A state of the catalog that is being changed, for the rules of the changes (`apply.ts`). Every change of it goes one way: it
 * is noted for the delta, and can be taken back until it is settled, so that a transaction is done whole or not at all.
 *
 * It seals what it has into a `CatalogState` and a `Delta` when a group is complete. It copies nothing per change.
 *
 * Which files of a table nobody needs any more, once others have taken their place: they are litter, to be removed later. What
 * a user brought (ADD PARTITION … LOCATION) is never ours to remove, and what is among the new files stays. Pure, in steps: a
 * table may have millions of them.
 */

import { isAbsolute } from 'node:path'
import { missing } from './errors.ts'
import type { FileList } from './file-list.ts'
import type { FilePartition } from './file-partition.ts'
import type { Table } from './model.ts'
import { OWN_PREFIX } from './own-prefix.ts'
import type { PersistentMap } from './persistent-map.ts'
import { absolutePath, CatalogState, type Delta, forkMaps, type Maps } from './state.ts'

/** Absolute paths, some or none in each step: the files of those partitions. */
export function* fallenOf(
  table: Table,
  partitions: readonly FilePartition[],
  added: FileList,
): Generator<readonly string[]> {
  const still = new Set<string>()
  for (const piece of added.pieces()) {
    for (const path of piece.paths()) still.add(absolutePath(table, path))
    yield []
  }
  for (const partition of partitions) {
    for (const piece of partition.pieces()) {
      const own = piece.paths().filter((path) => !isAbsolute(path))
      const fallen = own.map((path) => absolutePath(table, path))
      yield fallen.filter((path) => !still.has(path))
    }
  }
}

/** The same of all its files: the directories that queries have made, where no new file is in them: there are far more files. */
export function* fallenOfAll(table: Table, added: FileList): Generator<readonly string[]> {
  const still = new Set<string>()
  for (const piece of added.pieces()) {
    for (const path of piece.paths()) still.add(path).add(topOf(path))
    yield []
  }
  const fallen = new Set<string>()
  for (const piece of table.files.pieces()) {
    for (const path of piece.paths()) {
      if (isAbsolute(path)) continue
      const top = topOf(path)
      const isOwn = top.startsWith(OWN_PREFIX) && !still.has(top)
      if (isOwn) fallen.add(top)
      else if (!still.has(path)) fallen.add(path)
    }
    yield []
  }
  for (const path of fallen) yield [absolutePath(table, path)]
}

/** The first name of a path; all of one that leads upwards. It is asked of millions. */
function topOf(path: string): string {
  const end = path.indexOf('/')
  return end < 0 || path.includes('..') ? path : path.slice(0, end)
}

/** What was before the first change since the last seal, by key. */
type Touched<K, V> = Map<K, V | undefined>

export class ChangingState extends CatalogState {
  #undo: (() => void)[] = []
  #touched = noTouches()
  /** Name tables of databases that are this state's own. */
  #ownNames = new WeakSet<object>()

  /**
   * The state as it is now, and what was changed since the last seal, which is looked for when it is asked for. This one
   * goes on from there.
   */
  seal(): Sealed {
    const maps = forkMaps(this.maps)
    const { next } = this
    const state = new CatalogState(maps, next)
    const touched = this.#touched
    this.#touched = noTouches()
    this.#ownNames = new WeakSet()
    return {
      state,
      get delta() {
        return deltaOf(maps, touched, next)
      },
    }
  }

  /** What was done until now stays. */
  protected settle(): void {
    this.#undo = []
  }

  /** Takes back, step by step, all that was done since then. */
  protected *takeBack(): Generator<void, void> {
    for (const undo of this.#undo.reverse()) {
      undo()
      yield
    }
  }

  /** All that is there goes, and what is in these maps comes. */
  protected *replaceAll(maps: Maps, nextTableId: number): Generator<void, void> {
    for (const slot of SLOTS) {
      for (const key of [...this.maps[slot].keys()]) {
        this.#setAny(slot, key, undefined)
        yield
      }
      for (const [key, value] of maps[slot].entries()) {
        this.#setAny(slot, key, value)
        yield
      }
    }
    this.setNext(nextTableId)
  }

  /** Gives a table its name in its database, or takes it away. */
  protected name(database: string, name: string, id: number | undefined): void {
    let names = this.maps.names.get(database)
    if (names === undefined) throw missing(`database '${database}'`)
    if (!this.#ownNames.has(names)) {
      names = names.fork()
      this.set('names', database, names)
      this.#ownNames.add(names)
    }
    this.#undo.push(names.set(name, id))
  }

  protected setNext(next: number): void {
    const before = this.next
    this.next = next
    this.#undo.push(() => {
      this.next = before
    })
  }

  protected set<Slot extends keyof Maps>(
    slot: Slot,
    key: KeyOf<Slot>,
    value: ValueOf<Slot> | undefined,
  ) {
    this.#setAny(slot, key, value)
  }

  /** The one way in which a map changes: noted for the delta, and can be taken back. */
  #setAny(slot: keyof Maps, key: string | number, value: object | undefined): void {
    const map = this.maps[slot] as unknown as PersistentMap<string | number, object>
    const touched = this.#touched[slot] as Touched<unknown, unknown>
    const before = map.get(key)
    if (!touched.has(key)) touched.set(key, before)
    this.#undo.push(map.set(key, value))
  }
}

interface Sealed {
  readonly state: CatalogState
  readonly delta: Delta
}

/** What differs from before the touches. */
function deltaOf(maps: Maps, touched: ReturnType<typeof noTouches>, nextTableId: number): Delta {
  const rows = <K extends string | number, V extends NonNullable<unknown>>(
    map: PersistentMap<K, V>,
    keys: Touched<K, V>,
  ) => {
    const put: V[] = []
    const gone: K[] = []
    for (const [key, before] of keys) {
      const after = map.get(key)
      if (after === before) continue
      if (after === undefined) gone.push(key)
      else put.push(after)
    }
    return { put, gone }
  }
  const tables = rows(maps.tables, touched.tables)
  return {
    databases: rows(maps.databases, touched.databases),
    tables: {
      put: tables.put.map((after) => ({ before: touched.tables.get(after.id) ?? null, after })),
      gone: tables.gone,
    },
    outcomes: rows(maps.outcomes, touched.outcomes),
    litter: rows(maps.litter, touched.litter),
    publications: rows(maps.publications, touched.publications),
    users: rows(maps.users, touched.users),
    nextTableId,
  }
}

type KeyOf<Slot extends keyof Maps> = Maps[Slot] extends PersistentMap<infer K, infer _> ? K : never
type ValueOf<Slot extends keyof Maps> =
  Maps[Slot] extends PersistentMap<infer _, infer V> ? V : never

const SLOTS = [
  'databases',
  'tables',
  'names',
  'outcomes',
  'litter',
  'publications',
  'users',
] as const

const noTouches = () => ({
  databases: new Map() as Touched<KeyOf<'databases'>, ValueOf<'databases'>>,
  tables: new Map() as Touched<KeyOf<'tables'>, ValueOf<'tables'>>,
  names: new Map() as Touched<KeyOf<'names'>, ValueOf<'names'>>,
  outcomes: new Map() as Touched<KeyOf<'outcomes'>, ValueOf<'outcomes'>>,
  litter: new Map() as Touched<KeyOf<'litter'>, ValueOf<'litter'>>,
  publications: new Map() as Touched<KeyOf<'publications'>, ValueOf<'publications'>>,
  users: new Map() as Touched<KeyOf<'users'>, ValueOf<'users'>>,
})
