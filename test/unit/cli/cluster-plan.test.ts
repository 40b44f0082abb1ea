/** What the start and stop scripts are told: who is to run where, and whether the workers found the active master. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { planCluster } from '../../../lib/cli/start/cluster-plan.ts'
import { waitForWorkers } from '../../../lib/cli/start/cluster-workers.ts'
import { freePortRow } from '../../support/free-ports.ts'

function confDir(t: Test, files: Readonly<Record<string, string>>): string {
  const directory = join(t.testdir({}), 'conf')
  mkdirSync(directory)
  writeFileSync(join(directory, 'tajo-site.xml'), '<configuration/>')
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

const FACTS = {
  hostname: 'here',
  addresses: new Set(['10.0.0.1']),
  resolve: async (host: string) => (host === 'alias' ? ['10.0.0.1'] : ['10.0.0.2']),
}

t.test('masters and workers, each here or on another host', async (t) => {
  const directory = confDir(t, {
    masters: 'here\nother\n',
    workers: 'alias\nother\nother:29091\n',
  })
  const plan = await planCluster(directory, {}, FACTS)
  t.match(plan.masters, [
    { name: 'here', sshHost: null, info: { host: 'here', port: 26080 } },
    { name: 'other', sshHost: 'other', addresses: { umbilical: 'other:26001' } },
  ])
  t.same(plan.workers, [
    { name: 'alias', sshHost: null },
    { name: 'other', sshHost: 'other' },
    { name: 'other:29091', sshHost: 'other' },
  ])
  t.same(plan.warnings, [])
})

t.test('without workers, and with wrong ones', async (t) => {
  const none = await planCluster(confDir(t, { masters: 'here\n' }), {}, FACTS)
  t.same(none.workers, [])
  t.match(none.warnings, [/workers does not exist, so no worker is started/])
  const wrong = confDir(t, { masters: 'here\n', workers: 'here\nhere:26005\n' })
  await t.rejects(planCluster(wrong, {}, FACTS), {
    message: /workers:2: here:26005 would use port 26005 .* here \(\S+masters:1\) uses for/,
  })
})

t.test('the start waits for its workers, within bounds', async (t) => {
  const answers = [
    { status: 500, body: {} },
    { status: 200, body: { workers: [{ state: 'live' }, { state: 'lost' }] } },
    { status: 200, body: { workers: [{ state: 'live' }, { state: 'live' }] } },
  ]
  const server = createServer((_, response) => {
    const { status, body } =
      answers.length > 1 ? (answers.shift() as Answer) : (answers[0] as Answer)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  const info = { host: '127.0.0.1', port: await freePortRow(1) }
  await new Promise<void>((done) => server.listen(info, done))
  t.equal(await waitForWorkers(info, 2, performance.now() + 60_000), 2)
  t.equal(await waitForWorkers(info, 3, performance.now()), 2, 'one is missing')
  t.equal(await waitForWorkers(info, 0, performance.now() + 60_000), 2, 'others are counted')
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  t.equal(await waitForWorkers(info, 0, performance.now() + 60_000), null, 'nobody tells')
})
interface Answer {
  readonly status: number
  readonly body: object
}
