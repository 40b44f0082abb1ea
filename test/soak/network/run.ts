/**
 * The clients' network of the active master is cut while its storage lives: `npm run soak -- --faults network --rounds 30
 * --seed N`, with `--interval MS`, `--layout` and `--load idle|busy` for a part of it.
 *
 * A round: the active's cable is pulled; another master has to serve within M, or, where nobody is better off, an alert has
 * to say so within M while the role stays; the cable is plugged in again; the active's cable is pulled and plugged ten times
 * for 3 s, in all of which the role may move once. Half of the rounds are busy: loops take every processor twice, and
 * clients write all the time. What these were told is compared with what is there.
 *
 * Time runs from the cut to the product's own record of the term that serves (or to the alert on the active's own page); what
 * the kernel counts as waiting of the masters' processes is taken off, and both are printed. Exit code 1 for a promise that
 * was not kept. Needs root, for hosts of its own.
 */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { busyLoops } from '../../faults/busy-loops.ts'
import { CutCluster, LAYOUTS, type Layout } from '../../support/cut-cluster.ts'
import { whyNot } from '../../support/parts.ts'
import { randomOf } from '../../support/random.ts'
import { type Stalled, StallWatch } from '../../support/stall.ts'
import { until } from '../../support/until.ts'
import { problem, problemOf, problems, say } from '../problems.ts'
import type { Rows } from './client.ts'
import { tellLogs } from './logs.ts'
import { speaker } from './speaker.ts'
import { type Round, table } from './table.ts'

const INTERVALS_MS = [5000, 1000]
const LOADS = ['idle', 'busy'] as const
const FLAP_MS = 3000

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    interval: { type: 'string' },
    layout: { type: 'string', default: '' },
    load: { type: 'string', default: '' },
    flaps: { type: 'string', default: '10' },
    loops: { type: 'string', default: String(2 * availableParallelism()) },
  },
})
const random = randomOf(Number(options.seed))
const layouts = LAYOUTS.filter((name) => name.includes(options.layout))
const loads = LOADS.filter((name) => name.includes(options.load))
const intervals = options.interval === undefined ? INTERVALS_MS : [Number(options.interval)]
if (layouts.length === 0)
  throw new RangeError(`--layout is a part of one of: ${LAYOUTS.join(', ')}`)
if (loads.length === 0) throw new RangeError(`--load is one of: ${LOADS.join(', ')}`)
const missing = whyNot('netns', 'hangfs')
if (missing !== null) throw new Error(missing)

const rounds: Round[] = []

interface Place {
  readonly cluster: CutCluster
  readonly ask: (order: string) => Promise<unknown>
}

type Kind = Pick<Round, 'layout' | 'monitorMs' | 'load'>

/** Another one serves, or the alert is there; how long after the cut. */
async function cut({ cluster }: Place, kind: Kind): Promise<Pick<Round, 'tookMs' | 'stalled'>> {
  const { activeHost, backupHost } = cluster
  const before = cluster.served().length
  const expectsMove = kind.layout !== 'neither'
  const watch = expectsMove ? null : speaker('./alert-watch.js', { command: activeHost.command })
  if (watch !== null) await watch.line('a page without an alert')
  const stall = new StallWatch(cluster.pids())
  const cutMs = await activeHost.setLink('down')
  const atMs = await (watch === null
    ? until(`${backupHost.name} serves`, () => servedAfter(cluster, before), { everyMs: 10 })
    : watch.line('the alert').then(Number))
  const stalled = stall.stop(cluster.pids())
  const tookMs = atMs - cutMs
  if (tookMs - stalled.ms > kind.monitorMs) {
    problem(`${describe(kind)}: ${tookMs.toFixed(0)} ms after the cut; ${tellStall(stalled)}`)
  }
  // Whose fault it is, the machine's or the product's, is seen there.
  if (tookMs > kind.monitorMs) tellLogs(cluster.dir, cutMs, say)
  await sleep(2 * kind.monitorMs)
  const moves = cluster.served().length - before
  if (moves !== (expectsMove ? 1 : 0)) problem(`${describe(kind)}: ${moves} moves after the cut`)
  return { tookMs, stalled }
}

const servedAfter = (cluster: CutCluster, count: number): number | null =>
  cluster.served()[count]?.atMs ?? null
const describe = ({ layout, monitorMs, load }: Kind): string =>
  `${layout}, M ${monitorMs} ms, ${load}`
const tellStall = ({ ms, by }: Stalled): string => `stalled for ${ms.toFixed(0)} ms, ${by}`

