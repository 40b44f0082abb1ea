/** The configuration in force as the web page lists it: every key, where its value comes from, and no secret. */
import { type Configuration, formatForMessage, formatValue, specOf } from '../../conf/index.ts'
import type { ConfigDocument } from '../../web/view.ts'

export function confRows(conf: Configuration): ConfigDocument {
  return {
    confDir: conf.confDir,
    settings: conf.settings().map(({ key, value, source }) => {
      const spec = specOf(key)
      const { doc, group, usedBy, reloadable, secret = false } = spec
      return {
        key,
        value: formatForMessage(key, formatValue(value)),
        source: source === null ? null : { ...source },
        default: typeof spec.default === 'string' ? spec.default : spec.default.words,
        doc,
        group,
        usedBy,
        reloadable,
        secret,
      }
    }),
  }
}
