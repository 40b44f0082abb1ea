/**
 * A guard: at most one process uses what it stands beside, whatever host it is on. The file names the holder; it is made
 * whole and at once (a link that fails when there is one), on a shared mount too; where there are no links (HDFS), by an
 * exclusive create, which a crash may leave torn. An embedded catalog is kept by it (`lib/catalog/derby/embedded-files.ts`), and the
 * `tajo.rootdir` of a master without high availability (`lib/cli/daemon/rootdir-use.ts`).
 *
 * A holder that crashed leaves its guard. It is replaced where the holder's death is proven: on the same host by pid,
 * start time and boot, or by an earlier boot of the same machine. A process in another container of this kernel can't be
 * looked at, so there `isIdle` decides, each kind of guard by its own means. Of another host nothing can be proven, and
 * no silence proves it: a frozen host wakes up and writes on. So there a person decides.
 *
 * Looking at a guard and replacing it is one step for others: a lock of proper-lockfile is held meanwhile. Only
 * processes of this machine ever replace a guard of this machine, so one host's clock is all that it rests on.
 */
import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname } from 'node:path'
import { z } from 'zod'
import { CodedError } from '../base/coded-error.ts'
import { messageOf } from '../base/failures.ts'
import { hostProcesses, type ProcessIdentity } from '../ha/index.ts'
import { lockBriefly } from './pidfile.ts'

/** HELD: by another process, or nothing proves that it is not; UNAVAILABLE: the file can't be read or written. */
export class GuardError extends CodedError<'HELD' | 'UNAVAILABLE'> {
  override readonly name = 'GuardError'
}

export interface ProcessGuard {
  /** False when the file is gone or another's. Rejects when it can't be read. */
  isOurs(): Promise<boolean>
  /** Removes the file, if it is still ours. */
  release(): void
}

/** What the guard needs of the world. */
export interface GuardWorld {
  readonly host: string
  /** Of this installation of the system, the same after a reboot; empty when there is none. */
  readonly machineId: string
  readonly self: ProcessIdentity
  readonly verdict: (identity: ProcessIdentity) => 'alive' | 'dead' | 'unknown'
  readonly now: () => Date
  /** A hard link; throws like node:fs. */
  readonly link: (from: string, to: string) => void
  /** True when nobody on this kernel uses what is guarded. */
  readonly isIdle: () => Promise<boolean>
}

/** What is guarded, and how others are told of it. */
export interface Guarded {
  /** The guard's file. Its directory is there. */
  readonly path: string
  /** With its article, in the middle of a sentence. */
  readonly what: string
  /** The beginning of the sentence that goes on with the holder. */
  readonly usedBy: string
  /** What to do instead. */
  readonly instead: string
}

const holderSchema = z.object({
  token: z.string(),
  name: z.string(),
  host: z.string(),
  machineId: z.string(),
  since: z.string(),
  process: z.object({
    bootId: z.string(),
    pidNamespace: z.string(),
    pid: z.number().int(),
    startTicks: z.number(),
  }),
})
type Holder = z.infer<typeof holderSchema>

/**
 * Takes the guard for this process; `name` is how its users know it (a master's address). Rejects GuardError HELD
 * naming the holder, UNAVAILABLE when the directory can't be written.
 */
export async function takeGuard(
  guarded: Guarded,
  name: string,
  world: GuardWorld,
): Promise<ProcessGuard> {
  const { path } = guarded
  const ours: Holder = {
    token: randomUUID(),
    name,
    host: world.host,
    machineId: world.machineId,
    since: world.now().toISOString(),
    process: world.self,
  }
  await locked(path, async () => {
    await clear(guarded, world)
    if (!make(path, ours, world.link)) throw inUse(guarded, readHolder(guarded), world)
  })
  return {
    async isOurs() {
      try {
        return (await readFile(path, 'utf8')).includes(ours.token)
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false
        throw error
      }
    },
    release() {
      if (readHolder(guarded)?.token === ours.token) unlinkSync(path)
    },
  }
}

/**
 * Resolves when nobody holds the guard; one that a dead holder left is removed. Takes nothing. Rejects as `takeGuard`
 * does.
 */
