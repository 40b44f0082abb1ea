/**
 * fast-check with the seed of the run: `npm test` draws one for all files and tells it at its end, and TAJO_TEST_SEED=N
 * repeats a run's. A file that is run alone, without it, draws anew for each property, as fast-check does.
 */
import fc from 'fast-check'
import { wholeNumber } from './numbers.ts'
import { SEED_VARIABLE } from './random.ts'

const seed = process.env[SEED_VARIABLE]
if (seed !== undefined) fc.configureGlobal({ seed: wholeNumber(SEED_VARIABLE, seed, 0) })

export { fc }
