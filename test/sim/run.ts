/**
 * `npm run sim`: many schedules, split over the cores.
 *
 *     npm run sim -- --seeds 20000            so many, from a fresh random seed on
 *     npm run sim -- --seeds 500 --from 1     seeds 1 to 500
 *     npm run sim -- --minutes 10             until then; with --seeds so many at least
 *     npm run sim -- --seed 4711              one, with every step written out
 *     npm run trace -- --seed 4711            the same as a diary: what changed, in sentences
 *
 * A failure prints its seed, what was drawn for it, and the one command that replays it. Exit code 1
 * then; 2 when the options can't be understood.
 */
import { parseArgs } from 'node:util'
import { positiveNumber, wholeNumber } from '../support/numbers.ts'
import { diary } from './diary.ts'
import { type Many, runMany } from './many.ts'
import { describeProfile, drawProfile } from './profile.ts'
import { runSchedule } from './schedule.ts'

const SEEDS = 1000
const MS_PER_MINUTE = 60_000

function readOptions():
  | { readonly replay: number; readonly asDiary: boolean }
  | { readonly many: Many } {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      from: { type: 'string' },
      workers: { type: 'string' },
      diary: { type: 'boolean' },
    },
  })
  const { seed, from, seeds, minutes, workers, diary: asDiary = false } = values
  if (seed !== undefined) return { replay: wholeNumber('--seed', seed, 0), asDiary }
  if (asDiary) throw new Error('a diary is of one schedule: --seed N')
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

async function replay(seed: number, asDiary: boolean): Promise<boolean> {
  console.log(`seed ${seed}\n${describeProfile(drawProfile(seed))}`)
  const entryOf = asDiary ? diary() : (line: string) => line
  const outcome = await runSchedule({
    seed,
    write: (line) => {
      const entry = entryOf(line)
      if (entry !== null) console.log(entry)
    },
  })
  console.log(JSON.stringify(outcome))
  return outcome.violation === null
}

async function many(options: Many): Promise<boolean> {
  const report = await runMany(options)
  console.log(report.text)
  return report.failures.length === 0
}

const options = optionsOrExit()
const ok =
  'replay' in options ? await replay(options.replay, options.asDiary) : await many(options.many)
process.exitCode = ok ? 0 : 1