export async function requireUnheld(guarded: Guarded, world: GuardWorld): Promise<void> {
  // By listing: on NFS an absence that was asked for by name is remembered for a while.
  let names: string[]
  try {
    names = await readdir(dirname(guarded.path))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw cantGuard(guarded.path, error)
  }
  if (!names.includes(basename(guarded.path))) return
  await locked(guarded.path, () => clear(guarded, world))
}

/** Removes what a dead holder left. Rejects HELD where it isn't proven to be dead. */
async function clear(guarded: Guarded, world: GuardWorld): Promise<void> {
  const holder = readHolder(guarded)
  if (holder === null) return
  if (!(await isOver(holder, world))) throw inUse(guarded, holder, world)
  unlinkSync(guarded.path)
}

/** The real world; `isIdle` is the owner's to say. */
export function realWorld(isIdle: () => Promise<boolean>): GuardWorld {
  const processes = hostProcesses()
  return {
    host: hostname(),
    machineId: readMachineId(),
    self: processes.self(),
    verdict: (identity) => processes.verdict(identity),
    now: () => new Date(),
    link: linkSync,
    isIdle,
  }
}

/** Whether that process is proven to be dead. */
async function isOver(holder: Holder, world: GuardWorld): Promise<boolean> {
  const verdict = world.verdict(holder.process)
  if (verdict !== 'unknown') return verdict === 'dead'
  if (holder.process.bootId === world.self.bootId) return world.isIdle()
  // Another boot. Copies of one machine share its id, seldom its name as well.
  return (
    holder.machineId !== '' && holder.machineId === world.machineId && holder.host === world.host
  )
}

/** What file systems without hard links say, one that is mounted over a gateway too. A real fault fails again below. */
const NO_LINKS: ReadonlySet<unknown> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EIO'])

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code

/** False when somebody else was first. Where links exist the text is complete before the name is there. */
function make(path: string, holder: Holder, link: GuardWorld['link']): boolean {
  const draft = `${path}.${holder.token}`
  const text = `${JSON.stringify(holder, null, 2)}\n`
  const exclusively = { flag: 'wx', flush: true, mode: 0o600 } as const
  writeFileSync(draft, text, exclusively)
  try {
    try {
      link(draft, path)
    } catch (error) {
      if (!NO_LINKS.has(codeOf(error))) throw error
      writeFileSync(path, text, exclusively)
    }
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(draft)
  }
}

/** Null when there is no guard. Throws GuardError HELD when it can't be understood: then nothing is proven. */
function readHolder({ path, what }: Guarded): Holder | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
  try {
    return holderSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new GuardError(
      'HELD',
      `${path} guards ${what} and can't be understood, so who holds it is not known: make sure that no master on any host uses it, then remove that file`,
      { cause: error },
    )
  }
}

async function locked(path: string, work: () => Promise<void>): Promise<void> {
  try {
    const unlock = await lockBriefly(path)
    try {
      await work()
    } finally {
      await unlock()
    }
  } catch (error) {
    throw GuardError.from(error, () => cantGuard(path, error))
  }
}

function inUse(guarded: Guarded, holder: Holder | null, world: GuardWorld): GuardError {
  const { path, usedBy, instead } = guarded
  if (holder === null) return new GuardError('HELD', `${path} was taken just now. ${instead}`)
  const { name, host, process, since } = holder
  const who = `${name} on host ${host}, pid ${process.pid}, since ${since}`
  const isElsewhere = world.verdict(process) === 'unknown'
  const unproven = isElsewhere
    ? ` From here it can't be proven whether that process still runs. If it is certain that it does not (the host is off, or the process is gone there), remove ${path} and start again.`
    : ''
  return new GuardError('HELD', `${usedBy} ${who}.${unproven} ${instead}`)
}

const cantGuard = (path: string, error: unknown): GuardError =>
  new GuardError('UNAVAILABLE', `can't take the guard ${path}: ${messageOf(error)}`, {
    cause: error,
  })

function readMachineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'latin1').trim()
  } catch {
    // Then a reboot proves nothing, and a person is asked.
    return ''
  }
}
