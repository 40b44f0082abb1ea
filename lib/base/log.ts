/** The log as every part sees it: one event, as a plain sentence and its facts. `daemon/log.ts` writes it to a file. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type Log = (
  level: LogLevel,
  message: string,
  facts?: Readonly<Record<string, unknown>>,
) => void
