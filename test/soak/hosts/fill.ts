/** Run on a host of a rig while no master lives there: `fill.js ROOT TABLES COLUMNS` makes so many tables without files. */
import { fillCatalog } from '../../bench/make-catalog.ts'

const [root = '', tables, columns] = process.argv.slice(2)
await fillCatalog(root, {
  ...{ tables: Number(tables), columns: Number(columns) },
  ...{ files: 0, partitions: 1 },
})
