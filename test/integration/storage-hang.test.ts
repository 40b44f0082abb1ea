/**
 * The shared directory hangs, breaks or fills up: for the active master's host only, or for all. Masters are real and on
 * hosts of their own, each with its own mount, as with a file server.
 *
 * "Nothing is served any more" is checked without slack: requests and faults are timed on one clock. That a backup serves
 * within M is judged by the same clock, less what the machine stood still.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { processesOf } from '../soak/leaks.ts'
import { type Asker, nowMs, startAsker } from '../support/asker.ts'
import { type HangFs, mountHangFs } from '../support/hangfs.ts'
import { makeConf, SBIN } from '../support/install.ts'
import { DAEMON, machine } from '../support/machine.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { until } from '../support/until.ts'

/**
 * The monitor interval. Not smaller: a holder that hangs has P to confirm that it is suspended, and is ended by its keeper
 * when it is kept from a processor for longer, twice. No test here is about that.
 */
const M = monitorMs(4000)
const NAMES = ['one', 'two', 'three'] as const
type Name = (typeof NAMES)[number]

interface Cluster {
  /** Each host's daemons have `DIR/HOST/run` in their environment. */
  readonly dir: string
  readonly asker: Asker
  readonly hosts: Readonly<Record<Name, TestHost>>
  readonly mounts: Readonly<Record<Name, HangFs>>
  readonly active: Name
  readonly backups: readonly Name[]
  readonly epoch: number
  daemon(name: Name, action: string): Promise<string>
}

const byName = <T>(values: readonly T[]): Record<Name, T> =>
  Object.fromEntries(NAMES.map((name, index) => [name, values[index]])) as Record<Name, T>

async function startCluster(t: Test): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-storage-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  mkdirSync(join(dir, 'backing'))
  const conf = makeConf(dir, {
    masters: `${NAMES.join('\n')}\n`,
    site: {
      'tajo.rootdir': `file://${dir}/root`,
      'tajo.master.ha.monitor.interval': String(M),
    },
    env: 'export TAJO_STOP_TIMEOUT=5',
  })
  const [one, two, three, client] = await makeHosts(t, [...NAMES, 'client'] as const)
  const hosts = byName([one, two, three])
  const path = join(dir, 'root')
  const mounted: HangFs[] = []
  for (const name of NAMES) {
    mounted.push(await mountHangFs(t, join(dir, 'backing'), { path, host: hosts[name] }))
  }
  const daemon = (name: Name, action: string): Promise<string> =>
    hosts[name].mustRun([join(SBIN, 'tajo-daemon.sh'), '--config', conf, action, 'master'], {
      env: { TAJO_MASTER_NAME: name },
    })
  await Promise.all(NAMES.map((name) => daemon(name, 'start')))
  const asker = await startAsker(t, client, NAMES)
  const first = await asker.served(NAMES, 0)
  const active = first.host as Name
  return {
    ...{ dir, asker, hosts, active, daemon, mounts: byName(mounted), epoch: first.epoch ?? 0 },
    backups: NAMES.filter((name) => name !== active),
  }
}

/** Of all processes on these hosts. */
const pidsOn = ({ dir }: Cluster, names: readonly string[]): number[] =>
  names.flatMap((name) => processesOf(join(dir, name)))

/** No request that `name` was sent at or after that moment has been served. */
const servedSince = ({ asker }: Cluster, name: Name, sinceMs: number): number =>
  asker.all.filter((a) => a.host === name && a.sentMs >= sinceMs && a.status === 200).length

/** Terms may overlap in nobody's eyes: an answer of a term never comes after one of a higher term was sent off. */
function noOlderAfterNewer(t: Test, { asker }: Cluster): void {
  const served = asker.all.filter((a) => a.status === 200)
  const wrong = served.filter((old) =>
    served.some((young) => (young.epoch ?? 0) > (old.epoch ?? 0) && young.answeredMs < old.sentMs),
  )
  t.strictSame(wrong, [], 'whoever was answered by a newer term is answered by no older one')
}

