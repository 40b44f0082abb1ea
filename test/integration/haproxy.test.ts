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
import { freePortRow } from '../support/free-ports.ts'
import { findProgram, hasParts } from '../support/parts.ts'
import { start } from '../support/run.ts'
import { type Answer, ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const CONFIGURATION = fileURLToPath(
  new URL('../../../docs/monitoring/haproxy.cfg', import.meta.url),
)
const FAILOVERS = 10
const CLIENTS = 4

/** The file as it stands, with the addresses of these masters. */
function configurationFor(masters: readonly TestMaster[], page: number, client: number): string {
  let text = readFileSync(CONFIGURATION, 'utf8')
    .replace('bind :8080', `bind 127.0.0.1:${page}`)
    .replace('bind :8002', `bind 127.0.0.1:${client}`)
  for (const [index, { ports }] of masters.entries()) {
    const host = `host${index + 1}`
    text = text
      .replace(`server ${host} ${host}:26080`, `server ${host} 127.0.0.1:${ports.info}`)
      .replace(
        `server ${host} ${host}:26002 port 26080`,
        `server ${host} 127.0.0.1:${ports.client} port ${ports.info}`,
      )
  }
  return text
}

async function startHaproxy(
  t: Test,
  masters: readonly TestMaster[],
): Promise<{ page: number; client: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-haproxy-'))
  const page = await freePortRow(2)
  const client = page + 1
  const file = join(dir, 'haproxy.cfg')
  writeFileSync(file, configurationFor(masters, page, client))
  const haproxy = start([findProgram('haproxy') ?? 'haproxy', '-db', '-f', file])
  let said = ''
  haproxy.stderr.on('data', (text) => {
    said += text
  })
  t.teardown(() => {
    haproxy.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  await until('HAProxy sends requests on', async () => {
    if (haproxy.exitCode !== null) throw new Error(`HAProxy has ended: ${said}`)
    return (await ask(page, '/health/active')).status === 200
  })
  return { page, client }
}

/** Who answered, when it was the active one; otherwise what is wrong with the answer. */
function judge({ status, text }: Answer): { by: string } | { wrong: string } {
  if (status !== 200) return { wrong: `${status} ${text.slice(0, 100)}` }
  const { self, active } = JSON.parse(text) as { self: string; active: string | null }
  return self === active ? { by: self } : { wrong: `${self} answered, active was ${active}` }
}

t.test('every answer comes from the active one, through ten failovers', async (t) => {
  if (!hasParts(t, 'haproxy')) return
  const cluster = await makeCluster(t, { count: 3, monitorMs: 5000 })
  await cluster.settled()
  const { page, client } = await startHaproxy(t, cluster.masters)
  const answeredBy = new Set<string>()
  const wrong: string[] = []
  let answers = 0
  let asking = true
  const callers = Array.from({ length: CLIENTS }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (asking) {
      const verdict = judge(await ask(page, '/api/v1/cluster', { agent, timeoutMs: 30_000 }))
      answers += 1
      if ('wrong' in verdict) wrong.push(verdict.wrong)
      else answeredBy.add(verdict.by)
    }
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
  const before = answers
  await until('the last one is asked too', () => answers > before + 10 * CLIENTS)
  asking = false
  await Promise.all(callers)
  t.same(wrong, [], `${answers} answers`)
  t.ok(answeredBy.size > 1)
  await until('the client port follows as well', async () => {
    const answer = await ask(client, '/rpc/client/status', { method: 'POST' })
    return (JSON.parse(answer.text) as { address?: string }).address === active.address
  })
})
