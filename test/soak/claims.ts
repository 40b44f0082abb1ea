/**
 * Claims that fail for as long as one likes, then space: `npm run soak -- --faults claims --minutes 60 --interval 500`.
 *
 * Three masters on a file system that is too small for anybody's reserve. It is filled to the last byte, the active is
 * killed with kill -9, and for so many minutes each claim of the two others fails with ENOSPC. Then the filler goes, and one
 * of them has to serve within 2 M: by the product's own record, less what the kernel says that the machine stalled. Nothing
 * may grow meanwhile: neither the files that are left behind nor the work of a look, and nobody may be named as active.
 * Prints the figures each minute; exits with 1 if one of these does not hold. Needs root, for a mount of its own.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Looker } from '../../lib/ha/directory/look.ts'
import { type HistoryEntry, readDirectoryHistory } from '../../lib/ha/index.ts'
import { openDisk } from '../../lib/ha/world/disk.ts'
import { hostProcesses, readCpu } from '../../lib/ha/world/processes.ts'
import { fillBytes } from '../support/full-ground.ts'
import { StallWatch } from '../support/stall.ts'
import { until } from '../support/until.ts'
import { makeMasters } from './masters.ts'
import type { SoakMaster } from './soak-master.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    interval: { type: 'string', default: '500' },
  },
})
const minutes = positive('minutes')
const monitorMs = positive('interval')

function positive(name: 'minutes' | 'interval'): number {
  const value = Number(options[name])
  if (value > 0 && Number.isSafeInteger(value)) return value
  const given = JSON.stringify(options[name])
  process.stderr.write(`--${name} is ${given}: it is a whole number above 0\n`)
  process.exit(2)
}

/** Less than what is kept free for a claim and an opening, so that no master ever makes its reserve. */
const SIZE = 'size=3m'
const LOOKS = 200
/** A look may cost so much more in the end, or so many times as much: then it has grown. */
const MOST_MORE_MS = 0.5
const MOST_TIMES = 2
/**
 * Directories of terms at the end: the one that served, and one number of each of the two that claim. A keeper that the
 * machine stalled for so long that its master made another one has forgotten its number, and so has a master that ended.
 */
const MOST_TERMS = 4
/** Attempts that come sooner than M after the one before, of each master: they get rarer at first. */
const MOST_EARLY = 5

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const problems: string[] = []

const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-claims-'))
const root = join(dir, 'root')
const ha = join(root, 'system', 'ha')
mkdirSync(root)
execFileSync('mount', ['-t', 'tmpfs', '-o', SIZE, 'tmpfs', root])
const masters = await makeMasters({
  dir,
  root,
  priorities: [100, 100, 100],
  monitorInterval: String(monitorMs),
})

/** What one look at the directory costs, ms of processor, by the keepers' own code. */
async function lookCostMs(): Promise<number> {
  const looker = new Looker(openDisk(ha), hostProcesses(), null)
  for (let i = 0; i < LOOKS; i += 1) await looker.look()
  const before = process.cpuUsage()
  for (let i = 0; i < LOOKS; i += 1) await looker.look()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / LOOKS
}

/** Processor time of a process since its start, ms. */
const cpuMs = (pid: number): number => readCpu(pid)?.cpuMs ?? Number.NaN

const failedClaims = (all: readonly SoakMaster[]): number =>
  all.flatMap(({ logLines }) => logLines).filter(({ event }) => event === 'claim-failed').length

const silentKeepers = (all: readonly SoakMaster[]): number =>
  all.flatMap(({ logLines }) => logLines).filter(({ event }) => event === 'keeper-gone').length

const count = (name: string): number => readdirSync(join(ha, name), { recursive: true }).length

interface Figures {
  readonly atMs: number
  readonly failed: number
  readonly terms: number
  readonly records: number
  /** Keepers that were made anew. */
  readonly silent: number
  readonly lookMs: number
}

async function figures(all: readonly SoakMaster[]): Promise<Figures> {
  const terms = readdirSync(join(ha, 'active')).length
  const failed = failedClaims(all)
  const atMs = performance.now()
  const records = count('history')
  return { atMs, failed, terms, records, silent: silentKeepers(all), lookMs: await lookCostMs() }
}

async function nobodyIsNamed(all: readonly SoakMaster[]): Promise<void> {
  for (const master of all) {
    const asked = until(`${master.address} answers`, () => master.cluster())
    const { active, problem } = (await asked) as { active: string | null; problem?: string | null }
    if (active !== null) problems.push(`${master.address} names ${active} as active`)
    if (!/ENOSPC/.test(problem ?? '')) {
      problems.push(`${master.address} does not say why nobody is active: ${problem}`)
    }
  }
}

/** On a machine that stalls for M/2 a keeper takes its master for hung: no fault of ours, but it has to be told. */
let unasked = 0
async function reviveOnce(all: readonly SoakMaster[]): Promise<true> {
  for (const master of all.filter(({ hasEnded }) => hasEnded)) {
    unasked += 1
    await master.start()
  }
  return true
}
/** Until a start is not ended by the machine as well. */
const revive = (all: readonly SoakMaster[]): Promise<true> =>
  until('all masters run', () => reviveOnce(all), { patience: 2 })

const seconds = (ms: number): string => (ms / 1000).toFixed(1)

