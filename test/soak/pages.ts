/**
 * Many open pages for a long time: `npm run soak:pages -- --minutes 60 --pages 50`.
 *
 * First a large cluster is put on the page: so many queries in the history, so many registered workers; a fresh browser
 * measures how long the first view takes, on the active master and on its backup. Then that many pages of all views stay
 * open, half on each master, while queries run, and the memory of both masters is watched. Exits with 1 if it grows.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import { membershipOf } from '../../lib/cli/daemon/cluster-identity.ts'
import { quantile } from '../bench/cluster.ts'
import { CHROMIUM, openPage, show, VIEWS } from '../support/browser.ts'
import { IdleWorkers } from '../support/idle-workers.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'
import { growthOf, type Sample, sample } from './leaks.ts'
import { makeMasters } from './masters.ts'
import type { SoakMaster } from './soak-master.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    pages: { type: 'string', default: '50' },
    streams: { type: 'string', default: '0' },
    workers: { type: 'string', default: '200' },
    queries: { type: 'string', default: '5000' },
    trials: { type: 'string', default: '10' },
  },
})
const MINUTES = Number(options.minutes)
const PAGES = Number(options.pages)
const STREAMS = Number(options.streams)
const WORKERS = Number(options.workers)
const QUERIES = Number(options.queries)
const TRIALS = Number(options.trials)
const CLIENTS = 8
const SAMPLE_MS = Math.max(1000, MINUTES * 600)
const QUERY_MS = 1000
/** Between two documents that a stream's page fetches. */
const FETCH_MS = 5000
const DOCUMENTS = ['queries?limit=50', 'workers', 'lease', 'catalog/default', 'history', 'config']

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const problems: string[] = []

const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-pages-'))
const root = join(dir, 'root')
const masters = await makeMasters({ dir, root, priorities: [200, 100], monitorInterval: '5000' })
const [active, backup] = masters as [SoakMaster, SoakMaster]
const urlOf = ({ ports }: SoakMaster): string => `http://127.0.0.1:${ports.info}`
await active.start()
await until('the first one serves', () => active.health('active'))
await backup.start()
const worker = await TestWorker.make({ dir: join(dir, 'worker'), root, masters })
await worker.start()
const clients = Array.from({ length: CLIENTS }, () => clientOf(masters))

/** A short query, with its row read. */
async function ask(client: (typeof clients)[number], n: number): Promise<void> {
  const result = await client.query(`select ${n}`)
  for await (const _ of result.rows());
}

async function fillHistory(): Promise<void> {
  const beginMs = performance.now()
  let next = 0
  await Promise.all(
    clients.map(async (client) => {
      while (next < QUERIES) await ask(client, next++)
    }),
  )
  const seconds = (performance.now() - beginMs) / 1000
  say(`${QUERIES} short queries by ${CLIENTS} clients: ${(QUERIES / seconds).toFixed(0)} a second`)
}

/** From the address bar to the first view with its content, each time in a browser that has kept nothing. */
async function firstViews(browser: Browser): Promise<void> {
  for (const [name, master] of [
    ['active', active],
    ['backup', backup],
  ] as const) {
    for (const view of ['cluster', 'workers', 'queries']) {
      const took: number[] = []
      for (let i = 0; i < TRIALS; i += 1) {
        const { page, faults } = await openPage(browser)
        const beginMs = performance.now()
        await page.goto(`${urlOf(master)}/#/${view}`, { waitUntil: 'commit' })
        const content =
          view === 'cluster'
            ? page.locator('h1', { hasText: active.address })
            : page.locator('main tbody tr').nth(20)
        await content.waitFor()
        took.push(performance.now() - beginMs)
        problems.push(...faults)
        await page.context().close()
      }
      const [median, most] = [quantile(took, 0.5), quantile(took, 1)]
      say(
        `first view of ${view} on the ${name}: median ${median.toFixed(0)} ms, max ${most.toFixed(0)}`,
      )
    }
  }
}

