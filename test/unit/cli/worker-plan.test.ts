/** What a worker is started with. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { planWorker, roomiest } from '../../../lib/cli/daemon/worker-plan.ts'
import { testdirOf } from '../../support/testdir.ts'

const home = testdirOf(t)
const confDir = join(home, 'conf')
mkdirSync(confDir)
writeFileSync(join(confDir, 'masters'), 'one\ntwo\n')
const SITE = {
  'tajo.rootdir': join(home, 'root'),
  'tajo.query.allowed-paths': '/data/a\n/data/b',
  'tajo.worker.parallel-queries': '8',
  'tajo.worker.resource.memory-mb': '100',
}
const properties = Object.entries(SITE).map(
  ([name, value]) => `<property><name>${name}</name><value>${value}</value></property>`,
)
writeFileSync(
  join(confDir, 'tajo-site.xml'),
  `<configuration>${properties.join('')}</configuration>`,
)

const plan = (env: NodeJS.ProcessEnv) =>
  planWorker({
    args: [],
    options: {},
    json: false,
    confDir,
    home,
    env: { USER: 'me', ...env },
    output: { out: () => undefined, err: () => undefined },
  })

t.test('from configuration to a worker', async (t) => {
  const worker = await plan({ TAJO_WORKER_NAME: 'here:29091' })
  t.match(worker, {
    addresses: { peer: 'here:29091', clientRpc: 'here:29092', qm: 'here:29093' },
    trackers: [
      { tracker: 'one:26003', catalog: 'one:26005' },
      { tracker: 'two:26003', catalog: 'two:26005' },
    ],
    pidFile: join(home, 'run', 'tajo-me-worker-29091.pid'),
    haDirectory: join(home, 'root', 'system', 'ha'),
    roots: [join(home, 'root', 'warehouse'), '/data/a', '/data/b'],
    memoryBytes: 100 * 1024 * 1024,
    slots: 8,
    warnings: [],
  })
  writeFileSync(join(confDir, 'masters'), 'one\nthree:27001\n')
  t.same(await worker.readTrackers(), [
    { tracker: 'one:26003', catalog: 'one:26005' },
    { tracker: 'three:27003', catalog: 'three:27005' },
  ])
})

t.test('engines are below their worker', async (t) => {
  t.equal((await plan({})).engineNiceness, 5)
  t.equal((await plan({ TAJO_ENGINE_NICENESS: '' })).engineNiceness, 5)
  for (const chosen of ['0', '19']) {
    t.equal((await plan({ TAJO_ENGINE_NICENESS: chosen })).engineNiceness, Number(chosen))
  }
  for (const wrong of ['-1', '20', 'low']) {
    await t.rejects(plan({ TAJO_ENGINE_NICENESS: wrong }), {
      message: `TAJO_ENGINE_NICENESS is '${wrong}': allowed is a number from 0 to 19`,
    })
  }
})

t.test('spill goes where there is most room', async (t) => {
  t.equal(await roomiest([home]), home)
  await t.rejects(roomiest([join(home, 'none')]), { message: /ENOENT/ })
})
