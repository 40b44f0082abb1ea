/**
 * `npm run sim`: many schedules, split over the cores.
 *
 *     npm run sim -- --seeds 20000            so many, from a fresh random seed on
 *     npm run sim -- --seeds 500 --from 1     seeds 1 to 500
 *     npm run sim -- --seed 4711              one, with every step written out
 *
 * A failure prints its seed, what was drawn for it, and the one command that replays it. Exit code 1 then.
 */
import { parseArgs } from 'node:util'
import { runMany } from './many.ts'
import { describeProfile, drawProfile } from './profile.ts'
import { runSchedule } from './schedule.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    from: { type: 'string' },
    workers: { type: 'string' },
  },
})

const whole = (name: string, text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0) return value
  console.error(`--${name}: ${JSON.stringify(text)} is not a whole number`)
  process.exit(2)
}

async function replay(seed: number): Promise<boolean> {
  console.log(`seed ${seed}\n${describeProfile(drawProfile(seed))}`)
  const outcome = await runSchedule({ seed, write: (line) => console.log(line) })
  console.log(JSON.stringify(outcome))
  return outcome.violation === null
}

async function many(): Promise<boolean> {
  const from = values.from === undefined ? Date.now() : whole('from', values.from)
  const seeds = whole('seeds', values.seeds)
  const workers = values.workers === undefined ? undefined : whole('workers', values.workers)
  const report = await runMany({ from, seeds, ...(workers === undefined ? {} : { workers }) })
  console.log(report.text)
  return report.failures.length === 0
}

const ok = values.seed === undefined ? await many() : await replay(whole('seed', values.seed))
process.exitCode = ok ? 0 : 1
