/**
 * The configuration in force: a typed value for every key, where it comes from, and what was odd in the files.
 * The periods of the protocol that the operator has set are given as the HA library takes and checks them.
 */
import { formatHostPort, type HostPort } from './address.ts'
import { PERIOD_KEYS } from './keys/ha.ts'
import { ALL_KEYS, type Key, specOf, type ValueOf } from './keys.ts'
import type { Value } from './types.ts'

interface HaTiming {
  readonly monitorMs: number
  /** Only what a file sets; the rest derives from `monitorMs`. */
  readonly overrides: { readonly [P in keyof typeof PERIOD_KEYS]?: number }
}

export function haTiming(conf: Configuration): HaTiming {
  const names = Object.keys(PERIOD_KEYS) as (keyof typeof PERIOD_KEYS)[]
  const set = names.filter((name) => conf.isSet(PERIOD_KEYS[name]))
  return {
    monitorMs: conf.get('tajo.master.ha.monitor.interval'),
    overrides: Object.fromEntries(set.map((name) => [name, conf.get(PERIOD_KEYS[name])])),
  }
}

interface Source {
  readonly file: string
  readonly line: number
}

export interface Setting {
  readonly key: Key
  readonly value: Value
  /** Null when no file sets the key. */
  readonly source: Source | null
}

export class Configuration {
  /** Absolute or as given. */
  readonly confDir: string
  /** A sentence each, with file and line. */
  readonly warnings: readonly string[]
  readonly #settings: ReadonlyMap<Key, Setting>

  constructor(confDir: string, settings: ReadonlyMap<Key, Setting>, warnings: readonly string[]) {
    this.confDir = confDir
    this.#settings = settings
    this.warnings = warnings
  }

  get<K extends Key>(key: K): ValueOf<K> {
    return this.setting(key).value as ValueOf<K>
  }

  setting(key: Key): Setting {
    const found = this.#settings.get(key)
    if (found === undefined) throw new Error(`no value for ${key}: the configuration is incomplete`)
    return found
  }

  /** Whether a file sets the key, be it to its default. */
  isSet(key: Key): boolean {
    return this.setting(key).source !== null
  }

  /** They come in the order of the table of keys. */
  settings(): Setting[] {
    return ALL_KEYS.map((key) => this.setting(key))
  }

  /** Returns the same with the settings of `keys` taken from `other`. */
  withSettingsOf(other: Configuration, keys: readonly Key[]): Configuration {
    const merged = new Map(this.#settings)
    for (const key of keys) merged.set(key, other.setting(key))
    return new Configuration(this.confDir, merged, this.warnings)
  }
}

/** A value as `tajo getconf` prints it: durations in milliseconds, sizes in bytes, lines one a line. */
export function formatValue(value: Value): string {
  if (typeof value !== 'object') return String(value)
  return isHostPort(value) ? formatHostPort(value) : value.join('\n')
}

const isHostPort = (value: HostPort | readonly string[]): value is HostPort => 'port' in value

/** `tajo-site.xml:12` or `the default`. */
export const formatSource = (source: Source | null): string =>
  source === null ? 'the default' : `${source.file}:${source.line}`

export const holdsSecret = (key: Key, text: string): boolean =>
  text !== '' && formatForMessage(key, text) !== text

/** A setting for a message: secrets and passwords inside URIs are not shown. */
export function formatForMessage(key: Key, text: string): string {
  if (specOf(key).secret) return '(not shown)'
  return text.replaceAll(/(password=)[^;&]*/gi, '$1…').replace(/(:\/\/[^/@:]*):[^/@]*@/, '$1:…@')
}
