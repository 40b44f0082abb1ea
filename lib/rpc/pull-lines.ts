/**
 * The reading side of a stream for whoever may be slower than the writer: lines are pulled, and what is not pulled stays
 * in the sockets, so that the writer has to wait (stream.ts pushes, for short news that are taken at once).
 *
 * Silence counts only while somebody waits for a line: a reader that is busy with the last one doesn't blame the writer.
 */
import type { Readable } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { RpcError } from './errors.ts'
import { broken, parseLine, silent } from './stream-faults.ts'

export interface LinePulling {
  readonly clock: Clock
  /** So long a silence means a frozen peer: several heartbeat periods of the writer. */
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
    throw cause instanceof RpcError ? cause : broken(cause)
  } finally {
    waiting = false
    cancel()
  }
}
