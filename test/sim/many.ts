/**
 * Runs schedules of consecutive seeds on several cores and sums them up: so many at least, and more
 * while there is time.
 *
 * The workers take their seeds one by one from a counter that they share. So nobody waits for the
 * slowest, and whenever the time is over, the seeds that were run have no hole.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { realClock } from '../../lib/ha/world/clock.ts'
import { describeProfile, drawProfile } from './profile.ts'
import { type Outcome, runSchedule } from './schedule.ts'

export interface Many {
  readonly from: number
  /** The floor: so many are run, however long that takes. */
  readonly seeds: number
  /** The seeds behind those are run until so many ms after the call; none when left out. */
  readonly budgetMs?: number
  /** One for each core when left out. */
  readonly workers?: number
  /** Runs a share; in a thread of its own when left out. */
  readonly work?: (share: Share) => Promise<Sum>
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

/** Of the seeds `from` to `from + schedules - 1`, each of them run once. */
export interface Report extends Sum {
  readonly text: string
}

/** What a worker is told. All of a run share `taken`. */
export interface Share {
  readonly from: number
  readonly seeds: number
  /** On CLOCK_MONOTONIC, which is one for all threads. */
  readonly endMs: number
  /** How many seeds were taken so far. */
  readonly taken: Int32Array
}

/** What a share needs of the world. */
export interface ShareParts {
  readonly run?: (options: { readonly seed: number }) => Promise<Outcome>
  readonly nowMs?: () => number
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

const replayOf = (seed: number): string => `replay: npm run sim -- --seed=${seed}`

/** Rejects when a schedule throws: that is an error of the simulation itself. */
export async function runMany(many: Many): Promise<Report> {
  const { from, seeds, budgetMs = 0, workers = availableParallelism(), work = inThread } = many
  const startedMs = realClock.nowMs()
  const taken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const share: Share = { from, seeds, endMs: startedMs + budgetMs, taken }
  const sum = newSum()
  const parts = await Promise.all(Array.from({ length: workers }, () => work(share)))
  for (const part of parts) add(sum, part, part.failures)
  sum.failures.sort((a, b) => a.seed - b.seed)
  return { ...sum, text: textOf(sum, { from, seconds: (realClock.nowMs() - startedMs) / 1000 }) }
}

function inThread(share: Share): Promise<Sum> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share })
    worker.once('message', resolve)
    worker.once('error', reject)
    // A schedule that waits for nothing that will ever come ends its thread, without a word.
    worker.once('exit', (code) => reject(new Error(`a worker ended early, with code ${code}`)))
  })
}

/**
 * Runs seeds that nobody else has taken, one after the other, until the floor is reached and the
 * time is over.
 */
export async function runShare(
  share: Share,
  { run = runSchedule, nowMs = realClock.nowMs }: ShareParts = {},
): Promise<Sum> {
  const sum = newSum()
  for (let seed = take(share, nowMs); seed !== null; seed = take(share, nowMs)) {
    const outcome = await run({ seed }).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message} (${replayOf(seed)})`, { cause: error })
    })
    add(sum, { ...outcome, schedules: 1 }, outcome.violation === null ? [] : [outcome])
    // Lets rejections that nobody looked at come up with the schedule that made them.
    await new Promise((done) => setImmediate(done))
  }
  return sum
}

/** The next seed, or null at the end. One that was taken has to be run: it would be a hole otherwise. */
function take({ from, seeds, endMs, taken }: Share, nowMs: () => number): number | null {
  for (;;) {
    const before = Atomics.load(taken, 0)
    if (before >= seeds && nowMs() >= endMs) return null
    if (Atomics.compareExchange(taken, 0, before, before + 1) === before) return from + before
  }
}

function textOf(sum: Sum, { from, seconds }: { from: number; seconds: number }): string {
  const rate = (sum.schedules / seconds).toFixed(1)
  const lines = [
    `${sum.schedules} schedules, seeds ${from} to ${from + sum.schedules - 1}, ` +
      `in ${seconds.toFixed(1)} s (${rate} a second): ` +
      `${sum.events} events, ${Math.round(sum.virtualMs / 1000)} s of virtual time, ` +
      `${sum.activations} terms, ${sum.acks} acknowledged changes, ${sum.excusedReads} excused reads, ` +
      `${sum.failures.length} failures`,
  ]
  for (const { seed, violation } of sum.failures.slice(0, SHOWN)) {
    const drawn = describeProfile(drawProfile(seed))
    lines.push(`seed ${seed}: ${violation}`, drawn, `  ${replayOf(seed)}`)
  }
  const more = sum.failures.slice(SHOWN).map((failure) => failure.seed)
  if (more.length > 0) lines.push(`more failing seeds: ${more.join(' ')}`)
  return lines.join('\n')
}

if (!isMainThread && parentPort !== null) {
  // Stacks of expected errors cost a third of the time; a replay has them.
  Error.stackTraceLimit = 0
  parentPort.postMessage(await runShare(workerData as Share))
}
