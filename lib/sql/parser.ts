/** It knows the rest of the statements (ALTER TABLE, EXPLAIN, SET, SHOW, DESC), and is the parser of them all. */
import { faultOfName, nameOf } from './names.ts'
import type { AlterAction, Named, Statement } from './statement.ts'
import { TableRules } from './table-rules.ts'
import * as T from './tokens.ts'

export class StatementParser extends TableRules {
  readonly alterStatement = this.RULE('alterStatement', (): Statement => {
    this.CONSUME(T.Alter)
    return this.OR<Statement>([
      { ALT: () => this.SUBRULE(this.alterUser) },
      { ALT: () => this.SUBRULE(this.alterTable) },
    ])
  })

  readonly alterTable = this.RULE('alterTable', (): Statement => {
    this.CONSUME(T.Table)
    const table = this.SUBRULE(this.tableName)
    const action = this.OR<AlterAction>([
      { ALT: () => this.SUBRULE(this.renameAction) },
      { ALT: () => this.SUBRULE(this.addAction) },
      { ALT: () => this.SUBRULE(this.dropPartition) },
      { ALT: () => this.SUBRULE(this.setProperty) },
    ])
    return { is: 'alter-table', table, action }
  })

  readonly renameAction = this.RULE('renameAction', (): AlterAction => {
    this.CONSUME(T.Rename)
    return this.OR<AlterAction>([
      {
        ALT: () => {
          this.CONSUME1(T.To)
          return { do: 'rename-table', name: this.SUBRULE(this.newTableName) }
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.Column)
          const from = this.SUBRULE1(this.columnName)
          this.CONSUME2(T.To)
          const to = this.SUBRULE2(this.columnName)
          return { do: 'rename-column', from, to }
        },
      },
    ])
  })

  readonly newTableName = this.RULE('newTableName', (): string => {
    const at = this.LA(1).startOffset
    const table = this.SUBRULE(this.tableName)
    return this.ACTION(() => {
      if (table.database !== null)
        this.fail('a table stays in its database: write the new name alone', at)
      return table.name
    })
  })

  readonly addAction = this.RULE('addAction', (): AlterAction => {
    this.CONSUME(T.Add)
    return this.OR<AlterAction>([
      { ALT: () => this.SUBRULE(this.addColumn) },
      { ALT: () => this.SUBRULE(this.addPartition) },
    ])
  })

  readonly addColumn = this.RULE('addColumn', (): AlterAction => {
    this.CONSUME(T.Column)
    return this.OR<AlterAction>([
      {
        ALT: () => {
          const at = this.LA(1).startOffset
          const columns = this.SUBRULE(this.columns)
          return this.ACTION((): AlterAction => {
            const [column, more] = columns
            if (column === undefined || more !== undefined)
              return this.fail('add one column at a time', at)
            return { do: 'add-column', column }
          })
        },
      },
      { ALT: () => ({ do: 'add-column', column: this.SUBRULE(this.column) }) },
    ])
  })

  readonly addPartition = this.RULE('addPartition', (): AlterAction => {
    const ifNotExists = this.OPTION1(() => this.SUBRULE(this.ifNotExists) ?? true) === true
    this.CONSUME(T.Partition)
    const partition = this.SUBRULE(this.partition)
    const location = this.OPTION2(() => this.SUBRULE(this.location)) ?? null
    return { do: 'add-partition', ifNotExists, partition, location }
  })

  readonly dropPartition = this.RULE('dropPartition', (): AlterAction => {
    this.CONSUME(T.Drop)
    const ifExists = this.OPTION1(() => this.SUBRULE(this.ifExists) ?? true) === true
    this.CONSUME(T.Partition)
    const partition = this.SUBRULE(this.partition)
    const purge = this.OPTION2(() => this.CONSUME(T.Purge)) !== undefined
    return { do: 'drop-partition', ifExists, partition, purge }
  })

  /** With parentheses, as WITH has them, or without, as in Tajo's documentation. */
  readonly setProperty = this.RULE('setProperty', (): AlterAction => {
    this.CONSUME(T.SetWord)
    this.CONSUME(T.Property)
    return this.OR<AlterAction>([
      {
        ALT: () => {
          this.CONSUME(T.LeftParen)
          const options = this.SUBRULE1(this.options)
          this.CONSUME(T.RightParen)
          return { do: 'set-property', options }
        },
      },
      { ALT: () => ({ do: 'set-property', options: this.SUBRULE2(this.options) }) },
    ])
  })

  /** GLOBAL is Tajo's word for the distributed plan; here one worker runs a query, and its plan is all there is. */
  readonly explainStatement = this.RULE('explainStatement', (): Statement => {
    this.CONSUME(T.Explain)
    const analyze = this.OPTION(() =>
      this.OR([
        {
          ALT: () => {
            this.CONSUME(T.Analyze)
            return true
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Global)
            return false
          },
        },
      ]),
    )
    return { is: 'explain', analyze: analyze === true, query: this.SUBRULE(this.query) }
  })

  readonly setStatement = this.RULE('setStatement', (): Statement => {
    this.CONSUME(T.SetWord)
    return this.OR<Statement>({
      // A variable may have the name of a keyword; the keyword comes first.
      IGNORE_AMBIGUITIES: true,
      DEF: [
        {
          ALT: () => {
            const named = this.SUBRULE(this.timeZone)
            return this.SUBRULE1(this.settingOf, { ARGS: [named] })
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Catalog)
            const { name: value, place } = this.SUBRULE(this.databaseName)
            return { is: 'set', name: 'database', place, value, valuePlace: place }
          },
        },
        {
          ALT: () => {
            this.OPTION1(() => this.CONSUME(T.Session))
            const named = this.SUBRULE(this.variableName)
            return this.SUBRULE2(this.settingOf, { ARGS: [named] })
          },
        },
      ],
    })
  })

  readonly timeZone = this.RULE('timeZone', (): Named => {
    const { startOffset } = this.CONSUME(T.Time)
    this.CONSUME(T.Zone)
    return this.ACTION(() => ({ name: 'timezone', place: this.placeAt(startOffset) }))
  })

  /** `TO DEFAULT` gives the variable up. */
  readonly settingOf = this.RULE('settingOf', (named: Named): Statement => {
    this.OPTION(() =>
      this.OR1([{ ALT: () => this.CONSUME(T.To) }, { ALT: () => this.CONSUME(T.Equal) }]),
    )
    const at = this.LA(1).startOffset
    const value = this.OR2<string | null>([
      {
        ALT: () => {
          const constant = this.SUBRULE(this.constant)
          return this.ACTION(
            () => constant ?? this.fail('a variable can not be NULL: write TO DEFAULT', at),
          )
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.Default)
          return null
        },
      },
      { ALT: () => this.CONSUME(T.PlainName).image },
      // ON is reserved.
      { ALT: () => this.CONSUME(T.ReservedWord).image },
    ])
    return this.ACTION(
      (): Statement =>
        value === null
          ? { is: 'unset', ...named }
          : { is: 'set', ...named, value, valuePlace: this.placeAt(at) },
    )
  })

  /** Parts with dots between them, as in configuration keys; lower case, unless quoted. */
  readonly variableName = this.RULE('variableName', (): Named => {
    const parts: string[] = []
    const at = this.LA(1).startOffset
    this.AT_LEAST_ONE_SEP({
      SEP: T.Dot,
      DEF: () => {
        const part = this.CONSUME(T.Name)
        this.ACTION(() => parts.push(nameOf(part.image)))
      },
    })
    return this.ACTION(() => {
      const name = parts.join('.')
      const fault = faultOfName(name)
      if (fault !== null) this.fail(fault, at)
      return { name, place: this.placeAt(at) }
    })
  })

  readonly unsetStatement = this.RULE('unsetStatement', (): Statement => {
    this.OR([{ ALT: () => this.CONSUME(T.Unset) }, { ALT: () => this.CONSUME(T.Reset) }])
    return { is: 'unset', ...this.SUBRULE(this.variableName) }
  })

  readonly showStatement = this.RULE('showStatement', (): Statement => {
    this.CONSUME(T.Show)
    const all = { is: 'show', what: 'variables', named: null } as const
    return this.OR<Statement>({
      // A variable may have the name of a keyword; the keyword comes first.
      IGNORE_AMBIGUITIES: true,
      DEF: [
        {
          ALT: () => {
            this.CONSUME(T.Databases)
            return { is: 'show', what: 'databases', named: null }
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Tables)
            const named = this.OPTION(() => this.SUBRULE(this.inDatabase)) ?? null
            return { is: 'show', what: 'tables', named }
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Functions)
            return { is: 'show', what: 'functions', named: null }
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Users)
            return { is: 'show', what: 'users', named: null }
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Grants)
            const named = this.OPTION1(() => this.SUBRULE(this.forUser)) ?? null
            return { is: 'show', what: 'grants', named }
          },
        },
        {
          ALT: () => {
            this.OR1([
              { ALT: () => this.CONSUME(T.Session) },
              { ALT: () => this.CONSUME(T.Variables) },
              { ALT: () => this.CONSUME(T.All) },
            ])
            return all
          },
        },
        {
          ALT: () => ({ is: 'show', what: 'variable', named: this.SUBRULE(this.shownVariable) }),
        },
      ],
    })
  })

  readonly forUser = this.RULE('forUser', (): Named => {
    this.CONSUME(T.For)
    return this.SUBRULE(this.userName)
  })

  readonly inDatabase = this.RULE('inDatabase', (): Named => {
    this.OR([{ ALT: () => this.CONSUME(T.In) }, { ALT: () => this.CONSUME(T.From) }])
    return this.SUBRULE(this.databaseName)
  })

  readonly shownVariable = this.RULE(
    'shownVariable',
    (): Named =>
      this.OR({
        // A variable may have the name of a keyword; the keyword comes first.
        IGNORE_AMBIGUITIES: true,
        DEF: [
          { ALT: () => this.SUBRULE(this.timeZone) },
          { ALT: () => this.SUBRULE(this.variableName) },
        ],
      }),
  )

  readonly describeStatement = this.RULE('describeStatement', (): Statement => {
    this.OR([{ ALT: () => this.CONSUME(T.Desc) }, { ALT: () => this.CONSUME(T.Describe) }])
    return { is: 'describe', table: this.SUBRULE(this.tableName) }
  })

  constructor(validate = false) {
    super(validate)
    this.performSelfAnalysis()
  }
}

let parser: StatementParser | null = null

/** Made once, when the first statement comes that needs it: it takes tens of milliseconds. */
export function theParser(): StatementParser {
  parser ??= new StatementParser()
  return parser
}

/** Makes the parser now, for a process that has the time: the first statement then needn't wait for it. */
export function prepareParser(): void {
  theParser()
}
