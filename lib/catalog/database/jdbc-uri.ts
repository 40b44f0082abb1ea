/**
 * `tajo.catalog.uri` as Tajo's users write it: `jdbc:postgresql://host:port/database?name=value&…`. What can go wrong
 * with it is said without ever repeating a user or a password.
 */
import { CatalogError } from '../errors.ts'

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

export interface JdbcKind {
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

/** PostgreSQL's `sslmode` and `ssl`, MariaDB's `sslMode` and `useSsl`, MySQL's `sslMode`, `useSSL`. */
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
