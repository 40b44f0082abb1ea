/**
 * Real masters on one machine, and what may happen to their processes. That nothing is served any more is checked
 * without slack; that a backup serves within M is judged by its own record, less what the machine stood still.
 */
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { Agent } from 'node:https'
import { connect, createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { monitorMs, patienceMs } from '../support/pace.ts'
import { run } from '../support/run.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { testdirOf } from '../support/testdir.ts'
import { until, within } from '../support/until.ts'

/** The monitor interval: small enough for a short test, large enough for this machine. */
const M = monitorMs(1500)

/**
 * Does `fault` and waits until one of the others serves, which is promised within M: less what the machine stood still
 * meanwhile, and where it did, by the new active's own record of it.
 */
async function failover(
  t: Test,
  name: string,
  others: readonly TestMaster[],
  fault: () => void,
): Promise<TestMaster> {
  const stall = new StallWatch(others.flatMap(pidsOf))
  const start = performance.now()
  fault()
  const next = await until(
    `another master serves after ${name}`,
    async () => {
      const serving = await Promise.all(others.map((master) => master.health('active')))
      return others[serving.indexOf(true)]
    },
    { productMs: M, everyMs: 2 },
  )
  const seenMs = performance.now() - start
  const stalled = stall.stop(pidsOf(next))
  const recordedMs = await tookOf(next)
  // Its record knows no more than the heartbeats: only where the machine stood still it is the better witness.
  const tookMs = stalled.ms > M / 10 ? Math.min(seenMs, recordedMs) : seenMs
  const what = `${name}: seen after ${seenMs.toFixed(1)} ms, recorded ${recordedMs.toFixed(1)} ms, judged:`
  judgeTime(t, what, { tookMs, promisedMs: M, stalled })
  return next
}

/** Of a master that runs, and of its keeper. */
const pidsOf = (master: TestMaster): number[] => [master.pid, master.keeperPid]

/** From the last heartbeat of the one before, as the history has it; written a moment after the first service. */
async function tookOf(master: TestMaster): Promise<number> {
  const { epoch } = await master.cluster()
  return until(`the record of how long term ${epoch} took`, async () => {
    const { text } = await ask(master.ports.info, '/api/v1/history')
    const [newest] = (JSON.parse(text) as { history: Told[] }).history
    return newest?.term?.term === epoch ? newest.served?.phases.totalMs : null
  })
}

interface Told {
  readonly term: { readonly term: number } | null
  readonly served: { readonly phases: { readonly totalMs: number } } | null
}

const signal = (pids: readonly number[], name: NodeJS.Signals): void => {
  for (const pid of pids) process.kill(pid, name)
}

/** Null: closed meanwhile. */
function linkOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/**
 * The kernel closes the files of a killed process from the highest number down, and waits for a while at its watches. So
 * they have the lowest number of all that is open for others to hear its end by.
 */
function closesItsChannelFirst(t: Test, { pid }: TestMaster): void {
  const unnamed = new Set(
    readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .flatMap(([, , , , , , inode, name]) => (name === undefined ? [`socket:[${inode}]`] : [])),
  )
  const open = readdirSync(`/proc/${pid}/fd`)
    .map(Number)
    .filter((fd) => fd > 2)
    .map((fd) => ({ fd, is: linkOf(`/proc/${pid}/fd/${fd}`) }))
  const watches = open.filter(({ is }) => is === 'anon_inode:inotify').map(({ fd }) => fd)
  const channels = open.filter(({ is }) => is !== null && unnamed.has(is)).map(({ fd }) => fd)
  t.equal(watches.length, 1, 'one instance for all of its watches')
  t.ok(channels.length > 0, 'it has a channel to its keeper')
  t.ok(Math.min(...channels) > Math.max(...watches), `channels ${channels}, watches ${watches}`)
}

t.test('processes that die', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M })
  t.test('the channel to the keeper is closed before the kernel waits for watches', async (t) => {
    const { active, backups } = await cluster.settled()
    for (const master of [active, ...backups]) closesItsChannelFirst(t, master)
  })
  t.test('kill -9 of the active: another serves in a higher term', async (t) => {
    const { active, backups, epoch } = await cluster.settled()
    const keeper = active.keeperPid
    const next = await failover(t, 'kill -9', backups, () => process.kill(active.pid, 'SIGKILL'))
    await until('the keeper of the killed one has ended', () => !existsSync(`/proc/${keeper}`))
    t.ok((await next.cluster()).epoch > epoch)
    const ofKeeper = next.logLines.map(({ event }) => event)
    t.ok(ofKeeper.indexOf('claim-began') < ofKeeper.indexOf('role-taken'), 'in the log, by name')
    t.equal((await next.clientStatus()).status, 200)
    await active.start()
    const after = await cluster.settled()
    t.equal(after.active.address, next.address, 'the old one comes back as a backup')
    const history = JSON.parse((await ask(next.ports.info, '/api/v1/history')).text).history
    t.match(history[0], { term: { term: after.epoch, address: next.address } })
  })
  t.test('kill -9 of master and keeper at once: nobody is left to say a last word', async (t) => {
    const { active, backups } = await cluster.settled()
    const pids = [active.pid, active.keeperPid]
    await failover(t, 'master and keeper killed', backups, () => signal(pids, 'SIGKILL'))
    await active.start()
    await cluster.settled()
  })
  t.test(
    'kill -9 of the keeper alone: the master goes on in its term, with a new keeper',
    async (t) => {
      const { active, epoch } = await cluster.settled()
      const keeper = active.keeperPid
      let refused = 0
      process.kill(keeper, 'SIGKILL')
      await until('there is a new keeper', async () => {
        if ((await active.clientStatus()).status !== 200) refused += 1
        return active.keeperPid !== keeper
      })
      let margin = Number.POSITIVE_INFINITY
      await until('it renews, or is too late on a machine as busy as this one', async () => {
        if (await active.health('backup')) return true
        const { text } = await ask(active.ports.info, '/metrics')
        const before = margin
        margin = Number(/^tajo_master_lease_margin_seconds (\S+)$/m.exec(text)?.[1])
        // Only a renewal makes it grow; the new keeper begins with what the old one has left.
        return margin > before
      })
      const after = await cluster.settled()
      t.comment(`refused meanwhile: ${refused}`)
      closesItsChannelFirst(t, active)
      if (after.active === active) t.equal(after.epoch, epoch)
      else t.ok(after.epoch > epoch, 'the new keeper came too late')
    },
  )
  t.test('kill -9 of a backup changes nothing', async (t) => {
    const { active, backups, epoch } = await cluster.settled()
    for (const backup of backups) process.kill(backup.pid, 'SIGKILL')
    await until(
      'it is gone from the view',
      async () => (await active.cluster()).masters.length === 1,
    )
    t.equal((await active.clientStatus()).status, 200)
    for (const backup of backups) await backup.start()
    t.equal((await cluster.settled()).epoch, epoch)
  })
})

