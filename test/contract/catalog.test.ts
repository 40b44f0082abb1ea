/** The contract of the catalog's stores: the one in memory, and the one in the shared directory. */
import { join } from 'node:path'
import t from 'tap'
import { openFiles } from '../../lib/catalog/shared/files.ts'
import { SharedStore } from '../../lib/catalog/shared/shared-store.ts'
import { MemStore, memKept } from '../../lib/catalog/store.ts'
import { catalogSuite } from './catalog.ts'

const kept = memKept()
catalogSuite(t, 'MemStore', () => new MemStore(kept))

const directory = join(t.testdir({}), 'system', 'catalog')
catalogSuite(t, 'SharedStore', () => new SharedStore({ directory, log: () => {} }))

const small = join(t.testdirName, 'small', 'catalog')
catalogSuite(
  t,
  'SharedStore with short journals',
  () => new SharedStore({ directory: small, log: () => {}, journalBytes: 1 }),
)

const apart = join(t.testdirName, 'apart', 'catalog')
const files = { ...openFiles(apart), growingFilesReadable: async () => false }
catalogSuite(
  t,
  'SharedStore with a file for each group',
  () => new SharedStore({ directory: apart, files, log: () => {}, journalFiles: 3 }),
)
