/**
 * What idle workers cost the active master: `node build/test/bench/heartbeats.js [WORKERS] [SECONDS]` starts one master,
 * lets so many simulated workers register, follow and report at the idle interval (10 s), and prints the CPU time that the
 * master's process took meanwhile, as a share of one core.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EPOCH_HEADER, SECRET_HEADER } from '../../lib/rpc/contract.ts'
import { freePortRow } from '../support/free-ports.ts'
import { workerAt } from '../support/query-terms.ts'
import { TestMaster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const IDLE_MS = 10_000
const TICKS_PER_SECOND = 100

const workers = Number(process.argv[2] ?? 2000)
const seconds = Number(process.argv[3] ?? 30)

/** User and system time of a process, s. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const dir = mkdtempSync(join(tmpdir(), 'tajo-heartbeats-'))
const port = await freePortRow(5)
const master = new TestMaster(dir, port, {
  'tajo.rootdir': `file://${dir}/root`,
  'tajo.master.ha.enable': 'true',
})
try {
  await master.start()
  await until('it is active', () => master.health('active'))
  const secret = readFileSync(join(dir, 'root/system/ha/secret'), 'utf8').trim()
  const headers = {
    [SECRET_HEADER]: secret,
    [EPOCH_HEADER]: '1',
    'content-type': 'application/json',
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const post = (method: string, body: unknown, streams = false): Promise<void> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: port + 2,
          path: `/rpc/tracker/${method}`,
          method: 'POST',
          headers,
          agent: streams ? false : agent,
        },
        (response) => {
          response.resume()
          response.on('error', reject)
          if (response.statusCode !== 200)
            reject(new Error(`${method}: HTTP ${response.statusCode}`))
          else if (streams) resolve()
          else response.on('end', resolve)
        },
      )
      call.on('error', reject)
      call.end(JSON.stringify(body))
    })
  for (let n = 0; n < workers; n += 1) {
    const worker = workerAt(n)
    await post('register', { worker, tasks: [] })
    const { workerId, incarnation } = worker
    await post('follow', { workerId, incarnation }, true)
  }
  let sent = 0
  const beat = async (n: number): Promise<void> => {
    const { workerId, incarnation } = workerAt(n)
    for (;;) {
      await post('heartbeat', { workerId, incarnation, freeSlots: 2, reports: [] })
      sent += 1
      await pause(IDLE_MS)
    }
  }
  for (let n = 0; n < workers; n += 1) {
    // They end with the master.
    setTimeout(() => void beat(n).catch(() => undefined), (n / workers) * IDLE_MS)
  }
  await pause(2000)
  const [beforeS, beforeSent] = [cpuOf(master.pid), sent]
  await pause(seconds * 1000)
  const share = (cpuOf(master.pid) - beforeS) / seconds
  const known = ((await master.cluster()) as unknown as { workers: unknown[] }).workers.length
  console.log(
    `${workers} workers (${known} known), ${Math.round((sent - beforeSent) / seconds)} heartbeats/s: ${(share * 100).toFixed(1)} % of a core`,
  )
} finally {
  master.destroy()
  await pause(500)
  rmSync(dir, { recursive: true, force: true })
}
process.exit(0)
