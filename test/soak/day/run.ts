/**
 * A day of ten INSERTs a second, in less time: `npm run soak -- --faults day --inserts 864000 --through 50000 --failovers 100
 * --seed N`. All go into 20 managed tables, some of them partitioned, over one directory and at the same time:
 *
 * - `--through` of them through clients, two real masters and their workers, while the active is killed (kill -9)
 *   `--failovers` times, and started again;
 * - the rest, `--rate` a second, through the catalog that the active has open (door.ts), each with a real file.
 *
 * Meanwhile the product joins small files by its own rules. What a day has in proportion to its length is shortened with
 * it: the period of the look for small files (`--check`, ms). What was replaced is removed at once (`--retention-hour 0`),
 * so that a file which somebody still needs is missed.
 *
 * `--minutes` cuts it short; what was done until then is judged.
 *
 * Exit code 1 for a promise that was not kept: what was acknowledged is there once and whole, and nothing else; how many
 * files a table has does not follow what came in; reads take at most 1.5 times as long as those of a table that was written
 * just now with the same content.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { COMPACTION_USER } from '../../../lib/master/queries/compaction/compactor.ts'
import { wholeNumber } from '../../support/numbers.ts'
import { randomOf } from '../../support/random.ts'
import { clientOf, TestWorker } from '../../support/test-worker.ts'
import { until } from '../../support/until.ts'
import { sample as heldBy } from '../leaks.ts'
import { makeMasters } from '../masters.ts'
import { problem, problemOf, problems, say } from '../problems.ts'
import type { SoakMaster } from '../soak-master.ts'
import { mostOf, type Sample, unbounded } from './census.ts'
import { Clients } from './clients.ts'
import { DOOR_VARIABLE } from './door.ts'
import { Fates, type Shape, tableName } from './numbers.ts'
import { createSql, foundIn, type Reading, readings, rowsOf } from './reads.ts'
import { Writer } from './writer.ts'

const { values: given } = parseArgs({
  options: {
    inserts: { type: 'string', default: '864000' },
    through: { type: 'string', default: '50000' },
    failovers: { type: 'string', default: '100' },
    rate: { type: 'string', default: '600' },
    rows: { type: 'string', default: '5' },
    tables: { type: 'string', default: '20' },
    partitions: { type: 'string', default: '8' },
    clients: { type: 'string', default: '8' },
    workers: { type: 'string', default: '2' },
    check: { type: 'string', default: '1000' },
    'retention-hour': { type: 'string', default: '0' },
    'monitor-interval': { type: 'string', default: '5000' },
    trials: { type: 'string', default: '15' },
    minutes: { type: 'string', default: '1440' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const number = (name: keyof typeof given, least = 1): number =>
  wholeNumber(`--${name}`, given[name], least)
const [INSERTS, THROUGH, FAILOVERS] = [
  number('inserts'),
  number('through', 0),
  number('failovers', 0),
]
const shape: Shape = {
  inserts: INSERTS,
  rows: number('rows'),
  tables: number('tables'),
  partitions: number('partitions'),
}
const TRIALS = number('trials')
const CHECK_MS = number('check', 100)
const SLOWEST = 1.5
/** What seems slower is measured again, so many times as often: one median of a busy machine proves nothing. */
const AGAIN = 4
const SAMPLE_MS = 2000
/** As many lines as a day has hours. */
const LINES = 24
/** Nothing was joined, and nothing is to be, for so long: several looks found nothing. */
const REST_MS = 4 * CHECK_MS
if (THROUGH > INSERTS) throw new RangeError('--through is more than --inserts')
if (THROUGH < FAILOVERS) throw new RangeError('--failovers is more than --through')

const TABLES = Array.from({ length: shape.tables }, (_, table) => table)
const random = randomOf(number('seed', 0))
const fates = new Fates(shape)
const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-day-'))
const root = join(dir, 'root')
const site = {
  'tajo.table.compaction.check-interval': given.check,
  'tajo.table.compaction.retention-hour': given['retention-hour'],
}
const masters = await makeMasters({
  ...{ dir, root, priorities: [100, 100], site },
  monitorInterval: given['monitor-interval'],
})
const door = pathToFileURL(fileURLToPath(new URL('./door.js', import.meta.url)))
const doors = masters.map((master) => {
  const path = join(master.dir, 'door.sock')
  master.fileByFile = true
  master.before = ['/usr/bin/env', `NODE_OPTIONS=--import=${door}`, `${DOOR_VARIABLE}=${path}`]
  return path
})
const workers: TestWorker[] = []
for (let i = 0; i < number('workers'); i += 1) {
  workers.push(await TestWorker.make({ dir: join(dir, `worker-${i}`), root, masters, site }))
}

async function whoServes(): Promise<SoakMaster | null> {
  const serves = await Promise.all(masters.map((master) => master.health('active')))
  return masters[serves.indexOf(true)] ?? null
}

/** The one that serves, once the other one is its backup. */
const settled = (): Promise<SoakMaster> =>
  until(
    'one serves and the other is its backup',
    async () => {
      const active = await whoServes()
      const others = masters.filter((master) => master !== active)
      const ready = await Promise.all(others.map((master) => master.health('backup')))
      return ready.includes(false) ? null : active
    },
    { patience: 2 },
  )

