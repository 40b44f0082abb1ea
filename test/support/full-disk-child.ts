/** Stages into a file system that is too small: `unshare -m` gives this process a mount that nobody else sees. */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { TestWarehouse } from './worker-engine.ts'

const [directory = ''] = process.argv.slice(2)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory])
const warehouse = await TestWarehouse.open(directory)
const answers: unknown[] = []
for (const format of ['PARQUET', 'TEXT', 'JSON'] as const) {
  const table = warehouse.table(format.toLowerCase(), 'a TEXT, b INT4', { format })
  answers.push(await warehouse.insert(table, 'SELECT uuid()::VARCHAR, i FROM range(200000) r(i)'))
  answers.push(readdirSync(table.location))
}
await warehouse.close()
process.stdout.write(JSON.stringify(answers))