/**
 * Sends requests to a frozen master on connections that are open already, so that its kernel takes them, and collects
 * what it answers once it runs again.
 */
async function askWhileFrozen(
  master: TestMaster,
  agents: readonly Agent[],
): Promise<() => Promise<number[]>> {
  const answers = agents.map((agent) =>
    ask(master.ports.client, '/rpc/client/status', {
      method: 'POST',
      agent,
      timeoutMs: patienceMs(),
    }),
  )
  await sleep(50)
  return async () => (await Promise.all(answers)).map(({ status }) => status)
}

function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch (error) {
    // The keeper of the successor may have fenced it: then there is nothing left to wake.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function frozen(
  t: Test,
  cluster: TestCluster,
  name: string,
  pidsOf: (master: TestMaster) => number[],
): Promise<void> {
  const { active, backups, epoch } = await cluster.settled()
  const agents = Array.from({ length: 20 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  t.teardown(() => agents.forEach((agent) => void agent.destroy()))
  for (const agent of agents) await active.clientStatus(agent)
  const pids = pidsOf(active)
  const next = await failover(t, name, backups, () => signal(pids, 'SIGSTOP'))
  const collect = await askWhileFrozen(active, agents)
  for (const pid of pids) wake(pid)
  let served = 0
  const codes = new Set<string>()
  const endMs = performance.now() + M
  while (performance.now() < endMs) {
    const { status, text } = await active.clientStatus()
    if (status === 200) served += 1
    if (status === 421) codes.add(JSON.parse(text).code)
  }
  const statuses = await collect()
  t.same(
    statuses.filter((status) => status !== 421 && status !== 0),
    [],
    'nothing sent while it was frozen is served',
  )
  t.equal(served, 0, 'nothing is served after it was woken')
  codes.delete('NOT_ACTIVE')
  t.equal(codes.size, 0, 'and every refusal says why')
  t.equal((await next.clientStatus()).status, 200)
  const now = await until('the old one is a backup or dead', async () => {
    if (!existsSync(`/proc/${active.processId}`)) return 'dead'
    return (await active.health('backup')) && 'backup'
  })
  if (now === 'dead') {
    const words = await active.lastWords()
    if (pids.length === 1) t.match(words, /has killed it: it (answered no ping|did not confirm)/)
    await active.start()
  }
  t.ok((await cluster.settled()).epoch > epoch)
}

t.test('processes that freeze', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M })
  t.test('master and keeper', (t) => frozen(t, cluster, 'master and keeper stopped', pidsOf))
  t.test('the master alone', (t) => frozen(t, cluster, 'master stopped', (m) => [m.pid]))
  t.test(
    'the keeper alone: the master has a new one, or serves nothing after its deadline',
    async (t) => {
      const { active, epoch } = await cluster.settled()
      const keeper = active.keeperPid
      process.kill(keeper, 'SIGSTOP')
      await until('a new keeper or a new active', async () => {
        const now = existsSync(`/proc/${active.pid}`) && active.keeperPid !== keeper
        return now || !(await active.health('active'))
      })
      await until('the stopped keeper is killed', () => !existsSync(`/proc/${keeper}`))
      t.ok((await cluster.settled()).epoch >= epoch)
    },
  )
})

