/**
 * What this host can prove about processes, from /proc and kill(pid, 0). Synchronous: /proc never waits for a disk, and
 * an answer costs less than 0.1 ms.
 *
 * `dead` is said only where nothing of that process can still act: a process whose leader is a zombie lives on while
 * one of its threads hangs in a file call. What can't be read is `unknown`. It works on Linux only.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { HaError } from '../words/errors.ts'
import type { Processes, ProcessIdentity } from './ports.ts'

/**
 * What this host can tell of processes. `identityOf` gives a process of this host and namespace, or null when there is none or
 * it can't be read. Throws HaError KEEPER_FAILED where there is no /proc.
 */
export function hostProcesses(): Processes & {
  identityOf(pid: number): ProcessIdentity | null
} {
  const bootId = readBootId()
  const pidNamespace = readNamespace()
  const identityOf = (pid: number): ProcessIdentity | null => {
    const stat = readStat(`/proc/${pid}/stat`)
    return stat === null ? null : { bootId, pidNamespace, pid, startTicks: stat.startTicks }
  }
  const own = identityOf(process.pid)
  if (own === null) throw noProc(`/proc/${process.pid}/stat`, undefined)
  return {
    self: () => own,
    identityOf,
    verdict(identity) {
      if (identity.bootId !== bootId || identity.pidNamespace !== pidNamespace) return 'unknown'
      // kill(0) and kill(-n) would ask for whole process groups.
      if (!Number.isSafeInteger(identity.pid) || identity.pid <= 0) return 'unknown'
      if (isGone(identity.pid)) return 'dead'
      const stat = readStat(`/proc/${identity.pid}/stat`)
      // It may have gone in between; a /proc mounted with hidepid hides a living one.
      if (stat === null) return isGone(identity.pid) ? 'dead' : 'unknown'
      if (stat.startTicks !== identity.startTicks) return 'dead'
      return isDeadState(stat.state) ? threadsVerdict(identity.pid) : 'alive'
    },
  }
}

/**
 * Which network this process is on: the host's boot id and the network namespace. Two that say the same reach each other
 * whatever becomes of the network; containers of one host that have networks of their own don't. Throws HaError KEEPER_FAILED
 * where there is no /proc.
 */
export function hostNetwork(): string {
  try {
    return `${readBootId()} ${readlinkSync('/proc/self/ns/net')}`
  } catch {
    return readBootId()
  }
}

/** Takes the boot id out of a name of `hostNetwork`: containers of one host share it, and with it the host's file systems. */
export const kernelOf = (network: string): string => network.split(' ')[0] ?? ''

/** The leader is a zombie: dead once each of its threads is. */
function threadsVerdict(pid: number): 'alive' | 'dead' | 'unknown' {
  let threads: string[]
  try {
    threads = readdirSync(`/proc/${pid}/task`)
  } catch {
    return isGone(pid) ? 'dead' : 'unknown'
  }
  // A thread whose file is gone has ended since the listing.
  const states = threads.map((thread) => readStat(`/proc/${pid}/task/${thread}/stat`)?.state)
  return states.every((state) => state === undefined || isDeadState(state)) ? 'dead' : 'alive'
}

const isDeadState = (state: string): boolean => state === 'Z' || state === 'X' || state === 'x'

/** Whether no process of this namespace has that pid. One of another user, which can't be signalled, has it. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

/** One line of numbers; longer names than a process can have don't make it fill this. */
const statBuffer = Buffer.alloc(4096)

/**
 * State and start time; null when the file can't be read. It is asked at every look, and does a third of readFileSync's
 * work.
 */
function readStat(path: string): { state: string; startTicks: number } | null {
  try {
    const file = openSync(path, 'r')
    try {
      return parseStat(statBuffer.toString('latin1', 0, readSync(file, statBuffer)))
    } finally {
      closeSync(file)
    }
  } catch {
    return null
  }
}

/** Field 2 is the program's name in brackets and may itself hold brackets and blanks, so count from the last ')'. */
export function parseStat(text: string): { state: string; startTicks: number } | null {
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  // Fields 3 and 22 of proc(5).
  const state = fields[0]
  const startTicks = Number(fields[19])
  if (end < 0 || !state || !fields[19] || !Number.isSafeInteger(startTicks)) return null
  return { state, startTicks }
}

/** Kernels count CPU time in these, whatever their own tick is (USER_HZ). */
const TICK_MS = 10

/** CPU time used so far, and whether the process wants to run now; null when there is no such process. */
export function readCpu(pid: number): { runnable: boolean; cpuMs: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    // Fields 3, 14 and 15 of proc(5).
    const ticks = Number(fields[11]) + Number(fields[12])
    return Number.isFinite(ticks) ? { runnable: fields[0] === 'R', cpuMs: ticks * TICK_MS } : null
  } catch {
    return null
  }
}

function readBootId(): string {
  const path = '/proc/sys/kernel/random/boot_id'
  try {
    return readFileSync(path, 'latin1').trim()
  } catch (error) {
    throw noProc(path, error)
  }
}

/** Start times are shifted in a time namespace, so it belongs to the name; kernels before 5.6 have none. */
function readNamespace(): string {
  const path = '/proc/self/ns/pid'
  try {
    const pidNamespace = readlinkSync(path)
    try {
      return `${pidNamespace},${readlinkSync('/proc/self/ns/time')}`
    } catch {
      return pidNamespace
    }
  } catch (error) {
    throw noProc(path, error)
  }
}

const noProc = (path: string, cause: unknown): HaError =>
  new HaError(
    'KEEPER_FAILED',
    `can't read ${path}: high availability needs Linux with /proc mounted`,
    { cause },
  )
