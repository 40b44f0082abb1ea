/**
 * A daemon's ports: all open or none, each refusal naming its configuration key.
 */
import type { FastifyInstance } from 'fastify'
import { joinHostPort } from '../base/host-port.ts'
import { ephemeralPorts, isPortIn, type PortRange, portHolder } from '../base/port-holder.ts'
import { boundConnections, type ConnectionBound } from './connections.ts'

/** Where one port listens, and under which configuration key an operator finds it. */
export interface Bind {
  readonly key: string
  /** A name or an IP address of this host. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

interface Listener {
  readonly app: FastifyInstance
  readonly bind: Bind
}

/** Resolves to the real ports, in order, each of which holds to `bound`; rejects with one Error that names everything that can't be opened. */
export async function openAll(
  listeners: readonly Listener[],
  bound?: ConnectionBound,
): Promise<number[]> {
  for (const { app, bind } of listeners) {
    if (bound !== undefined) boundConnections(app.server, bind.key, bound)
  }
  const results = await Promise.allSettled(listeners.map(open))
  const faults = results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as Error).message] : [],
  )
  if (faults.length > 0) {
    await Promise.all(listeners.map(({ app }) => app.close()))
    throw new Error(faults.join('; '))
  }
  return results.map((result) => (result.status === 'fulfilled' ? result.value : 0))
}

async function open({ app, bind }: Listener): Promise<number> {
  await app.ready()
  const { server } = app
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(refusal(bind, error)))
    server.listen({ host: bind.host, port: bind.port }, resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : bind.port
}

/** `error` is what `listen` failed with: the system's, with the IP address that was tried. */
function refusal(
  { key, host, port }: Bind,
  error: NodeJS.ErrnoException & { address?: string },
): Error {
  const why =
    error.code === 'EADDRINUSE'
      ? whyInUse(port, portHolder(port, error.address), ephemeralPorts())
      : error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND'
        ? 'this host does not have that address'
        : error.code === 'EACCES'
          ? 'this user may not open that port; choose one above 1023'
          : error.message
  return new Error(`${key}: can't open ${joinHostPort({ host, port })}: ${why}`, { cause: error })
}

/** Why `port` can't be had and what to do, given who holds it and what this host's outgoing connections get. */
export function whyInUse(port: number, holder: string | null, ephemeral: PortRange): string {
  const who = holder ?? 'another process holds it'
  if (!isPortIn(port, ephemeral)) return `${who}. Free it, or choose another port`
  const { first, last } = ephemeral
  return `${who}. Linux gives it to outgoing connections, as all from ${first} to ${last}: choose one outside of them, or reserve it with net.ipv4.ip_local_reserved_ports`
}
