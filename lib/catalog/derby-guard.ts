/**
 * The Derby guard: at most one process has an embedded catalog open, whatever host it is on. A file beside the catalog
 * names the holder; it is made whole and at once (a link that fails when there is one), on a shared mount too.
 *
 * A holder that crashed leaves its guard. It is replaced where the holder's death is proven: on the same host by pid,
 * start time and boot, or by an earlier boot of the same machine. A process in another container of this kernel can't be
 * looked at, so there the engine's own file lock decides, which the kernel takes away from the dead. Of another host
 * nothing can be proven, and no silence proves it: a frozen host wakes up and writes on. So there a person decides.
 *
 * Looking at a guard and replacing it is one step for others: a lock of proper-lockfile is held meanwhile. Only
 * processes of this machine ever replace a guard of this machine, so one host's clock is all that it rests on.
 */
import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { z } from 'zod'
import { messageOf } from '../base/message-of.ts'
import { hostProcesses, type ProcessIdentity } from '../ha/index.ts'
import { CatalogError } from './errors.ts'

export interface Guard {
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
  /** True when nobody on this kernel has the catalog's file open. */
  readonly fileIsFree: () => Promise<boolean>
}

const GUARD_FILE = 'tajo-catalog.guard'
/** A lock that is older belongs to a process that died in the few milliseconds of looking. */
const LOCK = { stale: 10_000, retries: { retries: 40, minTimeout: 25, maxTimeout: 500 } }

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
 * Takes the guard of `directory`, which must be there, for this process; `name` is how its users know it (a master's
 * address). Rejects CatalogError IN_USE naming the holder, UNAVAILABLE when the directory can't be written.
 */
export async function takeGuard(
  directory: string,
  name: string,
  world: GuardWorld,
): Promise<Guard> {
  const path = join(directory, GUARD_FILE)
  const ours: Holder = {
    token: randomUUID(),
    name,
    host: world.host,
    machineId: world.machineId,
    since: world.now().toISOString(),
    process: world.self,
  }
  const unlock = await lock(path)
  try {
    const holder = readHolder(path)
    if (holder !== null) {
      if (!(await isOver(holder, world))) throw inUse(path, holder, world)
      unlinkSync(path)
    }
    if (!make(path, ours)) throw inUse(path, readHolder(path), world)
  } catch (error) {
    throw error instanceof CatalogError ? error : cantGuard(path, error)
  } finally {
    await unlock()
  }
  return {
    release() {
      if (readHolder(path)?.token === ours.token) unlinkSync(path)
    },
  }
}

/** The real world; `fileIsFree` is the engine's to say. */
export function realWorld(fileIsFree: () => Promise<boolean>): GuardWorld {
  const processes = hostProcesses()
  return {
    host: hostname(),
    machineId: readMachineId(),
    self: processes.self(),
    verdict: (identity) => processes.verdict(identity),
    now: () => new Date(),
    fileIsFree,
  }
}

/** Whether that process is proven to be dead. */
async function isOver(holder: Holder, world: GuardWorld): Promise<boolean> {
  const verdict = world.verdict(holder.process)
  if (verdict !== 'unknown') return verdict === 'dead'
  if (holder.process.bootId === world.self.bootId) return world.fileIsFree()
  // Another boot. Copies of one machine share its id, seldom its name as well.
  return (
    holder.machineId !== '' && holder.machineId === world.machineId && holder.host === world.host
  )
}

/** False when somebody else was first. The text is complete before the name is there. */
function make(path: string, holder: Holder): boolean {
  const draft = `${path}.${holder.token}`
  writeFileSync(draft, `${JSON.stringify(holder, null, 2)}\n`, { flag: 'wx', flush: true })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(draft)
  }
}

/** Null when there is no guard. Throws CatalogError IN_USE when it can't be understood: then nothing is proven. */
function readHolder(path: string): Holder | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return holderSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new CatalogError(
      'IN_USE',
      `${path} guards this catalog and can't be understood, so who holds it is not known: make sure that no master on any host uses this directory, then remove that file`,
      { cause: error },
    )
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  try {
    return await lockfile.lock(path, {
      ...LOCK,
      realpath: false,
      // Held for milliseconds; the guard itself is made by a link that only one can make.
      onCompromised: () => undefined,
    })
  } catch (error) {
    throw cantGuard(path, error)
  }
}

const INSTEAD =
  'The embedded catalog (DerbyStore) is for one master only. For several, set tajo.catalog.store.class to SharedStore, PostgreSQLStore or MariaDBStore'

function inUse(path: string, holder: Holder | null, world: GuardWorld): CatalogError {
  if (holder === null) return new CatalogError('IN_USE', `${path} was taken just now. ${INSTEAD}`)
  const { name, host, process, since } = holder
  const who = `${name} on host ${host}, pid ${process.pid}, since ${since}`
  const isElsewhere = world.verdict(process) === 'unknown'
  const unproven = isElsewhere
    ? ` From here it can't be proven whether that process still runs. If it is certain that it does not (the host is off, or the process is gone there), remove ${path} and start again.`
    : ''
  return new CatalogError('IN_USE', `this catalog is in use by ${who}.${unproven} ${INSTEAD}`)
}

const cantGuard = (path: string, error: unknown): CatalogError =>
  new CatalogError('UNAVAILABLE', `can't take the guard ${path}: ${messageOf(error)}`, {
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
