/** What can go wrong with a stream of lines, the same for those who are told each line and those who ask for it. */
import { RpcError } from './errors.ts'

export function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new RpcError('INTERNAL', 'a line of the stream is not JSON', { cause })
  }
}

export const silent = (ms: number): RpcError =>
  new RpcError(
    'TIMEOUT',
    `nothing heard for ${Math.round(ms)} ms: the other side is frozen or cut off`,
  )

export const broken = (cause: unknown): RpcError =>
  new RpcError('UNAVAILABLE', 'the connection broke or the other side has ended', { cause })
