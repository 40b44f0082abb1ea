/**
 * The catalog as data: databases, tables, the files that are a table's content, the outcomes of changes, what is left to
 * remove. Plain JSON values, so that a journal line, a row of SQL and a message say the same. What may be done with it
 * is in `apply.ts`; how it is kept is each store's business.
 *
 * A table's content is a list of files, not a directory: one transaction replaces the list, and a reader sees the old
 * or the new. Files are written to their final place under a name that carries the query's id, long before the
 * transaction; what no table names any more is removed later.
 */
import type { FileList } from './file-list.ts'

type FileFormat = 'TEXT' | 'JSON' | 'PARQUET'

export interface Column {
  /** Lower case unless it was quoted. */
  readonly name: string
  /** In Tajo's spelling: `INT4`, `TEXT`, `NUMERIC(10,2)`, `ARRAY<INT4>` (lib/sql/types.ts). */
  readonly type: string
}

export interface DataFile {
  /** Below the table's location, or absolute. */
  readonly path: string
  /** Null when nobody has counted them. */
  readonly rows: number | null
  readonly bytes: number
  /** One value for each partition column, as text; null is SQL's NULL. Empty when the table has none. */
  readonly partition: readonly (string | null)[]
}

export interface Table {
  /** Never used again in this catalog. */
  readonly id: number
  readonly database: string
  readonly name: string
  /** `external`: the data is the user's; DROP TABLE leaves it alone, with PURGE too. */
  readonly kind: 'managed' | 'external'
  readonly format: FileFormat
  /** As in `WITH (…)`: `text.delimiter`, `text.null`, `text.skip.headerlines`, `text.error-tolerance.max-num`, … */
  readonly options: Readonly<Record<string, string>>
  /** Without the partition columns. */
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly Column[]
  /** Absolute path of a directory, or, external, of one file. */
  readonly location: string
  /** External only: whatever files stand in `location` belong to it, besides `files`. Ends with the first overwrite. */
  readonly wholeDirectory: boolean
  readonly files: FileList
  /** Raised by each change of the schema; a write that was planned with another one is refused. */
  readonly schemaVersion: number
  /**
   * Raised by each change of its rows, not by what only joins files. Never one that it had before, even when an older
   * catalog was brought back in between. What was never changed, or before there were versions, has none: 0.
   */
  readonly contentVersion?: number | undefined
  /** ISO 8601. */
  readonly createdAt: string
  /** The user who made it and may do all with it; left out: it is the administrator's. */
  readonly owner?: string | undefined
}

/** A table as messages, journals and dumps have it. */
export interface PlainTable extends Omit<Table, 'files'> {
  readonly files: SomeFiles
}
/** An array, or the list that is made of one: millions are only ever in a list. */
export interface SomeFiles extends Iterable<DataFile> {
  readonly length: number
  map<T>(make: (file: DataFile) => T): T[]
}

export interface Database {
  readonly name: string
  readonly createdAt: string
}

/** Whose business a failure is; the same words as in `QueryError` of lib/contract. */
export const FAILURE_KINDS = ['user', 'lost', 'killed', 'refused', 'internal'] as const
export type FailureKind = (typeof FAILURE_KINDS)[number]

/** How a change of data or schema ended, by its query: what makes a repeated request harmless. */
export interface Outcome {
  /** With `/` and a number: only that attempt of it is over, since its worker died, and the next one may follow. */
  readonly queryId: string
  readonly state: 'done' | 'failed'
  /** For people: `INSERT 5`, or why it failed. */
  readonly message: string
  readonly rows: number | null
  /** Of a failure; what was recorded before there were kinds has none. */
  readonly kind?: FailureKind | undefined
  /** Wall clock of the master that recorded it, ms since 1970. Old ones are forgotten by it, nothing else rests on it. */
  readonly atMs: number
}

/** A path that no table names any more, to be removed when no query can still be reading it. */
export interface Litter {
  readonly path: string
  /** ms since 1970; later than now for what was joined into another file (`compact`), and is kept until then. */
  readonly sinceMs: number
  /** When it was joined into another file: kept besides for as long as a catalog from before that can be brought back. */
  readonly joinedMs?: number | undefined
}

/** Files of one partition of a table, and what takes their place: the same rows in the same order. */
export interface Join {
  /** Paths, below the table's location. */
  readonly replaced: readonly string[]
  readonly files: readonly DataFile[]
}

/** INSERT OVERWRITE INTO LOCATION: decided, and to be carried out by whoever is active until it is done. */
export interface Publication {
  readonly queryId: string
  /** Complete directory, beside `location`. */
  readonly staging: string
  readonly location: string
}

