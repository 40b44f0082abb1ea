/**
 * What the cluster stands on, at random: `npm run soak -- --faults ground --minutes 60 --seed N`.
 *
 * Files and directories of `system/` are deleted, the disk is filled, inodes are used up, the directory turns read-only,
 * the active's network is cut, M is changed, other clusters are pointed at this one, masters are killed; each kind once a
 * round, in an order that the seed gives. Clients work all the time. After each fault the cluster has to serve again: by
 * itself, or after what its own words tell the operator to do (counted). It ends with a table of the kinds: how often each
 * struck, and what was lost or doubled. Acknowledged rows or columns that are lost or doubled, a cluster that does not come
 * back, and a kind that struck less than ten times in an hour are problems: exit code 1. Needs root, for hosts and mounts
 * of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { start } from '../../support/processes.ts'
import { randomOf } from '../../support/random.ts'
import { until, within } from '../../support/until.ts'
import type { Report } from './client.ts'
import { GroundCluster } from './cluster.ts'
import { FAULTS, type Fault } from './faults.ts'
import { PRECIOUS } from './other-cluster.ts'
import { type Kind, kindTable, newKind, shortfalls, type Totals } from './verdict.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'monitor-interval': { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
  },
})
const monitorMs = Number(options['monitor-interval'])
const random = randomOf(Number(options.seed))
const faults = FAULTS.filter(({ name }) => name.includes(options.only))
if (faults.length === 0) {
  throw new RangeError(`--only is a part of one of: ${FAULTS.map(({ name }) => name).join(', ')}`)
}

const NONE: Totals = { lost: 0, doubled: 0, foreign: 0, unread: 0 }
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const problems: string[] = []
const problem = (text: string): void => {
  problems.push(text)
  say(`PROBLEM: ${new Date().toISOString()} ${text}`)
}
const teardowns: (() => unknown)[] = []
const owner = { teardown: (work: () => unknown) => void teardowns.push(work) }
const dir = mkdtempSync(join(tmpdir(), 'tajo-soak-ground-'))
const cluster = await GroundCluster.make(owner, dir, monitorMs)

/** What an operator was told to do and did, by command. */
const advice = new Map<string, number>()
async function follow(words: readonly string[]): Promise<void> {
  const command = `tajo ${words.join(' ')}`
  const ran = await cluster.tajo(words, cluster.masters[0])
  advice.set(command, (advice.get(command) ?? 0) + 1)
  const said = `${ran.stdout}${ran.stderr}`.trim().split('\n').at(-1)
  say(`  followed: ${command}: ${ran.code}, ${said}`)
}

/** All that the cluster says about itself, for whoever looks for what to do. */
async function words(): Promise<string> {
  const status = await cluster.tajo(['haadmin', '-status'], cluster.masters[0])
  return [status.stdout, status.stderr, ...cluster.daemons.map(({ said }) => said)].join('\n')
}

async function revive(): Promise<void> {
  for (const daemon of cluster.daemons) if (daemon.hasEnded) await daemon.start()
}

/** As an operator does: starts what has ended, waits, reads, does what he reads. */
async function recover(): Promise<void> {
  let told = ''
  let lastWhy = ''
  const serves = async (): Promise<boolean> => {
    await revive()
    if ((await client.ask('ping')).ok === true) return true
    told = await words()
    const why = told.split('\n').find((line) => /^No master|refus|error/i.test(line)) ?? told
    if (why !== lastWhy) say(`  not served: ${why.slice(0, 400)}`)
    lastWhy = why
    if (/catalog restore/.test(told)) await follow(['catalog', 'restore'])
    else if (/-formatHA/.test(told)) {
      for (const master of cluster.masters) await master.signal('TERM')
      await follow(['haadmin', '-formatHA', '--yes'])
    }
    return false
  }
  await until('the cluster serves again', serves, { patience: 4, everyMs: 500 }).catch((error) => {
    throw new Error(`${error.message}\nwhat it said:\n${told}`)
  })
}

/** The analysts' process, asked one question at a time. */
function startClient() {
  const program = fileURLToPath(new URL('./client.js', import.meta.url))
  const words = [program, options.seed, join(cluster.root, 'system/ha'), 'one', 'two']
  const child = start(cluster.desk.command([process.execPath, ...words]))
  teardowns.push(() => child.kill('SIGKILL'))
  child.stderr.on('data', (text: Buffer) => process.stderr.write(text))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    ask: async (question: 'ping' | 'check' | 'stop') => {
      child.stdin.write(`${question}\n`)
      const { value } = await within(`the clients' answer to ${question}`, lines.next(), {
        patience: 6,
      })
      return JSON.parse(value)
    },
  }
}

