/**
 * How long it takes until another master serves after the active's host was lost, by the size of the catalog, on hosts of
 * a rig (../rig/rig.ts), two or more: `npm run soak -- --faults hosts --rig PROGRAM`; `--tables N` (10) of `--columns N`
 * (100), `--rounds N` (10) of each event, `--interval MS` (5000), `--rest MS` (2000) before each, in which a backup that has
 * just joined reads the catalog, `--only WORDS` for the events whose name has these words,
 * `--mount PATH` (/mnt/tajo) of the shared storage, `--dir PATH` (/var/tmp/tajo-hosts) on each host's own disk, `--home PATH`.
 *
 * A round: the active's host loses its power or is frozen, or its master is killed, at any moment of the period of its
 * renewals; the others are asked for `/health/active` until one says that it is; the host comes back. Each round is
 * printed with the phases that the winner wrote into the history, and for how long its host and the storage were starved:
 * kept waiting for a processor by what they run on. Nobody who waits for a timer is held up by that, so what is left after
 * taking all of it off is too little, and what was measured too much. In the end a table; exit code 1 where one took
 * longer than M even so.
 */
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { HOME } from '../../support/install.ts'
import { within } from '../../support/until.ts'
import { problem, problemOf, problems, say } from '../problems.ts'
import { RigCluster } from '../rig/cluster.ts'
import { Rig } from '../rig/rig.ts'
import { EVENTS, type Event } from './events.ts'
import { type Round, table } from './figures.ts'

const { values: options } = parseArgs({
  options: {
    rig: { type: 'string' },
    tables: { type: 'string', default: '10' },
    columns: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '10' },
    interval: { type: 'string', default: '5000' },
    rest: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
    home: { type: 'string', default: HOME },
    dir: { type: 'string', default: '/var/tmp/tajo-hosts' },
    mount: { type: 'string', default: '/mnt/tajo' },
  },
})
if (options.rig === undefined) {
  throw new RangeError('--rig is missing: the program that has the hosts (test/README.md)')
}
const events = EVENTS.filter(({ name }) => name.includes(options.only))
if (events.length === 0) {
  throw new RangeError(`--only is a part of one of: ${EVENTS.map(({ name }) => name).join(', ')}`)
}
const rig = new Rig(options.rig)
const monitorMs = Number(options.interval)
const restMs = Number(options.rest)
const size = { tables: Number(options.tables), columns: Number(options.columns) }

const PAGE = 26080
const ASK_EACH_MS = 20

const rounds: Round[] = []

/** Until `host` says that it is active, or `signal` fires; ms of the wall clock. */
async function whenActive(host: string, signal: AbortSignal): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    while (!signal.aborted && !(await saysActive(host, agent))) await sleep(ASK_EACH_MS)
    return Date.now()
  } finally {
    agent.destroy()
  }
}

const saysActive = (host: string, agent: Agent): Promise<boolean> =>
  new Promise((resolve) => {
    get({ host, port: PAGE, path: '/health/active', agent, timeout: monitorMs }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode === 200))
    })
      .once('timeout', function (this: { destroy(): void }) {
        this.destroy()
      })
      .once('error', () => resolve(false))
  })

/** Of its newest term, from the winner's page. */
async function phasesOf(host: string): Promise<Record<string, number>> {
  const response = await fetch(`http://${host}:${PAGE}/api/v1/history?limit=1`)
  const { history } = (await response.json()) as {
    readonly history: readonly { readonly served: { phases: Record<string, number> } | null }[]
  }
  return history[0]?.served?.phases ?? {}
}

async function round(cluster: RigCluster, event: Event): Promise<void> {
  const about = `${size.tables} tables, ${event.name}, round ${rounds.length + 1}`
  const active = await cluster.whole()
  if (active === null) throw new Error(`${about}: not whole before it`)
  await sleep(restMs + (Math.random() * monitorMs) / 10)
  const others = cluster.hosts.filter((host) => host !== active)
  const before = new Map<string, number>()
  for (const host of others) before.set(host, await rig.starvedMs(host))
  const over = new AbortController()
  const seen = others.map(async (host) => ({ host, ms: await whenActive(host, over.signal) }))
  const fromMs = await event.strike(cluster, active)
  const first = await within(`${about}: another host serves`, Promise.race(seen), {
    ...{ productMs: 4 * monitorMs, patience: 6 },
  })
  over.abort()
  const starvedMs = (await rig.starvedMs(first.host)) - (before.get(first.host) ?? 0)
  const servedMs = first.ms - fromMs
  const phases = await phasesOf(first.host)
  const told = Object.entries(phases).map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${ms.toFixed(0)}`,
  )
  rounds.push({ event: event.name, tables: size.tables, servedMs, starvedMs, phases })
  say(
    `${about}: served after ${servedMs.toFixed(0)} ms, starved ${starvedMs} ms; ${told.join(', ')}`,
  )
  if (servedMs - starvedMs > monitorMs) problem(`${about}: served after ${servedMs.toFixed(0)} ms`)
  await event.mend(cluster, active)
}

const root = `${options.mount}/soak-${Date.now()}`
const { home, dir } = options
try {
  const made = { monitorMs, home, dir, root, fewestHosts: 2, workers: false }
  const cluster = await RigCluster.make(rig, made)
  await cluster.startAll()
  const formed = await cluster.whole()
  if (formed === null) throw new Error('not whole at the start')
  await cluster.stop()
  await cluster.makeTables(formed, size)
  await cluster.startAll()
  say(
    `${size.tables} tables of ${size.columns} columns, M = ${monitorMs} ms, on ${cluster.hosts.join(', ')}`,
  )
  try {
    for (let i = 0; i < Number(options.rounds); i += 1) {
      for (const event of events) await round(cluster, event)
    }
  } finally {
    await cluster.stop()
  }
} catch (error) {
  problemOf(error)
}
for (const line of table(rounds)) say(line)
for (const text of problems) say(`PROBLEM: ${text}`)
process.exitCode = problems.length === 0 ? 0 : 1
