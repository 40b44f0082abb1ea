/**
 * Masters whose directories are two: mistyped, not mounted, copied. While they hear each other no second one becomes active,
 * and both sides name both directories.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { clusterKey } from '../../lib/rpc/index.ts'
import { freePortRow } from '../support/free-ports.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { keyedServer } from '../support/keyed.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { dirOfMasters, TestMaster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const M = monitorMs(2000)

interface Ground {
  readonly dir: string
  /** A master that lists itself alone, until it is told otherwise. */
  add(root: string, site?: Readonly<Record<string, string>>): Promise<TestMaster>
}

function ground(t: Test): Ground {
  const masters: TestMaster[] = []
  const dir = dirOfMasters(t, masters)
  return {
    dir,
    add: async (root, site = {}) => {
      const master = new TestMaster(join(dir, `master-${masters.length}`), await freePortRow(5), {
        'tajo.rootdir': `file://${root}`,
        'tajo.master.ha.enable': 'true',
        'tajo.master.ha.monitor.interval': String(M),
        ...site,
      })
      masters.push(master)
      return master
    },
  }
}

function listAll(masters: readonly TestMaster[]): void {
  for (const master of masters) master.list(masters)
}

const isActive = (master: TestMaster) => (): Promise<boolean> => master.health('active')

const alertOf = async (master: TestMaster, kind: string) =>
  (await master.cluster()).alerts.find((alert) => alert.kind === kind) ?? null

const toldDiffers = (master: TestMaster, other: TestMaster) =>
  until(
    `${master.address} says that the directory of ${other.address} is another one`,
    async () => {
      const alert = await alertOf(master, 'other-directory')
      return alert?.text.includes(other.address) ? alert : null
    },
  )

/** Asked again and again from now on; `end` says how often more than one said that it is active. */
function watch(masters: readonly TestMaster[]) {
  let over = false
  let asked = 0
  let both = 0
  const looking = (async () => {
    while (!over) {
      const actives = await Promise.all(masters.map((master) => master.health('active')))
      asked += 1
      if (actives.filter((one) => one).length > 1) both += 1
      await new Promise((done) => setTimeout(done, 200))
    }
  })()
  return {
    end: async () => {
      over = true
      await looking
      return { asked, both }
    },
  }
}

const someM = (count: number): Promise<void> => new Promise((done) => setTimeout(done, count * M))

t.test('one path, a directory of its own on each of two hosts', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { dir, add } = ground(t)
  const root = join(dir, 'root')
  const [a, b] = [await add(root), await add(root)] as const
  listAll([a, b])
  for (const [i, master] of [a, b].entries()) {
    const local = join(dir, `local-${i}`)
    for (const path of [root, local]) mkdirSync(path, { recursive: true })
    const script = `mount --bind ${local} ${root} && exec "$@"`
    master.before = ['unshare', '--mount', 'sh', '-c', script, 'sh']
  }
  const seen = watch([a, b])
  await a.start()
  await until('the first one serves alone', isActive(a))
  t.match(await alertOf(a, 'directory-unproven'), { text: b.address, level: 'warning' })
  await b.start()
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    t.match(await toldDiffers(one, other), { level: 'critical', text: `${root}/system/ha` })
  }
  t.match((await b.cluster()).problem, /does not claim: .* is active in term 1 of another/)
  a.destroy()
  await a.ended()
  await someM(2)
  t.equal(await b.health('active'), false, 'the lower one stays barred when nobody is active')
  await a.start()
  await until('the right one serves again', isActive(a))
  await someM(1)
  t.match(await seen.end(), { both: 0 })
})

t.test('a copy of the directory, with its ids, its secret and its terms', async (t) => {
  const { dir, add } = ground(t)
  const [root, copy] = [join(dir, 'root'), join(dir, 'copy')]
  const [a, b] = [await add(root), await add(copy)] as const
  await a.start()
  await until('it serves', isActive(a))
  a.destroy()
  await a.ended()
  cpSync(root, copy, { recursive: true })
  listAll([a, b])
  const seen = watch([a, b])
  await a.start()
  await until('the original serves', isActive(a))
  await b.start()
  t.match(await toldDiffers(b, a), { level: 'critical', text: root })
  t.match(await toldDiffers(a, b), { level: 'critical', text: copy })
  t.equal((await a.cluster()).clusterId, (await b.cluster()).clusterId)
  await someM(2)
  t.match(await seen.end(), { both: 0 })
  t.equal(await a.health('active'), true)
  t.not((await b.clientStatus()).status, 200, 'nobody is served from the copy')

  for (const master of [b, a]) {
    master.destroy()
    await master.ended()
  }
  await a.start()
  await until('the original serves again', isActive(a))
  const [secret = ''] = readdirSync(join(copy, 'system/ha')).filter((name) => /secret/.test(name))
  writeFileSync(join(copy, 'system/ha', secret), 'f'.repeat(64))
  await b.start()
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await until(`${one.address} tells that the other shows another secret`, async () => {
      const alert = await alertOf(one, 'other-directory')
      return (
        alert?.level === 'critical' &&
        alert.text.includes(`${other.address} is in conf/masters, names this cluster, and shows`)
      )
    })
  }
})

