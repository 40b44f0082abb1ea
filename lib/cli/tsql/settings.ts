/**
 * What the shell itself can be told with `\set`; every other name is a variable of the session and goes to the master.
 */
import type { TajoClient } from '../../client/index.ts'
import { usageError } from '../exit.ts'
import { FORMATS, type Format, isFormat } from './options.ts'

/** Goes to the database of that name as it is written, or else as SQL reads it. Rejects as TajoClient.use does. */
export async function useDatabase(client: TajoClient, wanted: string): Promise<void> {
  const exact = (await client.databases()).includes(wanted)
  await client.use(exact ? wanted : wanted.toLowerCase())
}

export class Settings {
  format: Format
  nullText = 'NULL'
  /** In scripts only; at the prompt the next statement is typed by somebody who has seen the error. */
  stopOnError = true

  constructor(format: Format) {
    this.format = format
  }

  /** False: none of the shell's own. Throws a usage error for a value that isn't allowed. */
  set(name: string, value: string): boolean {
    switch (name.toUpperCase()) {
      case 'CLI_FORMAT':
        if (!isFormat(value)) throw usageError(`CLI_FORMAT is one of ${FORMATS.join(', ')}`)
        this.format = value
        return true
      case 'CLI_NULL_CHAR':
        this.nullText = value
        return true
      case 'ON_ERROR_STOP':
      case 'CLI_ERROR_STOP':
        this.stopOnError = onOrOff(name, value)
        return true
      default:
        return false
    }
  }

  /** Goes back to the default. False: none of the shell's own. */
  unset(name: string): boolean {
    const defaults = new Settings('table').list()
    const value = defaults.get(name.toUpperCase())
    return value !== undefined && this.set(name, value)
  }

  list(): Map<string, string> {
    return new Map([
      ['CLI_FORMAT', this.format],
      ['CLI_NULL_CHAR', this.nullText],
      ['ON_ERROR_STOP', this.stopOnError ? 'on' : 'off'],
    ])
  }
}

function onOrOff(name: string, value: string): boolean {
  const word = value.toLowerCase()
  if (['on', 'true', '1'].includes(word)) return true
  if (['off', 'false', '0'].includes(word)) return false
  throw usageError(`${name} is on or off`)
}