// ---- while it goes ----------------------------------------------------------------------------------------------

const observer = clientOf(masters)
const hands = Array.from({ length: number('clients') }, () => clientOf(masters))
const samples: Sample[] = []
const gapsMs: number[] = []
let going = true
/** Masters that ended without a kill of ours: on a machine that stalls a keeper takes its master for hung. */
let unasked = 0
const struck = new Set<SoakMaster>()

/** A master that has ended is started again, as a service manager does it. */
async function revive(): Promise<void> {
  while (going) {
    for (const master of masters.filter(({ hasEnded }) => hasEnded)) {
      if (!struck.delete(master)) unasked += 1
      await master.start()
    }
    await sleep(100)
  }
}

/** Evenly among the INSERTs of clients, each somewhere in its own share of them. */
async function strikes(clients: Clients): Promise<void> {
  const share = THROUGH / FAILOVERS
  for (let strike = 0; strike < FAILOVERS; strike += 1) {
    const due = Math.floor((strike + random() * 0.9) * share)
    while (clients.done < due) {
      if (!going) return
      await sleep(20)
    }
    const active = await settled()
    const sinceMs = performance.now()
    struck.add(active)
    process.kill(active.pid, 'SIGKILL')
    await until('one serves again', async () => (await whoServes()) !== null)
    gapsMs.push(performance.now() - sinceMs)
  }
}

/** Bounds of what a table may hold while statements are under way. */
async function look(table: number): Promise<void> {
  const least = fates.acknowledgedOf(table) * shape.rows
  const sql = `select count(*), count(distinct id) from ${tableName(table)}`
  const [rows = 0, distinct = 0] = ((await rowsOf(observer, sql))[0] ?? []).map(Number)
  const most = fates.sentTo(table) * shape.rows
  if (rows < least || rows > most || rows !== distinct) {
    problem(
      `${tableName(table)} holds ${rows} rows with ${distinct} keys: ${least} to ${most} were expected`,
    )
  }
}

async function locationOf(table: number): Promise<string> {
  const known = await observer.describe(tableName(table))
  if (known === null) throw new Error(`there is no table ${tableName(table)}`)
  return known.location
}

async function filesNow(): Promise<number[]> {
  const all = new Map((await observer.tables()).map((one) => [one.name, one.fileCount]))
  return TABLES.map((table) => all.get(tableName(table)) ?? 0)
}

const mib = (pid: number): string => (heldBy(pid).residentKiB / 1024).toFixed(0)
const memory = (): string =>
  masters.map((master) => (master.hasEnded ? '-' : mib(master.processId))).join(' and ')

async function watch(clients: Clients, writer: Writer, beganMs: number): Promise<void> {
  say(
    '  hour   INSERTs  through clients  kills  files: plain  partitioned  all tables  RSS, MiB       s',
  )
  let [line, from] = [0, 0]
  while (going) {
    await sleep(SAMPLE_MS)
    const files = await filesNow()
    const inserts = clients.done + writer.done
    samples.push({ inserts, files })
    if (inserts < ((line + 1) * INSERTS) / LINES) continue
    line = Math.floor((inserts * LINES) / INSERTS)
    const { plain, partitioned } = mostOf(samples.slice(from))
    from = samples.length
    const cells = [
      [line, 6],
      [inserts, 9],
      [clients.done, 16],
      [gapsMs.length, 6],
      [plain, 13],
      [partitioned, 12],
      [files.reduce((sum, one) => sum + one, 0), 11],
      [memory(), 14],
      [Math.round((performance.now() - beganMs) / 1000), 7],
    ] as const
    say(cells.map(([cell, width]) => String(cell).padStart(width)).join(' '))
    await look(line % shape.tables)
  }
}

// ---- afterwards -------------------------------------------------------------------------------------------------

/** A join may take long on a busy machine. */
async function isJoining(): Promise<boolean> {
  const newest = await observer.queries(50)
  return newest.some(
    ({ user, state }) => user === COMPACTION_USER && ['queued', 'running'].includes(state),
  )
}

async function rested(): Promise<number[]> {
  let [files, sinceMs] = [await filesNow(), performance.now()]
  return until(
    'nothing is left to be joined',
    async () => {
      await sleep(CHECK_MS / 2)
      const now = await filesNow()
      const isBusy = (await isJoining()) || now.join() !== files.join()
      if (isBusy) [files, sinceMs] = [now, performance.now()]
      return performance.now() - sinceMs > REST_MS ? files : null
    },
    { patience: 20 },
  )
}

async function judged(): Promise<void> {
  let [acknowledged, unknown, there] = [0, 0, 0]
  for (const table of TABLES) {
    const verdict = fates.judge(table, await foundIn(observer, table, shape))
    acknowledged += verdict.acknowledged
    unknown += verdict.unknown
    there += verdict.unknownThere
    for (const how of ['lost', 'doubled', 'wrong'] as const) {
      const numbers = verdict[how]
      if (numbers.length === 0) continue
      const some = numbers.slice(0, 5).join(', ')
      problem(`${tableName(table)}: ${numbers.length} INSERTs ${how}, such as ${some}`)
    }
  }
  say(
    `${acknowledged} INSERTs acknowledged, each there once and whole unless a problem says otherwise; ${unknown} of unknown fate, ${there} of them there`,
  )
}