t.test('ends in good order', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M })
  t.test('TERM of the active: exit code 0, the other serves, nothing is left behind', async (t) => {
    const { active, backups } = await cluster.settled()
    const keeper = active.keeperPid
    await failover(t, 'TERM', backups, () => process.kill(active.pid, 'SIGTERM'))
    t.same(await active.ended(), [0, null])
    await until('its keeper has ended', () => !existsSync(`/proc/${keeper}`))
    t.same(readdirSync(join(active.dir, 'run')), [], 'neither pid file nor socket')
    t.match(active.log, /stopping: got SIGTERM[\s\S]*ended$/)
    await active.start()
    await cluster.settled()
  })
  t.test('a hand-over by order: no request that was accepted fails', async (t) => {
    const { active, backups, epoch } = await cluster.settled()
    const [backup] = backups
    if (backup === undefined) throw new Error('no backup')
    const seen = { ok: 0, notActive: 0, other: [] as number[] }
    let asking = true
    t.teardown(() => {
      asking = false
    })
    const callers = [active, backup].flatMap((master) =>
      Array.from({ length: 4 }, async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        while (asking) {
          const { status } = await master.clientStatus(agent)
          if (status === 200) seen.ok += 1
          else if (status === 421) seen.notActive += 1
          else seen.other.push(status)
        }
        agent.destroy()
      }),
    )
    const started = performance.now()
    const ordered = await order(active, 'handOver', {
      successor: backup.address,
      force: false,
      by: 'test',
    })
    t.equal(ordered.status, 200, ordered.text)
    await until('the successor serves', () => backup.health('active'), { everyMs: 2 })
    t.comment(`handed over in ${(performance.now() - started).toFixed(1)} ms`)
    await sleep(200)
    asking = false
    await Promise.all(callers)
    t.same(seen.other, [], `${seen.ok} answered, ${seen.notActive} sent on`)
    const after = await cluster.settled()
    t.equal(after.active.address, backup.address)
    t.equal(after.epoch, epoch + 1)
  })
  t.test('orders that are unsafe are refused', async (t) => {
    const { active, backups } = await cluster.settled()
    const [backup] = backups
    if (backup === undefined) throw new Error('no backup')
    const stranger = { successor: 'nowhere:1', force: false, by: 'test' }
    t.match(await order(active, 'handOver', stranger), { status: 409, text: /UNSAFE/ })
    t.match(await order(backup, 'handOver', { ...stranger, successor: null }), {
      status: 409,
      text: /NOT_ACTIVE/,
    })
    t.match(await order(active, 'stop', { by: 'test' }), { status: 200 })
    t.same(await active.ended(), [0, null])
    await active.start()
    await cluster.settled()
  })
  t.test('changed files are noticed while it runs', async (t) => {
    const { active } = await cluster.settled()
    const site = join(active.dir, 'conf', 'tajo-site.xml')
    const before = readFileSync(site, 'utf8')
    appendFileSync(join(active.dir, 'conf', 'masters'), 'localhost:27001\n')
    await until('masters', () => active.log.includes('localhost:27001 added'))
    writeFileSync(site, before.replace(`<value>${M}</value>`, '<value>2222</value>'))
    await until('what needs a restart is named', () =>
      active.log.includes('until this master is restarted'),
    )
    writeFileSync(site, '<configuration>')
    await until('a broken file is refused', () => active.log.includes('is not taken over'))
    writeFileSync(site, before)
    await until('and mended', () => active.log.includes('again what is in force'))
    t.equal((await active.clientStatus()).status, 200)
  })
})

