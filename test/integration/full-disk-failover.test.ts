/**
 * How fast another master serves where the shared directory takes nothing more: bytes, inodes or a quota used up, with a
 * small catalog and with a large one. Within M of the last heartbeat, by the product's
 * own record. Two real masters on a file system of their own; the active is killed with kill -9.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type CatalogData, dumpPieces, sharedStore } from '../../lib/catalog/index.ts'
import type { HistoryEntry } from '../../lib/ha/index.ts'
import { FULLNESS, type FullGround, fullGround, PARTS_OF } from '../support/full-ground.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun } from '../support/run.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

const M = monitorMs(5000)
const TAJO = join(import.meta.dirname, '../../../bin/tajo')
const AT = '2026-01-01T00:00:00.000Z'

interface CatalogKind {
  readonly name: string
  readonly tables: number
  readonly filesEach: number
  readonly megabytes: number
  readonly disk: { readonly megabytes: number; readonly files: number }
}
const SMALL: CatalogKind = {
  ...{ name: '10 tables', tables: 10, filesEach: 3, megabytes: 0 },
  disk: { megabytes: 24, files: 400 },
}
/** Three terms keep their files, beside two reserves and what is being written. */
const LARGE: CatalogKind = {
  ...{ name: '50 MB', tables: 250, filesEach: 1000, megabytes: 50 },
  disk: { megabytes: 1000, files: 400 },
}

function dataOf({ tables, filesEach }: CatalogKind): CatalogData {
  const fileOf = (table: number, file: number) => ({
    path: `file:///warehouse/default/table_${table}/part-${String(file).padStart(6, '0')}-${'0123456789abcdef'.repeat(7)}.parquet`,
    ...{ rows: 1000 + file, bytes: 1_000_000 + file, partition: [] },
  })
  const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
  return {
    databases: [{ name: 'default', createdAt: AT }],
    tables: range(tables).map((table) => ({
      ...{ id: table + 1, database: 'default', name: `table_${table}`, kind: 'managed' as const },
      ...{ format: 'PARQUET' as const, options: {}, partitionColumns: [], wholeDirectory: false },
      columns: [{ name: 'id', type: 'INT8' }],
      location: `file:///warehouse/default/table_${table}`,
      files: range(filesEach).map((file) => fileOf(table, file)),
      ...{ schemaVersion: 0, createdAt: AT },
    })),
    ...{ outcomes: [], litter: [], publications: [] },
    nextTableId: tables + 1,
  }
}

/** As an operator moves a catalog in: into the directory of a cluster that is stopped. */
async function load(t: Test, cluster: TestCluster, data: CatalogData): Promise<void> {
  const [first] = cluster.masters
  if (first === undefined) return
  await first.start()
  await until('the first term serves', () => first.health('active'))
  process.kill(first.pid, 'SIGTERM')
  await first.ended()
  const file = join(testdirOf(t), 'catalog.json')
  writeFileSync(file, [...dumpPieces(data, new Date(AT))].join(''))
  const env = { TAJO_CONF_DIR: join(first.dir, 'conf') }
  await mustRun([TAJO, 'catalog', 'load', file], { env })
  await Promise.all(cluster.masters.map((master) => master.start()))
}

/** Each of the two keeps room for its next term, and for a catalog as large as this. */
const keepRoom = (root: string, bytes: number) => (): boolean => {
  const directory = join(root, 'system', 'ha', 'reserve')
  const whole = readdirSync(directory).map((one) => {
    const text = readFileSync(join(directory, one, 'whole.json'), 'utf8')
    return JSON.parse(text) as { openingBytes: number }
  })
  return whole.length === 2 && whole.every(({ openingBytes }) => openingBytes >= bytes)
}

const newestOf = async (master: TestMaster): Promise<HistoryEntry | undefined> => {
  const { text } = await ask(master.ports.info, '/api/v1/history')
  return (JSON.parse(text) as { history: HistoryEntry[] }).history[0]
}

async function failOver(
  t: Test,
  catalog: CatalogKind,
  ground: FullGround,
  spareBytes = 0,
): Promise<TestMaster> {
  const { path: root } = ground
  const two = await makeCluster(t, {
    ...{ count: 2, monitorMs: M, start: false },
    site: { 'tajo.rootdir': `file://${root}` },
  })
  await load(t, two, dataOf(catalog))
  const { active, backups, epoch } = await two.settled()
  await until('both keep room', keepRoom(root, catalog.megabytes * 1e6))
  const [heir] = backups
  if (heir === undefined) throw new Error('there is no backup')
  const free = ground.fill(spareBytes)
  const actors = [heir.pid, heir.keeperPid]
  const stalls = new StallWatch(actors)
  process.kill(active.pid, 'SIGKILL')
  await until('the other one serves', () => heir.health('active'))
  const stalled = stalls.stop(actors)
  const record = await until('the record of its term', async () => {
    const newest = await newestOf(heir)
    return newest !== undefined && newest.term.term > epoch ? newest.served : null
  })
  t.comment(`phases: ${JSON.stringify(record.phases)}`)
  t.equal(record.term, epoch + 1, 'its first claim came to something')
  const time = { tookMs: record.phases.totalMs, promisedMs: M, stalled }
  judgeTime(t, 'the failover took', time)
  const { data, term } = await sharedStore(root, () => undefined).readOnly()
  t.equal(term, record.term)
  t.equal(data.tables.length, catalog.tables, 'with all its tables')
  free()
  return heir
}

for (const what of FULLNESS) {
  for (const catalog of [SMALL, LARGE]) {
    t.test(`${what} used up, a catalog of ${catalog.name}: another serves within M`, async (t) => {
      if (!hasParts(t, ...PARTS_OF[what])) return
      await failOver(t, catalog, await fullGround(t, what, catalog.disk))
    })
  }
}

t.test('an opening needs no room for the catalog, however large that is', async (t) => {
  if (!hasParts(t, ...PARTS_OF.quota)) return
  const ground = await fullGround(t, 'quota', LARGE.disk)
  const heir = await failOver(t, LARGE, ground, 1_000_000)
  t.notMatch(heir.log, /found no room/)
  t.notOk(heir.logLines.some(({ event }) => event === 'catalog-unavailable'))
})
