/**
 * A directory that looks like HDFS through Hadoop's NFS gateway, as far as one machine can show it: recognised and told
 * without any configuration, refused with a monitor interval that is too short for it, and its files that grow left alone by
 * everybody but their writer. What two hosts do on the real one is tried on a rig (docs/hdfs.md), the rules in test/sim/gateway.test.ts.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { administratorOf } from '../support/administrator.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { HOME } from '../support/install.ts'
import { DAEMON, machine } from '../support/machine.ts'
import { clusterOf, makeSite, pageOf } from '../support/mount-site.ts'
import { hasParts } from '../support/parts.ts'
import { until } from '../support/until.ts'

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
  const log = readdirSync(logs).filter(
    (name) => name.endsWith('.log') && !name.endsWith('.audit.log'),
  )
  const lines = readFileSync(join(logs, log[0] ?? ''), 'utf8').split('\n')
  const told = lines.filter((line) => /is HDFS through Hadoop's NFS gateway: /.test(line))
  t.equal(told.length, 1, 'told in one line')
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
})

t.test('whoever looks on a backup spoils nothing for the next active', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const site = await makeSite(t, { monitorMs: 10_000 })
  site.set({ 'tajo.master.ha.unproven-mount': 'warn' })
  const { dir, root, ma, mb } = site
  for (const host of [ma, mb]) {
    const mount = await mountHangFs(t, join(dir, 'backing'), { path: root, host })
    await mount.beGateway()
  }
  t.match(await site.daemon(ma, 'start'), { code: 0 })
  await until('ma serves', async () => (await clusterOf(ma))?.active === 'ma:26001')
  t.match(await site.daemon(mb, 'start'), { code: 0 })
  await until('mb knows it', async () => (await clusterOf(mb))?.active === 'ma:26001')

  const listOf = async (host: typeof ma): Promise<string> =>
    pageOf(host, '/api/v1/queries', administratorOf(join(dir, 'backing/system/ha')))
  const dump = async () => {
    const words = [join(HOME, 'bin/tajo'), 'catalog', 'dump', '--config', site.conf]
    return mb.run([process.execPath, ...words])
  }
  for (const name of ['one', 'two']) {
    const made = await site.sql(mb, `create table ${name} (a int4)`)
    t.equal(made.code, 0, made.stdout + made.stderr)
    const isListed = async (): Promise<boolean> =>
      (await listOf(mb)).includes(`create table ${name}`)
    await until(`the backup's page lists the making of ${name}`, isListed)
    t.match(await dump(), { code: 0, stdout: new RegExp(`"name": "${name}"`) })
  }
  const pid = readFileSync(join(dir, 'ma/run/tajo-test-master.pid'), 'utf8').trim()
  await ma.mustRun(['kill', '-9', pid])
  await until('mb serves', async () => (await clusterOf(mb))?.active === 'mb:26001')
  const isWhole = async (): Promise<boolean> => {
    const list = await listOf(mb)
    return ['one', 'two'].every((name) => list.includes(`create table ${name}`))
  }
  await until('the history is whole', isWhole)
  t.match(await dump(), { code: 0, stdout: /"name": "one"[\s\S]*"name": "two"/ })
  const logs = join(dir, 'mb/logs')
  const log = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'))
  t.notMatch(log.join(''), /can't (be )?read|queries are missing/)
  t.match(await site.daemon(mb, 'stop'), { code: 0 })
})
