/**
 * `jdbc:derby:DIR;create=true`, as Tajo's DerbyStore has it, and what stands in that directory: our catalog, nothing, or
 * a database of Apache Derby itself, which nobody here can read and which is left as it is.
 */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf } from '../../base/message-of.ts'
import { CatalogError } from '../errors.ts'

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
export function lookInto({ directory }: DerbyAddress): 'ours' | 'missing' {
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

const bad = (text: string): CatalogError =>
  new CatalogError('BAD_STORE', `tajo.catalog.uri: ${text}`)
