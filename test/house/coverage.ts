/**
 * `npm run coverage [-- PART…]`: which lines of lib the tests pass through, file by file, those with the fewest first. All
 * unit tests without a word; with words the test files whose path has one of them in it.
 *
 * Told, and held to nothing: a line that is passed is not yet a line whose breaking is noticed (`npm run faults`).
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'

interface Count {
  readonly total: number
  readonly covered: number
  readonly pct: number
}

const given = process.argv.slice(2)
const parts = given.length === 0 ? ['test/unit/'] : given
const dir = mkdtempSync(join(tmpdir(), 'tajo-coverage-'))
const node = (words: readonly string[], env: NodeJS.ProcessEnv = process.env): number =>
  spawnSync(process.execPath, words, { cwd: HOME, env, stdio: ['inherit', 'ignore', 'inherit'] })
    .status ?? 1

try {
  const raw = join(dir, 'raw')
  const tests = node(['build/test/run.js', ...parts], { ...process.env, NODE_V8_COVERAGE: raw })
  const report = node([
    ...['node_modules/c8/bin/c8.js', 'report', '--temp-directory', raw, '--reports-dir', dir],
    ...['--reporter', 'json-summary', '--include', 'lib/**', '--exclude-after-remap'],
  ])
  if (report !== 0) throw new Error('the report was not made: see above')
  const summary: Record<string, { lines: Count }> = JSON.parse(
    readFileSync(join(dir, 'coverage-summary.json'), 'utf8'),
  )
  const { total, ...files } = summary
  const rows = Object.entries(files).sort(([, a], [, b]) => a.lines.pct - b.lines.pct)
  for (const [path, { lines }] of rows) {
    const name = path.startsWith(HOME) ? path.slice(HOME.length).replace(/^\//, '') : path
    process.stdout.write(
      `${lines.pct.toFixed(1).padStart(6)} % of ${String(lines.total).padStart(4)} lines  ${name}\n`,
    )
  }
  process.stdout.write(
    `${total?.lines.pct.toFixed(1).padStart(6)} % of all lines of the ${rows.length} files that were loaded\n`,
  )
  process.exitCode = tests
} finally {
  rmSync(dir, { recursive: true, force: true })
}
