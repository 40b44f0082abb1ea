/**
 * Every configuration key: type, default, who reads it, one sentence. The template, the manual, `tajo getconf` and the
 * checks all come from this table, in its order; a key that isn't here doesn't exist. Each file of `keys/` has those of one
 * purpose, and here they are one table.
 */
import type { HostPort } from './address.ts'
import { HA_KEYS } from './keys/ha.ts'
import { PLACE_KEYS } from './keys/places.ts'
import { RESOURCE_KEYS } from './keys/resources.ts'
import { SECURITY_KEYS } from './keys/security.ts'
import type { KeySpec } from './keys/spec.ts'
import { SQL_KEYS } from './keys/sql.ts'

export type { KeySpec } from './keys/spec.ts'

const KEYS = {
  ...PLACE_KEYS,
  ...HA_KEYS,
  ...SQL_KEYS,
  ...RESOURCE_KEYS,
  ...SECURITY_KEYS,
} as const satisfies Readonly<Record<string, KeySpec>>

export type Key = keyof typeof KEYS

/** The type of a key's value. */
export type ValueOf<K extends Key> = (typeof KEYS)[K] extends infer S
  ? S extends { type: 'address' }
    ? HostPort
    : S extends { type: 'duration' | 'integer' | 'size' }
      ? number
      : S extends { type: 'boolean' }
        ? boolean
        : S extends { type: 'lines' | 'directories' }
          ? readonly string[]
          : S extends { type: 'choice'; of: readonly (infer W)[] }
            ? W
            : string
  : never

export const ALL_KEYS = Object.keys(KEYS) as Key[]
export const isKey = (name: string): name is Key => Object.hasOwn(KEYS, name)
export const specOf = (key: Key): KeySpec => KEYS[key]
