/**
 * How long a failover takes with real masters on this machine: `npm run bench -- --trials 30`.
 *
 * The time is an outsider's: from the blow until `/health/active` of another master answers 200, asked without a pause
 * over an open connection. Beside it stand the phases that the winner wrote into the history. Default settings.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Phases } from '../../lib/ha/index.ts'
import { readDirectoryHistory } from '../../lib/ha/index.ts'
import { FAULTS, type Fault } from '../soak/faults.ts'
import { makeMasters } from '../soak/masters.ts'
import type { SoakMaster } from '../soak/soak-master.ts'
import { ask } from '../support/test-masters.ts'
import { until, within } from '../support/until.ts'
import { quantile } from './cluster.ts'

const { values: options } = parseArgs({
  options: {
    trials: { type: 'string', default: '30' },
    'monitor-interval': { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
})
const TRIALS = Number(options.trials)
/** A cluster at rest: what a start still has to do is over. */
const REST_MS = 500

interface Trial {
  readonly tookMs: number
  readonly phases: Phases | null
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const dir = mkdtempSync(join(tmpdir(), 'tajo-bench-'))
const root = join(dir, 'root')
const masters = await makeMasters({
  dir,
  root,
  priorities: [100, 100],
  monitorInterval: options['monitor-interval'],
})

async function settled(): Promise<{ active: SoakMaster; backup: SoakMaster }> {
  const pair = await until('one is active, the other its backup', async () => {
    for (const [index, active] of masters.entries()) {
      const backup = masters[1 - index]
      if (backup === undefined || !(await active.health('active'))) continue
      const view = await backup.cluster()
      if ((await backup.health('backup')) && view.active === active.address)
        return { active, backup }
    }
    return null
  })
  await sleep(REST_MS)
  return pair
}

/** Until the health check of `master` says active; ms of performance.now(). */
async function whenActive(master: SoakMaster): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    while ((await ask(master.ports.info, '/health/active', { agent })).status !== 200);
    return performance.now()
  } finally {
    agent.destroy()
  }
}

async function tryOnce(fault: Fault): Promise<Trial> {
  const { active, backup } = await settled()
  const seen = within(`${backup.address} is active`, whenActive(backup))
  await sleep(20)
  const beginMs = performance.now()
  await fault.strike(active, backup)
  const tookMs = (await seen) - beginMs
  await fault.mend(active)
  const newest = (await readDirectoryHistory(join(root, 'system/ha'), 1))[0]
  return { tookMs, phases: newest?.served?.phases ?? null }
}

const PHASES = ['noticed', 'decided', 'claimed', 'ended', 'settled', 'opened', 'total'] as const

function tell(fault: Fault, trials: readonly Trial[]): void {
  const times = trials.map(({ tookMs }) => tookMs)
  const figures = [quantile(times, 0.5), quantile(times, 0.9), quantile(times, 1)]
  say(
    `${fault.name.padEnd(30)} ${figures.map((figure) => Math.round(figure).toString().padStart(7)).join('')}`,
  )
  const known = trials.flatMap(({ phases }) => phases ?? [])
  const medians = PHASES.map((name) => {
    const values = known.map((phases) => phases[`${name}Ms`])
    return `${name} ${quantile(values, 0.5).toFixed(1)}`
  })
  say(`    by the winner, medians: ${medians.join(', ')}`)
}

say(`bench: ${TRIALS} trials each, M ${options['monitor-interval']} ms, ${process.version}`)
try {
  await Promise.all(masters.map((master) => master.start()))
  say('ms until another one is active   median    p90    max')
  for (const fault of FAULTS.filter(({ name }) => name.includes(options.only))) {
    const trials: Trial[] = []
    for (let i = 0; i < TRIALS; i += 1) trials.push(await tryOnce(fault))
    tell(fault, trials)
  }
} finally {
  for (const master of masters) if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
  await Promise.all(masters.map((master) => master.ended()))
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}
