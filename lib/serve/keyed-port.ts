/**
 * A port among the daemons: TLS by the cluster's key (rpc/keys.ts) in front of an HTTP server. What a connection has
 * proven is remembered with it, and the guard asks for it at each request.
 *
 * The first byte decides. TLS begins with one of its own. Whoever speaks plain HTTP, an earlier version or a person with
 * curl, is told in one sentence what this port wants. Everything else is closed.
 *
 * Strangers can't stop it for others. A connection has a few seconds to prove itself. Of those that haven't yet, and of
 * those that show no secret, there are so many at most: then the oldest has to go. Those that have proven the cluster's
 * key are ours, and make room for nobody.
 *
 * Ports that people's programs ask as well show the cluster's certificate to whoever has no key. Such a
 * connection proves nothing of its caller, who proves himself by what he sends.
 *
 * What a connection is, is settled when its handshake is done and never changes: the identity that a caller names while
 * it is under way is a claim.
 */
import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { systemClock } from '../base/time.ts'
import {
  bodyOf,
  CLUSTER_HEADER,
  clusterName,
  handshakeFault,
  KEYED_TLS,
  type Key,
  RpcError,
  whoKey,
} from '../rpc/index.ts'
import type { Certificate, Guard } from './guard.ts'

/** For the first byte and the handshake together; between two of our processes both take milliseconds. */
const HANDSHAKE_MS = 10_000
/** Of one port; each costs some 30 KB. */
const MOST_UNPROVEN = 512
const MOST_STRANGERS = 512
/** Of one port, of ours nearly all: strangers are bounded above. Each worker and each master has a few. */
const MOST_CONNECTIONS = 65_536
/** It opens each handshake. */
const TLS_HANDSHAKE = 0x16
/** What was said last has to go out; then the connection is cut, whether it was read or not. */
const PARTING_MS = 250

/** Of people's programs, of one port: those that come then are turned away. */
const MOST_GUESTS = 4096

const KEYED_WORDS =
  "this port speaks TLS, keyed by the cluster's secret, and no plain HTTP: an earlier version asks here, or something that is no part of a cluster"

const CERTIFIED_WORDS =
  'this port speaks TLS, and no plain HTTP: an earlier version asks here, or a program that has to be told https'

/** Those with the key, and for all others what shows a certificate by an elliptic curve. */
const CERTIFIED_TLS = {
  ...KEYED_TLS,
  maxVersion: 'TLSv1.3',
  ciphers: [
    KEYED_TLS.ciphers,
    'TLS_AES_128_GCM_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    // A site's own certificate may be of RSA.
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ].join(':'),
} as const

const proven = new WeakMap<object, Key>()

/** The key that a connection was made with; null for a plain one. */
export const provenBy = (socket: object): Key | null => proven.get(socket) ?? null

/** Connections of one kind, by their other ends: the one that comes last drives out the one that came first. */
class Bounded {
  readonly #sockets = new Map<string, Socket>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  add(end: string, socket: Socket): void {
    this.#sockets.set(end, socket)
    socket.once('close', () => {
      // Its number may be another's by now.
      if (this.#sockets.get(end) === socket) this.#sockets.delete(end)
    })
    const [oldest] = this.#sockets.values()
    if (this.#sockets.size > this.#most) oldest?.destroy()
  }

  leave(end: string): void {
    this.#sockets.delete(end)
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }
}

/** Null for one that is gone already. */
const endOf = ({ remoteAddress, remotePort }: Socket): string | null =>
  remoteAddress === undefined ? null : `${remoteAddress} ${remotePort}`

/** How a port is keyed. */
export interface Keyed {
  readonly guard: Guard
  /** It shows the cluster's certificate to those who have no key. */
  readonly isCertified: boolean
}

/** Puts the key in front of `app`, before it listens, and before whatever cuts its connections when it closes. */
export function keyPort(app: FastifyInstance, { guard, isCertified }: Keyed): void {
  const port = new KeyedPort(app.server, guard, isCertified)
  app.server.maxConnections = MOST_CONNECTIONS
  app.addHook('preClose', () => port.close())
}

class KeyedPort {
  readonly #guard: Guard
  readonly #isCertified: boolean
  #guests = 0
  #shown: Certificate | null = null
  readonly #unproven = new Bounded(MOST_UNPROVEN)
  readonly #strangers = new Bounded(MOST_STRANGERS)
  readonly #claims = new WeakMap<TLSSocket, { readonly key: Key; readonly from: string }>()
  readonly #handshakes: Server
  readonly #made = new Set<TLSSocket>()
  #closing = false
  /** What the HTTP server does with a connection. */
  readonly #serve: (socket: Socket) => void

