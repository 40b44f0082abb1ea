/**
 * What many workers cost the active master: `npm run bench -- workers -- --workers 2000`. They are real followers (each
 * with its connections, its stream and its heartbeats at the idle interval) without an engine behind them, in this
 * process; the master is a real one, and its processor time is read from /proc.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { membershipOf } from '../../lib/cli/daemon/cluster-identity.ts'
import { readCpu } from '../../lib/ha/world/processes.ts'
import { IdleWorkers } from '../support/idle-workers.ts'
import { benchCluster } from './cluster.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({ workers: 2000, seconds: 60, 'idle-ms': 10_000 })
const COUNT = options.workers
const SECONDS = options.seconds
const IDLE_MS = options['idle-ms']

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const cluster = await benchCluster({ workers: 0 })
const { master, root } = cluster

async function costOf(seconds: number): Promise<number> {
  const before = readCpu(master.pid)?.cpuMs ?? 0
  const beginMs = performance.now()
  await sleep(seconds * 1000)
  const usedMs = (readCpu(master.pid)?.cpuMs ?? 0) - before
  return (100 * usedMs) / (performance.now() - beginMs)
}

const membership = await membershipOf(`${root}/system/ha`)
if (membership === null) throw new Error('no cluster was formed')
const idle = new IdleWorkers({
  ...membership,
  addresses: [
    {
      tracker: `localhost:${master.ports.umbilical + 2}`,
      catalog: `localhost:${master.ports.umbilical + 3}`,
    },
  ],
  idleMs: IDLE_MS,
})

try {
  await sleep(5000)
  const alone = await costOf(SECONDS / 2)
  const beginMs = performance.now()
  await idle.start(COUNT)
  say(`${COUNT} workers registered in ${((performance.now() - beginMs) / 1000).toFixed(1)} s`)
  await sleep(IDLE_MS)
  const busy = await costOf(SECONDS)
  say(
    `master: ${alone.toFixed(2)} % of a core without workers, ${busy.toFixed(2)} % with ${COUNT}, heartbeats every ${IDLE_MS} ms`,
  )
  const again = idle.registrations - COUNT
  if (again > 0) say(`${again} registered more than once`)
} finally {
  await idle.stop()
  await cluster.end()
}
