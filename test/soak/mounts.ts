/**
 * Two masters over a mount that caches, which is used on the operator's order: `npm run soak -- --faults mounts --starts 50`,
 * with `--interval MS`. The mount is rclone, on which two hosts both win each exclusive create: nothing but the proof by a
 * contest (docs/ha-protocol.md, "One and the same directory") keeps them from a term each.
 *
 * A start: `ma` alone and then `mb`, or the other way round, or both at once, in turn; every second start goes on in the
 * directory of the one before. Both have to tell, by a critical alert, that their directories are two; `/health/active` of
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

const say = (line: string): void => void process.stdout.write(`${line}\n`)
let problems = 0
const problem = (text: string): void => {
  problems += 1
  say(`PROBLEM: ${new Date().toISOString()} ${text}`)
}

type Order = 'ma first' | 'mb first' | 'at once'
const ORDERS: readonly Order[] = ['ma first', 'mb first', 'at once']

interface Outcome {
  readonly order: Order
  readonly asked: number
  /** Answers in which both said that they are active. */
  readonly both: number
  /** Who has ever said so. */
  readonly actives: string
  /** From the second one's start to the alerts of both. */
  readonly toldMs: number
}

async function startIt(site: Site, host: TestHost): Promise<void> {
  const { code, stdout, stderr } = await site.daemon(host, 'start')
  if (code !== 0) throw new Error(`${host.name} did not start:\n${stdout}${stderr}`)
}

const servesAt = async (host: TestHost): Promise<boolean> =>
  (await pageOf(host, '/health/active')).startsWith('active')

async function oneStart(site: Site, order: Order): Promise<Outcome> {
  const { ma, mb } = site
  const watch = watchActives(site)
  const [first, second] = order === 'mb first' ? [mb, ma] : [ma, mb]
  if (order === 'at once') await Promise.all([startIt(site, ma), startIt(site, mb)])
  else {
    await startIt(site, first)
    await until(`${first.name} serves`, () => servesAt(first), { patience: 3 })
    await startIt(site, second)
  }
  const startedMs = performance.now()
  for (const host of [ma, mb]) {
    const isTold = async (): Promise<boolean> =>
      criticalOf(await clusterOf(host), 'other-directory') !== ''
    await until(`${host.name} tells that the directories are two`, isTold, { patience: 3 })
  }
  const toldMs = performance.now() - startedMs
  await sleep(2 * monitorMs)
  if (order !== 'at once' && !(await servesAt(first))) {
    problem(`${first.name}, which served, does not any more`)
  }
  const seen = await watch.end()
  const actives = (['ma', 'mb'] as const).filter((name) => seen.some((one) => one[name]))
  const both = seen.filter((one) => one.ma && one.mb).length
  if (both > 0) problem(`both were active in ${both} of ${seen.length} answers`)
  if (actives.length > 1) problem('each was active at some time')
  for (const host of [mb, ma]) await site.daemon(host, 'stop')
  return { order, asked: seen.length, both, actives: actives.join(' ') || 'nobody', toldMs }
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
    const outcome = await oneStart(site, ORDERS[i % ORDERS.length] as Order)
    outcomes.push(outcome)
    const { order, asked, both, actives, toldMs } = outcome
    say(
      `${i + 1}: ${order}; active: ${actives}; ${both} of ${asked} answers with two; told after ${toldMs.toFixed(0)} ms`,
    )
  }
} catch (error) {
  problem(error instanceof Error ? (error.stack ?? error.message) : String(error))
} finally {
  for (const run of teardowns) await run()
}

const asked = outcomes.reduce((sum, one) => sum + one.asked, 0)
const good = outcomes.filter((one) => one.both === 0).length
const told = outcomes.map(({ toldMs }) => toldMs).sort((a, b) => a - b)
say(
  `${good} of ${starts} starts without two actives, ${asked} answers of each; alerts on both after ${told[Math.floor(told.length / 2)]?.toFixed(0)} ms in the median, ${told.at(-1)?.toFixed(0)} ms at most; M ${monitorMs} ms; problems: ${problems}`,
)
process.exitCode = problems > 0 || good < starts ? 1 : 0
