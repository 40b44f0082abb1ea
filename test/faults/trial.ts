/**
 * One run of test files in a throw-away copy of this install, as `npm test` runs them: the same tap with the same
 * settings, one file after the other, so that what fails is known at once.
 *
 * Everything that such a run starts has a folder of its own for temporary files in its environment. That is how what it
 * leaves behind is known, a fault's own orphans included: nobody else's process is ever signalled.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { processesOf } from '../soak/leaks.ts'
import { HOME } from '../support/install.ts'
import { childEnv } from '../support/processes.ts'
import { until } from '../support/until.ts'
import { type Failure, type FileEnd, TapReader } from './tap-reader.ts'

/** Neither needed by a test nor worth a copy. */
const NOT_COPIED = ['.git', '.tap', 'node_modules', 'logs', 'run']
/** For the teardowns of tests that are told to end. */
const GRACE_MS = 2000
const PAUSE_MS = 50

export interface TrialOptions {
  /** A new directory; removed at the end. Short, since sockets live below it. */
  readonly dir: string
  /** From the install's directory on. */
  readonly changed: ReadonlyMap<string, string>
  /** From build/test on. */
  readonly tests: readonly string[]
  readonly limitMs: number
  readonly signal: AbortSignal
  /** What is true for one failure ends the run: whatever follows would say no more. */
  readonly isEnough: (failure: Failure) => boolean
}

export interface Outcome {
  /** The failure that was enough. */
  readonly found: Failure | null
  readonly failures: readonly Failure[]
  readonly files: readonly FileEnd[]
  /** It had not ended within the limit. */
  readonly late: boolean
  /** What was printed beside the TAP. */
  readonly errors: string
}

const temporary = (dir: string): string => join(dir, 'tmp')

export async function trial(options: TrialOptions): Promise<Outcome> {
  const { dir, changed } = options
  try {
    mkdirSync(dir)
    copyInstall(join(dir, 'home'))
    for (const [file, text] of changed) writeFileSync(join(dir, 'home', file), text)
    if (changed.size > 0) await bundle(join(dir, 'home'), options.signal)
    mkdirSync(temporary(dir))
    return await runTap(options)
  } finally {
    await endAll(dir)
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

function copyInstall(to: string): void {
  for (const name of readdirSync(HOME).filter((name) => !NOT_COPIED.includes(name))) {
    cpSync(join(HOME, name), join(to, name), { recursive: true, verbatimSymlinks: true })
  }
  // Of tap's own folder only what says which plugins it has: the rest is about earlier runs.
  const plugins = { recursive: true, verbatimSymlinks: true }
  cpSync(join(HOME, '.tap/plugins'), join(to, '.tap/plugins'), plugins)
  symlinkSync(join(HOME, 'node_modules'), join(to, 'node_modules'))
}

/** Programs are started from the bundle, which is to have the fault too. */
async function bundle(home: string, signal: AbortSignal): Promise<void> {
  await promisify(execFile)(process.execPath, ['build/lib/cli/bundle.js'], { cwd: home, signal })
}

async function runTap(options: TrialOptions): Promise<Outcome> {
  const { dir, tests, limitMs, signal, isEnough } = options
  const failures: Failure[] = []
  const files: FileEnd[] = []
  let found: Failure | null = null
  const enough = new AbortController()
  const reader = new TapReader({
    onFile: (end) => files.push(end),
    onFailure: (failure) => {
      failures.push(failure)
      if (found !== null || !isEnough(failure)) return
      found = failure
      enough.abort()
    },
  })
  // The whole run has the limit, which is told as such; tap's own for each file is no shorter.
  const timeout = `--timeout=${Math.ceil(limitMs / 1000)}`
  const words = ['--disable-coverage', '--reporter=tap', '--jobs=1', timeout]
  const paths = tests.map((test) => join('build/test', test))
  const tap = spawn(join(HOME, 'node_modules/.bin/tap'), [...words, ...paths], {
    cwd: join(dir, 'home'),
    env: childEnv({ TMPDIR: temporary(dir) }),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A Ctrl-C at the terminal is for this program, which ends them all.
    detached: true,
  })
  let errors = ''
  tap.stdout.setEncoding('utf8').on('data', (text: string) => reader.push(text))
  tap.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const limit = AbortSignal.timeout(limitMs)
  const stop = AbortSignal.any([signal, enough.signal, limit])
  const ended = once(tap, 'close')
  await Promise.race([ended, stop.aborted || once(stop, 'abort')])
  const late = limit.aborted && found === null
  await endAll(dir)
  await ended
  signal.throwIfAborted()
  reader.end()
  return { found, failures, files, late, errors }
}

/** Ends whatever was started for this directory: by its own teardown if that comes to an end, else by SIGKILL. */
async function endAll(dir: string): Promise<void> {
  const left = (): number[] => processesOf(temporary(dir))
  signalAll(left(), 'SIGTERM')
  const graceEndMs = performance.now() + GRACE_MS
  const noneIsLeft = (): boolean => {
    if (performance.now() >= graceEndMs) signalAll(left(), 'SIGKILL')
    if (left().length > 0) throw new Error(`left are ${left().join(', ')}`)
    return true
  }
  await until('every process of the trial has ended', noneIsLeft, { everyMs: PAUSE_MS })
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      // It has ended by itself since.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
