/**
 * A master and its keeper come before the other programs of their host, where their user may order that (root, or
 * LimitNICE= of systemd): one that waits for a processor renews late, answers its keeper late and takes over late, and the
 * whole cluster with it. At rest the two need a few percent of one core.
 *
 * Whoever has chosen a niceness is followed: by TAJO_NICENESS, by nice(1) or by systemd's Nice=. The scripts have set
 * TAJO_NICENESS by nice(1) already; `bin/tajo master` reads it here.
 */
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { failure } from '../exit.ts'

/** Weighs about three times what a program at 0 does (sched(7)); a realtime class could stop a host altogether. */
export const MASTER_NICENESS = -5

/** Linux keeps a niceness for each thread; those that are made later, and child processes, inherit their maker's. */
interface Scheduling {
  readonly threads: () => readonly number[]
  readonly get: (thread: number) => number
  /** Throws where it is not allowed. */
  readonly set: (thread: number, niceness: number) => void
}

const thisProcess: Scheduling = {
  threads: () => readdirSync('/proc/self/task').map(Number),
  get: getPriority,
  set: setPriority,
}

/**
 * `chosen`: TAJO_NICENESS, undefined or empty where nobody has set it. Throws CliError for what is no niceness. Most users
 * may not raise it: then all stays as it is, and whatever else may be wrong with it keeps no master from starting.
 */
export function takePrecedence(chosen: string | undefined, own = thisProcess): void {
  const niceness = chosen ? nicenessOf(chosen) : MASTER_NICENESS
  for (const thread of orNone(own.threads) ?? []) {
    orNone(() => {
      if (own.get(thread) === 0) own.set(thread, niceness)
    })
  }
}

/** As the scripts have it. */
function nicenessOf(chosen: string): number {
  if (/^-?\d{1,2}$/.test(chosen)) return Number(chosen)
  throw failure(`TAJO_NICENESS is '${chosen}': allowed is a number from -20 to 19`)
}

/** Null where it is not allowed, where there is no /proc, and for a thread that has ended meanwhile. `ps -o ni` shows what came of it. */
function orNone<T>(run: () => T): T | null {
  try {
    return run()
  } catch {
    return null
  }
}
