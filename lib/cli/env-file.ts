/**
 * `conf/tajo-env.sh`, the one place where an operator sets the environment: read by every command, so that
 * `tajo haadmin` typed in a bare shell means the same as the scripts do.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { failure, oneLine } from './exit.ts'

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

/** `env` after sourcing the file; `env` itself when there is none. What the file prints goes to stderr. */
export function withEnvFile(confDir: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const file = join(confDir, 'tajo-env.sh')
  if (!existsSync(file) || saysNothing(file)) return env
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
