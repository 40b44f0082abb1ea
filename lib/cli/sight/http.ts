/**
 * Makes one HTTP exchange with a master, JSON both ways, over TCP or over its Unix socket, with a deadline for the whole
 * of it. A port among the daemons is asked over TLS as anybody may ask it (rpc/keys.ts). A master that is stopped or frozen still accepts connections: only a complete answer counts.
 */
import { type IncomingHttpHeaders, request } from 'node:http'
import { request as requestOverTls } from 'node:https'
import { callingWith, whoKey } from '../../rpc/index.ts'

type Target =
  | { readonly host: string; readonly port: number; readonly isKeyed?: boolean }
  | { readonly socketPath: string }

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** Why there is no answer: `errno` is the system's name (ECONNREFUSED, …), or TIMEOUT, or BAD_ANSWER. */
export class NoAnswer extends Error {
  readonly errno: string
  constructor(errno: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'NoAnswer'
    this.errno = errno
  }
}

/** More than any master has to say; a stranger on the port must not fill our memory. */
const LARGEST_BODY = 8 * 1024 * 1024

/** Sends one request and reads the whole answer; rejects with NoAnswer. */
export function exchange(
  target: Target,
  path: string,
  options: {
    method: 'GET' | 'POST'
    body?: unknown
    headers?: Readonly<Record<string, string>>
    deadlineMs: number
  },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = options.body === undefined ? null : JSON.stringify(options.body)
    const isKeyed = 'isKeyed' in target && target.isKeyed === true
    const call = (isKeyed ? requestOverTls : request)({
      ...target,
      ...(isKeyed ? callingWith(whoKey) : {}),
      path,
      method: options.method,
      agent: false,
      headers: {
        ...(sent === null ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
    })
    const fail = (errno: string, message: string, cause?: unknown): void => {
      clearTimeout(timer)
      call.destroy()
      reject(new NoAnswer(errno, message, { cause }))
    }
    const timer = setTimeout(
      () => fail('TIMEOUT', `no answer within ${options.deadlineMs} ms`),
      options.deadlineMs,
    )
    call.on('error', (error: NodeJS.ErrnoException) =>
      fail(error.code ?? 'ERROR', error.message, error),
    )
    call.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', (error: NodeJS.ErrnoException) =>
        fail(error.code ?? 'ERROR', error.message, error),
      )
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > LARGEST_BODY) fail('BAD_ANSWER', 'the answer is too long for a master')
      })
      response.on('end', () => {
        clearTimeout(timer)
        try {
          const { statusCode: status = 0, headers } = response
          resolve({ status, headers, body: JSON.parse(text) })
        } catch (error) {
          fail('BAD_ANSWER', 'the answer is not JSON: something else listens there', error)
        }
      })
    })
    call.end(sent ?? undefined)
  })
}
