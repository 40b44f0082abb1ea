/**
 * A catalog of a given size in the shared directory of a cluster whose masters are all stopped, as `tajo catalog load` puts
 * one there: under the newest term, through the catalog's own interface.
 *
 * Its largest table, `largest`, has columns c0, c1, … and is partitioned by p; the other tables are like it and have no
 * files. Only the files of partition `0` exist, each with one row: it is the one to be asked for.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../lib/base/log.ts'
import { systemClock } from '../../lib/base/time.ts'
import {
  type Binding,
  Catalog,
  type Change,
  type Column,
  type DataFile,
  FileList,
  sharedStore,
  type Table,
} from '../../lib/catalog/index.ts'
import { membershipOf } from '../../lib/cli/daemon/cluster-identity.ts'
import type { SoakMaster } from '../soak/soak-master.ts'
import { until } from '../support/until.ts'

export interface CatalogSize {
  readonly tables: number
  /** Of each table. */
  readonly columns: number
  /** Of the largest table, in all its partitions. */
  readonly files: number
  readonly partitions: number
}

export const sizeInWords = ({ tables, columns, files, partitions }: CatalogSize): string =>
  `${tables} tables of ${columns} columns, ${files} files in ${partitions} partitions of one`

/** The partition that has real files, one row in each. */
export const ASKED = '0'
export const rowsAskedFor = ({ files, partitions }: CatalogSize): number =>
  Math.ceil(files / partitions)

/** So many columns and files go into one transaction. */
const AT_ONCE = 20_000

/** Forms the cluster by the first start of one of its masters, which is stopped again then. */
export async function formCluster(
  root: string,
  first: SoakMaster,
  size: CatalogSize,
): Promise<void> {
  await first.start()
  await until('a cluster is formed', () => first.health('active'))
  process.kill(first.pid, 'SIGTERM')
  await first.ended()
  await fillCatalog(root, size)
}

/** As a master does that starts, without writing. */
export async function readCatalog(root: string): Promise<void> {
  const store = sharedStore(root, complain, { binding: await bindingOf(root) })
  await store.readOnly()
  await store.close()
}

async function bindingOf(root: string): Promise<Binding> {
  const membership = await membershipOf(join(root, 'system/ha'))
  if (membership === null) throw new Error('no cluster was formed')
  return { clusterId: membership.clusterId }
}

/** Into that of a cluster that is formed, while all its masters are stopped. */
export async function fillCatalog(root: string, size: CatalogSize): Promise<void> {
  const store = sharedStore(root, complain, { binding: await bindingOf(root) })
  const catalog = new Catalog({
    store,
    commit: async () => {},
    clock: systemClock,
    log: complain,
    patienceMs: 3_600_000,
  })
  const term = Math.max(1, (await store.newestTerm()) ?? 0)
  await catalog.open(term, new AbortController().signal)
  const change = (changes: readonly Change[]) =>
    catalog.transact(() => ({ by: 'bench', atMs: Date.now(), changes, outcome: null }))
  const first = catalog.state().nextTableId
  const step = Math.max(1, Math.floor(AT_ONCE / size.columns))
  for (let done = 0; done < size.tables; done += step) {
    const count = Math.min(step, size.tables - done)
    await change(
      Array.from({ length: count }, (_, i) => {
        const isLast = done + i === size.tables - 1
        const name = isLast ? 'largest' : `t${done + i}`
        return { do: 'create-table', table: tableOf(first + done + i, name, root, size.columns) }
      }),
    )
  }
  const tableId = first + size.tables - 1
  for (let done = 0; done < size.files; done += AT_ONCE) {
    const count = Math.min(AT_ONCE, size.files - done)
    const files = Array.from({ length: count }, (_, i) => fileOf(done + i, size))
    await change([{ do: 'write', tableId, schemaVersion: 1, mode: 'append', files }])
  }
  await catalog.idle()
  await catalog.close()
  makeFiles(root, size)
}

const complain: Log = (level, message) => {
  if (level === 'warn' || level === 'error') process.stderr.write(`bench: ${message}\n`)
}

const columnsOf = (count: number): Column[] =>
  Array.from({ length: count }, (_, i) => ({ name: `c${i}`, type: i === 0 ? 'INT8' : 'TEXT' }))

const tableOf = (id: number, name: string, root: string, columns: number): Table => ({
  id,
  database: 'default',
  name,
  kind: 'managed',
  format: 'TEXT',
  options: {},
  columns: columnsOf(columns),
  partitionColumns: [{ name: 'p', type: 'TEXT' }],
  location: join(root, 'warehouse', 'default', name),
  wholeDirectory: false,
  files: FileList.EMPTY,
  schemaVersion: 1,
  createdAt: new Date(0).toISOString(),
})

const contentOf = (index: number, columns: number): string =>
  `${[index, ...Array.from({ length: columns - 1 }, () => 'x')].join('|')}\n`

const partitionOf = (index: number, { partitions }: CatalogSize): string =>
  String(index % partitions)

const pathOf = (index: number, size: CatalogSize): string =>
  `p=${partitionOf(index, size)}/00000000-0000-4000-8000-${String(index).padStart(12, '0')}.csv`

const fileOf = (index: number, size: CatalogSize): DataFile => ({
  path: pathOf(index, size),
  rows: 1,
  bytes: contentOf(index, size.columns).length,
  partition: [partitionOf(index, size)],
})

function makeFiles(root: string, size: CatalogSize): void {
  const location = join(root, 'warehouse', 'default', 'largest')
  mkdirSync(join(location, `p=${ASKED}`), { recursive: true })
  for (let i = 0; i < size.files; i += size.partitions)
    writeFileSync(join(location, pathOf(i, size)), contentOf(i, size.columns))
}
