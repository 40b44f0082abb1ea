/** haadmin's options as one checked call: exactly one verb, and with it only what belongs to it. */
import { type Address, isHostName, parseAddress } from '../address.ts'
import { usageError } from '../exit.ts'

export type HaadminCall =
  | { readonly verb: 'getState'; readonly address: Address }
  | {
      readonly verb: 'transitionToActive' | 'transitionToBackup'
      readonly address: Address
      readonly force: boolean
      /** Who asked, when another host passed the command on; null when it was typed here. */
      readonly by: string | null
      /** Passed on by another host: do it here or fail, never pass it on again. */
      readonly here: boolean
    }
  | { readonly verb: 'formatHA'; readonly yes: boolean }
  | { readonly verb: 'status' }
  | { readonly verb: 'token' }
  | { readonly verb: 'certificate' }
  | { readonly verb: 'history'; readonly limit: number }
  | { readonly verb: 'checkSharedDir'; readonly peer: string | null }

type Verb = HaadminCall['verb']

/** Each verb with the options it takes. */
const VERBS: Readonly<Record<Verb, readonly string[]>> = {
  getState: [],
  status: [],
  token: [],
  certificate: [],
  history: ['limit'],
  transitionToActive: ['force', 'by', 'here'],
  transitionToBackup: ['force', 'by', 'here'],
  formatHA: ['yes'],
  checkSharedDir: ['peer'],
}
const isVerb = (name: string): name is Verb => name in VERBS
const DEFAULT_LIMIT = 50
const LARGEST_LIMIT = 1_000_000

export function haadminCall(options: Readonly<Record<string, string | boolean>>): HaadminCall {
  const given = Object.keys(options).filter((name) => options[name] !== false)
  const [verb, ...more] = given.filter(isVerb)
  const all = Object.keys(VERBS)
    .map((name) => `-${name}`)
    .join(' ')
  if (verb === undefined) throw usageError(`'tajo haadmin' needs one of ${all}`)
  if (more.length > 0) {
    throw usageError(`-${verb} and -${more[0]} exclude each other: one of ${all} is allowed`)
  }
  for (const name of given) {
    if (!isVerb(name) && !VERBS[verb].includes(name)) {
      throw usageError(`-${name} does not belong to -${verb}`)
    }
  }
  return build(verb, options)
}

function build(verb: Verb, options: Readonly<Record<string, string | boolean>>): HaadminCall {
  const text = (name: string): string | null => {
    const value = options[name]
    return typeof value === 'string' ? value : null
  }
  const address = (): Address => parseAddress(text(verb) ?? '', `-${verb}`)
  switch (verb) {
    case 'getState':
      return { verb, address: address() }
    case 'transitionToActive':
    case 'transitionToBackup':
      return {
        verb,
        address: address(),
        force: options.force === true,
        by: text('by'),
        here: options.here === true,
      }
    case 'formatHA':
      return { verb, yes: options.yes === true }
    case 'status':
    case 'token':
    case 'certificate':
      return { verb }
    case 'history':
      return { verb, limit: limitOf(text('limit')) }
    case 'checkSharedDir':
      return { verb, peer: peerOf(text('peer')) }
  }
}

function limitOf(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > LARGEST_LIMIT) {
    throw usageError(`-limit: '${text}' is not a number of terms from 1 to ${LARGEST_LIMIT}`)
  }
  return limit
}

function peerOf(text: string | null): string | null {
  if (text !== null && !isHostName(text)) {
    throw usageError(`-peer: '${text}' is not a host name`)
  }
  return text
}
