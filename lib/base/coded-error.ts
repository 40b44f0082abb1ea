/**
 * What carries a code of a closed list, such as `CATALOG_ERRORS` and `RPC_ERRORS`, is one of these. Each floor has a class
 * and a list of its own, since what is unavailable to a caller and what is unavailable to a catalog are not mended in one
 * way; how they are told apart, and how anything thrown becomes one, is here for all. `lib/ha` has its own, since it
 * imports nothing.
 */

/** What each code of a list means, and the SQLSTATE that comes nearest (PostgreSQL's list). */
export type ErrorList = Readonly<Record<string, { sqlState: string; means: string }>>

type Coded<E> = abstract new (...args: never[]) => E

export abstract class CodedError<Code extends string> extends Error {
  /** It is stable. `message` is for people. */
  readonly code: Code

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** Is it one of this class, with one of `codes`? Without any, whatever its code. */
  static is<E extends CodedError<string>>(
    this: Coded<E>,
    thrown: unknown,
    ...codes: readonly E['code'][]
  ): thrown is E {
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on is what is asked for
    return thrown instanceof this && (codes.length === 0 || codes.includes(thrown.code))
  }

  /** Whatever was thrown, as one of this class: what is one stays as it is, `make` tells what anything else comes to. */
  static from<E extends CodedError<string>>(
    this: Coded<E>,
    thrown: unknown,
    make: (thrown: unknown) => E,
  ): E {
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on is what is asked for
    return thrown instanceof this ? thrown : make(thrown)
  }
}
