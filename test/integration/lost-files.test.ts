/** Files of the HA directory are removed under real masters: they are put back, told on the page, and nothing fails over. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { monitorMs } from '../support/pace.ts'
import { makeCluster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const M = monitorMs(1500)

t.test('cluster.json and the secret: put back, told, and a failover goes on', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M })
  const { active, backups, epoch } = await cluster.settled()
  const ha = join(cluster.root, 'system', 'ha')
  const files = ['cluster.json', 'secret'].map((name) => join(ha, name))
  const before = files.map((file) => readFileSync(file, 'utf8'))
  for (const file of files) rmSync(file)
  await until('the active has put them back', () => files.every((file) => existsSync(file)), {
    productMs: 2 * M,
  })
  t.same(
    files.map((file) => readFileSync(file, 'utf8')),
    before,
    'as they were',
  )
  const alerts = await until('the page tells it', async () => {
    const told = (await active.cluster()).alerts.filter(({ text }) => /put back/.test(text))
    return told.length === 2 ? told : null
  })
  t.match(alerts[0]?.text, /something removes or replaces files there/)
  t.equal((await cluster.settled()).epoch, epoch, 'nobody has lost the role')

  for (const file of files) rmSync(file)
  active.destroy()
  const backup = backups[0]
  await until('the backup serves', () => backup?.health('active') ?? false, { productMs: 2 * M })
  await until('the new active has put them back', () => files.every((file) => existsSync(file)), {
    productMs: 2 * M,
  })
  await active.start()
  t.equal((await cluster.settled()).active, backup, 'and the other one joins again')
})

t.test('all of a stopped cluster: refused with the way back', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: M })
  const { active } = await cluster.settled()
  const ha = join(cluster.root, 'system', 'ha')
  active.destroy()
  await active.ended()
  rmSync(join(ha, 'cluster.json'))
  const { code, said } = await active.runToEnd()
  t.equal(code, 1)
  t.match(said, /has terms \(the newest is 1.*its cluster.json is gone.*haadmin -formatHA/)
  t.notOk(existsSync(join(ha, 'cluster.json')))
})
