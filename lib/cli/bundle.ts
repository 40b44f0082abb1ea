/**
 * Bundles what a person or a script starts into build/programs: `node build/lib/cli/bundle.js`, the last step of each
 * build. A master opens some thousand files of code one by one, and bundled a tenth of them; that saves it a third of the
 * processor time until it serves. Functions keep their names, and source maps lead to lib/.
 *
 * All files lie in one directory, so that a program finds another one beside itself, whichever of both builds it is of.
 * Modules that are loaded later stay files of their own, named by their content. A file that is there never changes, and
 * what no program names any more is removed with `--prune` only, which an install gives: a daemon that runs from here
 * while its code is built anew goes on to find what it was built with.
 *
 * build/lib stays beside it: for `tajo-ha/ha` and `tajo-ha/client`, and for the peer of a check of the shared directory.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { INSTALL } from '../base/install.ts'

const PROGRAMS = [
  'cli/tajo',
  'cli/tsql',
  'cli/start/cluster-active',
  'cli/start/cluster-hosts',
  'cli/daemon/directory-child',
  'cli/daemon/worker-end',
  'ha/keeper-process',
  'worker/engine-process',
]
/** Native code, code that looks for files beside itself, and what few ever load. */
const OUTSIDE = ['@duckdb/node-bindings', 'chevrotain', 'mariadb', 'pg']
/** CommonJS modules among the bundled ones ask for Node's own by it. */
const REQUIRE = `import { createRequire as ofBundle } from 'node:module'; const require = ofBundle(import.meta.url);`

const folder = join(INSTALL, 'build/programs')
const { outputFiles } = await build({
  entryPoints: PROGRAMS.map((name) => join(INSTALL, 'build/lib', `${name}.js`)),
  entryNames: '[name]',
  outdir: folder,
  write: false,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: OUTSIDE,
  banner: { js: REQUIRE },
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
})
await mkdir(folder, { recursive: true })
const before = new Set(readdirSync(folder))
const isProgram = (path: string): boolean =>
  PROGRAMS.some((name) => path.endsWith(`/${basename(name)}.js`))
// The programs last: each finds what it names.
const inOrder = outputFiles.sort((a, b) => Number(isProgram(a.path)) - Number(isProgram(b.path)))
for (const { path, contents } of inOrder) {
  const isThere = before.delete(basename(path))
  if (isThere && readFileSync(path).equals(contents)) continue
  writeFileSync(`${path}.new`, contents)
  renameSync(`${path}.new`, path)
}
if (process.argv.includes('--prune')) for (const name of before) rmSync(join(folder, name))
