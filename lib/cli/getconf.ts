/**
 * `tajo getconf KEY`: the value in force, from the site files or by default. Scripts call it often, so it loads these files alone. A
 * password ends up in logs and over shoulders, so it is printed only where that is asked for.
 */
import { nearest } from '../base/nearest.ts'
import {
  ALL_KEYS,
  formatForMessage,
  formatValue,
  holdsSecret,
  isKey,
  loadConfiguration,
  specOf,
  surroundingsOf,
} from '../conf/index.ts'
import type { Run } from './arguments.ts'
import { EXIT, failure, usageError } from './exit.ts'
import { json } from './print.ts'

export const run: Run = async ({ args, options, confDir, home, env, json: asJson, output }) => {
  const [key, more] = args
  if (key === undefined || more !== undefined) {
    throw usageError("'tajo getconf' needs one key, such as tajo.rootdir")
  }
  if (!isKey(key)) {
    const meant = nearest(key, ALL_KEYS)
    const hint = meant === null ? '' : `, did you mean ${meant}?`
    throw failure(`nobody knows the key '${key}'${hint} (docs/configuration.md lists all)`)
  }
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  for (const warning of conf.warnings) output.err(`tajo: warning: ${warning}`)
  if (key === 'tajo.rootdir' || key === 'tajo.warehouse.directory') {
    const { requireRootdir } = await import('./daemon/default-rootdir.ts')
    if (!conf.isSet(key)) requireRootdir(conf, home)
  }
  const { value, source } = conf.setting(key)
  const { type, doc, reloadable } = specOf(key)
  const text = formatValue(value)
  if (holdsSecret(key, text) && options['show-secrets'] !== true) {
    const hidden = formatForMessage(key, text)
    output.err(`tajo: ${key} holds a password, which --show-secrets prints`)
    const told = { key, value: hidden, text: hidden, type, source, reloadable, doc }
    output.out(asJson ? json(told) : hidden)
    return EXIT.done
  }
  output.out(asJson ? json({ key, value, text, type, source, reloadable, doc }) : text)
  return EXIT.done
}