interface Used {
  readonly atMs: number
  /** By keeper. */
  readonly cpuMs: ReadonlyMap<number, number>
}

function keepersCpu(all: readonly SoakMaster[]): Used {
  const keepers = all.filter(({ hasEnded }) => !hasEnded).map(({ keeperPid }) => keeperPid)
  return { atMs: performance.now(), cpuMs: new Map(keepers.map((pid) => [pid, cpuMs(pid)])) }
}

/** ms a second, of those that lived all the time. */
function shareOf(before: Used, after: Used): number {
  const used = [...after.cpuMs].map(([pid, ms]) => ms - (before.cpuMs.get(pid) ?? ms))
  return (used.reduce((sum, one) => sum + one, 0) * 1000) / (after.atMs - before.atMs)
}

async function failFor(all: readonly SoakMaster[]): Promise<readonly [Figures, Figures]> {
  const hasTried = (): boolean => all.every((one) => failedClaims([one]) > 0)
  await until('each of them has tried once', hasTried, { patience: 2 })
  const first = await figures(all)
  say('minute  failed claims  terms  records  a look, ms  keepers, ms of processor a second')
  const tell = (minute: number, now: Figures, share: number): void => {
    const cells = [now.failed, now.terms, now.records, now.lookMs.toFixed(3), share.toFixed(1)]
    const widths = [14, 6, 8, 11, 37]
    const row = cells.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join(' ')
    say(`${String(minute).padStart(6)} ${row}`)
  }
  tell(0, first, Number.NaN)
  let newest = first
  for (let minute = 1; minute <= minutes; minute += 1) {
    const before = keepersCpu(all)
    await sleep(60_000)
    const share = shareOf(before, keepersCpu(all))
    await revive(all)
    await nobodyIsNamed(all)
    newest = await figures(all)
    tell(minute, newest, share)
    if (problems.length > 0) break
  }
  return [first, newest]
}

/** The first term above `epoch` that serves. */
async function served(epoch: number): Promise<HistoryEntry['served']> {
  const entries = await readDirectoryHistory(ha, 20)
  const later = entries.filter(({ term, served }) => term.term > epoch && served !== null)
  return later.at(-1)?.served ?? null
}

function judgeGrowth([first, last]: readonly [Figures, Figures]): void {
  const each = (last.atMs - first.atMs) / monitorMs
  const failed = last.failed - first.failed
  if (failed < each && unasked === 0)
    problems.push(`only ${failed} claims failed, in ${each.toFixed(0)} times M`)
  if (failed > 2 * (each + MOST_EARLY)) {
    problems.push(`${failed} claims of two masters failed, in ${each.toFixed(0)} times M`)
  }
  if (last.terms > MOST_TERMS + last.silent + unasked) {
    problems.push(`${last.terms} terms were burnt, with ${last.silent} keepers that fell silent`)
  }
  if (last.lookMs > first.lookMs + MOST_MORE_MS && last.lookMs > MOST_TIMES * first.lookMs) {
    problems.push(`a look cost ${first.lookMs} ms at first, and ${last.lookMs} ms in the end`)
  }
}

async function run(): Promise<void> {
  // A start that the machine ends is tried again below.
  await Promise.allSettled(masters.map((master) => master.start()))
  const active = await until('one serves and the others are backups', async () => {
    await revive(masters)
    const states = await Promise.all(masters.map((master) => master.health('active')))
    const others = masters.filter((_, i) => !states[i])
    const backups = await Promise.all(others.map((master) => master.health('backup')))
    const found = others.length === 2 && backups.every((one) => one)
    return found ? masters[states.indexOf(true)] : undefined
  })
  const { epoch } = await active.cluster()
  const all = masters.filter((master) => master !== active)
  const free = fillBytes(root)
  process.kill(active.pid, 'SIGKILL')
  judgeGrowth(await failFor(all))

  await revive(all)
  const actors = all.flatMap(({ pid, keeperPid }) => [pid, keeperPid])
  const stalls = new StallWatch(actors)
  const freedWallMs = Date.now()
  free()
  const record = await until('a later term has served', () => served(epoch), { patience: 4 })
  const stalled = stalls.stop(actors)
  const tookMs = Date.parse(record.servedAt) - freedWallMs
  const promisedMs = 2 * monitorMs
  say(
    `active ${seconds(tookMs)} s after the space was back, by its record; promised within ${seconds(promisedMs)} s; stalled for ${seconds(stalled.ms)} s, ${stalled.by}`,
  )
  if (!(tookMs - stalled.ms <= promisedMs)) problems.push(`active only after ${tookMs} ms`)
  const serving = await Promise.all(all.map((master) => master.health('active')))
  if (serving.filter((one) => one).length !== 1) problems.push('not exactly one serves in the end')
}

say(`claims: ${minutes} min, M ${monitorMs} ms, ${dir}`)
try {
  await run()
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
for (const master of masters) {
  if (!master.hasEnded) process.kill(master.processId, 'SIGTERM')
  await master.ended().catch(() => undefined)
}
if (unasked > 0) say(`${unasked} times a master ended that had not been struck (see its log)`)
for (const problem of problems) say(`PROBLEM: ${problem}`)
execFileSync('umount', ['-l', root])
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`kept: ${dir}`)
process.exitCode = problems.length === 0 ? 0 : 1
