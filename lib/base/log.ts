/** The log as every part sees it: one event, as a plain sentence and its facts. `daemon/log.ts` writes it to a file. */
import type { HaEvent } from '../ha/index.ts'
import type { DaemonEvent } from './log-events.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** What happened, by a name that stays, and its facts. */
export interface LogFacts {
  readonly event: DaemonEvent | HaEvent
  readonly [fact: string]: unknown
}

/** `facts` comes after what is for people: they read the sentence, programs the event. */
export type Log = (level: LogLevel, message: string, facts: LogFacts) => void

/** The line without its event's name: for a person at a command, who has the sentence. */
export function forPeople(message: string, { event: _, ...facts }: LogFacts): string {
  return Object.keys(facts).length === 0 ? message : `${message} ${JSON.stringify(facts)}`
}