/** All is whole again, then the active's cable flaps. Answers how often the role has moved meanwhile. */
async function healAndFlap({ cluster }: Place, kind: Kind): Promise<number> {
  const before = cluster.served().length
  for (const host of [cluster.hosts.ma, cluster.hosts.mb]) await host.setLink('up')
  await sleep(3 * kind.monitorMs)
  const healed = cluster.served().length - before
  if (healed > 0) problem(`${describe(kind)}: the role has moved in a network that is whole`)
  const cable = cluster.activeHost
  for (let i = 0; i < Number(options.flaps); i += 1) {
    await cable.setLink('down')
    await sleep(FLAP_MS)
    await cable.setLink('up')
    await sleep(FLAP_MS)
  }
  await sleep(2 * kind.monitorMs)
  const moves = cluster.served().length - before
  if (moves > 1) {
    problem(`${describe(kind)}: ${moves} moves in ${options.flaps} flaps`)
    tellLogs(cluster.dir, Date.now() - 60_000, say)
  }
  return moves
}

/** Where the worker is beside a master, that one is to be the active. */
async function home({ cluster }: Place): Promise<void> {
  if (cluster.layout === 'third host' || cluster.active === 'ma:26001') return
  // On the active's own host: these have no ssh.
  const { activeHost } = cluster
  const { code, stderr } = await cluster.haadmin(activeHost, '-transitionToActive', 'ma:26001')
  if (code !== 0) throw new Error(`ma was not made active: ${stderr}`)
  await cluster.settle()
}

async function round(place: Place, kind: Kind): Promise<void> {
  const n = rounds.length + 1
  await home(place)
  await place.ask(`begin ${n}`)
  await place.ask('row')
  const stopLoops = kind.load === 'busy' ? busyLoops(Number(options.loops)) : () => {}
  try {
    if (kind.load === 'busy') await place.ask('load on')
    await sleep(kind.monitorMs * (1 + random()))
    const timed = await cut(place, kind)
    const moves = await healAndFlap(place, kind)
    stopLoops()
    await place.ask('load off')
    await place.ask('row')
    const rows = (await place.ask('check')) as Rows
    if (rows.lost + rows.doubled + rows.foreign > 0) {
      problem(`${describe(kind)}: rows ${JSON.stringify(rows)}`)
    }
    rounds.push({ ...kind, ...timed, moves, rows })
    say(
      `${new Date().toISOString().slice(11, 19)} round ${n}: ${describe(kind)}: ${kind.layout === 'neither' ? 'alert' : 'served'} after ${timed.tookMs.toFixed(0)} ms (${tellStall(timed.stalled)}), ${moves} moves in the flaps, ${rows.acknowledged} rows acknowledged, ${rows.lost} lost`,
    )
  } finally {
    stopLoops()
  }
}

/** Rounds of one cluster. */
async function group(layout: Layout, monitorMs: number, of: readonly Kind['load'][]) {
  const teardowns: (() => unknown)[] = []
  const t = { teardown: (work: () => unknown) => void teardowns.push(work) }
  const failed = problems.length
  const keep = (): boolean => problems.length > failed
  try {
    const cluster = await CutCluster.start(t, { layout, monitorMs, keep })
    const { child, ask } = speaker('./client.js', {
      command: cluster.hosts.desk.command,
      words: [join(cluster.dir, 'root/system/ha'), 'ma', 'mb'],
    })
    child.stderr.on('data', (text: Buffer) => process.stderr.write(`  a client: ${text}`))
    t.teardown(() => child.kill('SIGKILL'))
    for (const load of of) await round({ cluster, ask }, { layout, monitorMs, load })
    if (keep()) say(`kept: ${join(cluster.dir)}`)
  } catch (error) {
    problemOf(error)
  }
  for (const work of teardowns.reverse()) await work()
}

const shuffled = <T>(all: readonly T[]): T[] =>
  all
    .map((one) => ({ one, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ one }) => one)

say(
  `network: ${options.rounds} rounds, seed ${options.seed}, M ${intervals.join(' and ')} ms, ${layouts.join(', ')}, ${loads.join(' and ')} (${options.loops} loops)`,
)
const groups = shuffled(layouts.flatMap((layout) => intervals.map((ms) => ({ layout, ms }))))
const turns = Array.from({ length: Number(options.rounds) }, (_, i) => i)
for (const [index, { layout, ms }] of groups.entries()) {
  const own = turns.filter((i) => i % groups.length === index)
  const first = Math.floor(random() * loads.length)
  const of = own.map((_, i) => loads[(first + i) % loads.length] ?? 'idle')
  if (of.length > 0) await group(layout, ms, of)
}
for (const line of table(rounds)) say(line)
for (const text of problems) say(`PROBLEM: ${text}`)
if (problems.length > 0) say(`again: npm run soak -- --faults network --seed ${options.seed}`)
process.exitCode = problems.length === 0 ? 0 : 1
