/** Speaks to a port among the daemons without the calling side of ours, one request or the bare connection, or plays one. */
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { type Agent, createServer, request, type Server } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { splitHostPort } from '../../lib/base/host-port.ts'
import { callingWith, KEYED_TLS, type Key, whoKey } from '../../lib/rpc/index.ts'
import { eventOf } from './until.ts'

export interface KeyedAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

function ends(address: string): { host: string; port: number } {
  const split = splitHostPort(address)
  if (split === null) throw new Error(`${address} is no address`)
  return split
}

export function askKeyed(
  address: string,
  path: string,
  {
    key = whoKey,
    method = 'POST',
    headers = {},
    body = '',
    agent = false,
  }: {
    key?: Key
    method?: string
    headers?: Record<string, string>
    body?: string
    agent?: Agent | false
  } = {},
): Promise<KeyedAnswer> {
  return new Promise((resolve, reject) => {
    const options = { ...ends(address), ...callingWith(key), agent, method, path, headers }
    const call = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      )
    })
    call.on('error', reject)
    call.end(body)
  })
}

/** Rejects with what the handshake failed for. */
export async function keyedSocket(address: string, key: Key): Promise<TLSSocket> {
  const socket = connect({ ...ends(address), ...callingWith(key) })
  await eventOf(socket, 'secureConnect')
  return socket
}

/** Of a daemon that has `key`. */
export const keyedServer = (key: Key, listener: RequestListener): Server =>
  createServer(
    {
      ...KEYED_TLS,
      pskCallback: (_socket, identity) =>
        [key, whoKey].find((one) => one.identity === identity)?.psk ?? null,
    },
    listener,
  )
