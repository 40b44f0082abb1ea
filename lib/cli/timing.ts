/** The election's periods as the configuration gives them; a set that doesn't fit together is refused with its keys. */
import { type Configuration, formatSource, haTiming } from '../conf/index.ts'
import { HaError, makeTiming, type Timing } from '../ha/index.ts'

/** Throws HaError BAD_TIMING naming the file, the keys that are set and the rule that they break. */
export function timingOf(conf: Configuration): Timing {
  const { monitorMs, overrides } = haTiming(conf)
  try {
    return makeTiming(monitorMs, overrides)
  } catch (error) {
    if (!(error instanceof HaError)) throw error
    const set = conf
      .settings()
      .filter(({ key, source }) => source !== null && key.startsWith('tajo.master.ha.'))
      .filter(({ value }) => typeof value === 'number')
      .map(({ key, value, source }) => `${key} = ${value} ms (${formatSource(source)})`)
    throw new HaError(error.code, `${set.join(', ')}: ${error.message}`, { cause: error })
  }
}
