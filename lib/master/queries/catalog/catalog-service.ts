/**
 * The catalog port: reads, answered by the active from memory; and what it sees of an external table's directory.
 *
 * What the query services need of the catalog: `Catalog` has it, and a test's own.
 *
 * The files of the tables that a query reads, page by page: a table may have millions, and no answer holds all of them. The
 * pages of one query all show one moment: what they are taken from is held here meanwhile, and a state of the catalog never
 * changes, so nothing is copied. Of files whose partition a query can't need, not one is looked at.
 *
 * Who doesn't come back for the next page within a minute has to begin anew, and so has one whose page got lost.
 */
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { administrator, type Caller, type Principal } from '../../../access/index.ts'
import { inSlices, Slices } from '../../../base/slices.ts'
import type { Clock } from '../../../base/time.ts'
import type {
  CatalogState,
  FilePiece,
  PartitionTest,
  Table,
  Transaction,
} from '../../../catalog/index.ts'
import { isHidden, OWN_PREFIX, testOf } from '../../../catalog/index.ts'
import type { CatalogTable, FilePage, ResolveRequest } from '../../../contract/index.ts'
import { RpcError } from '../../../rpc/index.ts'
import type { Handlers } from '../../../serve/index.ts'
import { placeOf, sortedNames } from '../statements/names.ts'
import { confinementOf, needsToRead, principalOf, seenBy, whyNot } from '../statements/rights.ts'

/** So many characters of paths make a page full; a piece of 256 more may be in it. */
const PAGE_CHARS = 512 * 1024
const HELD_MS = 60_000
const MOST_HELD = 1000

/** Null: a place to stop at. */
type Item = { readonly of: number; readonly piece: FilePiece } | null

interface Held {
  readonly items: Iterator<Item>
  page: number
  cancel: () => void
}

export class FilePages {
  readonly #clock: Clock
  readonly #newId: () => string
  readonly #held = new Map<string, Held>()

  constructor(clock: Clock, newId: () => string = randomUUID) {
    this.#clock = clock
    this.#newId = newId
  }

  /** Makes the first page. `tables`: what was found of those that were asked for. */
  begin(asked: ResolveRequest['tables'], tables: readonly (Table | null)[]): Promise<FilePage> {
    const tests = tables.map((table, at) =>
      table === null ? null : testOf(asked[at]?.where ?? null, table, tables),
    )
    const items = itemsOf(tables, tests)
    return this.#page(this.#newId(), { items, page: 0, cancel: () => {} })
  }

  /** Rejects with RpcError UNAVAILABLE for a page that is not here: begin again. */
  more(next: string): Promise<FilePage> {
    const [id = '', page] = next.split('/')
    const held = this.#held.get(id)
    if (held === undefined || String(held.page) !== page) {
      throw new RpcError('UNAVAILABLE', 'that page of the list of files is not here any more')
    }
    return this.#page(id, held)
  }

  /** How many are under way. */
  get size(): number {
    return this.#held.size
  }

  async #page(id: string, held: Held): Promise<FilePage> {
    this.#drop(id)
    const files: FilePage['files'] = []
    const slices = new Slices()
    for (let chars = 0; chars < PAGE_CHARS; ) {
      const { done, value } = held.items.next()
      if (done === true) return { files, next: null }
      if (value !== null) {
        const { paths, rows, bytes, partition } = value.piece.packed()
        const packed = {
          partition: [...partition],
          paths: [...paths],
          rows: [...rows],
          bytes: [...bytes],
        }
        files.push({ of: value.of, packed })
        chars += value.piece.chars
      }
      if (slices.isOver) await slices.turn()
    }
    held.page += 1
    this.#hold(id, held)
    return { files, next: `${id}/${held.page}` }
  }

  #hold(id: string, held: Held): void {
    for (const oldest of this.#held.keys()) {
      if (this.#held.size < MOST_HELD) break
      this.#drop(oldest)
    }
    held.cancel = this.#clock.after(HELD_MS, () => this.#drop(id))
    this.#held.set(id, held)
  }

  #drop(id: string): void {
    this.#held.get(id)?.cancel()
    this.#held.delete(id)
  }
}

function* itemsOf(
  tables: readonly (Table | null)[],
  tests: readonly PartitionTest[],
): Generator<Item> {
  for (const [of, table] of tables.entries()) {
    const test = tests[of] ?? null
    for (const partition of table?.files.partitions() ?? []) {
      if (test !== null && !test(partition.values)) yield null
      else for (const piece of partition.pieces()) yield { of, piece }
    }
  }
}

export interface CatalogPort {
  /** What was acknowledged. */
  state(): CatalogState
  /**
   * Resolves when it is durable and binding. `build` may be called more than once, and its state is good only during
   * the call; what it throws rejects, and nothing is changed. Rejects CatalogError.
   */
  transact(build: (state: CatalogState) => Transaction): Promise<unknown>
  /** Why changes have to wait for its store; null when they don't. */
  trouble?(): string | null
  /** Is all that it rests on still there? */
  prove?(): Promise<void>
  /** The time of the oldest catalog that can be brought back, ms since 1970; null for one of any age. Rejects CatalogError. */
  oldestRestorableMs?(): Promise<number | null>
  checkpointSoon?(): void
  /** What it keeps under this term, for the term's record; null for nothing to tell. */
  note?(): string | null
}

