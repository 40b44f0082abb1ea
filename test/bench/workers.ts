/**
 * What many workers cost the active master: `npm run bench:workers -- --workers 2000`. They are real followers (each
 * with its connections, its stream and its heartbeats at the idle interval) without an engine behind them, in this
 * process; the master is a real one, and its processor time is read from /proc.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../../lib/base/clock.ts'
import { readSecret } from '../../lib/ha/inspect.ts'
import { readCpu } from '../../lib/ha/processes.ts'
import { Follow } from '../../lib/worker/follow.ts'
import { Masters } from '../../lib/worker/masters.ts'
import { TaskList } from '../../lib/worker/task-list.ts'
import { until } from '../support/until.ts'
import { benchCluster } from './cluster.ts'

const { values: options } = parseArgs({
  options: {
    workers: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    'idle-ms': { type: 'string', default: '10000' },
  },
})
const COUNT = Number(options.workers)
const SECONDS = Number(options.seconds)
const IDLE_MS = Number(options['idle-ms'])
const SILENCE_MS = 3 * IDLE_MS

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

const secret = (await readSecret(`${root}/system/ha`)) ?? ''
const followers: Follow[] = []
const known: Masters[] = []
function follower(index: number): Follow {
  let epoch = 0
  const masters = new Masters({
    addresses: [
      {
        tracker: `localhost:${master.ports.umbilical + 2}`,
        catalog: `localhost:${master.ports.umbilical + 3}`,
      },
    ],
    // One master, always the same.
    readAddresses: async () => [],
    secret: () => secret,
    epoch: () => epoch,
    clock: systemClock,
    log: () => undefined,
  })
  known.push(masters)
  const port = String(30_000 + index)
  const tasks = new TaskList({
    slots: 4,
    start: () => {
      throw new Error('these workers run nothing')
    },
    onChange: () => undefined,
  })
  return new Follow({
    masters,
    worker: {
      workerId: `host${index}:28091`,
      incarnation: `${index}`,
      host: `host${index}`,
      pid: 1,
      version: '0',
      addresses: {
        qm: `localhost:${port}`,
        clientRpc: `localhost:${port}`,
        peer: `localhost:${port}`,
        infoHttp: `localhost:${port}`,
      },
      cores: 4,
      memoryBytes: 1024 ** 3,
      slots: 4,
    },
    tasks,
    idleMs: IDLE_MS,
    activeMs: 1000,
    silenceMs: SILENCE_MS,
    onEpoch: (heard) => {
      epoch = Math.max(epoch, heard)
    },
    epoch: () => epoch,
    onForbidden: async () => undefined,
    clock: systemClock,
    random: Math.random,
    log: () => undefined,
  })
}

try {
  await sleep(5000)
  const idle = await costOf(SECONDS / 2)
  const beginMs = performance.now()
  for (let i = 0; i < COUNT; i += 1) {
    const one = follower(i)
    followers.push(one)
    one.start()
    // As after a start of a cluster, not as after a failover.
    if (i % 20 === 0) await sleep(10)
  }
  await until(
    'all have registered',
    () => followers.every(({ registrations }) => registrations > 0),
    {
      timeoutMs: 120_000,
    },
  )
  say(`${COUNT} workers registered in ${((performance.now() - beginMs) / 1000).toFixed(1)} s`)
  await sleep(IDLE_MS)
  const busy = await costOf(SECONDS)
  say(
    `master: ${idle.toFixed(2)} % of a core without workers, ${busy.toFixed(2)} % with ${COUNT}, heartbeats every ${IDLE_MS} ms`,
  )
  const again = followers.reduce((sum, { registrations }) => sum + registrations - 1, 0)
  if (again > 0) say(`${again} registered more than once`)
} finally {
  await Promise.all(followers.map((one) => one.stop()))
  await Promise.all(known.map((masters) => masters.close()))
  await cluster.end()
}
