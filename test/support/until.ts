/**
 * Waiting for something to become true, instead of sleeping and hoping. The limit is there to end a broken test, so it
 * is generous and follows the machine; how long something took is asserted by no test. A wait in vain tells what was
 * waited for, what was seen last, and what became of the processes of the test.
 */
import type { ChildProcess } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { InVain, Patience, type PatienceOptions } from './patience.ts'
import { endOf, tellProcesses } from './processes.ts'

export interface UntilOptions extends PatienceOptions {
  readonly everyMs?: number
  /** Without these processes it can't come true any more: the wait ends with the first that ends. */
  readonly needs?: readonly ChildProcess[]
}

/** Asks `question` until it answers something true and resolves to that; rejects when the patience is over. */
export async function until<T>(
  what: string,
  question: () => Promise<T> | T,
  options: UntilOptions = {},
): Promise<NonNullable<T>> {
  let last = 'nothing has been answered yet'
  const tell = (): string => `the last answer: ${last}\n${tellProcesses()}`
  const patience = new Patience(what, { ...options, tell })
  for (;;) {
    // Seen before the question: what a process did before it ended counts.
    const ends = (options.needs ?? []).map(endOf)
    try {
      const answer = await patience.keep(Promise.resolve().then(question))
      if (answer) return answer as NonNullable<T>
      last = inspect(answer)
    } catch (error) {
      if (error instanceof InVain) throw error
      last = error instanceof Error ? error.message : inspect(error)
    }
    const end = ends.find((one) => one !== null)
    if (end)
      throw new Error(`it can't come true any more: ${what}\n${end}\nthe last answer: ${last}`)
    await patience.keep(sleep(options.everyMs ?? 20))
  }
}

/** What a process says first, without the end of the line; to be called at its start. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let said = ''
  child.stdout?.on('data', (chunk: Buffer | string) => {
    said += chunk.toString()
  })
  const options = { needs: [child], everyMs: 5 }
  await until(`a first line of process ${child.pid}`, () => said.includes('\n'), options)
  return said.slice(0, said.indexOf('\n'))
}

/** The arguments of the next `name` of `emitter`, within the same patience; rejects with its error as well. */
export const eventOf = (emitter: EventEmitter, name: string): Promise<unknown[]> =>
  within(`the event '${name}' of a ${emitter.constructor.name}`, once(emitter, name))

/** Resolves as `promise` does, within the same patience. */
export const within = <T>(
  what: string,
  promise: Promise<T>,
  options: PatienceOptions = {},
): Promise<T> => new Patience(what, { ...options, tell: tellProcesses }).keep(promise)