  constructor(server: HttpServer, guard: Guard, isCertified: boolean) {
    const listeners = server.listeners('connection')
    this.#guard = guard
    this.#isCertified = isCertified
    this.#serve = (socket) => {
      for (const listener of listeners) listener.call(server, socket)
    }
    this.#handshakes = createServer({
      ...(isCertified ? CERTIFIED_TLS : KEYED_TLS),
      handshakeTimeout: HANDSHAKE_MS,
      pskCallback: (socket, identity) => this.#claimed(socket as TLSSocket, identity),
    })
    this.#handshakes.on('secureConnection', (socket) => this.#done(socket))
    this.#handshakes.on('tlsClientError', (error, socket) => this.#failed(error, socket))
    server.removeAllListeners('connection')
    server.on('connection', (socket) => this.#begin(socket))
  }

  /**
   * Resolves when what has been said on the connections that stand is out. Several words of one moment go into the socket
   * one after the other, in turns of the event loop, where without TLS all of them go at once.
   */
  async close(): Promise<void> {
    this.#closing = true
    this.#unproven.close()
    const untilMs = systemClock.nowMs() + PARTING_MS
    while (this.#isSaying() && systemClock.nowMs() < untilMs) await nextTurn()
  }

  #isSaying(): boolean {
    return [...this.#made].some(({ writableLength }) => writableLength > 0)
  }

  #begin(socket: Socket): void {
    // What breaks before it was a connection is nobody's loss.
    socket.on('error', () => socket.destroy())
    const end = endOf(socket)
    if (end === null || this.#closing) {
      socket.destroy()
      return
    }
    this.#unproven.add(end, socket)
    const cancel = systemClock.after(HANDSHAKE_MS, () => socket.destroy())
    socket.once('close', cancel)
    socket.once('data', (first: Buffer) => {
      cancel()
      socket.pause()
      if (first[0] === TLS_HANDSHAKE) {
        socket.unshift(first)
        this.#show()
        this.#handshakes.emit('connection', socket)
      } else if (isLetter(first[0])) this.#part(socket)
      else socket.destroy()
    })
  }

  /** It is known once the cluster is joined, and may be another one later. */
  #show(): void {
    const { certificate } = this.#guard
    if (!this.#isCertified || certificate === null || certificate === this.#shown) return
    this.#shown = certificate
    const { key, chain } = certificate
    this.#handshakes.setSecureContext({ ...CERTIFIED_TLS, key, cert: chain })
  }

  /** A plain request: told what this port wants, in the shape that earlier versions read. */
  #part(socket: Socket): void {
    const error = new RpcError('BAD_REQUEST', this.#isCertified ? CERTIFIED_WORDS : KEYED_WORDS)
    const body = `${JSON.stringify({ ...bodyOf(error), epoch: this.#guard.term() })}\n`
    const head = [
      'HTTP/1.1 400 Bad Request',
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      `${CLUSTER_HEADER}: ${clusterName(this.#guard.clusterId)}`,
      'connection: close',
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
    // What else comes is read and forgotten: an end with bytes unread would take the answer with it.
    socket.on('data', () => {}).resume()
    socket.once(
      'close',
      systemClock.after(PARTING_MS, () => socket.destroy()),
    )
  }

  #claimed(socket: TLSSocket, identity: string): Buffer | null {
    // Whoever is proven stays what he is.
    if (proven.has(socket)) return null
    const from = socket.remoteAddress ?? 'an address that is gone'
    const key = this.#guard.keyOf(identity, from)
    if (key !== null) this.#claims.set(socket, { key, from })
    return key?.psk ?? null
  }

  #done(socket: TLSSocket): void {
    const claim = this.#claims.get(socket)
    const end = endOf(socket)
    if (end === null) {
      socket.destroy()
      return
    }
    this.#unproven.leave(end)
    this.#made.add(socket)
    socket.once('close', () => this.#made.delete(socket))
    if (claim === undefined) {
      this.#admitGuest(socket)
      return
    }
    // In TLS 1.3 a server asks for the key of whom a caller names, and may show its certificate all the same: nobody has
    // proven anything then.
    if (!socket.getCipher().name.includes('PSK')) {
      socket.destroy()
      return
    }
    proven.set(socket, claim.key)
    if (claim.key === whoKey) this.#strangers.add(end, socket)
    this.#serve(socket)
  }

  /** Whoever is there already is not driven out by others. */
  #admitGuest(socket: TLSSocket): void {
    if (!this.#isCertified || this.#guests >= MOST_GUESTS) {
      socket.destroy()
      return
    }
    this.#guests += 1
    socket.once('close', () => {
      this.#guests -= 1
    })
    this.#serve(socket)
  }

  #failed(error: Error, socket: TLSSocket): void {
    const claim = this.#claims.get(socket)
    if (claim !== undefined && claim.key !== whoKey && handshakeFault(error) === 'key') {
      this.#guard.refuseKey(claim.from)
    }
    socket.destroy()
  }
}

const isLetter = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 0x41 && byte <= 0x5a
