/** What each group of rules stands on: the text at work, and errors with their place in it. */
import { EmbeddedActionsParser, type IToken } from './chevrotain.ts'
import { Lines } from './place.ts'
import { type Place, SqlError } from './statement.ts'
import * as T from './tokens.ts'

export class BaseRules extends EmbeddedActionsParser {
  /** Of the statement at work. */
  protected sql = ''
  /** Its own list: the parser's `input` is longer than what it was given. */
  protected tokens: readonly IToken[] = []
  #lines: Lines | null = null
  protected nesting = 0

  /** `validate` makes the grammar check itself, which takes as long again: for the tests. */
  constructor(validate: boolean) {
    super([...T.VOCABULARY], {
      recoveryEnabled: false,
      maxLookahead: 3,
      skipValidations: !validate,
    })
  }

  /** Before each use. */
  begin(sql: string, tokens: readonly IToken[]): void {
    this.sql = sql
    this.#lines = null
    this.nesting = 0
    this.tokens = tokens
    this.input = [...tokens]
  }

  protected placeAt(at: number): Place {
    this.#lines ??= new Lines(this.sql)
    return this.#lines.placeAt(at)
  }

  /** Only inside `ACTION`: while the grammar is recorded there is no text. */
  protected fail(message: string, at: number): never {
    throw new SqlError(message, this.placeAt(at))
  }
}
