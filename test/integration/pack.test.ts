/**
 * The tarball that operators unpack on every host: `npm pack`'s, complete, so that a host without a registry, without
 * npm even, runs it after unpacking and configuring. What it keeps lies in its own `data` then, which a new version beside
 * it does not pass over; and where npm installs it there is no such place, since npm removes that the next time. No registry
 * is asked: what the tarball needs is in it.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Bill } from '../house/sbom.ts'
import { HOME, siteProperties } from '../support/install.ts'
import { makeHosts } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun, type Ran } from '../support/run.ts'

t.test('unpack, configure, start', async (t) => {
  if (!hasParts(t, 'netns')) return
  const dir = mkdtempSync(join(tmpdir(), 'tajo-pack-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  // As npm does before it packs (prepack), without the build: that would be into the very folder that these tests run from.
  const writeSbom = [process.execPath, join(HOME, 'build/test/house/write-sbom.js')]
  await mustRun(writeSbom, { patience: 2 })
  const pack = ['npm', 'pack', '--ignore-scripts', '--pack-destination', dir]
  // The query engine's library alone has 70 MB.
  await mustRun(pack, { cwd: HOME, patience: 6 })
  const tarball = readdirSync(dir)[0] ?? ''
  t.match(tarball, /^tajo-ha-.*\.tgz$/)
  await mustRun(['tar', '-xzf', tarball], { cwd: dir, patience: 6 })
  const home = join(dir, 'package')
  for (const name of [
    'LICENSE',
    'NOTICE',
    'SECURITY.md',
    'bin/tajo',
    'sbin/start-tajo.sh',
    'conf/tajo-site.xml.template',
    'lib/web/page/index.html',
    'lib/ha/README.md',
    'lib/client/README.md',
  ]) {
    t.ok(existsSync(join(home, name)), name)
  }
  t.notOk(existsSync(join(home, 'build/test')), 'tests stay at home')
  t.notOk(existsSync(join(home, 'node_modules/typescript')), 'tools stay at home')
  await t.test('what it holds of others is in its bill of materials and in NOTICE', async (t) => {
    const there = [...packagesIn(join(home, 'node_modules'))].sort()
    t.ok(there.length > 50)
    const text = readFileSync(join(home, 'sbom.cdx.json'), 'utf8')
    const { bomFormat, components } = JSON.parse(text) as Bill
    t.equal(bomFormat, 'CycloneDX')
    t.same([...new Set(components.map(({ name, version }) => `${name}@${version}`))].sort(), there)
    const unlicensed = components.filter(({ licenses = [] }) => licenses.length === 0)
    t.same(unlicensed, [])
    const notice = readFileSync(join(home, 'NOTICE'), 'utf8')
    for (const id of there) {
      // Of the one platform: under the package that brings it.
      if (!id.startsWith('@duckdb/node-bindings-')) t.ok(notice.includes(`  ${id}  `), id)
    }
    await mustRun(writeSbom, { patience: 2 })
    t.equal(readFileSync(join(HOME, 'sbom.cdx.json'), 'utf8'), text, 'the same each time')
  })
  writeFileSync(join(home, 'conf/masters'), 'localhost\nlocalhost:27001\n')

  const [host] = await makeHosts(t, ['alone'])
  // A host without a registry: npm can't help there.
  mkdirSync(join(dir, 'bin'))
  writeFileSync(join(dir, 'bin/npm'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  const env = { PATH: `${join(dir, 'bin')}:${process.env.PATH}` }
  const started = await host.run([join(home, 'bin/start-tajo.sh')], { env })
  t.equal(started.code, 0, started.stderr)
  t.match(started.stdout, /^localhost:27001: master-27001 started/m)
  t.match(started.stdout, /^Active master: +localhost:/m)
  t.match(started.stdout, /^Workers: +1$/m)
  const words = [join(home, 'bin/tajo'), 'haadmin', '-getState', 'localhost:26001']
  const told = await host.run(words, { env })
  t.equal(told.code, 0, told.stderr)
  t.match(told.stdout, /^The master is (active|backup)\.$/m)
  const asked = await host.run(
    [join(home, 'bin/tsql'), '--format', 'csv', '-c', 'SELECT 6 * 7 AS a'],
    {
      env,
    },
  )
  // A busy machine is told on stderr what the query waits for.
  t.match(asked, { code: 0, stdout: /^a\n42\n$/ })

  const sql = (at: string, text: string): Promise<Ran> =>
    host.run([join(at, 'bin/tsql'), '--format', 'csv', '-c', text], { env })
  const startAt = (at: string): Promise<Ran> => host.run([join(at, 'bin/start-tajo.sh')], { env })
  const stopAt = (at: string): Promise<Ran> => host.run([join(at, 'bin/stop-tajo.sh')], { env })
  t.match(await sql(home, 'CREATE TABLE kept AS SELECT 7 AS a'), { code: 0 })
  t.match(await stopAt(home), { code: 0 })
  t.equal(statSync(join(home, 'data')).mode & 0o777, 0o700)

  await t.test('a new version beside it does not pass its catalog over', async (t) => {
    const next = join(dir, 'package-2')
    unpackBeside(home, next)
    const masters = readFileSync(join(home, 'conf/masters'))
    const site = readFileSync(join(next, 'conf/tajo-site.xml'), 'utf8')
    writeFileSync(join(next, 'conf/masters'), masters)
    const refused = await startAt(next)
    t.equal(refused.code, 1)
    const said = `${refused.stdout}\n${refused.stderr}`
    t.match(said, 'would begin with an empty catalog')
    t.match(said, `Set tajo.rootdir to ${home}/data in ${next}/conf/tajo-site.xml, or`)
    t.match(said, `to move it`)
    t.comment(said.split('\n').find((line) => line.includes('empty catalog')) ?? '')
    await stopAt(next)

    const named = siteProperties({ 'tajo.rootdir': `${home}/data` })
    writeFileSync(
      join(next, 'conf/tajo-site.xml'),
      site.replace('</configuration>', `${named}</configuration>`),
    )
    const byKey = await startAt(next)
    t.equal(byKey.code, 0, byKey.stderr)
    t.match(await sql(next, 'SELECT a FROM kept'), { code: 0, stdout: 'a\n7\n' }, 'by the key')
    t.match(await stopAt(next), { code: 0 })
  })

  await t.test('npm installs it where npm removes what is in it', async (t) => {
    const prefix = join(dir, 'global')
    const installed = join(prefix, 'lib/node_modules/tajo-ha')
    const install = ['npm', 'install', '--global', '--offline', '--ignore-scripts', '--no-audit']
    // Without the query engine, which is nearly all of it and not asked for here.
    const small = join(dir, 'small.tgz')
    const engine = ['--exclude=*.node', '--exclude=*.so*', '--exclude=package/data']
    await mustRun(['tar', '-czf', small, ...engine, 'package'], { cwd: dir, patience: 6 })
    const words = [...install, '--prefix', prefix, small]
    for (const time of ['first', 'second']) {
      await mustRun(words, { patience: 6, env: { PATH: process.env.PATH, HOME: dir } })
      t.ok(existsSync(join(installed, 'bin/tajo')), `${time} time`)
      const refused = await host.run([join(installed, 'sbin/start-tajo.sh')], { env })
      t.equal(refused.code, 1, 'no default there')
      const said = `${refused.stdout}\n${refused.stderr}`
      t.match(said, /tajo\.rootdir is not set, and the install .* lies under node_modules/)
      t.match(said, `Set it in ${installed}/conf/tajo-site.xml`)
      t.notOk(existsSync(join(installed, 'data')))
    }
  })
})

/** Each as `name@version`. */
function* packagesIn(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (name.startsWith('@')) yield* packagesIn(path)
    if (!existsSync(join(path, 'package.json'))) continue
    const facts = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
      name: string
      version: string
    }
    yield `${facts.name}@${facts.version}`
    if (existsSync(join(path, 'node_modules'))) yield* packagesIn(join(path, 'node_modules'))
  }
}

/** As if it were unpacked: only the engine's libraries are shared. */
function unpackBeside(home: string, next: string): void {
  mkdirSync(next)
  for (const name of readdirSync(home)) {
    if (['data', 'run', 'logs'].includes(name)) continue
    const [from, to] = [join(home, name), join(next, name)]
    if (name === 'node_modules') symlinkSync(from, to)
    else cpSync(from, to, { recursive: true })
  }
}
