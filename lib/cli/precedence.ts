/**
 * A master and its keeper come before the other programs of their host, where their user may order that (root, or
 * LimitNICE= of systemd): one that waits for a processor renews late, answers its keeper late and takes over late, and the
 * whole cluster with it. At rest the two need a few percent of one core.
 *
 * Whoever has chosen a niceness is followed: by TAJO_NICENESS, by nice(1) or by systemd's Nice=.
 */
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** Weighs about three times what a program at 0 does (sched(7)); a realtime class could stop a host altogether. */
export const MASTER_NICENESS = -5

/** Linux keeps a niceness for each thread; those that are made later, and child processes, inherit their maker's. */
export interface Scheduling {
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

/** `chosen`: TAJO_NICENESS, undefined or empty where nobody has set it. Most users may not: then all stays as it is. */
export function takePrecedence(chosen: string | undefined, own = thisProcess): void {
  if (chosen) return
  for (const thread of own.threads()) {
    try {
      if (own.get(thread) === 0) own.set(thread, MASTER_NICENESS)
    } catch (error) {
      if (!isExpected(error)) throw error
    }
  }
}

/** It is not allowed, or that thread has ended. Node's own code is the same for each error of the two calls. */
function isExpected(error: unknown): boolean {
  const { info } = error as { info?: { code?: string } }
  return ['EACCES', 'EPERM', 'ESRCH'].includes(info?.code ?? '')
}