async function order(
  master: TestMaster,
  name: string,
  body: object,
): Promise<{ status: number; text: string }> {
  const { clusterId } = await master.cluster()
  const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
    const text = JSON.stringify(body)
    const socket = connect(join(master.dir, 'run', 'tajo-test-master.sock'))
    let answer = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve({ status: Number(answer.slice(9, 12)), text: answer }))
    socket.write(
      `POST /admin/${name} HTTP/1.1\r\nhost: x\r\nx-tajo-cluster: ${clusterId}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    )
  })
  return within(`the answer to ${name}`, answered)
}

t.test('starts that must fail: one sentence, exit code 1, nothing left behind', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M, start: false })
  const [master, other] = cluster.masters
  if (master === undefined || other === undefined) throw new Error('two masters are needed')
  const site = readFileSync(join(master.dir, 'conf', 'tajo-site.xml'), 'utf8')
  const refused = async (
    t: Test,
    said: RegExp,
    change: (site: string) => string = (text) => text,
    env = {},
  ) => {
    writeFileSync(join(master.dir, 'conf', 'tajo-site.xml'), change(site))
    const end = await master.runToEnd(env)
    writeFileSync(join(master.dir, 'conf', 'tajo-site.xml'), site)
    t.equal(end.code, 1, end.said)
    t.match(end.said.trimEnd(), said)
    t.equal(end.said.trimEnd().split('\n').length, 1, 'one line')
    if (existsSync(join(master.dir, 'run'))) t.same(readdirSync(join(master.dir, 'run')), [])
  }
  const set = (key: string, value: string) => (text: string) =>
    text.replace(
      '</configuration>',
      `<property><name>${key}</name><value>${value}</value></property></configuration>`,
    )

  t.test('configuration', async (t) => {
    await refused(
      t,
      /tajo\.master\.ha\.monitor\.interval/,
      set('tajo.master.ha.monitor.interval', 'soon'),
    )
    await refused(
      t,
      /3 × renew period/,
      set('tajo.master.ha.renew.interval', String(Math.round(M / 2))),
    )
    await refused(t, /has the same port as/, (text) =>
      text.replaceAll(`localhost:${master.ports.client}`, master.address),
    )
    await refused(t, /TAJO_MASTER_NAME/, undefined, { TAJO_MASTER_NAME: '-oProxyCommand=x' })
    writeFileSync(join(master.dir, 'conf', 'masters'), 'localhost\nlocalhost:27001\n')
    await refused(
      t,
      /DerbyStore.*one master only/,
      set('tajo.catalog.store.class', 'org.apache.tajo.catalog.store.DerbyStore'),
    )
    writeFileSync(join(master.dir, 'conf', 'masters'), 'localhost\n')
    const words = [process.execPath, 'build/programs/tajo.js', 'master', 'now']
    const usage = await run(words, { env: { TAJO_CONF_DIR: join(master.dir, 'conf') } })
    t.match(usage, { code: 2, stderr: /does not know 'now'/ })
  })
  t.test('a port that is taken', async (t) => {
    const blocker = createServer().listen(master.ports.client, '127.0.0.1')
    t.teardown(() => void blocker.close())
    await once(blocker, 'listening')
    await refused(
      t,
      new RegExp(`tajo\\.master\\.client-rpc\\.address: can't open .*:${master.ports.client}`),
    )
  })
  t.test('directories', async (t) => {
    mkdirSync(cluster.root)
    writeFileSync(join(cluster.root, 'file'), '')
    await refused(t, /can't make the HA directory .*file\/system\/ha/, (text) =>
      text.replace(`file://${cluster.root}`, `file://${cluster.root}/file`),
    )
    await refused(t, /can't write the log file/, undefined, {
      TAJO_LOG_DIR: `${cluster.root}/file`,
    })
    await refused(t, /can't write the pid file/, undefined, {
      TAJO_PID_DIR: `${cluster.root}/file/x`,
    })
  })
  t.test('beside a running one', async (t) => {
    await other.start()
    await until('it is active', () => other.health('active'))
    await refused(t, /configured with another catalog.*postgresql:\/\/db\/x\?ssl=true/, (text) =>
      set(
        'tajo.catalog.uri',
        'jdbc:postgresql://me:secret@db/x?user=u&amp;ssl=true&amp;password=p',
      )(set('tajo.catalog.store.class', 'PostgreSQLStore')(text)),
    )
    await refused(t, /already running as pid \d+/, undefined, {
      TAJO_PID_DIR: join(other.dir, 'run'),
    })
    const sameAddress = (text: string): string => text.replaceAll(master.address, other.address)
    await refused(t, /umbilical-rpc\.address: can't open/, sameAddress)
    t.ok(await other.health('active'))
  })
  t.test('the page of the active one tells of a refused master, until it joins', async (t) => {
    const told = async (): Promise<boolean> => {
      const { alerts } = await other.cluster()
      return alerts.some(({ text }) =>
        text.startsWith(`${master.address} on ${hostname()} was refused at its start`),
      )
    }
    await until('it is told', told)
    await master.start()
    await until('it is told no more', async () => !(await told()))
    t.ok(await master.health('backup'))
    process.kill(master.pid, 'SIGTERM')
    await master.ended()
  })
  t.test('a directory of a newer version, or with what is no term', async (t) => {
    process.kill(other.pid, 'SIGTERM')
    await other.ended()
    const stray = join(cluster.root, 'system', 'ha', 'active', 'epoch-9999999999')
    mkdirSync(stray)
    await refused(t, /epoch-9999999999 is foreign .*: remove it/)
    rmdirSync(stray)
    const file = join(cluster.root, 'system', 'ha', 'cluster.json')
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace('"format":4', '"format":5'))
    await refused(t, /format version 5.*upgrade this host/)
    writeFileSync(file, text.slice(0, 20))
    await refused(t, /torn or foreign/)
  })
})

