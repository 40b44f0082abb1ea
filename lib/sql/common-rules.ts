/**
 * The rules that statements have in common, in three layers.
 *
 * These rules are what the statements share: names, texts, options, and the query at a statement's end. Syntax is the
 * grammar's; what the syntax can't say (a name that no directory can have, a key that is given twice) is an SqlError of
 * the rule.
 *
 * Types, as Tajo writes them and as DuckDB does: both at once, since one asks for the other.
 *
 * What each group of rules stands on: the text at work, and errors with their place in it.
 */
import { EmbeddedActionsParser, type IToken } from './chevrotain.ts'
import { faultOfName, faultOfPathName, nameOf, textOf } from './names.ts'
import { Lines } from './place.ts'
import { queryFrom } from './query-text.ts'
import {
  type Named,
  type PartitionValue,
  type Place,
  SqlError,
  type SqlText,
  type TableName,
} from './statement.ts'
import { MOST_NESTED, type TypeField, type TypeTree } from './tajo-types.ts'
import * as T from './tokens.ts'

class BaseRules extends EmbeddedActionsParser {
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

  /** It is called before each use. */
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

class TypeRules extends BaseRules {
  readonly type: (idx?: number) => TypeTree = this.RULE('type', (): TypeTree => {
    const at = this.LA(1).startOffset
    this.ACTION(() => {
      this.nesting += 1
      if (this.nesting > MOST_NESTED) {
        this.fail(`types can be nested in each other ${MOST_NESTED} deep at most`, at)
      }
    })
    let type = this.OR<TypeTree>([
      { ALT: () => this.SUBRULE(this.arrayType) },
      { ALT: () => this.SUBRULE(this.mapType) },
      { ALT: () => this.SUBRULE(this.recordType) },
      { ALT: () => this.SUBRULE(this.scalarType) },
    ])
    let suffixes = 0
    this.MANY(() => {
      this.CONSUME(T.LeftBracket)
      this.OPTION(() => this.CONSUME(T.NumberToken))
      this.CONSUME(T.RightBracket)
      suffixes += 1
      this.ACTION(() => {
        if (suffixes > MOST_NESTED) {
          this.fail(`types can be nested in each other ${MOST_NESTED} deep at most`, at)
        }
        type = { is: 'array', of: type, at }
      })
    })
    this.ACTION(() => {
      this.nesting -= 1
    })
    return type
  })

  readonly arrayType = this.RULE('arrayType', (): TypeTree => {
    const at = this.CONSUME(T.ArrayWord).startOffset
    this.CONSUME(T.Less)
    const of = this.SUBRULE(this.type)
    this.CONSUME(T.Greater)
    return { is: 'array', of, at }
  })

  readonly mapType = this.RULE('mapType', (): TypeTree => {
    const at = this.CONSUME(T.MapWord).startOffset
    return this.OR<TypeTree>([
      {
        ALT: () => {
          this.CONSUME(T.Less)
          const key = this.SUBRULE1(this.type)
          this.CONSUME1(T.Comma)
          const value = this.SUBRULE2(this.type)
          this.CONSUME(T.Greater)
          return { is: 'map', key, value, at }
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.LeftParen)
          const key = this.SUBRULE3(this.type)
          this.CONSUME2(T.Comma)
          const value = this.SUBRULE4(this.type)
          this.CONSUME(T.RightParen)
          return { is: 'map', key, value, at }
        },
      },
    ])
  })

  readonly recordType = this.RULE('recordType', (): TypeTree => {
    const word = this.OR([
      { ALT: () => this.CONSUME(T.RecordWord) },
      { ALT: () => this.CONSUME(T.Struct) },
      { ALT: () => this.CONSUME(T.Union) },
    ])
    const fields: TypeField[] = []
    this.CONSUME(T.LeftParen)
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const token = this.CONSUME(T.Name)
        const type = this.SUBRULE(this.type)
        this.ACTION(() => {
          const quoted = token.image.startsWith('"')
          fields.push({ name: quoted ? nameOf(token.image) : token.image, quoted, type })
        })
      },
    })
    this.CONSUME(T.RightParen)
    return { is: word.tokenType === T.Union ? 'union' : 'record', fields, at: word.startOffset }
  })

  readonly scalarType = this.RULE('scalarType', (): TypeTree => {
    const words: string[] = []
    const args: string[] = []
    const at = this.LA(1).startOffset
    this.AT_LEAST_ONE(() => {
      const word = this.CONSUME(T.Name)
      this.ACTION(() => words.push(nameOf(word.image).toUpperCase()))
    })
    this.OPTION1(() => {
      this.CONSUME(T.LeftParen)
      this.AT_LEAST_ONE_SEP({
        SEP: T.Comma,
        DEF: () => {
          const arg = this.OR([
            { ALT: () => this.CONSUME(T.NumberToken) },
            { ALT: () => this.CONSUME(T.Text) },
          ])
          args.push(arg.image)
        },
      })
      this.CONSUME(T.RightParen)
    })
    this.OPTION2(() => {
      this.CONSUME(T.With)
      this.CONSUME(T.Time)
      this.CONSUME(T.Zone)
      words.push('WITH TIME ZONE')
    })
    return { is: 'scalar', name: words.join(' '), args, at }
  })
}

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
