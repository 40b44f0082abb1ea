/**
 * How long a cluster of which no master runs takes until one serves, and whether its master lives to see it:
 * `npm run bench -- cold-start --files 3000000 --partitions 10000 --busy 8`. Default settings.
 *
 * Beside it stands how long one process takes to read the same catalog once, with the same loops beside it: what a start
 * takes beyond M and that is the cluster's doing. Both masters read it at the same time, on one machine here.
 *
 * `--busy`: so many processes that only compute, at a niceness of 0. So has the process that reads; a master has what its
 * user allows (lib/cli/daemon/precedence.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCpu } from '../../lib/ha/world/processes.ts'
import { makeMasters } from '../soak/masters.ts'
import type { SoakMaster } from '../soak/soak-master.ts'
import { ask } from '../support/test-masters.ts'
import { formCluster, readCatalog, sizeInWords } from './make-catalog.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({
  tables: 10,
  columns: 10,
  files: 3_000_000,
  partitions: 10_000,
  masters: 2,
  busy: 0,
  'monitor-interval': 5000,
})
const LOOK_EACH_MS = 20
const BUSY = "process.title = 'busy'; for (;;) {}"

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

async function bytesBelow(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true })
  return names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
}

async function whenActive(masters: readonly SoakMaster[]): Promise<SoakMaster> {
  for (;;) {
    const dead = masters.find(({ hasEnded }) => hasEnded)
    if (dead !== undefined) throw new Error(`${dead.address} has ended: ${await dead.lastWords()}`)
    for (const master of masters) {
      if ((await ask(master.ports.info, '/health/active')).status === 200) return master
    }
    await sleep(LOOK_EACH_MS)
  }
}

const { tables, columns, files, partitions } = options
const size = { tables, columns, files, partitions }
const dir = mkdtempSync(join(tmpdir(), 'tajo-bench-'))
const root = join(dir, 'root')
const busy: ChildProcess[] = []
let masters: SoakMaster[] = []
try {
  masters = await makeMasters({
    ...{ dir, root, monitorInterval: String(options['monitor-interval']) },
    priorities: Array.from({ length: options.masters }, () => 100),
  })
  const [first] = masters
  if (first === undefined) throw new Error('--masters is 1 at least')
  await formCluster(root, first, size)
  const bytes = await bytesBelow(join(root, 'system', 'catalog'))
  say(`bench: ${sizeInWords(size)}, ${(bytes / 1e6).toFixed(0)} MB, ${process.version}`)
  for (let i = 0; i < options.busy; i += 1) {
    busy.push(spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }))
  }
  let beginMs = performance.now()
  const beforeCpu = process.cpuUsage()
  await readCatalog(root)
  const readMs = performance.now() - beginMs
  const { user, system } = process.cpuUsage(beforeCpu)
  say(
    `  beside ${options.busy} busy processes, read once by one process: ${seconds(readMs)}, ${seconds((user + system) / 1000)} of processor time`,
  )
  beginMs = performance.now()
  for (const master of masters) master.launch()
  const active = await whenActive(masters)
  const servedMs = performance.now() - beginMs
  say(
    `  ${options.masters} masters started → ${active.address} serves: ${seconds(servedMs)}, none has ended`,
  )
  say(`  less M and the reading: ${seconds(servedMs - options['monitor-interval'] - readMs)}`)
  for (const { pid, address } of masters) {
    const cpu = seconds(readCpu(pid)?.cpuMs ?? Number.NaN)
    say(`  ${address}: ${cpu} of processor time, at a niceness of ${getPriority(pid)}`)
  }
} finally {
  for (const one of busy) one.kill('SIGKILL')
  for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
  await Promise.all(masters.map((master) => master.ended()))
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}
