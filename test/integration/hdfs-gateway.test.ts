/**
 * A directory that looks like HDFS through Hadoop's NFS gateway, as far as one machine can show it: recognised and told
 * without any configuration, and refused with a monitor interval that is too short for it. What two hosts do on the real
 * one is tried on a rig (docs/hdfs.md), the rules in test/sim/gateway.test.ts.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountHangFs } from '../support/hangfs.ts'
import { DAEMON, machine } from '../support/machine.ts'
import { hasParts } from '../support/parts.ts'

t.test('recognised by its directories; M below 10 s is refused, with number and key', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const { host, dir, conf, script } = await machine(t, {
    masters: 'localhost\n',
    site: { 'tajo.master.ha.monitor.interval': '9999' },
  })
  mkdirSync(join(dir, 'backing'))
  const mount = await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
  await mount.beGateway()
  const refused = await script(DAEMON, ['start', 'master'])
  t.equal(refused.code, 1)
  for (const part of ['tajo.master.ha.monitor.interval is 9999 ms', 'at least 10000 ms', 'HDFS']) {
    t.match(refused.stderr, part)
  }
  const site = join(conf, 'tajo-site.xml')
  const longer = readFileSync(site, 'utf8').replace('9999', '10000')
  writeFileSync(site, longer)
  t.match(await script(DAEMON, ['start', 'master']), { code: 0 })
  const logs = join(dir, 'alone/logs')
  const log = readdirSync(logs).filter((name) => name.endsWith('.log'))
  const lines = readFileSync(join(logs, log[0] ?? ''), 'utf8').split('\n')
  const told = lines.filter((line) => /is HDFS through Hadoop's NFS gateway: /.test(line))
  t.equal(told.length, 1, 'told in one line')
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
})
