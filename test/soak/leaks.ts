/** What a process holds, from /proc: file descriptors and resident memory, over the time of a run; and who is left. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Sample {
  readonly fds: number
  readonly residentKiB: number
}

export function sample(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const residentKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
  return { fds: readdirSync(`/proc/${pid}/fd`).length, residentKiB }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** The growth from the second fifth of a run to its last: the first fifth warms up. */
export interface Growth {
  readonly from: Sample
  readonly to: Sample
  readonly leaks: boolean
}

const FDS_MORE = 5
const MEMORY_FACTOR = 1.4
const MEMORY_KIB_MORE = 20 * 1024

/** Null when there are too few samples to tell. */
export function growthOf(samples: readonly Sample[]): Growth | null {
  const fifth = Math.floor(samples.length / 5)
  if (fifth < 2) return null
  const of = (part: readonly Sample[]): Sample => ({
    fds: median(part.map(({ fds }) => fds)),
    residentKiB: median(part.map(({ residentKiB }) => residentKiB)),
  })
  const from = of(samples.slice(fifth, 2 * fifth))
  const to = of(samples.slice(-fifth))
  const moreKiB = to.residentKiB - from.residentKiB
  const leaks =
    to.fds > from.fds + FDS_MORE ||
    (moreKiB > MEMORY_KIB_MORE && to.residentKiB > from.residentKiB * MEMORY_FACTOR)
  return { from, to, leaks }
}

/** Processes whose environment names this directory. */
export function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(dir)
      } catch {
        // Ended since the listing, or another user's.
        return false
      }
    })
    .map(Number)
}
