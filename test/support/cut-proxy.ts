/**
 * A TCP proxy that watches what a client sends and, at a word, loses the question, loses the answer, or holds the
 * question back while the connection stays. Once for each order. It can also freeze as a whole.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { freePortRow } from './free-ports.ts'

type Order =
  | { readonly do: 'cut'; readonly at: RegExp; readonly lose: 'question' | 'answer' }
  | { readonly do: 'hold'; readonly at: RegExp }

export class CutProxy {
  readonly port: number
  /** What clients have sent, in the pieces in which it came. */
  readonly questions: string[] = []
  readonly #sockets = new Set<Socket>()
  #frozen = false
  #order: Order | null = null
  #held: { readonly socket: Socket; readonly data: Buffer } | null = null

  private constructor(port: number) {
    this.port = port
  }

  /** Ends with the test. */
  static async start(t: Test, targetPort: number): Promise<CutProxy> {
    const server = createServer((client) => {
      const target = connect(targetPort, '127.0.0.1')
      for (const socket of [client, target]) {
        proxy.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          client.destroy()
          target.destroy()
        })
      }
      if (proxy.#frozen) target.pause()
      if (proxy.#frozen) client.pause()
      target.on('data', (data) => client.write(data))
      client.on('data', (data) => proxy.#question(data, client, target))
    })
    const proxy = new CutProxy(await freePortRow(1))
    server.listen(proxy.port, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      for (const socket of proxy.#sockets) socket.destroy()
      server.close()
    })
    return proxy
  }

  /** The next question that has `at` in it is lost, or its answer is; then both sides see the connection break. */
  cutAt(at: RegExp, lose: 'question' | 'answer'): void {
    this.#order = { do: 'cut', at, lose }
  }

  /** The next question that has `at` in it is held back until `letGo`. */
  holdAt(at: RegExp): void {
    this.#order = { do: 'hold', at }
  }

  get holding(): boolean {
    return this.#held !== null
  }

  letGo(): void {
    this.#held?.socket.write(this.#held.data)
    this.#held = null
  }

  /** Until `thaw` connections are accepted and kept, and nothing passes. */
  freeze(): void {
    this.#frozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  thaw(): void {
    this.#frozen = false
    for (const socket of this.#sockets) socket.resume()
  }

  #question(data: Buffer, client: Socket, target: Socket): void {
    this.questions.push(data.toString('latin1'))
    const order = this.#order
    if (order === null || !order.at.test(data.toString('latin1'))) {
      target.write(data)
      return
    }
    this.#order = null
    if (order.do === 'hold') this.#held = { socket: target, data }
    else if (order.lose === 'question') client.destroy()
    else {
      target.removeAllListeners('data')
      // Only after the server has answered is it sure to have done it.
      target.once('data', () => client.destroy())
      target.write(data)
    }
  }
}
