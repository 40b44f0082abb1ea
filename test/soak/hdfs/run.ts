/**
 * Masters on hosts of their own over a real HDFS, a gateway each: `npm run soak -- --faults hdfs --rig PROGRAM`, with
 * `--interval MS` (10000, then 15000), `--rounds N` of each event (3), `--only WORDS` for the events with these words,
 * `--without-dump`.
 *
 * A round: clients work, `tajo catalog dump` reads everything on a backup, the event strikes the active or the storage of
 * all, and the cluster has to be whole again by itself. All masters are asked for `/health/active` every 200 ms. A master
 * has to serve within M of the event (3 s of a `kill -9`), the one that was active before has to be a backup again within M
 * of the storage's return, nothing that was acknowledged may be lost or doubled, two may never be active, no gateway may
 * need to be started by hand. Prints a table in Markdown; exit code 1 for a promise that was not kept.
 *
 * Times are those of answers to this machine, so they are true to 200 ms, and nothing is taken off for a machine that is
 * busy. What the rig is, is in ../rig/rig.ts.
 */
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { HOME } from '../../support/install.ts'
import type { Rows } from '../network/client.ts'
import { type Speaker, speaker } from '../network/speaker.ts'
import { problem, problemOf, problems, say } from '../problems.ts'
import { RigCluster } from '../rig/cluster.ts'
import { Rig } from '../rig/rig.ts'
import { RoleWatch } from '../rig/role-watch.ts'
import { doubleLooks, movesOf, serviceFrom, twoActives } from '../rig/roles.ts'
import { EVENTS, type Event, type Struck } from './events.ts'
import { type Round, table } from './table.ts'

const INTERVALS_MS = [10_000, 15_000]
/** The clients may wait for a master for longer than any event lasts. */
const CLIENT_PATIENCE = 30

const { values: options } = parseArgs({
  options: {
    rig: { type: 'string' },
    interval: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    'without-dump': { type: 'boolean', default: false },
    home: { type: 'string', default: HOME },
    dir: { type: 'string', default: '/var/tmp/tajo-hdfs' },
    mount: { type: 'string', default: '/mnt/hdfs' },
  },
})
if (options.rig === undefined) {
  throw new RangeError(
    '--rig is missing: the program that has the hosts and the HDFS (test/README.md)',
  )
}
const events = EVENTS.filter(({ name }) => name.includes(options.only))
if (events.length === 0) {
  throw new RangeError(`--only is a part of one of: ${EVENTS.map(({ name }) => name).join(', ')}`)
}
const rig = new Rig(options.rig)
const isPart = options.interval !== undefined || options.only !== ''
const intervals = options.interval === undefined ? INTERVALS_MS : [Number(options.interval)]

const clock = (): string => new Date().toISOString().slice(11, 19)
const rounds: Round[] = []

interface Place {
  readonly cluster: RigCluster
  readonly clients: Speaker
}

/** What an operator has to do where the cluster does not come back by itself. Resolves to how many he started. */
async function byHand(cluster: RigCluster): Promise<number> {
  for (const host of cluster.hosts) {
    await rig.gateway(host, 'kill')
    await rig.gateway(host, 'start')
  }
  if ((await cluster.whole()) === null) throw new Error('not even new gateways brought it back')
  return cluster.hosts.length
}

async function round({ cluster, clients }: Place, event: Event): Promise<void> {
  const broken: string[] = []
  const { monitorMs } = cluster
  const about = `${event.name}, M ${monitorMs} ms, round ${rounds.length + 1}`
  const active = await cluster.whole()
  if (active === null) throw new Error(`${about}: not whole before it`)
  const backup = cluster.hosts.find((host) => host !== active) ?? active
  await clients.ask(`begin ${rounds.length + 1}`)
  await clients.ask('row')
  const watch = new RoleWatch(cluster.hosts)
  await clients.ask('load on')
  await sleep(monitorMs)
  const dump = options['without-dump'] ? null : await cluster.dump(backup)
  if (dump !== null) broken.push(`the dump on ${backup} failed: ${dump}`)
  const { fromMs, limitMs, backMs, lives } = await event
    .strike(cluster, active)
    .catch((error: Error): Struck => {
      broken.push(error.message)
      return { fromMs: Date.now(), limitMs: monitorMs, backMs: Date.now(), lives: true }
    })
  const isWhole = (await cluster.whole()) !== null
  const wholeAtMs = Date.now()
  const started = isWhole ? 0 : await byHand(cluster)
  if (started > 0) broken.push('the gateways had to be started by hand')
  await clients.ask('load off')
  await clients.ask('row')
  const looks = await watch.stop()
  const { servedMs: served, laterGapMs } = serviceFrom(looks, fromMs)
  const servedMs = served ?? Number.POSITIVE_INFINITY
  if (servedMs > limitMs) broken.push(`served ${servedMs.toFixed(0)} ms after it`)
  const wholeMs = lives ? Math.max(0, wholeAtMs - Math.max(backMs, fromMs + servedMs)) : null
  if (wholeMs !== null && wholeMs > monitorMs) broken.push(`whole ${wholeMs} ms after its end`)
  const both = twoActives(looks)
  for (const text of both) broken.push(`two were active: ${text}`)
  const rows = (await clients.ask('check')) as Rows
  if (rows.lost + rows.doubled + rows.foreign > 0) broken.push(`rows ${JSON.stringify(rows)}`)
  for (const text of broken) problem(`${about}: ${text}`)
  const figures = { servedMs, laterGapMs, wholeMs, moves: movesOf(looks), looks: looks.length }
  rounds.push({
    ...{ event: event.name, monitorMs, ...figures, rows, byHand: started, broken: broken.length },
    ...{ doubleLooks: doubleLooks(looks), twoActives: both.length, dumpFailed: dump !== null },
  })
  say(
    `${clock()} ${about}: ${JSON.stringify({ ...figures, rows, load: loadavg()[0]?.toFixed(1) })}`,
  )
}

async function group(monitorMs: number): Promise<void> {
  const root = `${options.mount}/soak-${monitorMs}-${Date.now()}`
  const { home, dir } = options
  const cluster = await RigCluster.start(rig, {
    ...{ monitorMs, home, dir, root },
    ...{ fewestHosts: 3, workers: true },
  })
  if ((await cluster.whole()) === null) throw new Error(`M ${monitorMs} ms: not whole at the start`)
  say(`${clock()} M ${monitorMs} ms: ${cluster.hosts.join(', ')} over ${root}`)
  const clients = speaker('./client.js', {
    words: [`${root}/system/ha`, ...cluster.hosts],
    patience: CLIENT_PATIENCE,
  })
  clients.child.stderr.on('data', (text: Buffer) => process.stderr.write(`  a client: ${text}`))
  try {
    const due = events.filter(({ atLonger }) => isPart || monitorMs === intervals[0] || atLonger)
    for (const event of due) {
      for (let i = 0; i < Number(options.rounds); i += 1) await round({ cluster, clients }, event)
    }
  } finally {
    clients.child.kill('SIGKILL')
    await cluster.stop()
  }
}

try {
  for (const monitorMs of intervals) await group(monitorMs)
} catch (error) {
  problemOf(error)
}
for (const line of table(rounds)) say(line)
for (const text of problems) say(`PROBLEM: ${text}`)
process.exitCode = problems.length === 0 ? 0 : 1
