/**
 * What each message has, whoever sends it: the names of its headers, beside those that all of HTTP has, and a body that is
 * read in one way by both HTTP clients: the masters' calling side and the client library's, which loads neither undici nor
 * the contract's schemas.
 */
import type { Readable } from 'node:stream'
import { RpcError } from './errors.ts'

/** On each message: the cluster that it is meant for, or comes from. */
export const CLUSTER_HEADER = 'x-tajo-cluster'
/** The newest term that the sender knows. */
export const EPOCH_HEADER = 'x-tajo-epoch'
/** On requests of clients: `Bearer ` and the token that tells whose they are. */
export const TOKEN_HEADER = 'authorization'
/** On a stream's request: so many milliseconds, at most, the reader wants to wait for a sign of life. */
export const BEAT_HEADER = 'x-tajo-beat-ms'

const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024

/** Rejects with RpcError INTERNAL for a longer one than any answer of ours. */
export async function textOf(body: Readable): Promise<string> {
  let text = ''
  body.setEncoding('utf8')
  for await (const chunk of body) {
    text += chunk
    if (text.length > LARGEST_ANSWER_BYTES) throw new RpcError('INTERNAL', 'the answer is too long')
  }
  return text
}

/** Null for what is no JSON: whoever checks it against the contract says that it isn't ours. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
