/** A child that answers each line with a line. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { start } from '../../support/processes.ts'
import { within } from '../../support/until.ts'

export interface Speaker {
  readonly child: ChildProcessWithoutNullStreams
  /** Its next line. */
  readonly line: (what: string) => Promise<string>
  /** Says an order, and resolves to what its line of JSON is. */
  readonly ask: (order: string) => Promise<unknown>
}

export interface SpeakerOptions {
  /** What runs a command where the child is to be. */
  readonly command?: (words: readonly string[]) => readonly string[]
  readonly words?: readonly string[]
  /** For each line, times the usual patience. */
  readonly patience?: number
}

/** `program`: a file of this folder, as built. */
export function speaker(program: string, options: SpeakerOptions = {}): Speaker {
  const { command = (words) => words, words = [], patience = 6 } = options
  const path = fileURLToPath(new URL(program, import.meta.url))
  const child = start(command([process.execPath, path, ...words]))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (what: string): Promise<string> =>
    (await within(what, lines.next(), { patience })).value
  const ask = async (order: string): Promise<unknown> => {
    child.stdin.write(`${order}\n`)
    return JSON.parse(await line(`the answer to '${order}'`))
  }
  return { child, line, ask }
}
