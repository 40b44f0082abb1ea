/**
 * The tarball that operators unpack on every host: `npm pack`'s, complete, so that a host without a registry, without
 * npm even, runs it after unpacking and configuring.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { HOME, siteProperties } from '../support/install.ts'
import { makeHosts } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun } from '../support/run.ts'

t.test('unpack, configure, start', async (t) => {
  if (!hasParts(t, 'netns')) return
  const dir = mkdtempSync(join(tmpdir(), 'tajo-pack-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  // Scripts would compile into the very folder that these tests run from.
  const pack = ['npm', 'pack', '--ignore-scripts', '--pack-destination', dir]
  // The query engine's library alone has 70 MB.
  await mustRun(pack, { cwd: HOME, patience: 6 })
  const tarball = readdirSync(dir)[0] ?? ''
  t.match(tarball, /^tajo-ha-.*\.tgz$/)
  await mustRun(['tar', '-xzf', tarball], { cwd: dir, patience: 6 })
  const home = join(dir, 'package')
  for (const name of [
    'LICENSE',
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
  const site = join(home, 'conf/tajo-site.xml')
  const own = siteProperties({
    'tajo.rootdir': `${dir}/root`,
    'tajo.worker.tmpdir.locations': `${dir}/spill`,
  })
  const shipped = readFileSync(site, 'utf8')
  writeFileSync(site, shipped.replace('</configuration>', `${own}</configuration>`))
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
  t.same(asked, { code: 0, stdout: 'a\n42\n', stderr: '' })
  t.match(await host.run([join(home, 'bin/stop-tajo.sh')], { env }), { code: 0 })
})
