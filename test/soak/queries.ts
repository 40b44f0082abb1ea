/**
 * Queries that don't notice: `npm run soak:queries -- --minutes 10 --fault kill`.
 *
 * Clients run a mixed load against two real masters and their workers, while the active one is struck every 10 to 20 s:
 * `kill` (kill -9), `hand-over`, `stop` (SIGSTOP), or `all`. No client may see an error, and what was acknowledged must
 * be there exactly once, by a model that each client keeps. Prints the figures and exits with 1 if that does not hold.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { randomOf } from '../support/random.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'
import { chooseFault, FAULTS } from './faults.ts'
import { makeMasters } from './masters.ts'
import type { SoakMaster } from './soak-master.ts'
import { holds, sumOf, Workload } from './workload.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '8' },
    workers: { type: 'string', default: '2' },
    fault: { type: 'string', default: 'all' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'monitor-interval': { type: 'string', default: '5000' },
  },
})
const NAMES: Readonly<Record<string, RegExp>> = {
  kill: /^kill -9 of the master$/,
  'hand-over': /^hand-over$/,
  stop: /^SIGSTOP/,
  all: /./,
}
const FIRST_MS = 10_000
const SPREAD_MS = 10_000

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const name = NAMES[options.fault]
if (name === undefined) throw new RangeError(`--fault is one of ${Object.keys(NAMES).join(', ')}`)
const faults = FAULTS.filter((fault) => name.test(fault.name))
const random = randomOf(Number(options.seed))
const problems: string[] = []

const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-queries-'))
const root = join(dir, 'root')
const masters = await makeMasters({
  dir,
  root,
  priorities: [100, 100],
  monitorInterval: options['monitor-interval'],
})
const workers: TestWorker[] = []
for (let i = 0; i < Number(options.workers); i += 1) {
  workers.push(await TestWorker.make({ dir: join(dir, `worker-${i}`), root, masters }))
}

async function settled(): Promise<{ active: SoakMaster; backup: SoakMaster }> {
  return until(
    'one serves and the other is its backup',
    async () => {
      for (const master of masters) if (master.hasEnded) await master.start()
      for (const [index, active] of masters.entries()) {
        const backup = masters[1 - index]
        if (backup === undefined || !(await active.health('active'))) continue
        if (await backup.health('backup')) return { active, backup }
      }
      return null
    },
    { patience: 2 },
  )
}

const struck = new Map<string, number>()
async function strike(): Promise<void> {
  const { active, backup } = await settled()
  const fault = chooseFault(random(), faults)
  await fault.strike(active, backup)
  await until('the other one serves', () => backup.health('active'))
  await fault.mend(active)
  struck.set(fault.name, (struck.get(fault.name) ?? 0) + 1)
}

say(
  `query soak: ${options.minutes} min, ${options.clients} clients, ${options.workers} workers, fault ${options.fault}, seed ${options.seed}, M ${options['monitor-interval']} ms, ${dir}`,
)
await Promise.all(masters.map((master) => master.start()))
await settled()
await Promise.all(workers.map((worker) => worker.start()))
const observer = clientOf(masters)
const SHARED = 'shared_by_all'
await observer.execute(`create table ${SHARED} (id INT8, note TEXT) using parquet`)

const clients = Array.from({ length: Number(options.clients) }, () => clientOf(masters))
const workloads = clients.map(
  (client, i) =>
    new Workload({
      client,
      index: i + 1,
      random: randomOf(Number(options.seed) + i + 1),
      sharedTable: SHARED,
      onViolation: (text) => {
        problems.push(text)
        say(`PROBLEM: ${new Date().toISOString()} ${text}`)
      },
    }),
)
const running = workloads.map((workload) => workload.run())
const endMs = performance.now() + Number(options.minutes) * 60_000
try {
  while (performance.now() < endMs && problems.length === 0) {
    await sleep(FIRST_MS + random() * SPREAD_MS)
    await strike()
  }
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
for (const workload of workloads) workload.stop()
await Promise.all(running)
if (problems.length === 0) {
  const total = sumOf(workloads.map(({ shared }) => shared))
  const wrong = await holds(observer, SHARED, total)
  if (wrong !== null) problems.push(wrong)
  say(`${SHARED}: ${total.rows} rows`)
}
await Promise.all([...clients, observer].map((client) => client.close()))
for (const worker of workers) {
  if (worker.hasEnded) problems.push(`${worker.address} has ended: ${worker.said}`)
  else worker.kill('SIGTERM')
}
for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
await Promise.all([...workers, ...masters].map((daemon) => daemon.ended()))

say('statements                       n   longest, s')
const kinds = new Set(workloads.flatMap(({ counts }) => [...counts.keys()]))
for (const kind of [...kinds].sort()) {
  const count = workloads.reduce((sum, { counts }) => sum + (counts.get(kind) ?? 0), 0)
  const longest = Math.max(...workloads.map(({ longestMs }) => longestMs.get(kind) ?? 0))
  say(`${kind.padEnd(26)} ${String(count).padStart(7)} ${(longest / 1000).toFixed(1).padStart(12)}`)
}
for (const [fault, count] of struck) say(`${fault}: ${count} times`)
for (const problem of problems) say(`PROBLEM: ${problem}`)
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`kept: ${dir}`)
process.exitCode = problems.length === 0 ? 0 : 1
