/** The process behind `asker.ts`: one request at a time to each host, one line of JSON for each; ends with its stdin. */
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { callingWith, whoKey } from '../../lib/rpc/index.ts'

const CLIENT_PORT = 26002
const PAUSE_MS = 10
const [answerMs = '', ...hosts] = process.argv.slice(2)

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

function ask(host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const call = request(
      {
        ...callingWith(whoKey),
        host,
        port: CLIENT_PORT,
        path: '/rpc/client/status',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        timeout: Number(answerMs),
        agent: false,
      },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', () => resolve({ status: 0, body: '' }))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      },
    )
    call.on('timeout', () => call.destroy())
    call.on('error', () => resolve({ status: 0, body: '' }))
    call.end('{}')
  })
}

function epochOf(body: string): number | null {
  try {
    return Number((JSON.parse(body) as { epoch?: unknown }).epoch)
  } catch {
    // Whoever cut the answer off did not serve.
    return null
  }
}

async function askForEver(host: string): Promise<void> {
  for (;;) {
    const sentMs = nowMs()
    const { status, body } = await ask(host)
    const line = { host, sentMs, answeredMs: nowMs(), status, epoch: epochOf(body) }
    process.stdout.write(`${JSON.stringify(line)}\n`)
    await sleep(PAUSE_MS)
  }
}

process.stdin.on('end', () => process.exit(0)).resume()
for (const host of hosts) void askForEver(host)
