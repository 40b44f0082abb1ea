/** Types, as Tajo writes them and as DuckDB does: both at once, since one asks for the other. */
import { BaseRules } from './base-rules.ts'
import { nameOf } from './names.ts'
import * as T from './tokens.ts'
import { MOST_NESTED, type TypeField, type TypeTree } from './type-tree.ts'

export class TypeRules extends BaseRules {
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
