/**
 * What the statements share: names, texts, options, and the query at a statement's end. Syntax is the grammar's;
 * what the syntax can't say (a name that no directory can have, a key that is given twice) is an SqlError of the rule.
 */
import type { IToken } from './chevrotain.ts'
import { faultOfName, faultOfPathName, nameOf, textOf } from './names.ts'
import { queryFrom } from './query-text.ts'
import {
  type Named,
  type PartitionValue,
  SqlError,
  type SqlText,
  type TableName,
} from './statement.ts'
import * as T from './tokens.ts'
import { TypeRules } from './type-rules.ts'

export class CommonRules extends TypeRules {
  readonly databaseName = this.RULE('databaseName', (): Named => {
    const token = this.CONSUME(T.Name)
    return this.ACTION(() => ({
      name: this.#named(token, faultOfPathName),
      place: this.placeAt(token.startOffset),
    }))
  })

  readonly columnName = this.RULE('columnName', (): string => {
    const token = this.CONSUME(T.Name)
    return this.ACTION(() => this.#named(token, faultOfName))
  })

  readonly tableName = this.RULE('tableName', (): TableName => {
    const first = this.CONSUME1(T.Name)
    const second = this.OPTION(() => {
      this.CONSUME(T.Dot)
      return this.CONSUME2(T.Name)
    })
    return this.ACTION(() => {
      const place = this.placeAt(first.startOffset)
      const start = this.#named(first, faultOfPathName)
      if (second === undefined) return { database: null, name: start, place }
      return { database: start, name: this.#named(second, faultOfPathName), place }
    })
  })

  #named(token: IToken, faultOf: (name: string) => string | null): string {
    const name = nameOf(token.image)
    const fault = faultOf(name)
    if (fault !== null) this.fail(fault, token.startOffset)
    return name
  }

  readonly text = this.RULE('text', (): string => {
    const token = this.CONSUME(T.Text)
    return this.ACTION(() => {
      try {
        return textOf(token.image)
      } catch (error) {
        if (error instanceof SqlError) this.fail(error.message, token.startOffset)
        throw error
      }
    })
  })

  readonly numberText = this.RULE('numberText', (): string => {
    const sign = this.OPTION(() =>
      this.OR([
        { ALT: () => this.CONSUME(T.Minus).image },
        {
          ALT: () => {
            this.CONSUME(T.Plus)
            return ''
          },
        },
      ]),
    )
    return (sign ?? '') + this.CONSUME(T.NumberToken).image
  })

  /** A constant as text; null is SQL's NULL. `DATE '…'` is its text. */
  readonly constant = this.RULE('constant', (): string | null =>
    this.OR<string | null>([
      { ALT: () => this.SUBRULE(this.text) },
      { ALT: () => this.SUBRULE(this.numberText) },
      { ALT: () => this.CONSUME(T.True).image.toLowerCase() },
      { ALT: () => this.CONSUME(T.False).image.toLowerCase() },
      {
        ALT: () => {
          this.CONSUME(T.Null)
          return null
        },
      },
      {
        ALT: () => {
          this.OR1([
            { ALT: () => this.CONSUME(T.DateWord) },
            { ALT: () => this.CONSUME(T.Time) },
            { ALT: () => this.CONSUME(T.Timestamp) },
          ])
          return this.SUBRULE1(this.text)
        },
      },
    ]),
  )

  /** `'key'='value', …`: of WITH and SET PROPERTY. */
  readonly options = this.RULE('options', (): Readonly<Record<string, string>> => {
    const entries = new Map<string, string>()
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const at = this.LA(1).startOffset
        const key = this.SUBRULE(this.optionKey)
        this.CONSUME(T.Equal)
        const value = this.SUBRULE(this.constant)
        this.ACTION(() => {
          if (entries.has(key)) this.fail(`'${key}' is given twice`, at)
          if (value === null) this.fail(`'${key}' can not be NULL`, at)
          entries.set(key, value)
        })
      },
    })
    return Object.fromEntries(entries)
  })

  readonly optionKey = this.RULE('optionKey', (): string => this.SUBRULE(this.text))

  readonly partition = this.RULE('partition', (): readonly PartitionValue[] => {
    const values = new Map<string, string | null>()
    this.CONSUME(T.LeftParen)
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const at = this.LA(1).startOffset
        const column = this.SUBRULE(this.columnName)
        this.CONSUME(T.Equal)
        const value = this.SUBRULE(this.constant)
        this.ACTION(() => {
          if (values.has(column)) this.fail(`the column ${column} is given twice`, at)
          values.set(column, value)
        })
      },
    })
    this.CONSUME(T.RightParen)
    return [...values].map(([column, value]) => ({ column, value }))
  })

  readonly ifExists = this.RULE('ifExists', (): void => {
    this.CONSUME(T.If)
    this.CONSUME(T.Exists)
  })

  readonly ifNotExists = this.RULE('ifNotExists', (): void => {
    this.CONSUME(T.If)
    this.CONSUME(T.Not)
    this.CONSUME(T.Exists)
  })

  /** From here to the statement's end. */
  readonly query = this.RULE('query', (): SqlText => {
    const first = this.LA(1)
    this.OR([
      { ALT: () => this.CONSUME(T.LeftParen) },
      ...T.QUERY_WORDS.map((word) => ({ ALT: () => this.CONSUME(word) })),
    ])
    this.MANY(() => {
      this.CONSUME(T.AnyToken)
    })
    return this.ACTION(() => queryFrom(this.sql, this.tokens, this.tokens.indexOf(first)))
  })
}
