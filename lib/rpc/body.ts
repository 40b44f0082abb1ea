/**
 * The body of an answer is read in one way by both HTTP clients: this directory's own and the client library's, which loads
 * neither undici nor the contract's schemas.
 */
import type { Readable } from 'node:stream'
import { RpcError } from './errors.ts'

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
