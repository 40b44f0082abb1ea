/**
 * A user logs in at the active master. It takes two calls, one for each message of SCRAM, and ends with a token. Between them the
 * master remembers nothing: what it must know goes to the client and back, sealed, and counts for a minute. A last message
 * is good once.
 *
 * Whether a user exists can't be learnt here: for a name that nobody has there is a salt as well, always the same one, and
 * the same sums are done, which never come out right.
 */
import { createHmac } from 'node:crypto'
import { Guesses } from './guesses.ts'
import { type Begun, begin, finish, readClientFirst, readVerifier, type Verifier } from './scram.ts'
import { Seals } from './seal.ts'
import { makeToken, markOf, USER_TOKEN_MS } from './token.ts'

const BEGUN_MS = 60_000
const MOST_SPENT = 10_000
const NOBODYS_ITERATIONS = 4096
const SALT_BYTES = 16

interface LogInOptions {
  /** The cluster's. */
  readonly secret: string
  /** The user's verifier, as `verifierFor` makes it; null: there is no such user, or he has no password. */
  readonly verifierOf: (user: string) => string | null
  /** Runs on, whatever is done to the clock on the wall. */
  readonly nowMs: () => number
  readonly wallMs: () => number
}

/** Refused; the same words whether the user exists or not. `retryMs`: it was not even looked at, and may be after that. */
export interface Refusal {
  /** Whose log-in it was; null where that can't be read. */
  readonly user: string | null
  readonly refused: string
  readonly retryMs: number | null
}

interface FirstAnswer {
  readonly message: string
  /** To be sent back with the last message. */
  readonly state: string
}

interface FinalAnswer {
  readonly user: string
  /** By which the client knows that it spoke with a master of the cluster. */
  readonly message: string
  readonly token: string
  readonly endMs: number
}

interface State extends Begun {
  readonly from: string
  readonly endMs: number
}

export class LogIn {
  readonly #options: LogInOptions
  readonly #seals: Seals
  readonly #guesses = new Guesses()
  /** Last messages that have been heard, until they would be refused anyhow. */
  readonly #spent = new Map<string, number>()

  constructor(options: LogInOptions) {
    this.#options = options
    this.#seals = new Seals(options.secret)
  }

  /** Throws ScramError. */
  first(message: string, from: string): FirstAnswer | Refusal {
    const read = readClientFirst(message)
    const late = this.#tooMany(read.user, from)
    if (late !== null) return late
    const begun = begin(read, this.#verifierOf(read.user) ?? this.#nobody(read.user))
    const state: State = { ...begun, from, endMs: this.#options.wallMs() + BEGUN_MS }
    return { message: begun.serverFirst, state: this.#seals.seal('log-in begun', state) }
  }

  /** Throws ScramError. */
  final(message: string, state: string, from: string): FinalAnswer | Refusal {
    const begun = this.#stateOf(state, from)
    if (begun === null)
      return { user: null, refused: 'the log-in took too long: begin again', retryMs: null }
    const { user } = begun
    const late = this.#tooMany(user, from)
    if (late !== null) return late
    const verifier = this.#options.verifierOf(user)
    const read = this.#verifierOf(user)
    const told = finish(begun, message, read ?? this.#nobody(user))
    this.#spend(state)
    if (told === null || read === null || verifier === null) {
      this.#guesses.wrong(user, from, this.#options.nowMs())
      return {
        user,
        refused: `the password of user '${user}' is wrong, or there is no such user`,
        retryMs: null,
      }
    }
    this.#guesses.right(user, from)
    const endMs = this.#options.wallMs() + USER_TOKEN_MS
    const principal = { kind: 'user', name: user } as const
    const token = makeToken(this.#seals, { principal, mark: markOf(verifier), endMs })
    return { user, message: told, token, endMs }
  }

  #tooMany(user: string, from: string): Refusal | null {
    const retryMs = this.#guesses.waitMs(user, from, this.#options.nowMs())
    if (retryMs === 0) return null
    const seconds = Math.ceil(retryMs / 1000)
    return {
      user,
      refused: `too many wrong passwords of user '${user}' from ${from}: try again in ${seconds} s`,
      retryMs,
    }
  }

  #verifierOf(user: string): Verifier | null {
    const text = this.#options.verifierOf(user)
    return text === null ? null : readVerifier(text)
  }

  /** Whoever asks twice gets the same, as of a user. Nobody knows a password for it. */
  #nobody(user: string): Verifier {
    const salt = createHmac('sha256', this.#seals.key('salt of nobody')).update(user).digest()
    return {
      iterations: NOBODYS_ITERATIONS,
      salt: salt.subarray(0, SALT_BYTES),
      storedKey: Buffer.alloc(32),
      serverKey: Buffer.alloc(32),
    }
  }

  #stateOf(sealed: string, from: string): State | null {
    const state = this.#seals.open('log-in begun', sealed) as State | null
    if (state === null || state.from !== from || this.#spent.has(sealed)) return null
    return state.endMs > this.#options.wallMs() ? state : null
  }

  /** A master whose clock is set back would take it again: it is forgotten by another clock. */
  #spend(state: string): void {
    const nowMs = this.#options.nowMs()
    for (const [one, untilMs] of this.#spent) {
      if (untilMs > nowMs && this.#spent.size < MOST_SPENT) break
      this.#spent.delete(one)
    }
    this.#spent.set(state, nowMs + BEGUN_MS)
  }
}
