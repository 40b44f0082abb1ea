/**
 * Both ends of the conversation with `check-peer.ts`: one JSON object a line, a request with its number, an answer with
 * the same number and how long the call took on the other host. Lines that are nothing of ours, such as the banner of a
 * login shell, are passed over.
 */
import { DiskError, HaError } from '../words/errors.ts'
import { within } from './kit.ts'

/** The other end as lines; whoever started the program (locally, over ssh) supplies it. */
export interface PeerLines {
  /** Sends one line; without its newline. */
  readonly send: (line: string) => void
  /** Lines that come back; ends with the program. */
  readonly lines: AsyncIterable<string>
}

export interface PeerRequest {
  readonly id: number
  readonly op: string
  readonly args: readonly unknown[]
}

export interface PeerAnswer {
  readonly id: number
  readonly tookMs: number
  readonly value?: unknown
  readonly error?: { readonly message: string; readonly errno?: string; readonly path?: string }
}

export interface PeerLink {
  /** Rejects DiskError as the peer met it, HaError TIMEOUT, or BAD_STORAGE when the peer has ended. */
  ask<T>(op: string, ...args: unknown[]): Promise<{ value: T; tookMs: number }>
}

export function connectPeer(peer: PeerLines, limitMs: number): PeerLink {
  const pending = new Map<number, (answer: PeerAnswer | null) => void>()
  let nextId = 1
  let ended = false
  const listen = async (): Promise<void> => {
    try {
      for await (const line of peer.lines) {
        const answer = parseLine<PeerAnswer>(line)
        if (answer === null) continue
        pending.get(answer.id)?.(answer)
        pending.delete(answer.id)
      }
    } finally {
      ended = true
      for (const settle of pending.values()) settle(null)
    }
  }
  // A broken stream is an ended one: every call that waits is told so.
  listen().catch(() => undefined)

  return {
    async ask<T>(op: string, ...args: unknown[]) {
      const id = nextId++
      const answered = new Promise<PeerAnswer | null>((resolve) => {
        if (ended) return resolve(null)
        pending.set(id, resolve)
        peer.send(JSON.stringify({ id, op, args } satisfies PeerRequest))
      })
      const answer = await within(limitMs, `the peer's ${op}`, answered)
      if (answer === null) {
        throw new HaError('BAD_STORAGE', `the program on the peer ended before it answered ${op}`)
      }
      if (answer.error !== undefined) throw failureOf(answer.error)
      return { value: answer.value as T, tookMs: answer.tookMs }
    },
  }
}

function failureOf({ message, errno, path }: NonNullable<PeerAnswer['error']>): Error {
  const said = `on the peer: ${message}`
  return errno === undefined
    ? new HaError('BAD_STORAGE', said)
    : new DiskError(errno, path ?? '', said)
}

/** Reads one line of the conversation, or null for anything else. */
export function parseLine<T extends { readonly id: number }>(line: string): T | null {
  if (!line.startsWith('{"id":')) return null
  try {
    return JSON.parse(line) as T
  } catch {
    return null
  }
}
