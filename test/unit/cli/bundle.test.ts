/**
 * The bundle that each build makes: its programs run by themselves, what a running daemon may load later outlasts a build,
 * and an install keeps nothing of earlier ones.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { HOME } from '../../support/install.ts'
import { mustRun } from '../../support/run.ts'

t.test('it is made anew beside what is there, and --prune removes the rest', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'tajo-bundle-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }))
  mkdirSync(join(home, 'build/programs'), { recursive: true })
  cpSync(join(HOME, 'build/lib'), join(home, 'build/lib'), { recursive: true })
  cpSync(join(HOME, 'package.json'), join(home, 'package.json'))
  symlinkSync(join(HOME, 'node_modules'), join(home, 'node_modules'))
  const earlier = join(home, 'build/programs/chunk-EARLIER.js')
  writeFileSync(earlier, '')
  const bundle = (...words: string[]): Promise<string> =>
    mustRun([process.execPath, join(home, 'build/lib/cli/bundle.js'), ...words])
  await bundle()
  t.ok(existsSync(earlier), 'a daemon that runs may load it')
  // The bundle alone: no module of its own is left.
  rmSync(join(home, 'build/lib/cli'), { recursive: true })
  for (const name of ['tajo', 'tsql']) {
    const program = join(home, `build/programs/${name}.js`)
    t.match(await mustRun([process.execPath, program, '--version']), /^Tajo HA \d/)
  }
  cpSync(join(HOME, 'build/lib'), join(home, 'build/lib'), { recursive: true })
  await bundle('--prune')
  t.notOk(existsSync(earlier))
  t.ok(existsSync(join(home, 'build/programs/keeper-process.js')))
})