t.test(
  'two that became active unheard: one stands back as soon as they hear each other',
  async (t) => {
    const { dir, add } = ground(t)
    const [a, b] = [await add(join(dir, 'a')), await add(join(dir, 'b'))] as const
    for (const master of [a, b]) master.list([master])
    await Promise.all([a.start(), b.start()])
    await until('both serve', async () => (await a.health('active')) && (await b.health('active')))
    listAll([a, b])
    const lower = a.address < b.address ? b : a
    const upper = lower === a ? b : a
    await until('the lower one stands back', async () => !(await lower.health('active')))
    t.equal(await upper.health('active'), true)
    t.match((await lower.cluster()).problem, `${upper.address} is active in another directory`)
    await toldDiffers(upper, lower)
    await someM(1)
    t.equal(await lower.health('active'), false)
    t.equal(await upper.health('active'), true)
  },
)

t.test('one of three is mistyped: it bars nobody when the right active dies', async (t) => {
  const { dir, add } = ground(t)
  const root = join(dir, 'root')
  const [a, b] = [await add(root), await add(root)] as const
  const typo = await add(join(dir, 'rooot'))
  const all = [a, b, typo]
  listAll(all)
  await a.start()
  await until('the first one serves', isActive(a))
  await Promise.all([b.start(), typo.start()])
  await toldDiffers(typo, a)
  await toldDiffers(b, typo)
  const seen = watch(all)
  const stall = new StallWatch([b.pid, b.keeperPid])
  const startMs = performance.now()
  a.destroy()
  await until('the other right one serves', isActive(b), { everyMs: 5 })
  const tookMs = performance.now() - startMs
  const stalled = stall.stop([b.pid, b.keeperPid])
  judgeTime(t, 'the right backup serves after', { tookMs, promisedMs: M, stalled })
  await a.ended()
  await a.start()
  await until('the first one is its backup', () => a.health('backup'))
  t.equal((await a.cluster()).active, b.address)
  t.equal(await typo.health('active'), false)
  t.match(await seen.end(), { both: 0 })
})

/** What a master of the state before the contest (commit 4840ec6) was seen to answer to a letter. */
const knowsNoContest = (path: string) => ({
  status: 404,
  headers: { 'content-type': 'application/json; charset=utf-8', 'x-tajo-epoch': '1' },
  body: { code: 'NOT_FOUND', message: `there is no POST ${path}`, active: null, epoch: 1 },
})

t.test('a peer of an older version is unknown: it is told, and bars nobody', async (t) => {
  const { dir, add } = ground(t)
  const a = await add(join(dir, 'root'))
  await a.start()
  await until('it has made the cluster', isActive(a))
  const { clusterId } = await a.cluster()
  a.destroy()
  await a.ended()
  const port = await freePortRow(1)
  const asked: string[] = []
  const secret = readFileSync(join(dir, 'root/system/ha/secret'), 'utf8').trim()
  const older = keyedServer(clusterKey(clusterId, secret), (request, response) => {
    request.resume()
    asked.push(request.url ?? '')
    const { status, headers, body } = knowsNoContest(request.url ?? '')
    response.writeHead(status, { ...headers, 'x-tajo-cluster': clusterId })
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((done) => older.listen(port, '127.0.0.1', done))
  t.teardown(() => older.close())
  const peer = `localhost:${port}`
  a.list([a, { address: peer }])
  await a.start()
  await until('it serves', isActive(a))
  t.ok(asked.includes('/rpc/umbilical/contest'), 'the older one was asked')
  const told = await until('it tells', () => alertOf(a, 'directory-unproven'))
  t.match(told, { level: 'warning', text: new RegExp(`whether ${peer} .* older version`) })
  for (const kind of ['other-directory', 'other-cluster']) t.equal(await alertOf(a, kind), null)
  t.equal((await a.cluster()).problem, null)

  older.close()
  older.closeAllConnections()
  await until('once it is gone, that is told instead', async () => {
    const alert = await alertOf(a, 'directory-unproven')
    return alert?.text.includes(`${peer} has not shown`) && /it gives no answer/.test(alert.text)
  })
  t.equal(await a.health('active'), true)
})

t.test('a peer whose mount hangs is unknown: it is told, and bars nobody', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const { dir, add } = ground(t)
  mkdirSync(join(dir, 'backing'))
  const fs = await mountHangFs(t, join(dir, 'backing'))
  const root = join(fs.path, 'root')
  const [a, b] = [await add(root), await add(root)] as const
  listAll([a, b])
  await b.start()
  await until('one serves', isActive(b))
  // Its record and its reserve are made by then: a create that hangs elsewhere would block that directory for both.
  await someM(2)
  await fs.hang([b.keeperPid], ['create'])
  await a.start()
  const told = await until('it tells', () => alertOf(a, 'directory-unproven'))
  t.match(told, { level: 'warning', text: /could not be found out/ })
  process.kill(b.pid, 'SIGKILL')
  await fs.release()
  await until('the other one serves', isActive(a))
})