const shuffled = <T>(all: readonly T[]): T[] =>
  all
    .map((one) => ({ one, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ one }) => one)

const kinds = new Map(faults.map(({ name }) => [name, newKind(name)]))
const deleted = new Map<string, number>()
let totals: Report | null = null
let wrong = 0

/** What is new in the clients' ledger is laid to `kind`. */
function note(report: Report, kind: Kind | undefined, after: string): void {
  if (kind !== undefined) {
    kind.lost += report.lost - (totals?.lost ?? 0)
    kind.doubled += report.doubled - (totals?.doubled ?? 0)
  }
  for (const text of report.wrong.slice(wrong)) problem(`${after}${text}`)
  wrong = report.wrong.length
  totals = report
}

async function one(fault: Fault): Promise<void> {
  const began = performance.now()
  say(`${new Date().toISOString().slice(11, 19)} ${fault.name} …`)
  const what = await fault.strike({ cluster, random, monitorMs, deleted })
  await recover()
  const tookS = ((performance.now() - began) / 1000).toFixed(1)
  const kind = kinds.get(fault.name)
  if (kind !== undefined) kind.count += 1
  say(`${new Date().toISOString().slice(11, 19)} ${fault.name}: ${what} (${tookS} s)`)
  note(await client.ask('check'), kind, `after "${fault.name}: ${what}": `)
}

/** Statements that were acknowledged are kinds as well: they are at work all at once. */
const CONCURRENT = { insert: 'INSERT', 'overwrite by itself': 'OVERWRITE', alter: 'ALTER' } as const
function statementKinds({ done }: Report): Kind[] {
  return Object.entries(CONCURRENT).map(([kind, name]) => ({
    ...newKind(`concurrent ${name}`),
    count: done[kind] ?? 0,
  }))
}

function tell(report: Report): void {
  say('statements             acknowledged      failed  the last failure')
  for (const kind of Object.keys({ ...report.done, ...report.failed }).sort()) {
    const counts = [report.done[kind] ?? 0, report.failed[kind] ?? 0]
    const last = report.said[kind] === undefined ? '' : `  ${report.said[kind]}`
    say(`${kind.padEnd(22)} ${counts.map((count) => String(count).padStart(11)).join(' ')}${last}`)
  }
  const { acknowledged, unknown, lost, doubled, foreign, unread } = report
  say(
    `rows: ${acknowledged} acknowledged, ${unknown} of unknown fate; lost ${lost}, doubled ${doubled}, foreign ${foreign}, tables unread ${unread}`,
  )
}

say(`ground: ${options.minutes} min, seed ${options.seed}, M ${monitorMs} ms, ${dir}`)
await Promise.all(cluster.masters.map((master) => master.start()))
await cluster.worker.start()
const client = startClient()
/** After everything else. */
let last: Report | null = null
try {
  await recover()
  const create = `create table ${PRECIOUS} (id INT8) using parquet; insert into ${PRECIOUS} select cast(1 as bigint) as id`
  const made = await cluster.tsql(['-c', create])
  if (made.code !== 0) throw new Error(`${PRECIOUS} was not made: ${made.stderr}`)
  const endMs = performance.now() + Number(options.minutes) * 60_000
  let round: Fault[] = []
  while (performance.now() < endMs && problems.length === 0) {
    if (round.length === 0) round = shuffled(faults)
    const fault = round.shift()
    if (fault !== undefined) await one(fault)
    await sleep(500 + random() * 2500)
  }
  const precious = await cluster.tsql(['--format', 'csv', '-c', `select id from ${PRECIOUS}`])
  if (!/^id\r?\n1\r?\n$/.test(precious.stdout)) problem(`${PRECIOUS} holds ${precious.stdout}`)
  const report: Report = await client.ask('stop')
  note(report, undefined, '')
  last = report
  tell(report)
} catch (error) {
  problem(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
for (const [place, count] of [...deleted].sort()) say(`deleted: ${place}: ${count} times`)
for (const [command, count] of advice) say(`an operator was told to run ${command}: ${count} times`)
for (const daemon of cluster.daemons) await daemon.signal('TERM').catch(() => undefined)
for (const work of teardowns.reverse()) await work()
const all = [...kinds.values(), ...(last === null ? [] : statementKinds(last))]
problems.push(...shortfalls(all, last, Number(options.minutes)))
for (const line of kindTable(all, last ?? totals ?? NONE)) say(line)
for (const text of problems) say(`PROBLEM: ${text}`)
if (problems.length === 0) rmSync(dir, { recursive: true, force: true })
else say(`kept: ${dir}; again: npm run soak -- --faults ground --seed ${options.seed}`)
process.exitCode = problems.length === 0 ? 0 : 1
