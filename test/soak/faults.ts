/** What is done to the active master, as an operator or fate does it. Each ends its term; `mend` brings it back. */
import { until } from '../support/until.ts'
import type { SoakMaster } from './soak-master.ts'

export interface Fault {
  readonly name: string
  /** How often it is chosen, compared to the others. */
  readonly weight: number
  strike(active: SoakMaster, successor: SoakMaster): Promise<void>
  mend(struck: SoakMaster): Promise<void>
}

/** Stopped processes by the master they belong to, so that they can go on. */
const frozen = new WeakMap<SoakMaster, number[]>()

const freeze = (master: SoakMaster, pids: readonly number[]): void => {
  frozen.set(master, [...pids])
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
}

function thaw(master: SoakMaster): void {
  for (const pid of frozen.get(master) ?? []) {
    try {
      process.kill(pid, 'SIGCONT')
    } catch (error) {
      // Its keeper, or the successor's fence, may have ended it.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

const restart = (master: SoakMaster): Promise<void> => master.start()

/** One that was stopped may have ended itself, or be a backup again. */
async function thawAndRestart(master: SoakMaster): Promise<void> {
  thaw(master)
  const what = `${master.address} is a backup again or has ended, after it was continued`
  await until(what, async () => master.hasEnded || (await master.health('backup')))
  if (master.hasEnded) await restart(master)
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'hand-over',
    weight: 35,
    strike: async (active, successor) => {
      // A machine that is too busy for a successor's pulse has it refused, rightly.
      const accepted = () => active.handOverTo(successor).then(() => true)
      await until('the hand-over is accepted', accepted)
    },
    mend: async () => undefined,
  },
  {
    name: 'kill -9 of the master',
    weight: 35,
    strike: async (active) => void process.kill(active.pid, 'SIGKILL'),
    mend: restart,
  },
  {
    name: 'orderly stop',
    weight: 15,
    strike: async (active) => void process.kill(active.pid, 'SIGTERM'),
    mend: async (struck) => {
      await struck.ended()
      await restart(struck)
    },
  },
  {
    name: 'kill -9 of master and keeper',
    weight: 5,
    strike: async (active) => {
      const pids = [active.keeperPid, active.pid]
      for (const pid of pids) process.kill(pid, 'SIGKILL')
    },
    mend: restart,
  },
  {
    name: 'SIGSTOP of the master',
    weight: 5,
    strike: async (active) => freeze(active, [active.pid]),
    mend: thawAndRestart,
  },
  {
    name: 'SIGSTOP of master and keeper',
    weight: 5,
    strike: async (active) => freeze(active, [active.keeperPid, active.pid]),
    mend: thawAndRestart,
  },
]

/** `random` in [0, 1). */
export function chooseFault(random: number, faults: readonly Fault[]): Fault {
  let rest = random * faults.reduce((sum, { weight }) => sum + weight, 0)
  for (const fault of faults) {
    rest -= fault.weight
    if (rest < 0) return fault
  }
  const last = faults.at(-1)
  if (last === undefined) throw new Error('there is no fault to choose from')
  return last
}
