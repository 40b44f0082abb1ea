/**
 * These are the kept connections to one address. Those among the daemons are TLS by the cluster's key (rpc/keys.ts): by the
 * own cluster's where it is known, else by the one that everybody knows. When the cluster or its secret is another one, the
 * next call has new connections, and what is under way on the others may end there.
 *
 * A connection has a time to be made, as ever, and one more for its handshake, which the other process has to take part
 * in: one that is frozen or busy accepts connections and says nothing.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls'
import { errors, Pool } from 'undici'
import { type HostPort, joinHostPort } from '../base/host-port.ts'
import { systemClock } from '../base/time.ts'
import { callingWith, clusterKey, KEYED_TLS, type Key, whoKey } from '../rpc/index.ts'

interface ConnectionsOptions {
  readonly to: HostPort
  /** Null or empty while it isn't known, or where it is not to be proven. */
  readonly clusterId: () => string | null
  readonly secret: () => string
  readonly connectTimeoutMs: number
}

const MOST_CONNECTIONS = 8
const KEEP_ALIVE_MS = 10_000
const HANDSHAKE_MS = 10_000
/** The system looks so long after the last word whether the other host is still there. */
const PROBE_AFTER_MS = 60_000

export class Connections {
  readonly #options: ConnectionsOptions
  #clusterId: string | null = null
  #secret = ''
  #pool: Pool | null = null
  /** Of those that aren't made yet, to be broken off. */
  readonly #making = new Set<Socket>()
  #closed = false

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** By the key that counts now. */
  pool(): Pool {
    const clusterId = this.#options.clusterId()
    const secret = this.#options.secret()
    if (this.#pool !== null && clusterId === this.#clusterId && secret === this.#secret) {
      return this.#pool
    }
    // Its calls end as they would have.
    void this.#pool?.close()
    this.#clusterId = clusterId
    this.#secret = secret
    const proves = clusterId !== null && secret !== ''
    this.#pool = this.#make(proves ? clusterKey(clusterId, secret) : whoKey)
    return this.#pool
  }

  /** What `ask` makes of connections that prove nothing, which end with it. */
  async asStranger<T>(ask: (pool: Pool) => Promise<T>): Promise<T> {
    const pool = this.#make(whoKey)
    try {
      return await ask(pool)
    } finally {
      await pool.destroy()
    }
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    for (const socket of this.#making) socket.destroy()
    await this.#pool?.destroy()
  }

  #make(key: Key): Pool {
    const { to } = this.#options
    const options = {
      connections: MOST_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxResponseSize: -1,
    }
    return new Pool(`https://${joinHostPort(to)}`, {
      ...options,
      connect: (_there, done) => {
        this.#connect(key).then(
          (socket) => done(null, socket),
          (error: Error) => done(error, null),
        )
      },
    })
  }

  async #connect(key: Key): Promise<TLSSocket> {
    const { to, connectTimeoutMs } = this.#options
    const socket = connectPlain({ ...to, keepAlive: true, keepAliveInitialDelay: PROBE_AFTER_MS })
    socket.setNoDelay(true)
    await this.#made(socket, { event: 'connect', limitMs: connectTimeoutMs, what: 'a connection' })
    const secured = connectTls({ ...callingWith(key), socket, secureContext: context() })
    await this.#made(secured, {
      event: 'secureConnect',
      limitMs: HANDSHAKE_MS,
      what: 'a handshake',
    })
    return secured
  }

  /** Rejects with the socket's error, or undici's for a connection that took too long. */
  #made(socket: Socket, step: { event: string; limitMs: number; what: string }): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel()
        this.#making.delete(socket)
        socket.off(step.event, done).off('error', fail).off('close', gone)
      }
      const done = (): void => {
        end()
        resolve()
      }
      const fail = (error: Error): void => {
        end()
        // What else breaks in it has been told by this.
        socket.on('error', () => {}).destroy()
        reject(error)
      }
      const gone = (): void => fail(new errors.SocketError('it closed the connection'))
      const cancel = systemClock.after(step.limitMs, () =>
        fail(new errors.ConnectTimeoutError(`${step.what} took more than ${step.limitMs} ms`)),
      )
      socket.once(step.event, done).once('error', fail).once('close', gone)
      this.#making.add(socket)
      if (this.#closed) fail(new errors.ClientDestroyedError())
    })
  }
}

let made: ReturnType<typeof createSecureContext> | null = null
/** One for all connections: it holds no key, and takes as long to make as a handshake. */
function context(): ReturnType<typeof createSecureContext> {
  made ??= createSecureContext({ ...KEYED_TLS })
  return made
}
