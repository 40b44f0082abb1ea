/**
 * How many schedules are run, and which: at least the floor, more while the time lasts, and every
 * seed of the reported range once, on however many workers. A bound that counts wrong would weaken
 * the simulation without anybody's notice. No outcome rests on the speed of the machine: where the
 * time matters, it is the number of schedules run.
 */
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { positiveNumber, wholeNumber } from '../support/numbers.ts'
import { run } from '../support/run.ts'
import { type Many, type Report, runMany, runShare, type Share } from './many.ts'
import type { Outcome } from './schedule.ts'

const RUN = fileURLToPath(new URL('./run.js', import.meta.url))

const outcome = (seed: number, violation: string | null = null): Outcome => ({
  seed,
  violation,
  safe: true,
  events: 1,
  acks: 1,
  activations: 1,
  excusedReads: 0,
  virtualMs: 1000,
  healedInM: 1,
})

interface Counted {
  readonly report: Report
  /** In the order in which they were begun. */
  readonly ran: readonly number[]
}

/** Three workers within this thread. Each schedule takes one of the `most` that fit into the time. */
async function count(many: Many, most: number, one = outcome): Promise<Counted> {
  const ran: number[] = []
  const work = (share: Share) =>
    runShare(share, {
      nowMs: () => share.endMs - most + ran.length,
      run: async ({ seed }) => {
        ran.push(seed)
        return one(seed)
      },
    })
  return { report: await runMany({ workers: 3, work, ...many }), ran }
}

const range = (from: number, seeds: number): number[] =>
  Array.from({ length: seeds }, (_, i) => from + i)

const inOrder = (seeds: readonly number[]): number[] => [...seeds].sort((a, b) => a - b)

/** What is counted in whole numbers: sums of fractions depend on the order. */
const countsOf = ({ schedules, events, acks, activations, excusedReads }: Report) => ({
  schedules,
  events,
  acks,
  activations,
  excusedReads,
})

test('the floor is reached when there is no time at all, and nothing more is run', async (t) => {
  const { report, ran } = await count({ from: 100, seeds: 10 }, 0)
  t.same(inOrder(ran), range(100, 10))
  t.equal(report.schedules, 10)
  t.match(report.text, /^10 schedules, seeds 100 to 109, in [\d.]+ s \([\d.]+ a second\): /)
})

test('the floor is reached when the time is over in the middle of it', async (t) => {
  const { ran } = await count({ from: 100, seeds: 10 }, 4)
  t.same(inOrder(ran), range(100, 10))
})

test('more are run while there is time, without a hole, and then no more', async (t) => {
  const { report, ran } = await count({ from: 1_790_000_000_000, seeds: 10 }, 31)
  t.same(inOrder(ran), range(1_790_000_000_000, 31))
  t.equal(report.schedules, 31)
  t.match(report.text, /^31 schedules, seeds 1790000000000 to 1790000000030, /)
})

test('a slow worker leaves its seeds to the others', async (t) => {
  let finish = (): void => {}
  const slow = new Promise<void>((done) => {
    finish = done
  })
  const ran: number[][] = []
  const work = (share: Share) => {
    const own: number[] = []
    ran.push(own)
    return runShare(share, {
      run: async ({ seed }) => {
        own.push(seed)
        if (seed === 1) await slow
        if (seed === 8) finish()
        return outcome(seed)
      },
    })
  }
  await runMany({ from: 1, seeds: 8, workers: 2, work })
  t.same(ran, [[1], range(2, 7)])
})

test('a failing schedule is reported with its seed, what was drawn, and its replay', async (t) => {
  const one = (seed: number) => outcome(seed, seed === 103 ? 'one serves: two do' : null)
  const { report } = await count({ from: 100, seeds: 6 }, 0, one)
  t.same(
    report.failures.map(({ seed }) => seed),
    [103],
  )
  t.equal(report.schedules, 6, 'the others are run all the same')
  const [head, failure, ...drawn] = report.text.split('\n')
  t.match(head, /, 1 failures$/)
  t.equal(failure, 'seed 103: one serves: two do')
  t.match(drawn[0], /^ {2}seed +103$/)
  t.equal(drawn.at(-1), '  replay: npm run sim -- --seed=103')
})

test('an error of the simulation itself names the seed and its replay', async (t) => {
  const one = (seed: number): Outcome => {
    if (seed === 102) throw new Error('nothing to pick from')
    return outcome(seed)
  }
  await t.rejects(count({ from: 100, seeds: 6 }, 0, one), {
    message: 'seed 102: nothing to pick from (replay: npm run sim -- --seed=102)',
  })
})

test('threads run each seed once, with as many more as the time brought', async (t) => {
  const threads = await runMany({ from: 1, seeds: 16, workers: 3, budgetMs: 400 })
  t.ok(threads.schedules >= 16, `${threads.schedules} schedules`)
  const alone = await runMany({ from: 1, seeds: threads.schedules, workers: 1 })
  t.same(countsOf(threads), countsOf(alone))
})

test('npm run sim: the options, and one clear error for a bad value', async (t) => {
  const sim = (...options: string[]) => run([process.execPath, RUN, ...options])
  const good = await sim('--from', '1', '--seeds', '2', '--workers', '1')
  t.match(good, { code: 0, stdout: /^2 schedules, seeds 1 to 2, / })
  const minutes = await sim('--from=1', '--minutes=0.01')
  t.match(minutes, { code: 0, stdout: /^\d+ schedules, seeds 1 to \d+, / })
  for (const [option, message] of [
    ['--workers=0', '--workers: "0" is not a whole number of at least 1'],
    ['--minutes=', '--minutes: "" is not a number above 0'],
  ] as const) {
    t.same(await sim(option), { code: 2, stdout: '', stderr: `${message}\n` }, option)
  }
  const unknown = await sim('--seconds=1')
  t.match(unknown, { code: 2, stdout: '', stderr: /^[^\n]*'--seconds'[^\n]*\n$/ })
})

test('numbers are read whole or not at all', async (t) => {
  t.equal(wholeNumber('--from', '0', 0), 0)
  t.equal(wholeNumber('--from', '1790000000000', 0), 1_790_000_000_000)
  t.equal(positiveNumber('--minutes', '0.5'), 0.5)
  for (const text of ['', 'many', '0', '-1', '1.5', '1e3', '0x10', ' 1']) {
    const message = `--seeds: ${JSON.stringify(text)} is not a whole number of at least 1`
    t.throws(() => wholeNumber('--seeds', text, 1), { message })
  }
  const message = '--from: "9007199254740993" is too large'
  t.throws(() => wholeNumber('--from', '9007199254740993', 0), { message })
  for (const text of ['', 'soon', '0', '-1', 'Infinity']) {
    const message = `--minutes: ${JSON.stringify(text)} is not a number above 0`
    t.throws(() => positiveNumber('--minutes', text), { message })
  }
})
