/**
 * What the cluster gives out and knows again: a value with a seal that only who has the cluster's secret can make. Every
 * master of the cluster has the secret, so all of them know it, and no one has to remember it.
 *
 * Each purpose has a key of its own, derived from the secret (HKDF-SHA256): nothing that was sealed for one is good for
 * another, and no key tells the secret. The values are not hidden, only proof against change.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

type Purpose = 'session token' | 'log-in begun' | 'salt of nobody'

const KEY_BYTES = 32
/** More than anything of ours that is sealed has. */
const LONGEST = 8192

export class Seals {
  readonly #secret: string
  readonly #keys = new Map<Purpose, Buffer>()

  constructor(secret: string) {
    this.#secret = secret
  }

  key(purpose: Purpose): Buffer {
    const known = this.#keys.get(purpose)
    if (known !== undefined) return known
    const info = `tajo ${purpose}, version 1`
    const key = Buffer.from(hkdfSync('sha256', this.#secret, '', info, KEY_BYTES))
    this.#keys.set(purpose, key)
    return key
  }

  /** It has letters, digits, `-`, `_` and a dot, so it is good for a header. */
  seal(purpose: Purpose, value: unknown): string {
    const text = Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${text}.${this.#mark(purpose, text).toString('base64url')}`
  }

  /** The value, or null for what this cluster has not sealed for this purpose. */
  open(purpose: Purpose, sealed: string): unknown {
    if (sealed.length > LONGEST) return null
    const [text = '', mark = '', ...more] = sealed.split('.')
    const shown = Buffer.from(mark, 'base64url')
    const right = this.#mark(purpose, text)
    if (more.length > 0 || shown.length !== right.length || !timingSafeEqual(shown, right)) {
      return null
    }
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  }

  #mark(purpose: Purpose, text: string): Buffer {
    return createHmac('sha256', this.key(purpose)).update(text).digest()
  }
}
