/** Runs schedules of consecutive seeds on several cores and sums them up. */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { describeProfile, drawProfile } from './profile.ts'
import { type Outcome, runSchedule } from './schedule.ts'

export interface Many {
  readonly from: number
  readonly seeds: number
  /** One for each core when left out. */
  readonly workers?: number
}

export interface Sum {
  schedules: number
  events: number
  acks: number
  activations: number
  excusedReads: number
  virtualMs: number
  readonly failures: Outcome[]
}

export interface Report extends Sum {
  readonly text: string
}

interface Share {
  readonly from: number
  readonly seeds: number
  readonly step: number
}

/** A failing world is shown, not a thousand of them. */
const SHOWN = 5

const newSum = (): Sum => ({
  schedules: 0,
  events: 0,
  acks: 0,
  activations: 0,
  excusedReads: 0,
  virtualMs: 0,
  failures: [],
})

function add(sum: Sum, more: Omit<Sum, 'failures'>, failures: readonly Outcome[]): void {
  sum.schedules += more.schedules
  sum.events += more.events
  sum.acks += more.acks
  sum.activations += more.activations
  sum.excusedReads += more.excusedReads
  sum.virtualMs += more.virtualMs
  sum.failures.push(...failures)
}

/** Rejects when a schedule throws: that is an error of the simulation itself. */
export async function runMany({
  from,
  seeds,
  workers = availableParallelism(),
}: Many): Promise<Report> {
  const startedMs = performance.now()
  const shares = Array.from({ length: workers }, (_, i) => ({
    from: from + i,
    step: workers,
    seeds: Math.floor((seeds + workers - 1 - i) / workers),
  }))
  const sum = newSum()
  for (const part of await Promise.all(shares.map(inWorker))) add(sum, part, part.failures)
  sum.failures.sort((a, b) => a.seed - b.seed)
  return { ...sum, text: textOf(sum, { from, seconds: (performance.now() - startedMs) / 1000 }) }
}

function inWorker(share: Share): Promise<Sum> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function runShare({ from, seeds, step }: Share): Promise<Sum> {
  // Stacks of expected errors cost a third of the time; a replay has them.
  Error.stackTraceLimit = 0
  const sum = newSum()
  for (let i = 0; i < seeds; i += 1) {
    const seed = from + i * step
    const outcome = await runSchedule({ seed }).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error })
    })
    add(sum, { ...outcome, schedules: 1 }, outcome.violation === null ? [] : [outcome])
    // Lets rejections that nobody looked at come up with the schedule that made them.
    await new Promise((done) => setImmediate(done))
  }
  return sum
}

function textOf(sum: Sum, { from, seconds }: { from: number; seconds: number }): string {
  const rate = (sum.schedules / seconds).toFixed(1)
  const lines = [
    `${sum.schedules} schedules from seed ${from} in ${seconds.toFixed(1)} s (${rate} a second): ` +
      `${sum.events} events, ${Math.round(sum.virtualMs / 1000)} s of virtual time, ` +
      `${sum.activations} terms, ${sum.acks} acknowledged changes, ${sum.excusedReads} excused reads, ` +
      `${sum.failures.length} failures`,
  ]
  for (const { seed, violation } of sum.failures.slice(0, SHOWN)) {
    lines.push(
      `seed ${seed}: ${violation}`,
      describeProfile(drawProfile(seed)),
      `  replay: npm run sim -- --seed=${seed}`,
    )
  }
  const more = sum.failures.slice(SHOWN).map((failure) => failure.seed)
  if (more.length > 0) lines.push(`more failing seeds: ${more.join(' ')}`)
  return lines.join('\n')
}

if (!isMainThread && parentPort !== null) {
  parentPort.postMessage(await runShare(workerData as Share))
}
