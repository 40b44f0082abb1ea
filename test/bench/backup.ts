/**
 * What a backup costs its host: `npm run bench -- backup --tables 10 --rate 10`. Two masters at default settings; the share
 * of a core that each takes with its keeper, at rest and while the active is asked for `--rate` changes a second, and what
 * memory they hold.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCpu } from '../../lib/ha/world/processes.ts'
import { makeMasters } from '../soak/masters.ts'
import type { SoakMaster } from '../soak/soak-master.ts'
import { clientOf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'
import { changesOf } from './changes.ts'
import { formCluster, sizeInWords } from './make-catalog.ts'
import { memoryOf } from './memory.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({
  tables: 10,
  columns: 10,
  files: 10,
  partitions: 10,
  rate: 10,
  /** What a start leaves to do is over. */
  'rest-seconds': 120,
  seconds: 60,
})
const { tables, columns, files, partitions } = options
const size = { tables, columns, files, partitions }
const dir = mkdtempSync(join(tmpdir(), 'tajo-bench-'))
const root = join(dir, 'root')
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const cpuMs = (master: SoakMaster): number =>
  [master.pid, master.keeperPid].reduce((sum, pid) => sum + (readCpu(pid)?.cpuMs ?? Number.NaN), 0)

async function tell(what: string, masters: Readonly<Record<string, SoakMaster>>): Promise<void> {
  const before = Object.values(masters).map(cpuMs)
  const beganMs = performance.now()
  await sleep(options.seconds * 1000)
  const tookMs = performance.now() - beganMs
  for (const [at, [role, master]] of Object.entries(masters).entries()) {
    const percent = ((cpuMs(master) - (before[at] ?? Number.NaN)) / tookMs) * 100
    const { residentMiB, heapMiB } = await memoryOf(master)
    const memory = `${residentMiB.toFixed(0)} MiB resident, heap ${heapMiB.toFixed(0)} MiB`
    say(
      `${what.padEnd(24)}${role.padEnd(8)}${percent.toFixed(2).padStart(7)} % of a core, ${memory}`,
    )
  }
}

const masters = await makeMasters({ dir, root, priorities: [100, 100], monitorInterval: '5000' })
try {
  const [first, second] = masters
  if (first === undefined || second === undefined) throw new Error('two masters were to be made')
  await formCluster(root, first, size)
  await first.start()
  await until('the first one serves', () => first.health('active'), { patience: 4 })
  await second.start()
  await until('the second one is its backup', () => second.health('backup'), { patience: 4 })
  say(`bench: ${sizeInWords(size)}, M 5000 ms, ${process.version}`)
  await sleep(options['rest-seconds'] * 1000)
  const roles = { active: first, backup: second }
  await tell('at rest', roles)
  const client = clientOf(masters)
  const changes = changesOf(client, { rate: options.rate, tables })
  await tell(`${options.rate} changes a second`, roles)
  await changes.stop()
  await client.close()
  say(`${changes.tookMs.length} changes; ${changes.refused.length} were refused`)
} finally {
  const running = masters.filter(({ hasEnded }) => !hasEnded)
  for (const { pid } of running) process.kill(pid, 'SIGTERM')
  await Promise.all(running.map((master) => master.ended()))
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}
