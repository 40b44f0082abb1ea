/**
 * HAProxy with the configuration of docs/monitoring in front of three masters: whoever asks it gets every answer from
 * the active one, and no failure, through ten failovers.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { nameOfCluster } from '../../lib/rpc/index.ts'
import { freePortRow } from '../support/free-ports.ts'
import { monitorMs, pacedMs, patienceMs } from '../support/pace.ts'
import { findProgram, hasParts } from '../support/parts.ts'
import { start } from '../support/processes.ts'
import {
  type Answer,
  ask,
  makeCluster,
  type TestCluster,
  type TestMaster,
} from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const CONFIGURATION = fileURLToPath(
  new URL('../../../docs/monitoring/haproxy.cfg', import.meta.url),
)
const FAILOVERS = 10
const CLIENTS = 4

/** The file as it stands, with the addresses of these masters. */
function configurationFor(
  masters: readonly TestMaster[],
  { page, client, clusterId }: { page: number; client: number; clusterId: string },
): string {
  let text = readFileSync(CONFIGURATION, 'utf8')
    .replace(/(setenv TAJO_CLUSTER) .*/, `$1 ${clusterId}`)
    .replace('bind :8080', `bind 127.0.0.1:${page}`)
    .replace('bind :8002', `bind 127.0.0.1:${client}`)
    // Half a second is for a machine that has it.
    .replaceAll(/(timeout (?:connect|check)) 500ms/g, `$1 ${pacedMs(500)}ms`)
  for (const [index, { ports }] of masters.entries()) {
    const host = `host${index + 1}`
    text = text
      .replaceAll(`server ${host} ${host}:26080`, `server ${host} 127.0.0.1:${ports.info}`)
      .replace(
        `server ${host} ${host}:26002 port 26080`,
        `server ${host} 127.0.0.1:${ports.client} port ${ports.info}`,
      )
  }
  return text
}

/** As a client of that cluster connects: it takes nobody else. */
const secureAs = ({ root }: TestCluster, clusterId: string) => ({
  ca: readFileSync(join(root, 'system', 'tls', 'authority.pem'), 'utf8'),
  servername: nameOfCluster(clusterId),
})

