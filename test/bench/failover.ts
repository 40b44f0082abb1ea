/**
 * What clients wait for in a failover, by the size of the catalog, with real masters and a real worker on this machine:
 * `npm run bench -- failover --tables 10000 --trials 30`. Default settings.
 *
 * The times are outsiders', from the blow (or the order to hand over) on, each asked without a pause over connections
 * that were open before, and once the backup has read the catalog: until `/health/active` of the other master says 200;
 * until it has acknowledged an INSERT into the largest table; until it has answered a SELECT of one partition of that
 * table. Beside them stand the phases that the winner wrote into the history, and what both masters hold in memory just
 * before the blow.
 *
 * `--files` and `--partitions` are the largest table's. `--rest-ms` is the pause before each blow. `--compare` measures a
 * cluster with 10 tables, whose largest has as many files in the partition that is asked for, in turn with the given one,
 * and prints the ratios of the medians.
 * `--all` strikes with every fault, `--only WORDS` with those that have these words in their names.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TajoClient } from '../../lib/client/index.ts'
import { readDirectoryHistory } from '../../lib/ha/index.ts'
import { FAULTS, type Fault } from '../soak/faults.ts'
import { makeMasters } from '../soak/masters.ts'
import type { SoakMaster } from '../soak/soak-master.ts'
import { ask } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until, within } from '../support/until.ts'
import { quantile } from './cluster.ts'
import { ASKED, type CatalogSize, formCluster, rowsAskedFor, sizeInWords } from './make-catalog.ts'
import { type Memory, memoryOf } from './memory.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({
  tables: 10,
  columns: 100,
  files: 10,
  partitions: 10,
  trials: 30,
  'monitor-interval': 5000,
  only: '',
  all: false,
  compare: false,
  /** Before each blow: what the one before has left to do is over (a checkpoint after each eight terms takes long). */
  'rest-ms': 500,
})
/** Without a pause the questions themselves would keep one of two cores busy. */
const HEALTH_EACH_MS = 2
const SMALL_TABLES = 10
const AS_A_RULE = ['kill -9 of the master', 'hand-over']

/** Milliseconds since the blow, and of the winner's record. */
interface Trial {
  readonly times: Readonly<Record<Awaited, number>>
  readonly phases: ReadonlyMap<string, number>
  /** Why the winner claimed, in the words of its record. */
  readonly why: string
  readonly memory: Readonly<Record<'active' | 'backup', Memory>>
}
const AWAITED = ['/health/active', 'INSERT', 'SELECT'] as const
type Awaited = (typeof AWAITED)[number]

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const cell = (value: number, digits = 0): string => value.toFixed(digits).padStart(8)

class Cluster {
  readonly size: CatalogSize
  readonly #dir = mkdtempSync(join(tmpdir(), 'tajo-bench-'))
  readonly #root = join(this.#dir, 'root')
  #masters: SoakMaster[] = []
  #worker: TestWorker | null = null
  /** One for each statement, so that neither waits for the other's pauses. */
  #clients: TajoClient[] = []

  constructor(size: CatalogSize) {
    this.size = size
  }

