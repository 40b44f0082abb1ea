/**
 * What is wrong with `tajo.catalog.uri` before anything is connected to, so that a master tells it at its start instead of
 * in every term that it would win.
 */

import { MARIADB_URI, POSTGRES_URI, parseJdbc } from './database/jdbc-uri.ts'
import { parseDerby, requireDerby } from './derby/derby-uri.ts'

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
