/** These are the rules of CREATE, DROP, TRUNCATE, OPTIMIZE of databases and tables, and of INSERT. */
import type { Column } from '../catalog/index.ts'
import { EOF, tokenMatcher } from './chevrotain.ts'
import type { InsertTarget, Location, SqlText, Statement, Storage, TableName } from './statement.ts'
import { tajoType } from './tajo-types.ts'
import * as T from './tokens.ts'
import { UserRules } from './user-rules.ts'

type CreateTable = Extract<Statement, { is: 'create-table' }>
type PartitionBy = CreateTable['partitionBy']

/** What may follow a table's columns, each once, in any order. */
interface Clauses {
  format: Storage['format']
  options: Storage['options'] | null
  partitionBy: PartitionBy | null
  location: Location | null
}

const FORMATS: Readonly<Record<string, Storage['format']>> = {
  TEXT: 'TEXT',
  CSV: 'TEXT',
  JSON: 'JSON',
  PARQUET: 'PARQUET',
}

/** What the syntax allows and makes no table. */
function faultOfTable(
  external: boolean,
  columns: readonly Column[] | null,
  clauses: Clauses,
  as: SqlText | null,
): string | null {
  const partitionBy = clauses.partitionBy ?? []
  const untyped = partitionBy.find((column) => column.type === null)
  const twice = partitionBy.find((key) => columns?.some((column) => column.name === key.name))
  if (external && as !== null) {
    return 'an EXTERNAL table can not be made of a query: leave out EXTERNAL, or AS'
  }
  if (external && columns === null) {
    return 'an EXTERNAL table needs its columns: CREATE EXTERNAL TABLE t (a INT4, …) …'
  }
  if (external && clauses.location === null) {
    return "an EXTERNAL table needs a LOCATION: … LOCATION '/directory'"
  }
  if (columns === null && as === null) {
    return 'a table needs its columns, AS and a query, or LIKE and another table'
  }
  if (untyped !== undefined && as === null) {
    return `the partition column ${untyped.name} needs a type: only with AS it may be left out`
  }
  if (twice === undefined) return null
  return `${twice.name} is a column already: a partition column is named only after PARTITION BY COLUMN`
}

export class TableRules extends UserRules {
  readonly createStatement = this.RULE('createStatement', (): Statement => {
    this.CONSUME(T.Create)
    return this.OR<Statement>([
      { ALT: () => this.SUBRULE(this.createDatabase) },
      { ALT: () => this.SUBRULE(this.createTable) },
      { ALT: () => this.SUBRULE(this.createUser) },
    ])
  })

  readonly createDatabase = this.RULE('createDatabase', (): Statement => {
    this.CONSUME(T.Database)
    const ifNotExists = this.OPTION(() => this.SUBRULE(this.ifNotExists) ?? true) === true
    const named = this.SUBRULE(this.databaseName)
    return { is: 'create-database', ...named, ifNotExists }
  })

  readonly createTable = this.RULE('createTable', (): Statement => {
    const external = this.OPTION1(() => this.CONSUME(T.External)) !== undefined
    this.CONSUME(T.Table)
    const ifNotExists = this.OPTION2(() => this.SUBRULE(this.ifNotExists) ?? true) === true
    const table = this.SUBRULE1(this.tableName)
    return this.OR<Statement>([
      {
        ALT: () => {
          const word = this.CONSUME(T.Like)
          const like = this.SUBRULE2(this.tableName)
          this.ACTION(() => {
            if (external) {
              this.fail(
                'an EXTERNAL table needs its columns and LOCATION, not LIKE',
                word.startOffset,
              )
            }
          })
          return { is: 'create-table-like', table, ifNotExists, like }
        },
      },
      {
        ALT: () => {
          const columns = this.OPTION3(() => this.SUBRULE(this.columns)) ?? null
          const clauses = this.SUBRULE(this.clauses)
          const as = this.OPTION4(() => this.SUBRULE(this.asQuery)) ?? null
          return this.ACTION(() =>
            this.#created(table, { ifNotExists, external }, columns, clauses, as),
          )
        },
      },
    ])
  })

