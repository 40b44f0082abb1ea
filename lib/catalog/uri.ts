/**
 * Reads `tajo.catalog.uri` as Tajo's users write it: `jdbc:postgresql://host:port/database?name=value&…`. What can go wrong
 * with it is said without ever repeating a user or a password.
 *
 * `jdbc:derby:DIR;create=true`, as Tajo's DerbyStore has it, and what stands in that directory: our catalog, nothing, or
 * a database of Apache Derby itself, which nobody here can read and which is left as it is.
 *
 * What is wrong with `tajo.catalog.uri` before anything is connected to, so that a master tells it at its start instead of
 * in every term that it would win.
 */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf } from '../base/failures.ts'
import { CatalogError } from './errors.ts'

/**
 * `storeClass`: of `tajo.catalog.store.class`. Throws CatalogError BAD_STORE for a URI that is none of that class, and
 * for a DerbyStore that isn't there and shall not be made; UNAVAILABLE when its directory can't be read.
 */
export function checkCatalogUri(storeClass: string, uri: string): void {
  const account = { user: '', password: '' }
  switch (storeClass) {
    case 'DerbyStore':
      requireDerby(parseDerby(uri))
      break
    case 'PostgreSQLStore':
      parseJdbc({ uri, ...account }, POSTGRES_URI)
      break
    case 'MariaDBStore':
    case 'MySQLStore':
      parseJdbc({ uri, ...account }, MARIADB_URI)
      break
  }
}

export interface DerbyAddress {
  /** Absolute. */
  readonly directory: string
  /** The engine's file in it. */
  readonly file: string
  readonly create: boolean
}

const PREFIX = 'jdbc:derby:'
export const CATALOG_FILE = 'tajo-catalog.duckdb'
const FORM = 'jdbc:derby:DIRECTORY;create=true'

/** Throws CatalogError BAD_STORE. */
export function parseDerby(uri: string): DerbyAddress {
  if (!uri.startsWith(PREFIX)) throw bad(`it must have the form ${FORM}`)
  const [named = '', ...parameters] = uri.slice(PREFIX.length).split(';')
  const path = named.startsWith('directory:') ? named.slice('directory:'.length) : named
  if (path.startsWith('//')) {
    throw bad(`a Derby server on the network is not supported, it must have the form ${FORM}`)
  }
  if (path === '' || /^(memory|classpath|jar):/.test(path)) {
    throw bad(`it names no directory, it must have the form ${FORM}`)
  }
  const directory = resolve(path)
  return {
    directory,
    file: join(directory, CATALOG_FILE),
    create: parameters.some((parameter) => parameter.trim().toLowerCase() === 'create=true'),
  }
}

/** What only a database of Apache Derby has. */
const DERBY_FILES = ['service.properties', 'db.lck']

/** `missing`: nothing of ours. Throws CatalogError BAD_STORE for Derby's own, UNAVAILABLE when it can't be read. */
function lookInto({ directory }: DerbyAddress): 'ours' | 'missing' {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return 'missing'
    const text = `can't read the catalog's directory ${directory}: ${messageOf(error)}`
    throw new CatalogError(code === 'ENOTDIR' ? 'BAD_STORE' : 'UNAVAILABLE', text, { cause: error })
  }
  const derby = DERBY_FILES.filter((name) => names.includes(name))
  if (names.includes('seg0') && names.includes('log')) derby.push('seg0', 'log')
  if (derby.length > 0) {
    throw new CatalogError(
      'BAD_STORE',
      `${directory} holds a database of Apache Derby (${derby.join(', ')}), which this Tajo can't read; nothing in it was touched. Name another directory in tajo.catalog.uri, and make the tables anew there`,
    )
  }
  return names.includes(CATALOG_FILE) ? 'ours' : 'missing'
}

/** Throws CatalogError as `lookInto` does, and BAD_STORE where nothing is and nothing shall be made. */
export function requireDerby(address: DerbyAddress): 'ours' | 'missing' {
  const found = lookInto(address)
  if (found === 'ours' || address.create) return found
  const text = `there is no catalog in ${address.directory}: add ;create=true to tajo.catalog.uri to have one made`
  throw new CatalogError('BAD_STORE', text)
}

export interface JdbcAddress {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly createDatabase: boolean
  /** Null: plain; `any`: encrypted, whoever it is; `verified`: the certificate must be the host's. */
  readonly tls: 'any' | 'verified' | null
}

export interface JdbcOptions {
  readonly uri: string
  /** What `tajo.catalog.connection.id` and `.password` say; empty means what the URI says. */
  readonly user: string
  readonly password: string
}

interface JdbcKind {
  /** The first one is shown as the form. */
  readonly schemes: readonly string[]
  readonly defaultPort: number
}

export const POSTGRES_URI: JdbcKind = { schemes: ['postgresql', 'postgres'], defaultPort: 5432 }
export const MARIADB_URI: JdbcKind = { schemes: ['mariadb', 'mysql'], defaultPort: 3306 }

/** Throws CatalogError BAD_STORE. */
export function parseJdbc({ uri, user, password }: JdbcOptions, expected: JdbcKind): JdbcAddress {
  const form = `jdbc:${expected.schemes[0]}://HOST:PORT/DATABASE`
  const [, scheme, rest] = split(uri)
  if (scheme === undefined || rest === undefined || !expected.schemes.includes(scheme)) {
    throw bad(`it must have the form ${form}`)
  }
  const url = parse(rest, form)
  if (url.hostname === '') throw bad(`it names no host, it must have the form ${form}`)
  const database = decode(url.pathname.slice(1))
  if (database === '') throw bad(`it names no database, it must have the form ${form}`)
  const parameters = new Map(
    [...url.searchParams].map(([name, value]) => [name.toLowerCase(), value]),
  )
  return {
    host: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
    port: url.port === '' ? expected.defaultPort : Number(url.port),
    database,
    user: user || parameters.get('user') || decode(url.username),
    password: password || parameters.get('password') || decode(url.password),
    createDatabase: parameters.get('createdatabaseifnotexist')?.toLowerCase() === 'true',
    tls: tlsOf(parameters),
  }
}

/** `jdbc`, the database's scheme, and what follows it. */
function split(uri: string): (string | undefined)[] {
  const first = uri.indexOf(':')
  const second = uri.indexOf(':', first + 1)
  if (uri.slice(0, first) !== 'jdbc' || second < 0) return []
  return ['jdbc', uri.slice(first + 1, second), uri.slice(second + 1)]
}

function parse(rest: string, form: string): URL {
  if (!rest.startsWith('//')) throw bad(`it must have the form ${form}`)
  try {
    return new URL(`db:${rest}`)
  } catch {
    // The cause would show the URI, and the password in it.
    throw bad(`it is no URI of the form ${form} (one host only)`)
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad('a % in it begins no two hexadecimal digits')
  }
}

/** Reads PostgreSQL's `sslmode` and `ssl`, MariaDB's `sslMode` and `useSsl`, MySQL's `sslMode`, `useSSL`. */
function tlsOf(parameters: ReadonlyMap<string, string>): JdbcAddress['tls'] {
  const mode = parameters.get('sslmode')?.toLowerCase().replaceAll('_', '-')
  if (mode?.startsWith('verify')) return 'verified'
  if (mode === 'require' || mode === 'required' || mode === 'trust') return 'any'
  if (mode !== undefined) return null
  const plain = parameters.get('ssl') ?? parameters.get('usessl')
  return plain?.toLowerCase() === 'true' ? 'verified' : null
}

const bad = (text: string): CatalogError =>
  new CatalogError('BAD_STORE', `tajo.catalog.uri: ${text}`)