async function withManyWorkers(browser: Browser): Promise<void> {
  const addressOf = ({ ports }: SoakMaster) => ({
    tracker: `localhost:${ports.umbilical + 2}`,
    catalog: `localhost:${ports.umbilical + 3}`,
  })
  const membership = await membershipOf(`${root}/system/ha`)
  if (membership === null) throw new Error('no cluster was formed')
  const idle = new IdleWorkers({ ...membership, addresses: masters.map(addressOf), idleMs: 10_000 })
  await idle.start(WORKERS)
  await firstViews(browser)
  await idle.stop()
}

/** What a master sees of an open page, until `over`. Rejects when the stream ends before. */
async function stream(url: string, over: AbortSignal): Promise<void> {
  const events = await fetch(`${url}/api/v1/events`, { signal: over })
  const fetching = (async () => {
    for (let n = 0; !over.aborted; n += 1) {
      const path = DOCUMENTS[n % DOCUMENTS.length]
      await (await fetch(`${url}/api/v1/${path}`, { signal: over })).text()
      await sleep(FETCH_MS, null, { signal: over })
    }
  })()
  const reading = (async () => {
    for await (const _ of events.body ?? []);
    throw new Error(`the events of ${url} have ended`)
  })()
  await Promise.race([fetching, reading]).catch((error) => {
    if (!over.aborted) throw error
  })
}

async function watchPages(browser: Browser): Promise<void> {
  const faults: string[][] = []
  for (let i = 0; i < PAGES; i += 1) {
    const opened = await openPage(browser)
    faults.push(opened.faults)
    await show(opened.page, urlOf(i % 2 === 0 ? active : backup), VIEWS[i % VIEWS.length] ?? '')
  }
  const closing = new AbortController()
  const streams = Array.from({ length: STREAMS }, (_, i) =>
    stream(urlOf(i % 2 === 0 ? active : backup), closing.signal).catch((error) =>
      problems.push(String(error)),
    ),
  )
  say(`${PAGES} pages and ${STREAMS} streams are open`)
  const held = new Map(masters.map((master) => [master, [] as Sample[]]))
  const endMs = performance.now() + MINUTES * 60_000
  let over = false
  const asking = (async () => {
    for (let n = 0; !over; n += 1) {
      await ask(clients[0] as (typeof clients)[number], n)
      await sleep(QUERY_MS)
    }
  })()
  while (performance.now() < endMs) {
    await sleep(SAMPLE_MS)
    for (const [master, samples] of held) samples.push(sample(master.pid))
  }
  over = true
  await asking
  closing.abort()
  await Promise.all(streams)
  for (const [master, samples] of held) {
    const growth = growthOf(samples)
    if (growth === null) continue
    const mib = ({ residentKiB }: Sample): string => (residentKiB / 1024).toFixed(1)
    const most = Math.max(...samples.map(({ residentKiB }) => residentKiB))
    say(
      `${master === active ? 'active' : 'backup'}: ${mib(growth.from)} → ${mib(growth.to)} MiB, at most ${(most / 1024).toFixed(1)}; ${growth.from.fds} → ${growth.to.fds} descriptors`,
    )
    if (growth.leaks) problems.push(`${master.address} grows`)
  }
  problems.push(...faults.flat().filter((fault) => !/blocked by CORS policy/.test(fault)))
}

say(
  `page soak: ${MINUTES} min, ${PAGES} pages, ${STREAMS} streams, ${WORKERS} workers, ${QUERIES} queries, ${dir}`,
)
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--disable-gpu'] })
try {
  await fillHistory()
  await withManyWorkers(browser)
  await watchPages(browser)
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
await browser.close()
await Promise.all(clients.map((client) => client.close()))
worker.kill('SIGTERM')
for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
await Promise.all([worker, ...masters].map((daemon) => daemon.ended()))
for (const problem of problems) say(`PROBLEM: ${problem}`)
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`kept: ${dir}`)
process.exitCode = problems.length === 0 ? 0 : 1
