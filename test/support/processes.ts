/**
 * Every process that this test process started, and what became of it: a wait that fails tells of each its exit code,
 * its signal and its last output, so that a failure on a machine nobody can look at any more explains itself.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './parts.ts'
import { Patience, type PatienceOptions } from './patience.ts'

interface Watched {
  readonly child: ChildProcess
  readonly words: readonly string[]
  readonly startedMs: number
  /** Where it keeps logs of its own, if anywhere. */
  readonly logDir: string | null
  said: string
  endedMs: number | null
  /** Ended, and all that it said has been read. */
  closed: boolean
  failed: Error | null
}

export interface StartOptions {
  readonly cwd?: string
  /** On top of this environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly logDir?: string
}

/** Exit code and signal; one of them is null. */
export type End = readonly [number | null, NodeJS.Signals | null]

const TAIL_LENGTH = 4000
const LOG_LINES = 12
/** Those that ended well are of no interest for long. */
const MOST_ENDED = 8

const watched = new Map<ChildProcess, Watched>()
/** Of daemons that are nobody's children: `DIR/HOST/logs` holds their logs. */
const hostDirs: string[] = []

/**
 * This environment with `more` on top, less tap's loader, which costs each Node child 130 ms and 27 MB. Bash takes the
 * socket that Node gives it as stdin for a login over the network, and would read the user's ~/.bashrc with whatever that
 * does; as somebody's sub-shell it doesn't.
 */
export const childEnv = (more: StartOptions['env'] = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_OPTIONS: undefined,
  SHLVL: '1',
  ...more,
})

/** PR_SET_PDEATHSIG: the kernel ends it when the process that has started it ends, however that comes about. */
const setpriv = findProgram('setpriv')
export const END_WITH_PARENT = setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL', '--']

/**
 * Starts a program with this environment, less tap's loader: tap puts that into the environment of whatever is spawned,
 * so only another program in between can take it out again. It does not outlive this process.
 */
export function start(
  words: readonly string[],
  options: StartOptions = {},
): ChildProcessWithoutNullStreams {
  const child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...END_WITH_PARENT, ...words], {
    env: childEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // What is said to a process that has ended is no failure of the test: its end is told by the waits.
  child.stdin.on('error', () => undefined)
  watch(child, words, options.logDir)
  return child
}

/** Has failing waits tell of a process that something else than `start` spawned. */
export function watch(child: ChildProcess, words: readonly string[], logDir?: string): void {
  const own: Watched = {
    ...{ child, words, startedMs: performance.now(), logDir: logDir ?? null },
    ...{ said: '', endedMs: null, closed: false, failed: null },
  }
  const hear = (chunk: Buffer | string): void => {
    own.said = (own.said + chunk.toString()).slice(-TAIL_LENGTH)
  }
  child.stdout?.on('data', hear)
  child.stderr?.on('data', hear)
  child.once('error', (error) => {
    own.failed = error
  })
  child.once('exit', () => {
    own.endedMs = performance.now()
  })
  child.once('close', () => {
    own.closed = true
    forgetOldest()
  })
  watched.set(child, own)
}

function forgetOldest(): void {
  const ended = [...watched.values()].filter(({ closed }) => closed)
  for (const { child } of ended.slice(0, -MOST_ENDED)) watched.delete(child)
}

/** Has failing waits tell what the daemons whose logs lie in `DIR/HOST/logs` wrote last, as long as they are there. */
export function watchLogs(dir: string): void {
  hostDirs.push(dir)
}

export const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null

/**
 * Null while the process runs, or may still have something to say: its exit is known before its last words have been
 * read. Else how it ended, and those words.
 */
export function endOf(child: ChildProcess): string | null {
  const own = watched.get(child)
  if (own === undefined) return hasEnded(child) ? outcome(child) : null
  return own.closed || own.failed !== null ? tellOf(own) : null
}

/** Waits for the end of a process; rejects with what it said when it goes on and on. */
export async function ended(child: ChildProcess, options: PatienceOptions = {}): Promise<End> {
  if (!hasEnded(child)) await event(child, 'exit', options)
  return [child.exitCode, child.signalCode]
}

/** The same, and all that it and whoever shares its output said has been read. */
export async function closed(child: ChildProcess, options: PatienceOptions = {}): Promise<End> {
  if (watched.get(child)?.closed === false) await event(child, 'close', options)
  return [child.exitCode, child.signalCode]
}

function event(child: ChildProcess, name: 'exit' | 'close', options: PatienceOptions) {
  const own = watched.get(child)
  const what = `the ${name} of process ${child.pid}${own ? ` (${shortWords(own)})` : ''}`
  const happened = new Promise<void>((resolve) => void child.once(name, () => resolve()))
  return new Patience(what, { ...options, tell: tellProcesses }).keep(happened)
}

/** Of all processes: those that run and the last that ended; then what daemons of hosts wrote last. */
export function tellProcesses(): string {
  const told = [...watched.values()].map((own) => tellOf(own))
  for (const dir of hostDirs) {
    for (const host of namesIn(dir)) told.push(...tellLogs(join(dir, host, 'logs')))
  }
  return told.length === 0 ? 'no process was started' : told.join('\n')
}

function tellOf(own: Watched): string {
  const { child, failed, startedMs, endedMs } = own
  const ms = Math.round((endedMs ?? performance.now()) - startedMs)
  const state = failed === null ? outcome(child) : `could not be started: ${failed.message}`
  const said = own.said.trim()
  const lines = [
    `process ${child.pid} (${shortWords(own)}): ${state} after ${ms} ms; ${said === '' ? 'it said nothing' : 'it said last:'}`,
  ]
  if (said !== '') lines.push(indented(said))
  if (own.logDir !== null) lines.push(...tellLogs(own.logDir))
  return lines.join('\n')
}

const outcome = ({ exitCode, signalCode }: ChildProcess): string => {
  if (signalCode !== null) return `was ended by ${signalCode}`
  return exitCode === null ? 'runs' : `ended with exit code ${exitCode}`
}

/** A command line without what stands before the program that matters. */
const shortWords = ({ words }: Watched): string => words.join(' ').slice(-160)

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort()
  } catch {
    // Nothing has been written there yet, or the test has taken its files away.
    return []
  }
}

function lastLinesOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n')
  } catch (error) {
    // A log may be rotated or removed at any moment; what is told of the others counts.
    return `(can't be read: ${error instanceof Error ? error.message : error})`
  }
}

function tellLogs(dir: string): string[] {
  return namesIn(dir).flatMap((name) => {
    const last = lastLinesOf(join(dir, name))
    return last === '' ? [] : [`${join(dir, name)} ends with:`, indented(last)]
  })
}

const indented = (text: string): string => text.replaceAll(/^/gm, '    ')
