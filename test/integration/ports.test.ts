/** The tests' own ports: what somebody else has taken is told and passed over, by a test and by a daemon of one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePortRow } from '../support/free-ports.ts'
import { start } from '../support/processes.ts'
import { dirOfMasters, makeCluster, TestMaster } from '../support/test-masters.ts'
import { TestWorker } from '../support/test-worker.ts'
import { firstLine } from '../support/until.ts'

/** Somebody else listens there until the test ends; its pid. */
async function occupy(t: Test, port: number): Promise<number> {
  const script = `require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log(process.pid))`
  const child = start([process.execPath, '-e', script])
  t.teardown(() => void child.kill('SIGKILL'))
  return Number(await firstLine(child))
}

function masterAt(t: Test, firstPort: number): TestMaster {
  const masters: TestMaster[] = []
  const dir = dirOfMasters(t, masters)
  const master = new TestMaster(join(dir, 'master'), firstPort, {
    'tajo.rootdir': `file://${join(dir, 'root')}`,
    'tajo.master.ha.enable': 'true',
  })
  masters.push(master)
  return master
}

t.test('a row of ports in which somebody listens is told, and another one given', async (t) => {
  const before = await freePortRow(1)
  const pid = await occupy(t, before + 2)
  const said: string[] = []
  const first = await freePortRow(3, (line) => said.push(line))
  t.equal(first, before + 4)
  t.same(said, [`port ${before + 2}: process ${pid} (node) listens there; ${first + 1} instead`])
})

t.test('a master moves before its first start, as long as nobody knows its address', async (t) => {
  const firstPort = await freePortRow(5)
  await occupy(t, firstPort + 3)
  const master = masterAt(t, firstPort)
  await master.start()
  const { umbilical, info } = master.ports
  t.ok(Math.abs(umbilical - firstPort) >= 5)
  t.equal(info, umbilical + 4)
  const site = readFileSync(join(master.dir, 'conf', 'tajo-site.xml'), 'utf8')
  t.match(site, `127.0.0.1:${info}<`)
  t.notMatch(site, `:${firstPort}<`)
})

t.test('one whose address is known stays, and says who is in its way', async (t) => {
  const firstPort = await freePortRow(5)
  const master = masterAt(t, firstPort)
  t.equal(master.address, `localhost:${firstPort}`)
  const pid = await occupy(t, firstPort + 3)
  const why = `can't open localhost:${firstPort + 3}: process ${pid} \\(node\\) listens there`
  await t.rejects(master.start(), { message: new RegExp(why) })
  t.equal(master.ports.umbilical, firstPort)
})

t.test('a worker moves as well', async (t) => {
  const { root, masters } = await makeCluster(t, { count: 1, monitorMs: 5000, start: false })
  const before = await freePortRow(1)
  const worker = await TestWorker.make({ dir: t.testdir({}), root, masters })
  t.teardown(async () => {
    worker.destroy()
    await worker.ended()
  })
  await occupy(t, before + 1)
  await worker.start()
  t.ok(worker.port > before + 4)
  t.ok(await worker.live())
})
