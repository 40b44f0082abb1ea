/** The processes of engines that a process has started, as the system tells them. */
import { readdirSync, readFileSync } from 'node:fs'

export function enginePids(of = process.pid): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => parentOf(pid) === of && commandOf(pid).includes('engine-process.js'))
    .map(Number)
}

/** A process that has ended, and that nobody has asked for, lives no more. */
export function lives(pid: number): boolean {
  return /^\d+ \(.*\) [^ZX]/s.test(read(`/proc/${pid}/stat`))
}

const parentOf = (pid: string): number =>
  Number(/\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1] ?? 0)

const commandOf = (pid: string): string => read(`/proc/${pid}/cmdline`)

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}
