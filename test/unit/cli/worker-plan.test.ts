/** What a worker is started with, and how many queries it may run with the file threads that its process has. */
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
  const worker = await plan({ UV_THREADPOOL_SIZE: '64', TAJO_WORKER_NAME: 'here:29091' })
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

t.test('no more queries than file threads', async (t) => {
  const few = await plan({})
  t.equal(few.slots, 2)
  t.match(few.warnings.join(), /runs 2 at a time: .*UV_THREADPOOL_SIZE=10/)
  t.equal((await plan({ UV_THREADPOOL_SIZE: '10' })).slots, 8)
  t.equal((await plan({ UV_THREADPOOL_SIZE: '1' })).slots, 1)
  t.equal((await plan({ UV_THREADPOOL_SIZE: 'x' })).slots, 2)
})

t.test('spill goes where there is most room', async (t) => {
  t.equal(await roomiest([home]), home)
  await t.rejects(roomiest([join(home, 'none')]), { message: /ENOENT/ })
})
