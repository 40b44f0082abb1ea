/**
 * What is to be said of each configuration key: type, default, who reads it, one sentence. A default that depends on other
 * keys says so in words and as a function.
 */
import type { ValueType } from '../types.ts'

type Daemon = 'master' | 'worker' | 'client' | 'all'

interface Derived {
  /** For people, as in "monitor interval / 10". */
  readonly words: string
  /**
   * From the values of other keys, which must not derive from this one: a number is the value itself, which may be a
   * fraction; a text is read as if it stood in the file.
   */
  readonly from: (value: (key: string) => unknown) => string | number
}

export type KeySpec = ValueType & {
  /** As it would stand in the file. */
  readonly default: string | Derived
  /** One sentence. */
  readonly doc: string
  readonly usedBy: Daemon
  /** Whether a running daemon takes over a change of the file; the rest needs a restart. */
  readonly reloadable: boolean
  /** Never shown in a message. */
  readonly secret?: true
  readonly group: string
}

/** Nothing that is measured in time may be set longer. */
export const LONGEST_MS = 3_600_000
