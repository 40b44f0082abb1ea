/**
 * Asks `/health/live` each 10 ms from a thread of its own, so that it measures the master and not the bench: told what was
 * asked since the last question whenever the bench asks for it.
 */
import { Agent } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'
import { ask } from '../support/test-masters.ts'

const EACH_MS = 10
const { port } = workerData as { port: number }
const agent = new Agent({ keepAlive: true, maxSockets: 4 })
let tookMs: number[] = []

setInterval(() => {
  const beganMs = performance.now()
  void ask(port, '/health/live', { agent, timeoutMs: 30_000 }).then(({ status }) => {
    tookMs.push(status === 200 ? performance.now() - beganMs : Number.POSITIVE_INFINITY)
  })
}, EACH_MS)

parentPort?.on('message', () => {
  parentPort?.postMessage(tookMs)
  tookMs = []
})
