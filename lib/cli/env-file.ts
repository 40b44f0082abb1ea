/**
 * `conf/tajo-env.sh`, the one place where an operator sets the environment: read by every command, so that
 * `tajo haadmin` typed in a bare shell means the same as the scripts do.
 *
 * Shell words, both ways: `TAJO_SSH_OPTS` into arguments without a shell, and arguments into a command line that a
 * remote shell takes for exactly these words.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { requireOwn } from '../base/own-place-look.ts'
import { failure, oneLine, usageError } from './exit.ts'

/**
 * Splits like a POSIX shell: blanks separate; '…' is literal; in "…" a backslash escapes only \ " $ and `; elsewhere it
 * escapes anything. Nothing is expanded, so `$HOME` and `$(…)` stay as they are. A quote without an end is an error
 * that names `what`.
 */
export function splitShellWords(text: string, what: string): string[] {
  const words: string[] = []
  let word: string | null = null
  let quote: '"' | "'" | null = null
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (quote === null && /\s/.test(char)) {
      if (word !== null) words.push(word)
      word = null
    } else if (char === quote) {
      quote = null
    } else if (quote === null && (char === '"' || char === "'")) {
      quote = char
      word ??= ''
    } else if (char === '\\' && quote !== "'") {
      const next = text.charAt(i + 1)
      if (next === '') throw usageError(`${what} ends with a lone backslash: ${text}`)
      const escapes = quote === null || '\\"$`'.includes(next)
      word = (word ?? '') + (escapes ? next : `\\${next}`)
      i++
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== null) throw usageError(`${what} has a ${quote} without its end: ${text}`)
  if (word !== null) words.push(word)
  return words
}

/**
 * Quotes one word for any POSIX shell (and csh, fish). NUL can't be in an argument and line ends could split csh's words.
 */
export function quoteWord(word: string): string {
  if (/[\0\r\n]/.test(word)) {
    throw usageError(`can't pass ${JSON.stringify(word)} to another host: it contains a line end`)
  }
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word
  // '…' stops nothing but itself and, in csh, the exclamation mark; both are put outside behind a backslash.
  return `'${word.replaceAll("'", "'\\''").replaceAll('!', "'\\!'")}'`
}

const DEADLINE_MS = 10_000

/** What bash itself sets; none of it is the file's. */
const SHELLS_OWN = new Set(['_', 'SHLVL', 'PWD', 'OLDPWD'])

/** Blank lines and remarks alone, as shipped: no shell has to be started for them. */
function saysNothing(file: string): boolean {
  try {
    const lines = readFileSync(file, 'utf8').split('\n')
    return lines.every((line) => line.trim() === '' || line.trimStart().startsWith('#'))
  } catch {
    // What can't be read bash complains of, by name and reason.
    return false
  }
}

/**
 * `env` after sourcing the file; `env` itself when there is none. What the file prints goes to stderr. Throws OwnPlaceError
 * where another user may write the file, or put one of his own in its place: it is executed. A daemon's
 * belongs to its user or root; for other commands to whoever owns the directory.
 */
export function withEnvFile(
  confDir: string,
  env: NodeJS.ProcessEnv,
  isDaemon: boolean,
): NodeJS.ProcessEnv {
  const file = join(confDir, 'tajo-env.sh')
  if (!existsSync(file) || saysNothing(file)) return env
  // Whoever only asks or runs SQL trusts the user of the cluster that he has named.
  const trusted = isDaemon ? {} : { also: [statSync(confDir).uid] }
  requireOwn('TAJO_CONF_DIR', confDir, trusted)
  requireOwn('tajo-env.sh', file, trusted)
  const script = '. "$1" >&2 || exit; exec env -0'
  // Without --norc a bash whose standard input is a socket takes itself for a remote shell and reads ~/.bashrc.
  const ran = spawnSync('bash', ['--norc', '-c', script, 'bash', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, TAJO_CONF_DIR: confDir },
    encoding: 'utf8',
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 8 * 1024 * 1024,
  })
  if (ran.error !== undefined || ran.status !== 0) {
    const why = ran.error?.message ?? (oneLine(ran.stderr) || `exit code ${ran.status}`)
    throw failure(`${file} can't be sourced by bash: ${why}`)
  }
  const after: NodeJS.ProcessEnv = { ...env }
  for (const line of ran.stdout.split('\0')) {
    const at = line.indexOf('=')
    const name = line.slice(0, at)
    if (at > 0 && !SHELLS_OWN.has(name)) after[name] = line.slice(at + 1)
  }
  return after
}
