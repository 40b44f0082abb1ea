/**
 * Fencing: making sure that a master which doesn't answer is dead. The methods are tried in order until one proves it,
 * as Hadoop's NameNode does:
 *
 *     sshfence, sshfence(user), sshfence(user:port), sshfence(:port)     kill -9 over ssh, see ssh-fence.ts
 *     shell(/path/to/script args)                                        any command; exit status 0 says "it is dead"
 *
 * A method that fails, hangs or can't tell proves nothing, and the lease has to expire instead.
 */
import type { spawn as nodeSpawn } from 'node:child_process'
import type { Holder } from '../words/layout.ts'
import { runBounded } from '../world/bounded-run.ts'
import type { Log } from '../world/ports.ts'
import { hostProcesses } from '../world/processes.ts'
import { type FenceAttempt, hostOf, portOf, sshFence } from './ssh-fence.ts'

type FencingMethod =
  | {
      readonly kind: 'sshfence'
      readonly text: string
      readonly user: string | null
      readonly port: number | null
    }
  | { readonly kind: 'shell'; readonly text: string; readonly command: string }

/** How `fence` does it. */
export interface FenceOptions {
  /** Hears of each attempt. */
  readonly log: Log
  /** How long each method may take, ms; 10,000 when left out. */
  readonly timeoutMs?: number
  /** Options for ssh, such as `-i /path/key`: they can't switch host keys or batch mode off. */
  readonly sshOptions?: readonly string[]
  /** Environment of the commands; this process's own when left out. */
  readonly env?: NodeJS.ProcessEnv
  /** This is the boot that we ourselves run in; the kernel is asked for it when it is left out. */
  readonly ownBootId?: string
  /** For tests: instead of Node's own. */
  readonly spawn?: typeof nodeSpawn
}

/** What came of fencing. */
export interface FenceResult {
  /** True only when the target is proven dead. */
  readonly fenced: boolean
  /** The method that proved it, or null. */
  readonly method: string | null
  /** What was found, or why each method failed. */
  readonly detail: string
}

const ALLOWED = 'allowed are sshfence, sshfence([user][:port]) and shell(command), one a line'

const DEFAULT_TIMEOUT_MS = 10_000

/**
 * Reads a list of fencing methods, one a line; blank lines and lines that begin with `#` are skipped. Throws Error that names
 * the line that is none of `sshfence`, `sshfence(user:port)` and `shell(command)`.
 */
export function parseFencingMethods(text: string): string[] {
  return text.split('\n').flatMap((raw, index) => {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) return []
    return [parseFencingMethod(line, `line ${index + 1}`).text]
  })
}

/** Reads one method; `where` goes into the error. Throws Error. */
export function parseFencingMethod(text: string, where: string): FencingMethod {
  const refuse = (why: string): Error =>
    new Error(`fencing methods, ${where}: ${JSON.stringify(text)} ${why}; ${ALLOWED}`)
  const match = /^([A-Za-z]+)(?:\((.*)\))?$/.exec(text)
  const argument = match?.[2]?.trim() ?? ''
  if (match?.[1] === 'shell') {
    if (argument === '') throw refuse('names no command')
    return { kind: 'shell', text, command: argument }
  }
  if (match?.[1] !== 'sshfence') throw refuse('is no fencing method')
  const login = /^([A-Za-z0-9_][A-Za-z0-9_.-]*)?(?::(\d{1,5}))?$/.exec(argument)
  if (login === null) throw refuse('has an argument that is not user:port')
  const port = login[2] === undefined ? null : Number(login[2])
  if (port !== null && (port < 1 || port > 65535)) throw refuse('has a port outside 1 to 65535')
  return { kind: 'sshfence', text, user: login[1] ?? null, port }
}

/**
 * Tries the methods in turn until one proves that `target` is dead, killing it where that is needed. Rejects only with Error
 * for a malformed method, before any is tried.
 */
export async function fence(
  methods: readonly string[],
  target: Holder,
  options: FenceOptions,
): Promise<FenceResult> {
  const failures: string[] = []
  const parsed = methods.map((text, index) => parseFencingMethod(text, `line ${index + 1}`))
  for (const method of parsed) {
    options.log('info', 'fencing', {
      event: 'fencing-began',
      target: target.address,
      method: method.text,
    })
    const attempt = await tryMethod(method, target, options)
    options.log(attempt.fenced ? 'info' : 'warn', attempt.fenced ? 'fenced' : 'fencing failed', {
      event: attempt.fenced ? 'fencing-succeeded' : 'fencing-failed',
      target: target.address,
      method: method.text,
      detail: attempt.detail,
    })
    if (attempt.fenced) return { fenced: true, method: method.text, detail: attempt.detail }
    failures.push(`${method.text}: ${attempt.detail}`)
  }
  const detail = failures.length === 0 ? 'no fencing method is configured' : failures.join('; ')
  return { fenced: false, method: null, detail }
}

const tryMethod = (method: FencingMethod, target: Holder, options: FenceOptions) =>
  method.kind === 'shell'
    ? shellFence(method.command, target, options)
    : sshFence({
        login: method,
        target,
        ownBootId: options.ownBootId ?? hostProcesses().self().bootId,
        sshOptions: options.sshOptions ?? [],
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        env: options.env,
        spawn: options.spawn,
      })

async function shellFence(
  command: string,
  target: Holder,
  options: FenceOptions,
): Promise<FenceAttempt> {
  const run = await runBounded('/bin/sh', ['-c', command], {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    env: { ...(options.env ?? process.env), ...environmentFor(target) },
    spawn: options.spawn,
  })
  if (run.end === 'exit' && run.status === 0) {
    return { fenced: true, detail: `the command ended with status 0${run.lastLine}` }
  }
  return { fenced: false, detail: `the command ${run.sentence}${run.lastLine}` }
}

const environmentFor = (target: Holder): Record<string, string> => ({
  TAJO_FENCE_TARGET_ADDRESS: target.address,
  TAJO_FENCE_TARGET_HOST: hostOf(target.address) ?? '',
  TAJO_FENCE_TARGET_PORT: portOf(target.address),
  TAJO_FENCE_TARGET_HOSTNAME: target.hostname,
  TAJO_FENCE_TARGET_PID: String(target.master.pid),
  TAJO_FENCE_TARGET_START_TICKS: String(target.master.startTicks),
  TAJO_FENCE_TARGET_BOOT_ID: target.master.bootId,
})
