/** What goes wrong with a catalog that a command has open, for whoever typed it. */
import type { Log } from '../../base/log.ts'
import type { Output } from '../print.ts'

export const logTo =
  (output: Output): Log =>
  (level, message, facts) => {
    if (level !== 'warn' && level !== 'error') return
    output.err(`tajo: ${message}${facts === undefined ? '' : ` ${JSON.stringify(facts)}`}`)
  }
