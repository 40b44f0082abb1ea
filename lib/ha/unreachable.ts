/** What stands behind the last case of a switch over a union, so that a member that is added later has to be handled there. */
import { inspect } from 'node:util'

/**
 * Stands behind the last case of a switch over a union: a member that is added later does not compile until it is handled there.
 * Throws where one comes all the same, which is a mistake of ours or another version's word, with the beginning of what
 * it was.
 */
export function unreachable(value: never): never {
  throw new Error(unheardOf(value))
}

/** The same for people, where another process may be of another version and its word is better passed over. */
export function unheardOf(value: never): string {
  const some = { depth: 0, maxArrayLength: 3, maxStringLength: 100, breakLength: Infinity }
  return `nobody handles ${inspect(value, some)}`
}