  async start(): Promise<void> {
    this.#masters = await makeMasters({
      dir: this.#dir,
      root: this.#root,
      priorities: [100, 100],
      monitorInterval: String(options['monitor-interval']),
    })
    const first = this.#masters[0]
    if (first === undefined) throw new Error('there is no master')
    let beginMs = performance.now()
    await formCluster(this.#root, first, this.size)
    const madeMs = performance.now() - beginMs
    beginMs = performance.now()
    await Promise.all(this.#masters.map((master) => master.start()))
    const served = this.#masters.map((master) => whenActive(master))
    const servedMs = (await Promise.race(served)) - beginMs
    say(
      `${sizeInWords(this.size)}: made in ${(madeMs / 1000).toFixed(1)} s; both masters started → one serves: ${Math.round(servedMs)} ms`,
    )
    await this.settled()
    const [root, masters] = [this.#root, this.#masters]
    this.#worker = await TestWorker.make({ dir: join(this.#dir, 'worker'), root, masters })
    await this.#worker.start()
    this.#clients = [clientOf(masters), clientOf(masters)]
    await until('a worker answers', () => this.#select().then((rows) => rows !== null))
  }

  async end(): Promise<void> {
    ended = true
    await Promise.all(this.#clients.map((client) => client.close()))
    // What was never started has ended too: else the error that kept it from that would not be told.
    const masters = this.#masters.filter(({ hasEnded }) => !hasEnded)
    const worker = this.#worker?.hasEnded === false ? this.#worker : null
    worker?.kill('SIGTERM')
    for (const { pid } of masters) process.kill(pid, 'SIGTERM')
    await Promise.all([...masters, ...(worker === null ? [] : [worker])].map((one) => one.ended()))
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  async tryOnce(fault: Fault): Promise<Trial> {
    const { active, backup } = await this.settled()
    await sleep(options['rest-ms'])
    await Promise.all([this.#select(), this.#insert()])
    const memory = { active: await memoryOf(active), backup: await memoryOf(backup) }
    const seen = within(`${backup.address} is active`, whenActive(backup))
    await sleep(20)
    const beginMs = performance.now()
    const struck = fault.strike(active, backup)
    const [activeMs, insertMs, selectMs] = await Promise.all([
      seen,
      this.#whenAnswered(0, backup, () => this.#insert()),
      this.#whenAnswered(1, backup, () => this.#select()),
      struck,
    ])
    await fault.mend(active)
    const newest = (await readDirectoryHistory(join(this.#root, 'system/ha'), 1))[0]
    const phases = Object.entries(newest?.served?.phases ?? {})
    return {
      times: {
        '/health/active': activeMs - beginMs,
        INSERT: insertMs - beginMs,
        SELECT: selectMs - beginMs,
      },
      phases: new Map(phases.filter((each): each is [string, number] => Number.isFinite(each[1]))),
      why: `${newest?.term.reason}, ${newest?.term.evidence}`,
      memory,
    }
  }

  settled(): Promise<{ active: SoakMaster; backup: SoakMaster }> {
    return until('one is active, the other its backup', async () => {
      for (const [index, active] of this.#masters.entries()) {
        const backup = this.#masters[1 - index]
        if (backup === undefined || !(await active.health('active'))) continue
        const view = await backup.cluster()
        const isBackup = (await backup.health('backup')) && view.active === active.address
        if (isBackup && (await knowsTheCatalog(backup))) return { active, backup }
      }
      return null
    })
  }

  async #insert(): Promise<void> {
    await this.#clients[0]?.execute("insert into largest (c0, p) values (1, 'inserted')")
  }

  async #select(): Promise<number | null> {
    const result = await this.#clients[1]?.query(
      `select count(*) from largest where p = '${ASKED}'`,
    )
    let count: unknown = null
    for await (const rows of result?.rows() ?? []) count = rows[0]?.[0]
    const expected = rowsAskedFor(this.size)
    if (Number(count) === expected) return expected
    throw new Error(`partition ${ASKED} has ${count} rows, not ${expected}`)
  }

  /** Until `master` is the one that answered; ms of performance.now(). */
  async #whenAnswered(
    client: number,
    master: SoakMaster,
    statement: () => Promise<unknown>,
  ): Promise<number> {
    do await statement()
    while (this.#clients[client]?.activeMaster !== `localhost:${master.ports.client}`)
    return performance.now()
  }
}

/** Until then a take-over reads what the backup has not read since its start. */
async function knowsTheCatalog({ ports }: SoakMaster): Promise<boolean> {
  const { text } = await ask(ports.info, '/metrics')
  return /^tajo_master_catalog_age_seconds \d/m.test(text)
}

/** Nobody waits for a master that never became active. */
let ended = false

/** Until the health check of `master` says active; ms of performance.now(). */
async function whenActive(master: SoakMaster): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    while (!ended && (await ask(master.ports.info, '/health/active', { agent })).status !== 200)
      await sleep(HEALTH_EACH_MS)
    return performance.now()
  } finally {
    agent.destroy()
  }
}

const timesOf = (trials: readonly Trial[], what: Awaited): number[] =>
  trials.map(({ times }) => times[what])

function tell(size: CatalogSize, trials: readonly Trial[]): void {
  say(`  ${sizeInWords(size)}`)
  for (const what of AWAITED) {
    const figures = [0.5, 0.9, 1].map((q) => cell(quantile(timesOf(trials, what), q)))
    say(`    ${what.padEnd(20)}${figures.join('')}`)
  }
  const names = new Set(trials.flatMap(({ phases }) => [...phases.keys()]))
  const medians = [...names].map((name) => {
    const values = trials.flatMap(({ phases }) => phases.get(name) ?? [])
    return `${name.replace(/Ms$/, '')} ${quantile(values, 0.5).toFixed(1)}`
  })
  say(`    by the winner, medians: ${medians.join(', ')}`)
  const slowest = trials.reduce((a, b) => (b.times.INSERT > a.times.INSERT ? b : a))
  const took = [...slowest.phases].map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${ms.toFixed(1)}`,
  )
  say(
    `    the slowest INSERT, ${slowest.times.INSERT.toFixed(0)}: ${slowest.why}: ${took.join(', ')}`,
  )
  for (const role of ['active', 'backup'] as const) {
    const of = (what: keyof Memory, q: number): string =>
      quantile(
        trials.map(({ memory }) => memory[role][what]),
        q,
      ).toFixed(0)
    say(
      `    ${role}: ${of('residentMiB', 0.5)} MiB resident (at most ${of('residentMiB', 1)}), heap ${of('heapMiB', 0.5)} MiB (at most ${of('heapMiB', 1)})`,
    )
  }
}

function compare(small: readonly Trial[], large: readonly Trial[]): void {
  const ratios = AWAITED.map((what) => {
    const [a, b] = [small, large].map((trials) => quantile(timesOf(trials, what), 0.5))
    return `${what} ${((b ?? Number.NaN) / (a ?? Number.NaN)).toFixed(2)}`
  })
  say(`  the larger to the smaller one, medians: ${ratios.join(', ')}`)
}

/** As many files in the partition that is asked for. */
function smallBeside({ columns, files, partitions }: CatalogSize): CatalogSize {
  const few = Math.min(partitions, SMALL_TABLES)
  return {
    tables: SMALL_TABLES,
    columns,
    files: Math.ceil(files / partitions) * few,
    partitions: few,
  }
}

const { tables, columns, files, partitions, trials: TRIALS } = options
const given: CatalogSize = { tables, columns, files, partitions }
const sizes = options.compare ? [smallBeside(given), given] : [given]
const isMeant = ({ name }: Fault): boolean =>
  options.only === '' ? options.all || AS_A_RULE.includes(name) : name.includes(options.only)
const faults = FAULTS.filter(isMeant).sort((a, b) => rank(a) - rank(b))
function rank({ name }: Fault): number {
  const at = AS_A_RULE.indexOf(name)
  return at === -1 ? AS_A_RULE.length : at
}
if (Object.values(given).some((count) => count < 1) || TRIALS < 1) {
  process.stderr.write('bench: tables, columns, files, partitions and trials are 1 at least\n')
  process.exit(2)
}

say(`bench: ${TRIALS} trials each, M ${options['monitor-interval']} ms, ${process.version}`)
const clusters = sizes.map((size) => new Cluster(size))
try {
  for (const cluster of clusters) await cluster.start()
  say(`${'ms from the blow'.padEnd(24)}  median     p90     max`)
  for (const fault of faults) {
    const trials = clusters.map((): Trial[] => [])
    for (let i = 0; i < TRIALS; i += 1)
      for (const [at, cluster] of clusters.entries()) {
        // What the last blow has left to do, in the other cluster too, is over: its master reads its catalog anew.
        await Promise.all(clusters.map((each) => each.settled()))
        trials[at]?.push(await cluster.tryOnce(fault))
      }
    say(fault.name)
    for (const [at, cluster] of clusters.entries()) tell(cluster.size, trials[at] ?? [])
    if (options.compare) compare(trials[0] ?? [], trials[1] ?? [])
  }
} finally {
  for (const cluster of clusters) await cluster.end()
}