  readonly asQuery = this.RULE('asQuery', (): SqlText => {
    this.CONSUME(T.As)
    return this.SUBRULE(this.query)
  })

  #created(
    table: TableName,
    flags: { ifNotExists: boolean; external: boolean },
    columns: readonly Column[] | null,
    clauses: Clauses,
    as: SqlText | null,
  ): CreateTable {
    const partitionBy = clauses.partitionBy ?? []
    // What stands behind it and belongs to nothing is the syntax error to tell.
    const fault =
      this.LA(1).tokenType === EOF ? faultOfTable(flags.external, columns, clauses, as) : null
    if (fault !== null) this.fail(fault, this.sql.trimEnd().length)
    const storage: Storage = { format: clauses.format, options: clauses.options ?? {} }
    return {
      is: 'create-table',
      table,
      ...flags,
      columns,
      storage,
      partitionBy,
      location: clauses.location,
      as,
    }
  }

  readonly columns = this.RULE('columns', (): readonly Column[] => {
    const columns = new Map<string, Column>()
    this.CONSUME(T.LeftParen)
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const at = this.LA(1).startOffset
        const column = this.SUBRULE(this.column)
        this.ACTION(() => {
          if (columns.has(column.name)) this.fail(`the column ${column.name} is there twice`, at)
          columns.set(column.name, column)
        })
      },
    })
    this.CONSUME(T.RightParen)
    return [...columns.values()]
  })

  readonly column = this.RULE('column', (): Column => {
    const name = this.SUBRULE(this.columnName)
    const type = this.SUBRULE(this.type)
    return this.ACTION(() => ({ name, type: tajoType(type, (why, at) => this.fail(why, at)) }))
  })

  readonly partitionColumns = this.RULE('partitionColumns', (): PartitionBy => {
    const columns = new Map<string, PartitionBy[number]>()
    this.CONSUME(T.Partition)
    this.CONSUME(T.By)
    this.CONSUME(T.Column)
    this.CONSUME(T.LeftParen)
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const at = this.LA(1).startOffset
        const name = this.SUBRULE(this.columnName)
        const tree = this.OPTION(() => this.SUBRULE(this.type))
        this.ACTION(() => {
          if (columns.has(name)) this.fail(`the column ${name} is there twice`, at)
          const type = tree ? tajoType(tree, (why, where) => this.fail(why, where)) : null
          columns.set(name, { name, type })
        })
      },
    })
    this.CONSUME(T.RightParen)
    return [...columns.values()]
  })

  readonly clauses = this.RULE('clauses', (): Clauses => {
    const seen = new Set<string>()
    const clauses: Clauses = { format: null, options: null, partitionBy: null, location: null }
    this.MANY(() => {
      const token = this.LA(1)
      this.ACTION(() => {
        const word = token.image.toUpperCase()
        if (seen.has(word)) this.fail(`${word} is there twice`, token.startOffset)
        seen.add(word)
      })
      this.OR([
        {
          ALT: () => {
            clauses.format = this.SUBRULE(this.using)
          },
        },
        {
          ALT: () => {
            clauses.options = this.SUBRULE(this.withOptions)
          },
        },
        {
          ALT: () => {
            clauses.partitionBy = this.SUBRULE(this.partitionColumns)
          },
        },
        {
          ALT: () => {
            clauses.location = this.SUBRULE(this.location)
          },
        },
      ])
    })
    return clauses
  })

  readonly using = this.RULE('using', (): Storage['format'] => {
    this.CONSUME(T.Using)
    const token = this.SUBRULE(this.formatName)
    return this.ACTION(() => {
      const format = FORMATS[token.image.toUpperCase()]
      if (format) return format
      return this.fail(
        `the format ${token.image.slice(0, 40)} is not supported: use TEXT (or CSV), JSON or PARQUET`,
        token.startOffset,
      )
    })
  })

  readonly formatName = this.RULE('formatName', () => this.CONSUME(T.Name))

  readonly withOptions = this.RULE('withOptions', (): Readonly<Record<string, string>> => {
    this.CONSUME(T.With)
    this.CONSUME(T.LeftParen)
    const options = this.SUBRULE(this.options)
    this.CONSUME(T.RightParen)
    return options
  })

  readonly insertStatement = this.RULE('insertStatement', (): Statement => {
    this.CONSUME(T.Insert)
    const overwrite = this.OPTION1(() => this.CONSUME(T.Overwrite)) !== undefined
    this.CONSUME(T.Into)
    const into = this.OR<InsertTarget>([
      { ALT: () => this.SUBRULE(this.intoLocation) },
      { ALT: () => this.SUBRULE(this.intoTable) },
    ])
    const query = this.SUBRULE(this.query)
    return { is: 'insert', overwrite, into, query }
  })

  // A query follows, which may begin with a parenthesis or WITH too. That is told apart by hand: to compare with all that
  // a query may be made of would double the time that the parser takes to make.
  readonly intoLocation = this.RULE('intoLocation', (): InsertTarget => {
    const location = this.SUBRULE(this.location)
    const format = this.OPTION1(() => this.SUBRULE(this.using)) ?? null
    const options =
      this.OPTION2({
        MAX_LOOKAHEAD: 1,
        GATE: () => this.LA(2).tokenType === T.LeftParen,
        DEF: () => this.SUBRULE(this.withOptions),
      }) ?? {}
    return { to: 'location', location, storage: { format, options } }
  })

  readonly intoTable = this.RULE('intoTable', (): InsertTarget => {
    const table = this.SUBRULE(this.tableName)
    const columns =
      this.OPTION({
        MAX_LOOKAHEAD: 1,
        GATE: () => tokenMatcher(this.LA(2), T.Name) || this.LA(2).tokenType === T.RightParen,
        DEF: () => this.SUBRULE(this.columnNames),
      }) ?? null
    return { to: 'table', table, columns }
  })

  readonly columnNames = this.RULE('columnNames', (): readonly string[] => {
    const names = new Set<string>()
    this.CONSUME(T.LeftParen)
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const at = this.LA(1).startOffset
        const name = this.SUBRULE(this.columnName)
        this.ACTION(() => {
          if (names.has(name)) this.fail(`the column ${name} is there twice`, at)
          names.add(name)
        })
      },
    })
    this.CONSUME(T.RightParen)
    return [...names]
  })

  readonly dropStatement = this.RULE('dropStatement', (): Statement => {
    this.CONSUME(T.Drop)
    return this.OR<Statement>([
      {
        ALT: () => {
          this.CONSUME(T.Database)
          const ifExists = this.OPTION1(() => this.SUBRULE1(this.ifExists) ?? true) === true
          return { is: 'drop-database', ...this.SUBRULE(this.databaseName), ifExists }
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.Table)
          const ifExists = this.OPTION2(() => this.SUBRULE2(this.ifExists) ?? true) === true
          const table = this.SUBRULE(this.tableName)
          const purge = this.OPTION3(() => this.CONSUME(T.Purge)) !== undefined
          return { is: 'drop-table', table, ifExists, purge }
        },
      },
      { ALT: () => this.SUBRULE(this.dropUser) },
    ])
  })

  readonly truncateStatement = this.RULE('truncateStatement', (): Statement => {
    const tables: TableName[] = []
    this.CONSUME(T.Truncate)
    this.OPTION(() => this.CONSUME(T.Table))
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const table = this.SUBRULE(this.tableName)
        this.ACTION(() => tables.push(table))
      },
    })
    return { is: 'truncate', tables }
  })

  readonly optimizeStatement = this.RULE('optimizeStatement', (): Statement => {
    this.CONSUME(T.Optimize)
    this.CONSUME(T.Table)
    return { is: 'optimize', table: this.SUBRULE(this.tableName) }
  })
}