/** A directory that the sweeper removes meanwhile holds none. */
async function filesOnDisk(directory = join(root, 'warehouse', 'default')): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  let files = 0
  for (const entry of entries) {
    if (entry.isDirectory()) files += await filesOnDisk(join(directory, entry.name))
    else if (entry.name.startsWith('part-')) files += 1
  }
  return files
}

async function compared(): Promise<void> {
  const all: Reading[] = []
  for (const table of TABLES) {
    const first = await readings(observer, table, TRIALS)
    const isSlow = first.some(({ dayMs, freshMs }) => dayMs > SLOWEST * freshMs)
    all.push(...(isSlow ? await readings(observer, table, AGAIN * TRIALS) : first))
  }
  say(`reads, ms, medians of ${TRIALS}          the day's     fresh   ratio`)
  for (const { what, dayMs, freshMs } of all) {
    const ratio = dayMs / freshMs
    const cells = [dayMs.toFixed(1), freshMs.toFixed(1), ratio.toFixed(2)]
    say(`${what.padEnd(32)} ${cells.map((cell) => cell.padStart(9)).join(' ')}`)
    if (ratio > SLOWEST) problem(`${what}: reads take ${ratio.toFixed(2)} times as long`)
  }
}

say(
  `day: ${INSERTS} INSERTs of ${shape.rows} rows into ${shape.tables} tables, ${THROUGH} through ${hands.length} clients and ${workers.length} workers, ${FAILOVERS} kills, at most ${given.rate} a second through the catalog, seed ${given.seed}, M ${given['monitor-interval']} ms, ${dir}`,
)
try {
  await Promise.all(masters.map((master) => master.start()))
  await settled()
  await Promise.all(workers.map((worker) => worker.start()))
  for (const table of TABLES) await observer.execute(createSql(table))
  const clients = new Clients({ clients: hands, fates, count: THROUGH, onProblem: problem })
  const writer = await Writer.make({
    ...{ fates, doors, count: INSERTS - THROUGH, perSecond: number('rate') },
    locations: await Promise.all(TABLES.map(locationOf)),
    temporary: join(root, 'on-their-way'),
  })
  const beganMs = performance.now()
  const end = (): void => {
    going = false
    clients.stop()
    writer.stop()
  }
  const stop = (error: unknown): void => {
    problemOf(error)
    end()
  }
  const limit = setTimeout(end, number('minutes') * 60_000)
  const reviving = revive().catch(stop)
  const watching = watch(clients, writer, beganMs).catch(stop)
  const striker = strikes(clients).catch(stop)
  await Promise.all([clients.run(), writer.run()].map((part) => part.catch(stop)))
  await striker
  clearTimeout(limit)
  const isCut = fates.allAcknowledged + clients.unknown < INSERTS
  if (isCut) say(`cut short after ${given.minutes} min`)
  going = false
  await Promise.all([watching, reviving])
  const seconds = (performance.now() - beganMs) / 1000
  say(
    `${fates.allAcknowledged} INSERTs in ${Math.round(seconds)} s, ${Math.round(fates.allAcknowledged / seconds)} a second; the longest of a client took ${(clients.longestMs / 1000).toFixed(1)} s; ${writer.again} batches had to be asked for again`,
  )
  if (unasked > 0) say(`${unasked} times a master ended that had not been killed (see its log)`)
  const most = mostOf(samples)
  const rest = await rested()
  say(
    `files a table: at most ${most.plain} without partitions and ${most.partitioned} with ${shape.partitions} of them; at rest ${Math.min(...rest)} to ${Math.max(...rest)}`,
  )
  for (const text of unbounded(samples)) problem(text)
  if (gapsMs.length < FAILOVERS && !isCut) problem(`only ${gapsMs.length} of ${FAILOVERS} kills`)
  await judged()
  say(
    `files on disk: ${await filesOnDisk()}, of tables: ${rest.reduce((sum, one) => sum + one, 0)} (retention: ${given['retention-hour']} h)`,
  )
  await compared()
  const sorted = [...gapsMs].sort((a, b) => a - b)
  if (sorted.length > 0) {
    const at = (q: number) => Math.round(sorted[Math.floor((sorted.length - 1) * q)] ?? 0)
    say(
      `${sorted.length} kills; from the signal to the next active's health: median ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms`,
    )
  }
} catch (error) {
  problemOf(error)
}
await Promise.all([...hands, observer].map((client) => client.close()))
for (const worker of workers) if (!worker.hasEnded) worker.kill('SIGTERM')
for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
await Promise.all([...workers, ...masters].map((daemon) => daemon.ended().catch(problemOf)))
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`${problems.length} problems; kept: ${dir}`)
process.exitCode = problems.length === 0 ? 0 : 1