export type CatalogReads = Omit<Handlers<'catalog'>, 'status'>

/** One for each term: what it has begun to tell ends with it. */
export function catalogService(catalog: CatalogPort, clock: Clock): CatalogReads {
  const pages = new FilePages(clock)
  /** As whoever asks sees it. Where nobody has to prove anything everybody is the administrator. */
  const shown = (caller: Caller | null): CatalogState =>
    seenBy(catalog.state(), caller?.principal ?? administrator(''))
  return {
    databases: (_asked, { caller }) => ({ databases: shown(caller).databaseNames() }),
    tables: async (asked, { caller }) => {
      const state = shown(caller)
      const sees = caller?.principal.kind === 'user' ? state : null
      const { names, total } = await chosen(state, asked, sees)
      const tables: TableSummary[] = []
      await inSlices(names, (name) => {
        const table = state.find(asked.database, name)
        if (table !== null) tables.push(summaryOf(table))
      })
      return { tables, total }
    },
    resolve: async ({ tables: asked, asUser }) => {
      const principal = principalOf(asUser)
      const state = seenBy(catalog.state(), principal)
      const whys = asked.map((one) => whyNotRead(state, principal, resolved(state, one)))
      const found = asked.map((one, at) => (whys[at] === null ? resolved(state, one) : null))
      const page = await pages.begin(asked, found)
      const refused = whys.flatMap((why, of) => (why === null ? [] : [{ of, why }]))
      const tables = found.map((table) => (table === null ? null : headOf(table)))
      const confined = found.flatMap((table, of) => {
        const confinement = table === null ? null : confinementOf(state, table)
        return confinement === null ? [] : [{ of, ...confinement }]
      })
      return {
        ...page,
        tables,
        ...(refused.length > 0 && { refused }),
        ...(confined.length > 0 && { confined }),
      }
    },
    moreFiles: ({ next }) => pages.more(next),
    seesFiles: async ({ tableId }) => {
      const table = catalog.state().table(tableId)
      return { sees: table !== null && (await hasFile(table.location)) }
    },
  }
}

/** Null where he may, and where there is none. */
function whyNotRead(state: CatalogState, principal: Principal, table: Table | null): string | null {
  const needs = table === null ? [] : needsToRead(table)
  const whys = needs.map((need) => whyNot(state, principal, need))
  return whys.find((why) => why !== null) ?? null
}

/**
 * Rejects RpcError BAD_REQUEST where there is no such database. `sees`: as whoever asks does, where that is not all; what he
 * does not see is not counted either. Null: all.
 */
async function chosen(
  state: CatalogState,
  { database, names, search, after, offset = 0, limit }: Parameters<CatalogReads['tables']>[0],
  sees: CatalogState | null,
): Promise<{ names: readonly string[]; total: number }> {
  const sorted = await sortedNames(state, database)
  if (sorted === null) throw new RpcError('BAD_REQUEST', `database ${database} does not exist`)
  const all = sees === null ? sorted : await namesSeen(sorted, (name) => sees.find(database, name))
  const part = (found: readonly string[], first: number) => {
    const from = first + offset
    const to = limit === undefined ? found.length : from + limit
    return { names: found.slice(from, to), total: found.length - first }
  }
  // Just behind it: the next name that there can be.
  const behind = after === undefined ? 0 : placeOf(all, `${after}\0`)
  if (names === undefined && search === undefined) return part(all, behind)
  const word = search?.toLowerCase() ?? ''
  const found: string[] = []
  const among = names === undefined ? all.slice(behind) : [...new Set(names)].sort()
  await inSlices(among, (name) => {
    if (after !== undefined && name <= after) return
    if (!name.toLowerCase().includes(word)) return
    if (names === undefined || state.find(database, name) !== null) found.push(name)
  })
  return part(found, 0)
}

async function namesSeen(
  sorted: readonly string[],
  find: (name: string) => Table | null,
): Promise<readonly string[]> {
  const seen: string[] = []
  await inSlices(sorted, (name) => {
    if (find(name) !== null) seen.push(name)
  })
  return seen
}

/** One that counts as a table's, there or further down; false where nothing is there. */
async function hasFile(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  })
  for (const entry of entries) {
    if (isHidden(entry.name)) continue
    if (!entry.isDirectory()) return true
    if (!entry.name.startsWith(OWN_PREFIX) && (await hasFile(join(directory, entry.name)))) {
      return true
    }
  }
  return false
}

/** With an id it is that table, whatever it is called by now. */
export const resolved = (
  state: CatalogState,
  asked: {
    readonly database: string
    readonly name: string
    readonly tableId?: number | undefined
  },
): Table | null =>
  asked.tableId === undefined ? state.find(asked.database, asked.name) : state.table(asked.tableId)

type TableSummary = ReturnType<typeof summaryOf>

/** Whose it is, is nobody's business there. */
const headOf = ({ files: _, owner: _o, ...table }: Table) => table as Omit<CatalogTable, 'files'>

function summaryOf(table: Table) {
  const { rows, bytes, length: fileCount } = table.files
  return { ...headOf(table), rows: table.wholeDirectory ? null : rows, bytes, fileCount }
}
