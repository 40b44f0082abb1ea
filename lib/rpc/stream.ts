/**
 * Streams: lines of JSON over one HTTP answer that never ends by itself.
 *
 * TCP tells within milliseconds that the other process is gone, and never that it is frozen. So the writer sends an
 * empty line when it had nothing to say for a beat, and the reader takes a longer silence for a frozen
 * peer; it says how often it wants to hear, since the two may live by different periods. Neither side lets the other fill
 * its memory: a reader that doesn't read is cut off, and so is an endless line.
 *
 * There are two readers. One is told each line, for short news that are taken at once. The other pulls lines, for whoever
 * may be slower than the writer: what is not pulled stays in the sockets, so that the writer has to wait.
 *
 * Silence counts only while somebody waits for a line: a reader that is busy with the last one doesn't blame the writer.
 */
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Clock } from '../base/time.ts'
import { RpcError } from './errors.ts'

interface LinePulling {
  readonly clock: Clock
  /** So long a silence means a frozen peer: several beats of the writer. */
  readonly silenceMs: number
  /** In characters; a longer line is no line of ours. */
  readonly longestLine: number
}

/**
 * The stream's lines until its regular end. Throws UNAVAILABLE when the connection breaks, TIMEOUT when the peer falls
 * silent, INTERNAL for what is no line of JSON. Whoever stops pulling early closes the stream by that.
 */
export async function* pullLines(
  body: Readable,
  { clock, silenceMs, longestLine }: LinePulling,
): AsyncGenerator<unknown, void, void> {
  body.setEncoding('utf8')
  const chunks = body[Symbol.asyncIterator]()
  /** Of the line that is not complete yet. */
  let begun: string[] = []
  let begunLength = 0
  try {
    for (;;) {
      const next = await heard(body, chunks, { clock, silenceMs })
      if (next.done === true) break
      const parts = String(next.value).split('\n')
      for (const [i, part] of parts.entries()) {
        begun.push(part)
        begunLength += part.length
        if (begunLength > longestLine) {
          throw new RpcError('INTERNAL', `a line of the stream is longer than ${longestLine}`)
        }
        if (i === parts.length - 1) break
        const line = begun.length === 1 ? part : begun.join('')
        begun = []
        begunLength = 0
        if (line !== '') yield parseLine(line)
      }
    }
  } finally {
    body.destroy()
  }
  if (begunLength > 0) throw broken(undefined)
}

async function heard(
  body: Readable,
  chunks: AsyncIterator<unknown>,
  { clock, silenceMs }: { clock: Clock; silenceMs: number },
): Promise<IteratorResult<unknown>> {
  let waiting = true
  const cancel = clock.after(silenceMs, () => {
    // After a pause of this process timers fire before sockets are read: let them speak first.
    setImmediate(() => setImmediate(() => waiting && body.destroy(silent(silenceMs))))
  })
  try {
    return await chunks.next()
  } catch (cause) {
    throw RpcError.from(cause, broken)
  } finally {
    waiting = false
    cancel()
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new RpcError('INTERNAL', 'a line of the stream is not JSON', { cause })
  }
}

const silent = (ms: number): RpcError =>
  new RpcError(
    'TIMEOUT',
    `nothing heard for ${Math.round(ms)} ms: the other side is frozen or cut off`,
  )

const broken = (cause: unknown): RpcError =>
  new RpcError('UNAVAILABLE', 'the connection broke or the other side has ended', { cause })

/** What a peer may leave unread before it is cut off. */
const MOST_UNREAD_BYTES = 1024 * 1024
const LONGEST_LINE = 1024 * 1024

/** This is the writing side. After the stream has ended, by either side, everything is a no-op. */
export class LineWriter<L> {
  readonly #response: ServerResponse
  readonly #clock: Clock
  readonly #beatMs: number
  readonly #closed: (() => void)[] = []
  #cancelBeat = (): void => {}
  /** Whoever waits in `sendText`. */
  #wake = (): void => {}
  #open = true

