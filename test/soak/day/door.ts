/**
 * A door into a real master of the soak, loaded before it (`node --import`): INSERTs whose files somebody has written come in
 * through the catalog that this master has open, each as the transaction that ends an INSERT of the product, with an outcome
 * under its id. So they meet its elections, its commits, its compaction and its sweeper, and no plan and no worker.
 *
 * A POST to its socket has some of them as JSON: 200 when all are acknowledged, also where one was before; 503 where this
 * master is none that could say so; 500 with what was wrong.
 */
import { rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import {
  Catalog,
  CatalogError,
  type CatalogState,
  type DataFile,
} from '../../../lib/catalog/index.ts'
import type { Task } from '../../../lib/contract/index.ts'
import { AlreadyEnded, successOf } from '../../../lib/master/queries/run/write-end.ts'

/** Where it listens. */
export const DOOR_VARIABLE = 'TAJO_SOAK_DOOR'

export interface Delivered {
  /** A UUID. */
  readonly queryId: string
  readonly table: string
  readonly file: DataFile
}

/** The one that a term has opened last. */
let serving: Catalog | null = null

function writeOf(state: CatalogState, { queryId, table: name, file }: Delivered, atMs: number) {
  const table = state.find('default', name)
  if (table === null) throw new Error(`there is no table ${name}`)
  const { id: tableId, location: base, schemaVersion, format, options } = table
  const task: Task = {
    ...{ queryId, attempt: 1, sql: `INSERT INTO ${name}`, mode: 'write', submittedMs: atMs },
    ...{ create: null, publishTo: null },
    query: { text: '', place: { line: 1, column: 1 } },
    session: { database: 'default', user: 'soak', variables: {} },
    write: {
      ...{ tableId, schemaVersion, mode: 'append', directory: base, base, format },
      ...{ options: { ...options }, columns: null, into: null, partitionBy: [] },
    },
  }
  const { rows, bytes, partition } = file
  const files = [{ ...file, partition: [...partition] }]
  const manifest = { reads: [], columns: [], partitionColumns: [], files, rows: rows ?? 0, bytes }
  return successOf(state, task, manifest, { by: 'soak', atMs })
}

async function insert(catalog: Catalog, one: Delivered): Promise<void> {
  try {
    await catalog.transact((state) => writeOf(state, one, Date.now()))
  } catch (error) {
    if (!(error instanceof AlreadyEnded) || error.outcome.state !== 'done') throw error
  }
}

const isElsewhere = (error: unknown): boolean =>
  error instanceof CatalogError && ['NOT_ACTIVE', 'UNAVAILABLE'].includes(error.code)

async function answerTo(all: readonly Delivered[]): Promise<{ status: number; text: string }> {
  const catalog = serving
  if (catalog === null) return { status: 503, text: 'no term was opened here' }
  const ends = await Promise.allSettled(all.map((one) => insert(catalog, one)))
  const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  const worst = errors.find((error) => !isElsewhere(error)) ?? errors[0]
  if (worst === undefined) return { status: 200, text: '' }
  return { status: isElsewhere(worst) ? 503 : 500, text: String(worst?.stack ?? worst) }
}

function openDoor(path: string): void {
  const { open } = Catalog.prototype
  Catalog.prototype.open = async function (...given) {
    await open.apply(this, given)
    serving = this
  }
  rmSync(path, { force: true })
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => answerTo(JSON.parse(body)))
      .then(({ status, text }) => void response.writeHead(status).end(text))
      // Whoever has asked is gone, and asks again.
      .catch(() => response.destroy())
  })
  server.listen(path).unref()
}

const path = process.env[DOOR_VARIABLE]
if (path !== undefined && process.argv[2] === 'master') openDoor(path)
