/**
 * Behind `npm test` and `npm run t -- FILE`: runs test files with tap, writes tap's output through, and ends with what a
 * reader of a long log looks for first: how fast and how busy the machine was at both ends, the slowest files, the
 * seeds that were run, what failed, and the count.
 *
 *     npm test                           all of them, after lint, build and the missing parts
 *     npm run t -- test/unit/ha/disk     the files whose path has this in it, after a build alone
 *     npm run t -- disk --grep=/torn/    further options are tap's
 *
 * The time limit of a file follows the machine as every wait in it does (support/pace.ts). Exit code 0 when all passed,
 * 1 when something failed, 2 when no file was found.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fileLimitMs, formatPace, measurePace, PACE_VARIABLE, type Pace } from './support/pace.ts'
import { hasEnded } from './support/processes.ts'
import { SEED_VARIABLE } from './support/random.ts'
import { TapSummary } from './support/tap-summary.ts'

const HOME = fileURLToPath(new URL('../..', import.meta.url))
const BUILT = join(HOME, 'build/test')
const TAP = join(HOME, 'node_modules/.bin/tap')

const words = process.argv.slice(2)
const one = words[0] === '--one'
const given = one ? words.slice(1) : words
const files = given.filter((word) => !word.startsWith('-')).flatMap(filesLike)
const options = given.filter((word) => word.startsWith('-'))
if (one && files.length === 0) {
  refuse('which test file? `npm run t -- PART_OF_ITS_PATH`, such as test/unit/ha/disk.test.ts')
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(2)
}

/** The built files whose path has `part` in it; `part` may be the path of the source. */
function filesLike(part: string): string[] {
  const all = readdirSync(BUILT, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => `build/test/${name}`)
  const wanted = part.replace(/\.[tj]s$/, '').replace(/^\.\//, '')
  const found = all.filter((name) => name.includes(wanted)).sort()
  if (found.length === 0) refuse(`no test file has ${JSON.stringify(part)} in its path`)
  return found
}

async function runTests(): Promise<number> {
  const startMs = performance.now()
  const before = { load: loadavg(), pace: measurePace() }
  const seed = process.env[SEED_VARIABLE] ?? String(randomInt(2 ** 31))
  const timeoutS = Math.ceil(fileLimitMs(before.pace) / 1000)
  const tapWords = ['--disable-coverage', `--timeout=${timeoutS}`, ...options, ...files]
  const child = spawn(TAP, ['--reporter=tap', ...tapWords], {
    cwd: HOME,
    env: { ...process.env, [PACE_VARIABLE]: formatPace(before.pace), [SEED_VARIABLE]: seed },
    stdio: ['inherit', 'pipe', 'inherit'],
    // A process group, so that whoever ends this run ends the test files with it: tap alone would begin the next ones.
    detached: true,
  })
  const end = (): void => endGroup(child)
  for (const signal of ENDING_SIGNALS) process.once(signal, end)
  process.once('exit', end)
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  const summary = new TapSummary()
  createInterface({ input: child.stdout }).on('line', (line) => {
    process.stdout.write(`${line}\n`)
    summary.hear(line)
  })
  const code = await ended
  for (const signal of ENDING_SIGNALS) process.off(signal, end)
  if (code !== 0 && child.signalCode === null) {
    spawnSync(TAP, ['replay', '--reporter=terse', '--no-color', ...tapWords], {
      ...{ cwd: HOME, stdio: 'inherit' },
    })
  }
  const after = { load: loadavg(), pace: measurePace() }
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1)
  const lines = [
    `# Node started in ${told(before.pace)} at the start, in ${told(after.pace)} at the end`,
    `# load average on ${availableParallelism()} processors: ${loadText(before.load)} at the start, ${loadText(after.load)} at the end`,
    ...summary.lines(sourceOf),
    `# seeds: ${seed} of the property tests (${SEED_VARIABLE}=${seed} repeats them)`,
    `# ${minutes} minutes`,
    summary.count(),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return code
}

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function endGroup(child: ChildProcess): void {
  if (child.pid !== undefined && !hasEnded(child)) process.kill(-child.pid, 'SIGKILL')
}

const told = ({ spawnMs, durableMs }: Pace): string =>
  `${spawnMs.toFixed(0)} ms (a durable write: ${durableMs.toFixed(1)} ms)`
const loadText = (load: readonly number[]): string => load.map((one) => one.toFixed(1)).join(' ')
const sourceOf = (built: string): string => built.replace(/^build\//, '').replace(/\.js$/, '.ts')

process.exitCode = await runTests()
