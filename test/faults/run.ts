/**
 * `npm run faults`: does the suite still find what it should? Each fault of the table (faults.ts) is put into a throw-away
 * copy of this install, and the tests that have to notice it are run there. Takes some ten minutes on two cores.
 *
 *     npm run faults                        every fault, one after the other
 *     npm run faults -- --only 'exit code'  those whose name or kind matches the pattern
 *     npm run faults -- --beside 12         beside so many busy loops
 *     npm run faults -- --jobs 2            so many faults at a time
 *     npm run faults -- --no-control        without the run of the same tests in an unbroken copy, which comes first
 *
 * A test that passes on a machine of any speed may do so because it looks at nothing any more: waits that got longer,
 * bounds that got looser. So this promises that a fault is found by what a test asserts about it: in the unbroken copy
 * the same files pass, in the broken one an assertion fails, and what it says is about the fault. That a file crashes,
 * can't be loaded, or is not done in time, is not enough; only a fault that makes something hang may be told by a run
 * that had to be ended, once a test has said what it waited for in vain.
 *
 * Exit codes: 0 all were found, 1 not all or the control failed, 2 wrong use or a fault that does not fit the code any
 * more.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { HOME } from '../support/install.ts'
import { fileLimitMs } from '../support/pace.ts'
import { whyNot } from '../support/parts.ts'
import { busyLoops } from './busy-loops.ts'
import { broken, FAULTS, type Fault, Misfit } from './faults.ts'
import type { Failure } from './tap-reader.ts'
import { type Outcome, trial } from './trial.ts'

/** A broken run may take so much longer than the control did: waits in vain, each as long as the suite waits. */
const TIMES_CONTROL = 10

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`

class UsageError extends Error {}

interface Options {
  readonly faults: readonly Fault[]
  readonly control: boolean
  readonly beside: number
  readonly jobs: number
}

function readOptions(): Options {
  const { values } = parsed()
  const only = pattern(values.only)
  const faults = FAULTS.filter(({ name, kind }) => only.test(name) || only.test(kind))
  if (faults.length === 0) {
    throw new UsageError(`--only: no fault matches '${values.only}'`)
  }
  const beside = whole('beside', values.beside, 0)
  return { faults, control: !values['no-control'], beside, jobs: whole('jobs', values.jobs, 1) }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string', default: '' },
        beside: { type: 'string', default: '0' },
        jobs: { type: 'string', default: '1' },
        'no-control': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    const [first = ''] = (error as Error).message.split('\n')
    throw new UsageError(first)
  }
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'i')
  } catch (error) {
    throw new UsageError(`--only: ${(error as Error).message}`)
  }
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least) return value
  throw new UsageError(`--${name}: '${text}' is no whole number from ${least} on`)
}

/** What is shared by all trials of this run. */
class Faults {
  readonly #options: Options
  readonly #work: string
  readonly #signal: AbortSignal
  /** How long each file took in the unbroken copy. */
  readonly #controlMs = new Map<string, number>()
  #trials = 0

  constructor(options: Options, work: string, signal: AbortSignal) {
    this.#options = options
    this.#work = work
    this.#signal = signal
  }

  /** Whether the same tests pass where nothing is broken. */
  async control(): Promise<boolean> {
    const tests = [...new Set(this.#options.faults.flatMap((fault) => fault.tests))]
    const beginMs = performance.now()
    const outcome = await this.#trial(new Map(), tests, () => false)
    for (const { file, ms } of outcome.files) this.#controlMs.set(file, ms)
    const took = seconds(performance.now() - beginMs)
    const passed = outcome.files.filter(({ ok }) => ok).length
    if (passed === tests.length) {
      say(`control    the ${tests.length} test files pass in an unbroken copy, ${took}`)
      return true
    }
    say(`control    only ${passed} of ${tests.length} test files pass in an unbroken copy, ${took}`)
    tellFailures(outcome)
    return false
  }

  /** Whether it was found. */
  async tryFault(fault: Fault): Promise<boolean> {
    const missing = whyNot(...(fault.parts ?? []))
    if (missing !== null) {
      say(`NOT TRIED  ${fault.name} (${fault.kind}): ${missing}`)
      return false
    }
    const beginMs = performance.now()
    const isAbout = (failure: Failure): boolean => fault.says.test(textOf(failure))
    const outcome = await this.#trial(broken(fault, HOME), fault.tests, isAbout)
    const took = seconds(performance.now() - beginMs)
    const { found } = outcome
    if (found !== null) {
      say(`found      ${fault.name} (${fault.kind}), ${took}, by ${briefly(found)}`)
      return true
    }
    say(`NOT FOUND  ${fault.name} (${fault.kind}), ${took}`)
    tellFailures(outcome)
    return false
  }

  #trial(
    changed: ReadonlyMap<string, string>,
    tests: readonly string[],
    isEnough: (failure: Failure) => boolean,
  ): Promise<Outcome> {
    this.#trials += 1
    return trial({
      dir: join(this.#work, String(this.#trials)),
      changed,
      tests,
      limitMs: this.#limitMs(tests),
      signal: this.#signal,
      isEnough,
    })
  }

  #limitMs(tests: readonly string[]): number {
    const limits = tests.map((test) =>
      Math.max(fileLimitMs(), TIMES_CONTROL * (this.#controlMs.get(join('build/test', test)) ?? 0)),
    )
    return Math.ceil(limits.reduce((sum, ms) => sum + ms, 0))
  }
}

const pathOf = ({ path }: Failure): string => path.join(' > ').replace('build/test/', '')
/** Its last name may be all that a wait in vain has to tell. */
const briefly = (failure: Failure): string => (pathOf(failure).split('\n')[0] ?? '').slice(0, 240)
const textOf = (failure: Failure): string => `${pathOf(failure)}\n${failure.diagnostics}`

function tellFailures({ failures, files, late, errors }: Outcome): void {
  const wrong = files.filter(({ ok }) => !ok).map(({ file }) => file)
  if (late) say('           the run was not done in time and had to be ended')
  if (wrong.length === 0 && failures.length === 0) say('           no test failed')
  for (const failure of failures) say(`           failed: ${briefly(failure)}`)
  if (wrong.length > 0 && failures.length === 0) {
    say(`           no assertion failed, yet these ended with an error: ${wrong.join(', ')}`)
    say(errors.trimEnd())
  }
}

const loads = (): string =>
  loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')

async function tryAll(options: Options, signal: AbortSignal): Promise<boolean> {
  const { faults, beside, jobs } = options
  for (const fault of FAULTS) broken(fault, HOME)
  const work = mkdtempSync(join(tmpdir(), 'tajo-faults-'))
  const endLoops = busyLoops(beside)
  say(`load       ${loads()} at the start, ${beside} busy loops are added`)
  try {
    const run = new Faults(options, work, signal)
    if (options.control && !(await run.control())) return false
    const left = [...faults]
    let found = 0
    const worker = async (): Promise<void> => {
      for (let fault = left.shift(); fault !== undefined; fault = left.shift()) {
        if (await run.tryFault(fault)) found += 1
      }
    }
    await Promise.all(Array.from({ length: jobs }, worker))
    say(`load       ${loads()} at the end`)
    say(`${faults.length} faults, ${found} found`)
    return found === faults.length
  } finally {
    endLoops()
    rmSync(work, { recursive: true, force: true })
  }
}

async function main(): Promise<number> {
  const stop = new AbortController()
  let stoppedBy = 0
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      stoppedBy = code
      stop.abort()
    })
  }
  try {
    return (await tryAll(readOptions(), stop.signal)) ? 0 : 1
  } catch (error) {
    if (stoppedBy !== 0) return stoppedBy
    if (!(error instanceof UsageError) && !(error instanceof Misfit)) throw error
    console.error(`faults: ${error.message}`)
    return 2
  }
}

process.exitCode = await main()