t.test('hung for the active only: it falls silent, a backup takes over', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await startCluster(t)
  const { asker, mounts, active, backups } = cluster
  const stall = new StallWatch(pidsOn(cluster, backups))
  const hungMs = nowMs()
  await mounts[active].hang('all')
  const inForceMs = nowMs()
  const next = await asker.served(backups, hungMs)
  const tookMs = next.answeredMs - hungMs
  judgeTime(t, 'from the hang to service:', {
    tookMs,
    promisedMs: M,
    stalled: stall.stop(pidsOn(cluster, [next.host])),
  })
  t.ok((next.epoch ?? 0) > cluster.epoch)
  await sleep(M)
  t.equal(servedSince(cluster, active, inForceMs + M / 2), 0, 'not one request after M/2')
  const releasedMs = nowMs()
  await mounts[active].release()
  await sleep(2 * M)
  t.equal(servedSince(cluster, active, releasedMs), 0, 'nor after the storage is back')
  noOlderAfterNewer(t, cluster)
  t.match(await asker.served(backups, nowMs()), { epoch: next.epoch })
})

/** The keepers of one host's masters. */
const keepersOn = (cluster: Cluster, name: Name): number[] =>
  pidsOn(cluster, [name]).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keeper-process'),
  )

/** As its host sees it. */
const pidInside = (pid: number): number =>
  Number(/^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

t.test('a renewal that is never answered: its holder is a backup again, and told', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await startCluster(t)
  const { asker, hosts, mounts, active, backups } = cluster
  const keepers = keepersOn(cluster, active)
  t.equal(keepers.length, 1)
  const hungMs = nowMs()
  // As HDFS's gateway does it: everything else is answered.
  await mounts[active].hang(keepers.map(pidInside), ['utimens'])
  const next = await asker.served(backups, hungMs)
  t.ok((next.epoch ?? 0) > cluster.epoch)
  const asked = async (path: string): Promise<string> => {
    const script = `fetch('http://${active}:26080${path}').then(async (r) => console.log(r.status, await r.text()), () => console.log(0))`
    return hosts[active].mustRun([process.execPath, '-e', script])
  }
  const text = await until('the one before is a backup', async () => {
    const found = await asked('/health/backup')
    return found.startsWith('200') ? found : null
  })
  t.ok(text)
  const sinceMs = Math.round(nowMs() - next.answeredMs)
  t.comment(`a backup ${sinceMs} ms after its successor served, M ${M} ms`)
  await until('its keeper is another one', () => {
    const now = keepersOn(cluster, active)
    return now.length === 1 && now[0] !== keepers[0]
  })
  const told = await until('it is told', async () => {
    const found = await asked('/api/v1/cluster')
    return /is never answered while others are/.test(found) ? found : null
  })
  t.match(told, /touch active\/epoch-\d+\/heartbeat \(renew, since /)
  noOlderAfterNewer(t, cluster)
})

t.test(
  'hung for all: nobody serves, nobody is stuck, the old active goes on with its term',
  async (t) => {
    if (!hasParts(t, 'netns', 'hangfs')) return
    const cluster = await startCluster(t)
    const { asker, mounts, active, daemon } = cluster
    await Promise.all(NAMES.map((name) => mounts[name].hang('all')))
    const inForceMs = nowMs()
    await sleep(3 * M)
    for (const name of NAMES) {
      t.equal(servedSince(cluster, name, inForceMs + M / 2), 0, `${name} serves nothing`)
      const lately = asker.all.filter((a) => a.host === name && a.sentMs > inForceMs + M)
      // A machine that stands still for a second makes a request go unanswered, with status 0.
      const answers = lately.filter((a) => a.status !== 0)
      t.ok(answers.length > lately.length / 2, `${name} goes on answering`)
      t.ok(
        answers.every((a) => a.status === 421),
        'that it is not active',
      )
    }
    const releasedMs = nowMs()
    await Promise.all(NAMES.map((name) => mounts[name].release()))
    const again = await asker.served(NAMES, releasedMs)
    t.comment(`M ${M} ms: served ${Math.round(again.answeredMs - releasedMs)} ms after the return`)
    t.match(again, { host: active, epoch: cluster.epoch })
    noOlderAfterNewer(t, cluster)
    // Processes end even while the storage is away.
    await Promise.all(NAMES.map((name) => mounts[name].hang('all')))
    for (const name of NAMES) t.match(await daemon(name, 'stop'), /master (stopped|killed)/)
  },
)

t.test('broken for the active only: as hung', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await startCluster(t)
  const { asker, mounts, active, backups } = cluster
  const stall = new StallWatch(pidsOn(cluster, backups))
  const brokenMs = nowMs()
  await mounts[active].failWithEio('all')
  const inForceMs = nowMs()
  const next = await asker.served(backups, brokenMs)
  const tookMs = next.answeredMs - brokenMs
  judgeTime(t, 'from the fault to service:', {
    tookMs,
    promisedMs: M,
    stalled: stall.stop(pidsOn(cluster, [next.host])),
  })
  await sleep(M)
  t.equal(servedSince(cluster, active, inForceMs + M / 2), 0, 'not one request after M/2')
  await mounts[active].release()
  noOlderAfterNewer(t, cluster)
})

