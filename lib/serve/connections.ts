/**
 * How many connections to a port one address may have. A port takes a number of them in all; without this bound a single
 * host could take them all, and say nothing on any of them.
 *
 * One that is too much is closed before a byte of it is read, so that it costs nothing; the log tells of it, once a minute
 * for each address. Of IPv6 the network of 64 bits is the address, since any host may have all of that. A proxy is one
 * address, and so are all programs of this host.
 */
import type { Server, Socket } from 'node:net'
import type { Log } from '../base/log.ts'
import { networkOf } from '../base/network-of.ts'
import type { Clock } from '../base/time.ts'

const PER_ADDRESS_KEY = 'tajo.connections.per-address'

export interface ConnectionBound {
  readonly perAddress: number
  readonly clock: Clock
  readonly log: Log
}

/** An address is told of so often. */
const TELL_MS = 60_000

/** To be called before the port is opened. `name`: for the log. */
export function boundConnections(
  server: Server,
  name: string,
  { perAddress, clock, log }: ConnectionBound,
): void {
  const open = new Map<string, number>()
  const told = new Map<string, number>()
  const tell = (from: string): void => {
    const nowMs = clock.nowMs()
    for (const [address, atMs] of told) if (nowMs - atMs >= TELL_MS) told.delete(address)
    if (told.has(from)) return
    told.set(from, nowMs)
    const text = `${from} has ${perAddress} connections to ${name} already, as many as one address may (${PER_ADDRESS_KEY}): more of them are closed`
    log('warn', text, { event: 'connections-refused', from })
  }
  // Before the server's own listener reads anything.
  server.prependListener('connection', (socket: Socket) => {
    const from = networkOf(socket.remoteAddress ?? '')
    // It is gone already.
    if (from === null) return
    const count = (open.get(from) ?? 0) + 1
    if (count > perAddress) {
      tell(from)
      socket.destroy()
      return
    }
    open.set(from, count)
    socket.once('close', () => {
      const left = (open.get(from) ?? 1) - 1
      if (left > 0) open.set(from, left)
      else open.delete(from)
    })
  })
}
