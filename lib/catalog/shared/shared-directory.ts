/** Where SharedStore keeps the catalog: in the shared directory, a subdirectory for each term. */
import { join } from 'node:path'

/** `rootDirectory`: `tajo.rootdir`. */
export const sharedDirectory = (rootDirectory: string): string =>
  join(rootDirectory, 'system', 'catalog')