  constructor(response: ServerResponse, options: { clock: Clock; beatMs: number }) {
    this.#response = response
    this.#clock = options.clock
    this.#beatMs = options.beatMs
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
    })
    response.flushHeaders()
    response.socket?.setNoDelay(true)
    response.on('error', () => this.#close())
    response.on('close', () => this.#close())
    response.on('drain', () => this.#wake())
    this.#beatLater()
  }

  send(line: L): void {
    this.#write(`${JSON.stringify(line)}\n`)
  }

  /**
   * Sends a line that is JSON already, however long, and resolves when the reader has taken enough of what is under way
   * for the next one: false when the stream has ended instead. A reader that takes nothing for `patienceMs` is cut off.
   * There is one call at a time.
   */
  async sendText(json: string, patienceMs: number): Promise<boolean> {
    if (!this.#open) return false
    this.#beatLater()
    if (this.#response.write(`${json}\n`)) return true
    const cancel = this.#clock.after(patienceMs, () => this.#response.destroy())
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    cancel()
    return this.#open
  }

  end(): void {
    if (!this.#open) return
    this.#response.end()
    this.#close()
  }

  /** Called once when the stream has ended, whoever ended it. */
  onClose(listener: () => void): void {
    if (this.#open) this.#closed.push(listener)
    else listener()
  }

  #write(text: string): void {
    if (!this.#open) return
    this.#response.write(text)
    if (this.#response.writableLength > MOST_UNREAD_BYTES) this.#response.destroy()
    else this.#beatLater()
  }

  #beatLater(): void {
    this.#cancelBeat()
    this.#cancelBeat = this.#clock.after(this.#beatMs, () => this.#beat())
  }

  /** A reader that has enough to read needs no sign of life, and one that doesn't read must not pile them up. */
  #beat(): void {
    if (this.#response.writableNeedDrain) this.#beatLater()
    else this.#write('\n')
  }

  #close(): void {
    if (!this.#open) return
    this.#open = false
    this.#cancelBeat()
    this.#wake()
    for (const listener of this.#closed) listener()
  }
}

interface LineReading {
  readonly clock: Clock
  /** So long a silence means a frozen peer: several beats. */
  readonly silenceMs: number
  /** Whatever comes, an empty line too. */
  readonly onSign?: (() => void) | undefined
  readonly onLine: (line: unknown) => void
}

/**
 * Reads until the stream ends, and always rejects then: UNAVAILABLE when the peer or the connection is gone, TIMEOUT
 * when it fell silent, INTERNAL for what is no line of JSON, or what `onLine` throws.
 */
export function readLines(body: Readable, reading: LineReading): Promise<never> {
  return new Promise((_, reject) => {
    const { clock, silenceMs, onSign, onLine } = reading
    let rest = ''
    let cancelSilence = (): void => {}
    let chunks = 0

    const fail = (error: unknown): void => {
      cancelSilence()
      reject(error)
      body.destroy()
    }
    const listen = (): void => {
      const before = chunks
      cancelSilence = clock.after(silenceMs, () => {
        // After a pause of this process timers fire before sockets are read: let them speak first.
        setImmediate(() => setImmediate(() => chunks === before && fail(silent(silenceMs))))
      })
    }

    body.setEncoding('utf8')
    body.on('data', (chunk: string) => {
      chunks += 1
      cancelSilence()
      onSign?.()
      rest += chunk
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LONGEST_LINE) {
        fail(new RpcError('INTERNAL', `a line of the stream is longer than ${LONGEST_LINE}`))
        return
      }
      try {
        for (const line of lines) if (line !== '') onLine(parseLine(line))
      } catch (error) {
        fail(error)
        return
      }
      listen()
    })
    body.once('error', (cause) => fail(broken(cause)))
    body.once('end', () => fail(broken(undefined)))
    body.once('close', () => fail(broken(undefined)))
    listen()
  })
}
