/**
 * Runs on a master's own host, which no cable cuts off from it: asks its page all the time, says `ready` after the first
 * answer, and then the wall clock, ms, at which the page first had a critical alert of the network.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { networkAlerts } from '../../support/cut-cluster.ts'

const PAGE = 'http://127.0.0.1:26080/api/v1/cluster'
const PAUSE_MS = 10

process.stdin.on('end', () => process.exit(0)).resume()
let isReady = false
for (;;) {
  const [alert] = await fetch(PAGE).then(
    async (response) => networkAlerts(await response.text()),
    () => [],
  )
  if (!isReady && alert === undefined) process.stdout.write('ready\n')
  if (isReady && alert !== undefined) break
  isReady ||= alert === undefined
  await sleep(PAUSE_MS)
}
process.stdout.write(`${Date.now()}\n`)
process.exit(0)
