/**
 * How many processes the kernel of this host has killed since its boot because it was out of memory. It works on Linux
 * only.
 */
import { readFileSync } from 'node:fs'

/** Null where the kernel does not tell: without /proc, or before Linux 4.13. */
export function oomKills(): number | null {
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'latin1')) ?? []
    return count === undefined ? null : Number(count)
  } catch {
    return null
  }
}
