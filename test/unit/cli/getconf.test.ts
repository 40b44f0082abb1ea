/** `tajo getconf`: passwords are hidden unless asked for, and a file of theirs that others can read is told. */
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HOME, siteXml } from '../../support/install.ts'
import { OTHER_USER } from '../../support/other-user.ts'
import { hasParts } from '../../support/parts.ts'
import { type Ran, run } from '../../support/run.ts'
import { testdirOf } from '../../support/testdir.ts'

const PASSWORD = 'tajo.catalog.connection.password'
const STORE = { 'tajo.catalog.store.class': 'PostgreSQLStore' }
const URI = 'jdbc:postgresql://me:geheim@db/tajo?ssl=true'

t.test('a password is printed with --show-secrets only', async (t) => {
  const dir = testdirOf(t)
  const site = join(dir, 'catalog-site.xml')
  writeFileSync(join(dir, 'tajo-site.xml'), siteXml({}))
  writeFileSync(site, siteXml({ ...STORE, 'tajo.catalog.uri': URI, [PASSWORD]: 'geheim' }), {
    mode: 0o600,
  })
  const getconf = (...words: string[]): Promise<Ran> =>
    run([process.execPath, join(HOME, 'bin/tajo'), 'getconf', '--config', dir, ...words])
  for (const words of [[PASSWORD], [PASSWORD, '--json'], ['tajo.catalog.uri', '--json']]) {
    const { code, stdout, stderr } = await getconf(...words)
    t.equal(code, 0, stderr)
    t.notMatch(stdout + stderr, 'geheim')
    t.match(stderr, `${words[0]} holds a password, which --show-secrets prints`)
  }
  t.match(await getconf('tajo.catalog.uri'), {
    stdout: 'jdbc:postgresql://me:…@db/tajo?ssl=true\n',
  })
  t.match(await getconf(PASSWORD, '--show-secrets'), { code: 0, stdout: 'geheim\n', stderr: '' })
  t.match(await getconf('tajo.catalog.uri', '-show-secrets'), { stdout: `${URI}\n` })
  t.match(await getconf('tajo.rootdir', '--show-secrets'), { code: 0, stderr: '' })

  const told = async (): Promise<string> => (await getconf('tajo.master.ha.enable')).stderr
  t.equal(await told(), '')
  chmodSync(site, 0o640)
  t.equal(await told(), '', 'the group is the operator’s business')
  chmodSync(site, 0o644)
  const asRoot = process.getuid?.() === 0 ? ' \\(a cluster that runs as another user .*\\)' : ''
  t.match(
    await told(),
    new RegExp(
      `^tajo: warning: ${site}:\\d+: tajo\\.catalog\\.\\S+ holds a password that others can read: chmod 600 ${site}${asRoot}\n$`,
    ),
  )
  writeFileSync(site, siteXml({ ...STORE, 'tajo.catalog.uri': 'jdbc:postgresql://db/tajo' }))
  t.equal(await told(), '', 'no password, no warning')
  if (!hasParts(t, 'users')) return
  writeFileSync(site, siteXml({ [PASSWORD]: 'geheim' }))
  chownSync(site, OTHER_USER, OTHER_USER)
  t.match(await told(), `chgrp 0 ${site} && chmod 640 ${site}`, 'and goes on reading it')
})