t.test('a catalog database that is away is named by everybody who is asked', async (t) => {
  const cluster = await makeCluster(t, {
    count: 1,
    monitorMs: M,
    site: {
      'tajo.catalog.store.class': 'PostgreSQLStore',
      'tajo.catalog.uri': 'jdbc:postgresql://127.0.0.1:1/tajo',
    },
  })
  const [master] = cluster.masters
  if (master === undefined) throw new Error('one master is needed')
  const why = /term 1 can't be served yet: .*127\.0\.0\.1:1/
  await until('it has tried', async () => why.test(JSON.stringify(await master.cluster())))
  t.match(await master.cluster(), { problem: why, alerts: [{ kind: 'no-active', text: why }] })
  const words = ['build/programs/tajo.js', '--config', join(master.dir, 'conf')]
  const status = await run([process.execPath, ...words, 'haadmin', '-status'])
  t.match(status.stdout, why)
  t.notMatch(status.stdout, /has not renewed/)
})

t.test('DerbyStore: a second master is refused at its start, and told of the first', async (t) => {
  const catalog = join(testdirOf(t), 'catalog')
  const cluster = await makeCluster(t, {
    count: 2,
    monitorMs: M,
    start: false,
    site: {
      'tajo.catalog.store.class': 'DerbyStore',
      'tajo.catalog.uri': `jdbc:derby:${catalog};create=true`,
    },
  })
  const [first, second] = cluster.masters
  if (first === undefined || second === undefined) throw new Error('two masters are needed')
  await first.start()
  await until('it is active', () => first.health('active'))
  const holder = `in use by master ${first.address} on host \\S+, pid ${first.pid}, since .*SharedStore`
  const file = join(second.dir, 'conf', 'tajo-site.xml')
  const sameRoot = readFileSync(file, 'utf8')
  const otherRoot = sameRoot.replace(`file://${cluster.root}`, `file://${cluster.root}-2`)
  for (const site of [sameRoot, otherRoot]) {
    writeFileSync(file, site)
    const end = await second.runToEnd()
    t.equal(end.code, 1)
    t.match(end.said, new RegExp(holder))
  }
  process.kill(first.pid, 'SIGKILL')
  await first.ended()
  await first.start()
  await until('a guard of the dead blocks nobody', () => first.health('active'))
})