t.test('a full disk stops no active master, and a take-over only while it lasts', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await startCluster(t)
  const { asker, hosts, mounts, active, backups } = cluster
  await Promise.all(NAMES.map((name) => mounts[name].fillUp('all')))
  const fullMs = nowMs()
  await sleep(2 * M)
  t.match(await asker.served(NAMES, fullMs + M), { host: active, epoch: cluster.epoch })
  await hosts[active].powerOff()
  await sleep(2 * M)
  const releasedMs = nowMs()
  t.equal(asker.all.filter((a) => a.status === 200 && backups.includes(a.host as Name)).length, 0)
  await Promise.all(backups.map((name) => mounts[name].release()))
  const next = await asker.served(backups, releasedMs)
  t.ok((next.epoch ?? 0) > cluster.epoch)
  await until('the others know', () =>
    asker.all.some((a) => a.host !== next.host && a.status === 421 && a.sentMs > next.sentMs),
  )
  noOlderAfterNewer(t, cluster)
})

t.test('hung at the start: it fails soon, and says what hangs', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const { host, dir, script } = await machine(t, { masters: 'localhost\n' })
  mkdirSync(join(dir, 'backing'))
  const mount = await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
  await mount.hang('all')
  const started = script(DAEMON, ['start', 'master'])
  await until('a call hangs', async () => (await mount.waiting()) > 0)
  t.match(await started, {
    code: 1,
    stderr: `can't make the HA directory ${dir}/root/system/ha (tajo.rootdir): its file system has not answered within`,
  })
  t.match(await script(DAEMON, ['status', 'master']), { code: 3 }, 'not even its pid file is left')
  await mount.release()
  t.match(await script(DAEMON, ['start', 'master']), { code: 0 })
  t.match(await script(DAEMON, ['stop', 'master']), { code: 0, stdout: 'master stopped' })
})

t.test('a root directory in which nothing can be made: told at once', async (t) => {
  if (!hasParts(t, 'netns')) return
  const { script } = await machine(t, {
    masters: 'localhost\n',
    site: { 'tajo.rootdir': '/proc/nowhere' },
  })
  t.match(await script(DAEMON, ['start', 'master']), {
    code: 1,
    stderr:
      /can't make the HA directory \/proc\/nowhere\/system\/ha \(tajo\.rootdir\): no directory can be made in \/proc/,
  })
})
