/**
 * `sshfence`: kills a master over ssh and confirms that it is gone, or that it was gone already.
 *
 * Killing the wrong process, or believing the wrong host, is worse than failing. So the script on the other side kills a
 * pid only where boot, pid namespace and start time are the holder's, and counts a process as gone only when none of its
 * threads is left. Another boot id means that the holder's boot is over, but only on the holder's host: its host name
 * must match, and it must not be this host itself (a name like `localhost` leads everybody home).
 */
import type { spawn as nodeSpawn } from 'node:child_process'
import type { Holder } from '../words/layout.ts'
import { runBounded } from '../world/bounded-run.ts'

/** What one method found. */
export interface FenceAttempt {
  readonly fenced: boolean
  readonly detail: string
}

interface SshFence {
  readonly login: { readonly user: string | null; readonly port: number | null }
  readonly target: Holder
  readonly ownBootId: string
  readonly sshOptions: readonly string[]
  readonly timeoutMs: number
  readonly env: NodeJS.ProcessEnv | undefined
  readonly spawn: typeof nodeSpawn | undefined
}

/** Host of `host:port` or `[v6]:port`; null for what must not reach a command line. */
export function hostOf(address: string): string | null {
  const v6 = /^\[([0-9A-Fa-f:.]+)\]:\d+$/.exec(address)
  if (v6) return v6[1] ?? null
  return /^([A-Za-z0-9][A-Za-z0-9._-]*):\d+$/.exec(address)?.[1] ?? null
}

export const portOf = (address: string): string => /:(\d+)$/.exec(address)?.[1] ?? ''

/** Runs the script on the host of the target's address. Never rejects. */
export async function sshFence(fence: SshFence): Promise<FenceAttempt> {
  const { target, ownBootId } = fence
  const host = hostOf(target.address)
  if (host === null) return failed(`${JSON.stringify(target.address)} names no host to connect to`)
  const script = scriptArguments(target)
  if (script === null) {
    return failed('its claim holds no usable pid, start time, boot id and pid namespace')
  }
  const run = await runBounded('ssh', [...sshArguments(fence), '--', host, `sh -s -- ${script}`], {
    timeoutMs: fence.timeoutMs,
    input: SCRIPT,
    env: fence.env,
    spawn: fence.spawn,
  })
  const verdict = /^fence-verdict (\S+) (.*)$/m.exec(run.stdout)
  if (verdict === null) return failed(`ssh to ${host} ${run.sentence}${run.lastLine}`)
  return judge({ word: verdict[1] ?? '', rest: verdict[2] ?? '', host, target, ownBootId })
}

const failed = (detail: string): FenceAttempt => ({ fenced: false, detail })

/** The first value of an option counts for ssh, so what comes later can't loosen these. */
function sshArguments(fence: SshFence): string[] {
  const connectSeconds = Math.max(1, Math.floor(fence.timeoutMs / 2000))
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'ConnectionAttempts=1',
    `ConnectTimeout=${connectSeconds}`,
    'ServerAliveInterval=1',
  ]
  return [
    '-T',
    ...options.flatMap((option) => ['-o', option]),
    ...(fence.login.port === null ? [] : ['-p', String(fence.login.port)]),
    ...(fence.login.user === null ? [] : ['-l', fence.login.user]),
    ...fence.sshOptions,
  ]
}

/** Words for the remote shell: each in a form that no shell reads anything into. */
function scriptArguments({ master }: Holder): string | null {
  const { pid, startTicks, bootId, pidNamespace } = master
  const sound =
    Number.isSafeInteger(pid) &&
    pid > 1 &&
    Number.isSafeInteger(startTicks) &&
    startTicks >= 0 &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bootId) &&
    /^pid:\[\d+\](,time:\[\d+\])?$/.test(pidNamespace)
  return sound ? `${pid} ${startTicks} ${bootId} '${pidNamespace}'` : null
}

function judge(found: {
  word: string
  rest: string
  host: string
  target: Holder
  ownBootId: string
}): FenceAttempt {
  const { word, rest, host, target, ownBootId } = found
  const pid = target.master.pid
  if (word === 'killed') return { fenced: true, detail: `killed process ${pid} on ${host}` }
  if (word === 'gone') return { fenced: true, detail: `process ${pid} on ${host} had ended` }
  if (word !== 'other-boot') return failed(`${host}: ${rest}`)
  const [bootId = '', ...name] = rest.split(' ')
  if (bootId === ownBootId) {
    return failed(`${host} leads to this host, where the holder doesn't run`)
  }
  if (name.join(' ') !== target.hostname) {
    return failed(`${host} calls itself ${name.join(' ')}, the holder ran on ${target.hostname}`)
  }
  return { fenced: true, detail: `${host} has been started anew since` }
}

/** POSIX sh. Field 22 of /proc/PID/stat is the 20th after the last ')'. */
const SCRIPT = `
export LC_ALL=C
pid=$1 ticks=$2 boot=$3 namespace=$4
say() { printf 'fence-verdict %s %s\\n' "$1" "$2"; exit 0; }

# kill -0 fails for a living process of another user too: only the reason tells.
no_such_process() {
  reason=$(kill -0 "$pid" 2>&1) && return 1
  case $reason in *'No such process'*) return 0 ;; esac
  return 1
}

# Nothing of that process can act any more: no such pid, a pid used anew, or nothing but dead threads.
over() {
  no_such_process && return 0
  line=$(cat "/proc/$pid/stat" 2>/dev/null) || { no_such_process; return; }
  set -- \${line##*)}
  [ -n "\${20}" ] || say unknown "can't read /proc/$pid/stat"
  [ "\${20}" = "$ticks" ] || return 0
  case $1 in [ZXx]) ;; *) return 1 ;; esac
  for file in "/proc/$pid/task/"*/stat; do
    line=$(cat "$file" 2>/dev/null) || continue
    set -- \${line##*)}
    case $1 in [ZXx]) ;; *) return 1 ;; esac
  done
  return 0
}

now=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
[ -n "$now" ] || say unknown "can't read the boot id"
[ "$now" = "$boot" ] || say other-boot "$now $(uname -n)"
here=$(readlink /proc/self/ns/pid)
time=$(readlink /proc/self/ns/time 2>/dev/null) && here="$here,$time"
[ "$here" = "$namespace" ] || say unknown "the holder runs in a container, whose processes ssh doesn't reach"

over && say gone -
if ! reason=$(kill -9 "$pid" 2>&1); then
  over && say gone -
  say failed "can't kill process $pid: $reason"
fi
tries=0
until over; do
  tries=$((tries + 1))
  [ "$tries" -le 100 ] || say failed "process $pid is still there after kill -9"
  sleep 0.05 2>/dev/null || sleep 1
done
say killed -
`
