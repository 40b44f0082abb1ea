/**
 * Many random failovers in a row with real masters on this machine: `npm run soak -- --failovers 1000 --seed 7`.
 *
 * Two masters take turns at being active and at being struck; a third one, whose priority keeps it a backup, sees all of
 * it from the first to the last, so that what it holds shows any leak. Never two actives, every term in the history, no
 * process left over, no growth; prints the figures and exits with 1 if one of these does not hold.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readDirectoryHistory } from '../../lib/ha/index.ts'
import { randomOf } from '../support/random.ts'
import { until } from '../support/until.ts'
import { Auditor } from './auditor.ts'
import { chooseFault, FAULTS } from './faults.ts'
import { type Growth, growthOf, processesOf, type Sample, sample } from './leaks.ts'
import { makeMasters } from './masters.ts'
import type { SoakMaster } from './soak-master.ts'

const { values: options } = parseArgs({
  options: {
    failovers: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'monitor-interval': { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
  },
})
const FAILOVERS = Number(options.failovers)
const SAMPLE_EVERY = Math.max(1, Math.floor(FAILOVERS / 100))

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const problems: string[] = []
const faults = FAULTS.filter(({ name }) => name.includes(options.only))
const random = randomOf(Number(options.seed))

const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-'))
const root = join(dir, 'root')
const masters = await makeMasters({
  dir,
  root,
  priorities: [100, 100, 0],
  monitorInterval: options['monitor-interval'],
})
const [first, second, witness] = masters as [SoakMaster, SoakMaster, SoakMaster]
const auditor = new Auditor(masters)
const gaps = new Map<string, number[]>()
const held = { master: [] as Sample[], keeper: [] as Sample[] }

/** On a machine that stalls for M/2 a keeper takes its master for hung: no fault of ours, but it has to be told. */
let unasked = 0
async function reviveOne(master: SoakMaster): Promise<void> {
  unasked += 1
  await master.start()
}
async function revive(): Promise<void> {
  for (const master of masters.filter(({ hasEnded }) => hasEnded)) await reviveOne(master)
}

/** The one that serves, in which term, once the other two are backups. */
async function settled(): Promise<{ active: SoakMaster; backup: SoakMaster; epoch: number }> {
  return until('one serves and the others are backups', async () => {
    await revive()
    const [a, b, c] = await Promise.all([
      first.health('active'),
      second.health('active'),
      witness.health('backup'),
    ])
    if (a === b || !c) return null
    const active = a ? first : second
    const backup = a ? second : first
    if (!(await backup.health('backup'))) return null
    const { epoch } = await active.cluster()
    return { active, backup, epoch }
  })
}

/** Every term below the newest has been ended: no heartbeat of it is left. */
function endedTerms(epoch: number): void {
  const active = join(root, 'system/ha/active')
  for (const name of readdirSync(active)) {
    const term = Number(name.slice('epoch-'.length))
    if (term < epoch && readdirSync(join(active, name)).includes('heartbeat')) {
      problems.push(`term ${term} still has its heartbeat while term ${epoch} serves`)
    }
  }
}

async function failOver(): Promise<void> {
  const { active, backup, epoch } = await settled()
  const fault = chooseFault(random(), faults)
  await fault.strike(active, backup)
  const next = await until('a later term serves', async () => {
    if (backup.hasEnded) await reviveOne(backup)
    return [...auditor.terms.keys()].find((term) => term > epoch)
  })
  const list = gaps.get(fault.name) ?? []
  gaps.set(fault.name, [...list, auditor.gapMs(epoch, next)])
  await fault.mend(active)
  endedTerms((await settled()).epoch)
}

async function historyIsWhole(): Promise<void> {
  const entries = await readDirectoryHistory(join(root, 'system/ha'), 1_000_000)
  const known = new Map(entries.map(({ term, served }) => [term.term, served]))
  for (const term of auditor.terms.keys()) {
    if (!known.get(term)) problems.push(`term ${term} served, but the history has no word of it`)
  }
  const newest = Math.max(...auditor.terms.keys())
  const missing = Array.from({ length: newest }, (_, i) => i + 1).filter((term) => !known.has(term))
  if (missing.length > 0) problems.push(`the history lacks the terms ${missing.join(', ')}`)
  say(`history: ${entries.length} terms, ${auditor.terms.size} of them seen serving`)
}

const quantile = (sorted: readonly number[], q: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN)

function tellGaps(): void {
  say('time without service, ms           n  median    p95    max')
  for (const [name, list] of gaps) {
    const sorted = [...list].sort((a, b) => a - b)
    const figures = [quantile(sorted, 0.5), quantile(sorted, 0.95), quantile(sorted, 1)]
    const cells = figures.map((figure) => String(figure).padStart(7)).join('')
    say(`${name.padEnd(30)} ${String(sorted.length).padStart(5)} ${cells}`)
  }
}

function tellGrowth(what: string, growth: Growth | null): void {
  if (growth === null) return
  const { from, to } = growth
  const mib = (kib: number): string => (kib / 1024).toFixed(1)
  say(
    `${what}: ${from.fds} → ${to.fds} descriptors, ${mib(from.residentKiB)} → ${mib(to.residentKiB)} MiB`,
  )
  if (growth.leaks) problems.push(`${what} grows`)
}

say(
  `soak: ${FAILOVERS} failovers, seed ${options.seed}, M ${options['monitor-interval']} ms, ${dir}`,
)
await Promise.all(masters.map((master) => master.start()))
const auditing = auditor.run()
const begin = performance.now()
try {
  for (let i = 1; i <= FAILOVERS && auditor.violations.length === 0; i += 1) {
    await failOver()
    if (i % SAMPLE_EVERY === 0) {
      held.master.push(sample(witness.pid))
      held.keeper.push(sample(witness.keeperPid))
    }
    if (i % 100 === 0) say(`${i} after ${Math.round((performance.now() - begin) / 1000)} s`)
  }
  const alive = processesOf(dir).length
  if (alive !== 6) problems.push(`${alive} processes live, not three masters and three keepers`)
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
auditor.stop()
await auditing
await historyIsWhole()
for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
await Promise.all(masters.map((master) => master.ended()))
const noneIsLeft = (): boolean => processesOf(dir).length === 0
await until('every process has ended', noneIsLeft, { patience: 0.25 }).catch(() =>
  problems.push(`left over: processes ${processesOf(dir).join(', ')}`),
)

tellGaps()
tellGrowth('witness master', growthOf(held.master))
tellGrowth('witness keeper', growthOf(held.keeper))
if (unasked > 0) say(`${unasked} times a master ended that had not been struck (see its log)`)
say(`${auditor.requests} requests audited, ${auditor.served} of them served`)
problems.push(...auditor.violations)
for (const problem of problems) say(`PROBLEM: ${problem}`)
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`kept: ${dir}; again: npm run soak -- --failovers ${FAILOVERS} --seed ${options.seed}`)
process.exitCode = problems.length === 0 ? 0 : 1
