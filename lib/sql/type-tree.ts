/** A type as it was written, before anybody asks which of the two languages it belongs to: Tajo's or DuckDB's. */

export interface TypeField {
  /** As written, without quotes. */
  readonly name: string
  readonly quoted: boolean
  readonly type: TypeTree
}

/** `at`: offset in the text, for errors. */
export type TypeTree =
  | {
      readonly is: 'scalar'
      /** Upper case, one blank between words: `DOUBLE PRECISION`, `TIMESTAMP WITH TIME ZONE`. */
      readonly name: string
      /** In parentheses: `10` and `2` of NUMERIC(10,2). */
      readonly args: readonly string[]
      readonly at: number
    }
  | { readonly is: 'array'; readonly of: TypeTree; readonly at: number }
  | {
      readonly is: 'map'
      readonly key: TypeTree
      readonly value: TypeTree
      readonly at: number
    }
  /** RECORD, STRUCT, ROW; `union`: DuckDB's UNION, which looks the same. */
  | {
      readonly is: 'record' | 'union'
      readonly fields: readonly TypeField[]
      readonly at: number
    }

/** Deeper types are refused: nobody means them, and each level is a level of calls. */
export const MOST_NESTED = 32
