/**
 * `npm run sim`: many schedules, split over the cores.
 *
 *     npm run sim -- --seeds 20000            so many, from a fresh random seed on
 *     npm run sim -- --seeds 500 --from 1     seeds 1 to 500
 *     npm run sim -- --minutes 10             until then; with --seeds so many at least
 *     npm run sim -- --seed 4711              one, with every step written out
 *
 * A failure prints its seed, what was drawn for it, and the one command that replays it. Exit code 1
 * then; 2 when the options can't be understood.
 */
import { parseArgs } from 'node:util'
import { positiveNumber, wholeNumber } from '../support/numbers.ts'
import { type Many, runMany } from './many.ts'
import { describeProfile, drawProfile } from './profile.ts'
import { runSchedule } from './schedule.ts'

const SEEDS = 1000
const MS_PER_MINUTE = 60_000

function readOptions(): { readonly replay: number } | { readonly many: Many } {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      from: { type: 'string' },
      workers: { type: 'string' },
    },
  })
  const { seed, from, seeds, minutes, workers } = values
  if (seed !== undefined) return { replay: wholeNumber('--seed', seed, 0) }
  const floor = minutes === undefined ? SEEDS : 1
  return {
    many: {
      from: from === undefined ? Date.now() : wholeNumber('--from', from, 0),
      seeds: seeds === undefined ? floor : wholeNumber('--seeds', seeds, 1),
      ...(minutes !== undefined && {
        budgetMs: positiveNumber('--minutes', minutes) * MS_PER_MINUTE,
      }),
      ...(workers !== undefined && { workers: wholeNumber('--workers', workers, 1) }),
    },
  }
}

function optionsOrExit(): ReturnType<typeof readOptions> {
  try {
    return readOptions()
  } catch (error) {
    console.error((error as Error).message)
    process.exit(2)
  }
}

async function replay(seed: number): Promise<boolean> {
  console.log(`seed ${seed}\n${describeProfile(drawProfile(seed))}`)
  const outcome = await runSchedule({ seed, write: (line) => console.log(line) })
  console.log(JSON.stringify(outcome))
  return outcome.violation === null
}

async function many(options: Many): Promise<boolean> {
  const report = await runMany(options)
  console.log(report.text)
  return report.failures.length === 0
}

const options = optionsOrExit()
const ok = 'replay' in options ? await replay(options.replay) : await many(options.many)
process.exitCode = ok ? 0 : 1