t.test(
  'one root directory has one kind of user, an HA cluster or a master without it',
  async (t) => {
    const cluster = await makeCluster(t, { count: 2, monitorMs: M, start: false })
    const [together, alone] = cluster.masters
    if (together === undefined || alone === undefined) throw new Error('two masters are needed')
    const file = join(alone.dir, 'conf', 'tajo-site.xml')
    // With another catalog it would be refused for that.
    const key = 'tajo.catalog.store.class'
    const sameCatalog = `<property><name>${key}</name><value>SharedStore</value></property>`
    const off = readFileSync(file, 'utf8')
      .replace('<value>true</value>', '<value>false</value>')
      .replace('</configuration>', `${sameCatalog}</configuration>`)
    writeFileSync(file, off)
    const mark = join(cluster.root, 'system', 'ha', 'single.json')
    const refused = async (master: TestMaster, said: string) => {
      const end = await master.runToEnd()
      t.equal(end.code, 1, end.said)
      t.match(end.said, said)
    }

    await together.start()
    await until('it is active', () => together.health('active'))
    await refused(
      alone,
      `is used by the HA cluster of ${together.address}; set tajo.master.ha.enable`,
    )
    t.notOk(existsSync(mark), 'a refused master leaves no mark')
    t.ok(await together.health('active'))
    process.kill(together.pid, 'SIGKILL')
    await together.ended()

    await alone.start()
    t.ok(await alone.health('active'), 'a cluster that ended in a crash blocks nobody')
    const user = `is used by a master without high availability: master ${alone.address} on host`
    await refused(together, user)
    process.kill(alone.pid, 'SIGKILL')
    await alone.ended()
    t.ok(existsSync(mark))
    await alone.start()
    process.kill(alone.pid, 'SIGKILL')
    await alone.ended()
    await together.start()
    await until('it is active', () => together.health('active'))
    t.notOk(existsSync(mark), 'a mark of the dead is removed')
    process.kill(together.pid, 'SIGTERM')
    await together.ended()

    await alone.start()
    unlinkSync(mark)
    await until('its mark is put back', () => existsSync(mark))
    t.ok(await alone.health('active'), 'nobody has come')
    writeFileSync(mark, '{"token":"another"}\n')
    t.same(await alone.ended(), [1, null], 'whoever finds another one’s mark ends')
  },
)

t.test(
  'without high availability one master serves at once, and takes part in no election',
  async (t) => {
    const catalog = join(testdirOf(t), 'catalog')
    const cluster = await makeCluster(t, {
      count: 1,
      monitorMs: M,
      site: {
        'tajo.master.ha.enable': 'false',
        'tajo.catalog.uri': `jdbc:derby:${catalog};create=true`,
      },
    })
    const [master] = cluster.masters
    if (master === undefined) throw new Error('one master is needed')
    t.ok(await master.health('active'))
    t.equal((await master.clientStatus()).status, 200)
    t.notOk(existsSync(join(cluster.root, 'system', 'ha', 'active')), 'there are no terms')
    t.ok(existsSync(join(catalog, 'tajo-catalog.duckdb')), 'DerbyStore keeps the catalog')
    t.match(await order(master, 'handOver', { successor: null, force: false, by: 't' }), {
      text: /UNSAFE/,
    })
    process.kill(master.pid, 'SIGTERM')
    t.same(await master.ended(), [0, null])
  },
)