/** `CREATE`: tables in a database. `ALL`: these, and what changes the thing itself. */
export const PRIVILEGES = ['SELECT', 'INSERT', 'CREATE', 'ALL'] as const
export type Privilege = (typeof PRIVILEGES)[number]

/** What one user may do with one thing. A table is meant by its id: one of its name that is made later is another one. */
export type Grant =
  | { readonly on: 'database'; readonly database: string; readonly privilege: Privilege }
  | { readonly on: 'table'; readonly tableId: number; readonly privilege: Privilege }
  /** All that lies at this absolute path and below it may be named in a statement. */
  | { readonly on: 'location'; readonly path: string }

export interface User {
  readonly name: string
  /** PostgreSQL's form of a SCRAM-SHA-256 verifier: the password can't be had from it. */
  readonly verifier: string
  /** ISO 8601. */
  readonly createdAt: string
  /** None is there twice. */
  readonly grants: readonly Grant[]
}

export interface CatalogData {
  readonly databases: readonly Database[]
  readonly tables: readonly PlainTable[]
  readonly outcomes: readonly Outcome[]
  readonly litter: readonly Litter[]
  readonly publications: readonly Publication[]
  /** Left out where there are none, as in everything that was written before there were users. */
  readonly users?: readonly User[] | undefined
  /** The id of the next table. */
  readonly nextTableId: number
}

/** One step of a transaction. */
export type Change =
  | { readonly do: 'create-database'; readonly name: string; readonly createdAt: string }
  /** Only when it holds no table. */
  | { readonly do: 'drop-database'; readonly name: string }
  /** `table.id` must be the catalog's next. */
  | { readonly do: 'create-table'; readonly table: PlainTable }
  /** `litter`: paths to be removed later; empty for an external table. */
  | { readonly do: 'drop-table'; readonly tableId: number; readonly litter: readonly string[] }
  | { readonly do: 'rename-table'; readonly tableId: number; readonly name: string }
  | {
      readonly do: 'rename-column'
      readonly tableId: number
      readonly from: string
      readonly to: string
    }
  | { readonly do: 'add-column'; readonly tableId: number; readonly column: Column }
  /** Sets these and leaves the others. */
  | {
      readonly do: 'set-options'
      readonly tableId: number
      readonly options: Readonly<Record<string, string>>
    }
  /**
   * `overwrite`: all. `overwrite-partitions`: those partitions that `files` has (all, where the table has no partition
   * columns; not for `wholeDirectory`). What falls out becomes litter.
   */
  | {
      readonly do: 'write'
      readonly tableId: number
      readonly schemaVersion: number
      readonly mode: 'append' | 'overwrite' | 'overwrite-partitions'
      readonly files: SomeFiles
      /** The content version that the files were made from; CHANGED when the table has another one, or was altered. */
      readonly basedOn?: number | undefined
    }
  | {
      readonly do: 'drop-partition'
      readonly tableId: number
      readonly partition: readonly (string | null)[]
    }
  /**
   * Joins files of a managed table; its rows are the same before and after, so its content version is too. All that is
   * replaced must still be the table's, else CONFLICT: whatever removed it was first. What is replaced is litter `keepMs`
   * after the change.
   */
  | {
      readonly do: 'compact'
      readonly tableId: number
      readonly schemaVersion: number
      readonly joins: readonly Join[]
      readonly keepMs: number
    }
  | { readonly do: 'add-litter'; readonly paths: readonly string[] }
  /** Unknown ones are passed over. */
  | { readonly do: 'litter-removed'; readonly paths: readonly string[] }
  | { readonly do: 'publish'; readonly publication: Publication }
  /** Done already, or never heard of: changes nothing. */
  | { readonly do: 'published'; readonly queryId: string }
  | UserChange
  /** Everything there is, replaced (`tajo catalog load`). */
  | { readonly do: 'load'; readonly data: CatalogData }

export type UserChange =
  | { readonly do: 'create-user'; readonly user: User }
  | { readonly do: 'set-verifier'; readonly user: string; readonly verifier: string }
  /** His tables become the administrator's. */
  | { readonly do: 'drop-user'; readonly user: string }
  /** What he has already changes nothing. */
  | { readonly do: 'grant'; readonly user: string; readonly grants: readonly Grant[] }
  /** What he hasn't changes nothing. */
  | { readonly do: 'revoke'; readonly user: string; readonly grants: readonly Grant[] }

/** All or nothing, with the outcome of the query it belongs to. */
export interface Transaction {
  /** Whoever asked, for the journal's reader. */
  readonly by: string
  readonly atMs: number
  readonly changes: readonly Change[]
  readonly outcome: Outcome | null
}
