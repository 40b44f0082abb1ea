/** Ports of the loopback that are free now: bound all at once, so that no two are the same, and a row if asked for. */
import { once } from 'node:events'
import { createServer } from 'node:net'

async function bound(port: number): Promise<{ port: number; close: () => Promise<void> } | null> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch {
    return null
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

/** The first of `count` free ports in a row, below the range that the system hands out by itself. */
export async function freePortRow(count: number): Promise<number> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 20_000)
    const row = await Promise.all(Array.from({ length: count }, (_, i) => bound(first + i)))
    const all = row.every((one) => one !== null)
    await Promise.all(row.map((one) => one?.close()))
    if (all) return first
  }
}