async function startHaproxy(
  t: Test,
  masters: readonly TestMaster[],
  clusterId: string,
): Promise<{ page: number; client: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-haproxy-'))
  const page = await freePortRow(2)
  const client = page + 1
  const file = join(dir, 'haproxy.cfg')
  writeFileSync(file, configurationFor(masters, { page, client, clusterId }))
  const haproxy = start([findProgram('haproxy') ?? 'haproxy', '-db', '-f', file])
  t.teardown(() => {
    haproxy.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  const sendsOn = async (): Promise<boolean> => (await ask(page, '/health/active')).status === 200
  await until('HAProxy sends requests on', sendsOn, { needs: [haproxy] })
  return { page, client }
}

/** One caller's answers: whose they may be. Terms only grow, and each is one master's. */
class Judge {
  readonly wrong: string[] = []
  answers = 0
  readonly #activeOf: Map<number, string>
  #epoch = 0

  constructor(activeOf: Map<number, string>) {
    this.#activeOf = activeOf
  }

  hear({ status, text }: Answer): void {
    this.answers += 1
    if (status !== 200) {
      this.wrong.push(`${status} ${text.slice(0, 100)}`)
      return
    }
    const { self, active, epoch } = JSON.parse(text) as {
      readonly self: string
      readonly active: string | null
      readonly epoch: number
    }
    const other = this.#activeOf.get(epoch) ?? self
    this.#activeOf.set(epoch, other)
    if (self !== active) this.wrong.push(`${self} answered, active was ${active}`)
    if (self !== other) this.wrong.push(`${self} and ${other} answered in term ${epoch}`)
    if (epoch < this.#epoch) this.wrong.push(`term ${epoch} after term ${this.#epoch}`)
    this.#epoch = epoch
  }
}

t.test('every answer comes from the active one, through ten failovers', async (t) => {
  if (!hasParts(t, 'haproxy')) return
  const cluster = await makeCluster(t, { count: 3, monitorMs: monitorMs(5000) })
  const { clusterId } = await (await cluster.settled()).active.cluster()
  const { page, client } = await startHaproxy(t, cluster.masters, clusterId)
  await t.test('a browser gets through by a name that the masters know', async (t) => {
    const browser = { accept: 'text/html,application/xhtml+xml', 'sec-fetch-mode': 'navigate' }
    const open = (host: string) => ask(page, '/', { headers: { ...browser, host } })
    const refused = await open(`tajo.example:${page}`)
    t.equal(refused.status, 403)
    t.match(refused.text, 'tajo.master.info-http.names')
    for (const master of cluster.masters) {
      master.reconfigure({ 'tajo.master.info-http.names': 'tajo.example' })
    }
    // Whoever is active answers; the others have it as well when they are.
    await until('it does', async () => (await open(`tajo.example:${page}`)).status === 200)
    const origin = `http://tajo.example:${page}`
    const json = {
      origin,
      host: `tajo.example:${page}`,
      'content-type': 'application/json',
      ...cluster.masters[0]?.administrator,
    }
    const path = `/api/v1/queries/x/kill?cluster=${clusterId}`
    const changes = await ask(page, path, { method: 'POST', headers: json, body: '{}' })
    t.match(
      changes,
      { status: 400, text: /a query id is a UUID/ },
      'and its page may change things',
    )
  })
  const activeOf = new Map<number, string>()
  const judges = Array.from({ length: CLIENTS }, () => new Judge(activeOf))
  let asking = true
  t.teardown(() => {
    asking = false
  })
  const callers = judges.map(async (judge) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (asking)
      judge.hear(await ask(page, '/api/v1/cluster', { agent, timeoutMs: patienceMs() }))
    agent.destroy()
  })
  for (let i = 0; i < FAILOVERS; i += 1) {
    const { active, backups } = await cluster.settled()
    const [successor] = backups as [TestMaster]
    if (i % 2 === 0) {
      process.kill(active.pid, 'SIGKILL')
      await active.ended()
      await until('a backup serves', async () =>
        (await Promise.all(backups.map((backup) => backup.health('active')))).includes(true),
      )
      await active.start()
    } else await active.handOverTo(successor)
  }
  const { active } = await cluster.settled()
  const before = judges.map(({ answers }) => answers)
  const asked = (): boolean => judges.every(({ answers }, i) => answers > (before[i] ?? 0) + 10)
  await until('the last one is asked too', asked)
  asking = false
  await Promise.all(callers)
  const answers = judges.reduce((sum, judge) => sum + judge.answers, 0)
  t.same(
    judges.flatMap(({ wrong }) => wrong),
    [],
    `${answers} answers in ${activeOf.size} terms`,
  )
  t.ok(activeOf.size > FAILOVERS / 2, 'most terms are met')
  await until('a changing request finds the active one', async () => {
    // What is refused for its content was taken in by the active master.
    const { status, text } = await ask(page, '/api/v1/sql', {
      method: 'POST',
      headers: active.administrator,
    })
    if (status !== 400) throw new Error(`${status} ${text}`)
    return (JSON.parse(text) as { epoch: number }).epoch >= FAILOVERS
  })
  await until('the client port follows as well', async () => {
    const answer = await ask(client, '/rpc/client/status', {
      method: 'POST',
      secure: secureAs(cluster, clusterId),
    })
    return (JSON.parse(answer.text) as { address?: string }).address === active.address
  })
})

t.test('the active master of another cluster is sent nothing', async (t) => {
  if (!hasParts(t, 'haproxy')) return
  const ours = await makeCluster(t, { count: 1, monitorMs: monitorMs(5000) })
  const theirs = await makeCluster(t, { count: 1, monitorMs: monitorMs(5000) })
  const { active } = await ours.settled()
  const { active: foreign } = await theirs.settled()
  const { clusterId } = await active.cluster()
  const secure = secureAs(ours, clusterId)
  const { page, client } = await startHaproxy(t, [foreign, active], clusterId)
  for (let i = 0; i < 20; i += 1) {
    const { status, text } = await ask(page, '/api/v1/cluster', { timeoutMs: patienceMs() })
    t.match({ status, ...JSON.parse(text) }, { status: 200, clusterId, self: active.address })
    const answer = await ask(client, '/rpc/client/status', { method: 'POST', secure })
    t.notMatch(answer.text, foreign.address, 'not even before the first check')
  }
  await until('the client port has found its master', async () => {
    const { text } = await ask(client, '/rpc/client/status', { method: 'POST', secure })
    return text.includes(active.address)
  })
  active.destroy()
  await active.ended()
  await until('nobody of this cluster is left', async () => {
    const { status } = await ask(page, '/api/v1/cluster', { timeoutMs: patienceMs() })
    const { text } = await ask(client, '/rpc/client/status', { method: 'POST', secure })
    return status === 503 && !text.includes(foreign.address)
  })
})
