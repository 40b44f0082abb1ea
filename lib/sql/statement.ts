/**
 * What a statement says, once parsed. Queries stay text, because DuckDB speaks them; everything that Tajo adds to SQL
 * is taken apart here. Places count from 1, in the text that the user wrote.
 */
import type { Column, Privilege } from '../catalog/index.ts'

export interface Place {
  readonly line: number
  readonly column: number
}

/** A piece of the user's text, with where it begins: an error inside it can be told in his own lines. */
export interface SqlText {
  readonly text: string
  readonly place: Place
}

/** Of a database or a variable: lower case unless quoted. */
export interface Named {
  readonly name: string
  readonly place: Place
}

/** The text after LOCATION. */
export interface Location {
  readonly path: string
  readonly place: Place
}

/** Lower case unless quoted. */
export interface TableName {
  /** Null: the session's current database. */
  readonly database: string | null
  readonly name: string
  readonly place: Place
}

export interface Storage {
  /** After USING, upper case, `CSV` already as `TEXT`; null when it was left out. */
  readonly format: 'TEXT' | 'JSON' | 'PARQUET' | null
  /** After WITH. */
  readonly options: Readonly<Record<string, string>>
}

export type Statement =
  /** SELECT, WITH, VALUES, FROM … as DuckDB speaks them. */
  | { readonly is: 'query'; readonly query: SqlText }
  | { readonly is: 'explain'; readonly analyze: boolean; readonly query: SqlText }
  | ({ readonly is: 'create-database'; readonly ifNotExists: boolean } & Named)
  | ({ readonly is: 'drop-database'; readonly ifExists: boolean } & Named)
  | {
      readonly is: 'create-table'
      readonly table: TableName
      readonly ifNotExists: boolean
      readonly external: boolean
      /** Null: CREATE TABLE … AS takes them from its query. */
      readonly columns: readonly Column[] | null
      readonly storage: Storage
      /** PARTITION BY COLUMN; with AS a type may be left out (null): the query's column of that name has it. */
      readonly partitionBy: readonly { readonly name: string; readonly type: string | null }[]
      readonly location: Location | null
      readonly as: SqlText | null
    }
  /** CREATE TABLE a LIKE b. */
  | {
      readonly is: 'create-table-like'
      readonly table: TableName
      readonly ifNotExists: boolean
      readonly like: TableName
    }
  | {
      readonly is: 'insert'
      readonly overwrite: boolean
      readonly into: InsertTarget
      readonly query: SqlText
    }
  | {
      readonly is: 'drop-table'
      readonly table: TableName
      readonly ifExists: boolean
      readonly purge: boolean
    }
  | { readonly is: 'truncate'; readonly tables: readonly TableName[] }
  /** Joins its small files. */
  | { readonly is: 'optimize'; readonly table: TableName }
  | { readonly is: 'alter-table'; readonly table: TableName; readonly action: AlterAction }
  | ({ readonly is: 'set'; readonly value: string; readonly valuePlace: Place } & Named)
  | ({ readonly is: 'unset' } & Named)
  | ({
      readonly is: 'create-user'
      readonly ifNotExists: boolean
      readonly password: string
    } & Named)
  | ({ readonly is: 'alter-user'; readonly password: string } & Named)
  | ({ readonly is: 'drop-user'; readonly ifExists: boolean } & Named)
  | { readonly is: 'grant'; readonly what: Granted; readonly user: Named }
  | { readonly is: 'revoke'; readonly what: Granted; readonly user: Named }
  /** SHOW DATABASES, TABLES [IN database], SESSION | one variable, FUNCTIONS, USERS, GRANTS [FOR user]. */
  | {
      readonly is: 'show'
      readonly what:
        | 'databases'
        | 'tables'
        | 'functions'
        | 'variables'
        | 'variable'
        | 'users'
        | 'grants'
      /** Of `tables` the database, of `variable` its name, of `grants` whose. */
      readonly named: Named | null
    }
  | { readonly is: 'describe'; readonly table: TableName }

export type InsertTarget =
  | { readonly to: 'table'; readonly table: TableName; readonly columns: readonly string[] | null }
  | { readonly to: 'location'; readonly location: Location; readonly storage: Storage }

/** What GRANT gives and REVOKE takes. */
export type Granted =
  | {
      readonly on: 'database'
      readonly database: Named
      readonly privileges: readonly Privilege[]
    }
  | { readonly on: 'table'; readonly table: TableName; readonly privileges: readonly Privilege[] }
  | { readonly on: 'location'; readonly location: Location }

export type AlterAction =
  | { readonly do: 'rename-table'; readonly name: string }
  | { readonly do: 'rename-column'; readonly from: string; readonly to: string }
  | { readonly do: 'add-column'; readonly column: Column }
  | { readonly do: 'set-property'; readonly options: Readonly<Record<string, string>> }
  | {
      readonly do: 'add-partition'
      readonly ifNotExists: boolean
      readonly partition: readonly PartitionValue[]
      readonly location: Location | null
    }
  | {
      readonly do: 'drop-partition'
      readonly ifExists: boolean
      readonly partition: readonly PartitionValue[]
      readonly purge: boolean
    }

export interface PartitionValue {
  readonly column: string
  /** Null is SQL's NULL. */
  readonly value: string | null
}

/** What is wrong with a statement, and where. */
export class SqlError extends Error {
  readonly place: Place | null
  constructor(message: string, place: Place | null, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SqlError'
    this.place = place
  }
}
