/**
 * Ports of the loopback for daemons that start later. A port that is free now may be another program's by then, so
 * ports come in blocks: a block belongs to the process that listens on its first port, and that one does so until it
 * ends. Two that look for ports at once never get the same.
 */
import { createServer, type Server } from 'node:net'
import { failure } from './exit.ts'

/** Of these the first is the reservation itself. */
export const BLOCK_PORTS = 50
/** Below Tajo's own ports, and below those that systems give to outgoing connections. */
const FIRST = 10_000
const END = 26_000

/**
 * Takes a block for as long as this process lives and resolves to its first usable port, which BLOCK_PORTS − 2 others
 * follow. `random` gives numbers from 0 to below 1, as Math.random. Rejects when no block is free.
 */
export async function takePortBlock(random: () => number): Promise<number> {
  const blocks = (END - FIRST) / BLOCK_PORTS
  const start = Math.floor(random() * blocks)
  for (let i = 0; i < blocks; i++) {
    const mark = FIRST + ((start + i) % blocks) * BLOCK_PORTS
    const reservation = await listenOn(mark)
    if (reservation === null) continue
    if (await areFree(mark + 1, BLOCK_PORTS - 1)) {
      reservation.unref()
      return mark + 1
    }
    await closed(reservation)
  }
  throw failure(
    `there are no ${BLOCK_PORTS} free ports in a row on 127.0.0.1 between ${FIRST} and ${END - 1}`,
  )
}

async function areFree(first: number, count: number): Promise<boolean> {
  const servers = await Promise.all(Array.from({ length: count }, (_, i) => listenOn(first + i)))
  const free = servers.filter((one) => one !== null)
  await Promise.all(free.map(closed))
  return free.length === count
}

/** Null when somebody else listens there. */
const listenOn = (port: number): Promise<Server | null> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

const closed = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()))
