/**
 * `${key}`, `${env.X}` and `${user.name}` in values, as Hadoop replaces them: `${env.X-word}` is the word when X is not
 * set, `${env.X:-word}` also when it is empty. What is put in is not searched again, except that a key's value has its
 * own references replaced first; so neither the environment nor a long chain can make a text explode.
 */

/** Where names come from. */
export interface Names {
  /** The raw value of a configuration key, set or by default; undefined for a name that nobody knows. */
  readonly raw: (key: string) => string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly userName: string
}

export interface Substituted {
  readonly text: string
  /** References that nobody knows; they are left in the text as written. */
  readonly unknown: readonly string[]
  /** Keys that the text refers to, directly or not. */
  readonly used: readonly string[]
}

/** A reference that leads back to itself, or a text that grows beyond all bounds. */
export class SubstitutionError extends Error {}

const REFERENCE = /\$\{([^{}$\s]+)\}/g
const LONGEST_TEXT = 64 * 1024
const DEEPEST_CHAIN = 20

/** Replaces the references in the value of `key`. Throws SubstitutionError. */
export function substitute(text: string, key: string, names: Names): Substituted {
  const unknown = new Set<string>()
  const used = new Set<string>()
  const done = new Map<string, string>()

  const replace = (raw: string, chain: readonly string[]): string => {
    let result = ''
    let copied = 0
    for (const match of raw.matchAll(REFERENCE)) {
      const name = match[1] ?? ''
      result += raw.slice(copied, match.index) + (resolve(name, chain) ?? keep(name, match[0]))
      copied = match.index + match[0].length
      if (result.length > LONGEST_TEXT) throw new SubstitutionError(tooLong)
    }
    result += raw.slice(copied)
    if (result.length > LONGEST_TEXT) throw new SubstitutionError(tooLong)
    return result
  }
  const keep = (name: string, written: string): string => {
    unknown.add(name)
    return written
  }
  const resolve = (name: string, chain: readonly string[]): string | undefined => {
    if (name === 'user.name') return names.userName
    if (name.startsWith('env.')) return fromEnvironment(name.slice('env.'.length), names.env)
    if (chain.includes(name)) {
      throw new SubstitutionError(`it refers to itself: ${[...chain, name].join(' → ')}`)
    }
    if (chain.length > DEEPEST_CHAIN) {
      throw new SubstitutionError(`it refers to more than ${DEEPEST_CHAIN} keys in a row`)
    }
    const raw = names.raw(name)
    if (raw === undefined) return undefined
    used.add(name)
    const value = done.get(name) ?? replace(raw, [...chain, name])
    done.set(name, value)
    return value
  }
  return { text: replace(text, [key]), unknown: [...unknown], used: [...used] }
}

const tooLong = `with its references replaced it has more than ${LONGEST_TEXT} characters`

function fromEnvironment(
  expression: string,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const match = /^([^:-]+)(?:(:?-)(.*))?$/.exec(expression)
  const value = env[match?.[1] ?? expression]
  if (match?.[2] === '-') return value ?? match[3]
  if (match?.[2] === ':-') return value || match[3]
  return value
}
