/**
 * Two masters over a mount that caches, which is used on the operator's order: `npm run soak -- --faults mounts --starts 50`,
 * with `--interval MS`. The mount is rclone, on which two hosts both win each exclusive create: nothing but the proof by a
 * contest (docs/ha-protocol.md, "One and the same directory") keeps them from a term each.
 *
 * A start: both at once in a new directory, then, in the same one, `ma` alone and then `mb`, or the other way round, or both
 * at once. The second may be refused, where the mount shows it a part of the other's files only. Else both have to tell, by a critical alert, that their directories are two; `/health/active` of
 * both is asked each 200 ms, and never may both say 200; one that serves goes on. Exit code 1 for a `PROBLEM`. Needs root,
 * for hosts of its own, and rclone.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  clusterOf,
  criticalOf,
  makeSite,
  mountRclone,
  pageOf,
  type Site,
  watchActives,
} from '../support/mount-site.ts'
import type { TestHost } from '../support/netns.ts'
import { whyNot } from '../support/parts.ts'
import { until } from '../support/until.ts'
import { problem, problemOf, problems, say } from './problems.ts'

const { values: options } = parseArgs({
  options: {
    starts: { type: 'string', default: '50' },
    interval: { type: 'string', default: '2000' },
  },
})
const starts = Number(options.starts)
const monitorMs = Number(options.interval)
if (!(starts > 0) || !(monitorMs > 0)) throw new RangeError('--starts and --interval are above 0')
const missing = whyNot('netns', 'rclone')
if (missing !== null) throw new Error(missing)

type Order = 'ma first' | 'mb first' | 'at once'
const ORDERS: readonly Order[] = ['ma first', 'mb first', 'at once']
/** Both begin in a new directory; in the one of the start before they come in each order. */
const orderOf = (i: number): Order =>
  i % 2 === 0 ? 'at once' : (ORDERS[Math.floor(i / 2) % ORDERS.length] as Order)

interface Outcome {
  readonly order: Order
  /** One of them was refused, so that there was no contest. */
  readonly refused: boolean
  readonly asked: number
  /** Answers in which both said that they are active. */
  readonly both: number
  /** Who has ever said so. */
  readonly actives: string
  /** From the second one's start to the alerts of both; null without a contest. */
  readonly toldMs: number | null
}

/** False: it was refused, with the reason. What the mount shows of the other host's files is only a part of them. */
async function startIt(site: Site, host: TestHost): Promise<boolean> {
  const { code, stdout, stderr } = await site.daemon(host, 'start')
  if (code === 0) return true
  if (!/exit code 1\): tajo: /.test(stderr)) throw new Error(`${host.name}:\n${stdout}${stderr}`)
  return false
}

const servesAt = async (host: TestHost): Promise<boolean> =>
  (await pageOf(host, '/health/active')).startsWith('active')

/**
 * Two that began at once may have made a cluster each, and the mount has brought the catalog of one to the other later:
 * that is refused by name, and not served.
 */
const isRefusedThere = async (host: TestHost): Promise<boolean> =>
  (await pageOf(host, '/api/v1/cluster')).includes("two clusters can't share one")

async function oneStart(site: Site, order: Order): Promise<Outcome> {
  const { ma, mb } = site
  const watch = watchActives(site)
  const [first, second] = order === 'mb first' ? [mb, ma] : [ma, mb]
  const started: boolean[] = []
  let served = false
  if (order === 'at once') {
    started.push(...(await Promise.all([startIt(site, ma), startIt(site, mb)])))
  } else {
    started.push(await startIt(site, first))
    const isDecided = async (): Promise<boolean> => {
      served = await servesAt(first)
      return served || isRefusedThere(first)
    }
    await until(`${first.name} serves, or must not`, isDecided, { patience: 3 })
    started.push(await startIt(site, second))
  }
  const refused = started.includes(false)
  const startedMs = performance.now()
  for (const host of refused ? [] : [ma, mb]) {
    const isTold = async (): Promise<boolean> =>
      criticalOf(await clusterOf(host), 'other-directory') !== ''
    await until(`${host.name} tells that the directories are two`, isTold, { patience: 3 })
  }
  const toldMs = refused ? null : performance.now() - startedMs
  await sleep(2 * monitorMs)
  if (served && !(await servesAt(first))) {
    problem(`${first.name}, which served, does not any more`)
  }
  const seen = await watch.end()
  const actives = (['ma', 'mb'] as const).filter((name) => seen.some((one) => one[name]))
  const both = seen.filter((one) => one.ma && one.mb).length
  if (both > 0) problem(`both were active in ${both} of ${seen.length} answers`)
  if (actives.length > 1) problem('each was active at some time')
  for (const host of [mb, ma]) await site.daemon(host, 'stop')
  return {
    order,
    refused,
    asked: seen.length,
    both,
    actives: actives.join(' ') || 'nobody',
    toldMs,
  }
}

const teardowns: (() => unknown)[] = []
const t = { teardown: (run: () => unknown) => void teardowns.unshift(run) }
const site = await makeSite(t, { monitorMs })
const outcomes: Outcome[] = []
try {
  for (const host of [site.ma, site.mb]) await mountRclone(site, host)
  for (let i = 0; i < starts; i += 1) {
    const root = join(site.root, `cluster-${Math.floor(i / 2)}`)
    // What rclone shows of it to the other host is its own affair.
    if (i % 2 === 0) mkdirSync(join(site.dir, 'backing', `cluster-${i / 2}`), { recursive: true })
    const rootdir = { 'tajo.rootdir': `file://${root}` }
    site.set({ 'tajo.master.ha.unproven-mount': 'warn', ...rootdir })
    const outcome = await oneStart(site, orderOf(i))
    outcomes.push(outcome)
    const { order, asked, both, actives, toldMs } = outcome
    say(
      `${i + 1}: ${order}; active: ${actives}; ${both} of ${asked} answers with two; ${toldMs === null ? 'one was refused' : `told after ${toldMs.toFixed(0)} ms`}`,
    )
  }
} catch (error) {
  problemOf(error)
} finally {
  for (const run of teardowns) await run()
}

const asked = outcomes.reduce((sum, one) => sum + one.asked, 0)
const good = outcomes.filter((one) => one.both === 0).length
const told = outcomes
  .flatMap(({ toldMs }) => (toldMs === null ? [] : [toldMs]))
  .sort((a, b) => a - b)
say(
  `${good} of ${starts} starts without two actives, ${asked} answers of each; in ${outcomes.length - told.length} one was refused; alerts on both in the others after ${told[Math.floor(told.length / 2)]?.toFixed(0)} ms in the median, ${told.at(-1)?.toFixed(0)} ms at most; M ${monitorMs} ms; problems: ${problems.length}`,
)
process.exitCode = problems.length > 0 || good < starts ? 1 : 0
