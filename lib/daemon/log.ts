/**
 * A daemon's log: JSON lines by pino into a rotating file, and readable lines on stderr too where that is a terminal.
 */
import { dirname } from 'node:path'
import { pino } from 'pino'
import type { Log, LogFacts, LogLevel } from '../base/log.ts'
import { OwnPlaceError } from '../base/own-place.ts'
import { waitingClock, within } from '../base/time.ts'
import { makeOwnDirectory } from './own-directory.ts'
import { cantWriteLog, RotatingFile } from './rotating-file.ts'

export interface LogLimits {
  readonly level: LogLevel
  /** The current file is put aside before it would grow beyond this. */
  readonly maxBytes: number
  /** So many old files are kept. */
  readonly keep: number
}

interface DaemonLogOptions extends LogLimits {
  readonly file: string
  /** Part of every line. */
  readonly base: Readonly<Record<string, unknown>>
  /** Where a person looks on, or null. */
  readonly terminal: { write(text: string): void } | null
  /** Gets trouble with the log file itself. */
  readonly onTrouble: (message: string) => void
}

export interface DaemonLog {
  readonly log: Log
  /** Why its last lines could not be written; null when they were. It is for people. */
  trouble(): string | null
  /** They are the limits from now on. */
  limit(limits: LogLimits): void
  reopen(): void
  /** Resolves when all is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>
  /** For a process that ends now: written before this returns. */
  lastWords(message: string, facts: LogFacts): void
}

/** Throws an Error that names the file when it can't be written, OwnPlaceError where others may write beside it. */
export function openDaemonLog(options: DaemonLogOptions): DaemonLog {
  const { file, terminal, onTrouble } = options
  makeLogDirectory(file)
  const target = new RotatingFile(file, {
    maxBytes: options.maxBytes,
    keep: options.keep,
    lostLine: (count) => {
      const facts: LogFacts = { event: 'log-lines-lost', count }
      const msg = `${count} lines of this log were lost`
      const time = new Date().toISOString()
      return `${JSON.stringify({ level: 'warn', time, ...options.base, ...facts, msg })}\n`
    },
    onTrouble: (error) => onTrouble(`can't write ${file}: ${error.message}`),
  })
  const writing = { now: false }
  const logger = pino(
    {
      level: options.level,
      base: options.base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err, reason: pino.stdSerializers.err },
    },
    { write: (line) => (writing.now ? target.writeNow(line) : target.write(line)) },
  )
  const log: Log = (level, message, facts) => {
    logger[level](facts, message)
    if (terminal !== null && logger.isLevelEnabled(level)) {
      terminal.write(`${level.toUpperCase().padEnd(5)} ${message}\n`)
    }
  }
  return {
    log,
    trouble: () =>
      target.trouble === null
        ? null
        : `its log file ${file} can't be written (${target.trouble.message}): what it logs is lost`,
    limit(limits) {
      logger.level = limits.level
      target.limit(limits)
    },
    reopen: () => target.reopen(),
    async flush(timeoutMs) {
      await within(waitingClock, timeoutMs, target.flushed(), () => {})
    },
    lastWords(message, facts) {
      writing.now = true
      log('error', message, facts)
      writing.now = false
    },
  }
}

function makeLogDirectory(file: string): void {
  try {
    makeOwnDirectory('TAJO_LOG_DIR', dirname(file))
  } catch (error) {
    if (error instanceof OwnPlaceError) throw error
    throw cantWriteLog(file, error)
  }
}
