/**
 * Ports of the loopback for daemons that start later. A port that is free now may be another program's by then, so
 * ports come in blocks: a block belongs to the process that listens on its first port, and that one does so until it
 * ends. Two that look for ports at once never get the same. The kernel knows nothing of blocks: what it gives to
 * outgoing connections is avoided for as long as there is anything else.
 */
import { createServer, type Server } from 'node:net'
import { ephemeralPorts, type PortRange } from '../../base/ephemeral-ports.ts'
import { failure } from '../exit.ts'

/** Of these the first is the reservation itself. */
export const BLOCK_PORTS = 50
/** Below Tajo's own ports, and below those that systems usually give to outgoing connections. */
const FIRST = 10_000
const END = 26_000
/** Every user may open the ports from here on. */
const LOWEST = 1024
/** From END to here are Tajo's own ports and those of second masters and workers, which may be started any time. */
const TAJO_END = 33_000

/**
 * First ports of all blocks, in the order in which they are tried: those between FIRST and END from a random one on,
 * then all others below and above, and at last, in the same order, those that `ephemeral` has a port of. `random` is
 * from 0 to below 1.
 */
export function blocksInOrder(ephemeral: PortRange, random: number): number[] {
  const usual = marks(FIRST, END)
  const start = Math.floor(random * usual.length)
  const others = [...marks(LOWEST, FIRST), ...marks(TAJO_END, 65_536)]
  const all = [...usual.slice(start), ...usual.slice(0, start), ...others]
  const meets = (mark: number): boolean =>
    mark <= ephemeral.last && ephemeral.first < mark + BLOCK_PORTS
  return [...all.filter((mark) => !meets(mark)), ...all.filter(meets)]
}

const marks = (from: number, end: number): number[] =>
  Array.from({ length: Math.floor((end - from) / BLOCK_PORTS) }, (_, i) => from + i * BLOCK_PORTS)

/**
 * Takes a block for as long as this process lives and resolves to its first usable port, which BLOCK_PORTS − 2 others
 * follow. `random` gives numbers from 0 to below 1, as Math.random; `ephemeral` is what outgoing connections get.
 * Rejects when no block is free.
 */
export async function takePortBlock(
  random: () => number,
  ephemeral: PortRange = ephemeralPorts(),
): Promise<number> {
  for (const mark of blocksInOrder(ephemeral, random())) {
    const reservation = await listenOn(mark)
    if (reservation === null) continue
    if ((await firstTaken(mark + 1, BLOCK_PORTS - 1)) === null) {
      reservation.unref()
      return mark + 1
    }
    await closed(reservation)
  }
  throw failure(`there are no ${BLOCK_PORTS} free ports in a row on 127.0.0.1`)
}

/** The first of `count` ports from `first` on that can't be opened on 127.0.0.1 now; null when all can. */
export async function firstTaken(first: number, count: number): Promise<number | null> {
  const servers = await Promise.all(Array.from({ length: count }, (_, i) => listenOn(first + i)))
  await Promise.all(servers.filter((one) => one !== null).map(closed))
  const taken = servers.indexOf(null)
  return taken < 0 ? null : first + taken
}

/** Null when it is not to be had: somebody else has it, or this user may not. */
const listenOn = (port: number): Promise<Server | null> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

const closed = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()))
