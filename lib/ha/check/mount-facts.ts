/**
 * What this host knows of the mount that a directory is on: its kind, what of its options matters, which version of which
 * program makes it, and where in this kernel the directory is. The mark of a passed check names it (`mount-mark.ts`), and
 * both ends of a check tell each other (`check-peer.ts`).
 */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { type FileSystem, fileSystemOf } from '../world/file-system.ts'
import { hostNetwork, hostProcesses } from '../world/processes.ts'

export interface HostName {
  readonly hostname: string
  /** /etc/machine-id: survives a reboot, and tells two hosts of one name apart. Empty where there is none. */
  readonly machineId: string
}

/** Where a directory is in a running kernel: the same for two processes, and it is one and the same directory. */
export interface KernelPlace {
  readonly bootId: string
  readonly device: number
  readonly inode: number
}

export interface MountFacts {
  readonly host: HostName
  readonly fileSystem: FileSystem
  readonly version: string
  /** Null where the directory is still to be made. */
  readonly place: KernelPlace | null
  /** `hostNetwork`: two processes that say the same are on one host, whatever names they give it. */
  readonly network: string
}

/** Rejects with the system's error; a directory that is still to be made is on the mount of what exists above it. */
export async function mountFacts(directory: string): Promise<MountFacts> {
  const fileSystem = await fileSystemOf(directory)
  return {
    host: thisHostName(),
    fileSystem,
    version: versionOf(fileSystem.type),
    place: await placeOf(directory),
    network: hostNetwork(),
  }
}

async function placeOf(directory: string): Promise<KernelPlace | null> {
  try {
    const { dev: device, ino: inode } = await stat(directory)
    return { bootId: hostProcesses().self().bootId, device, inode }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

const thisHostName = (): HostName => ({
  hostname: hostname(),
  machineId: textOf('/etc/machine-id'),
})

/** Of the kernel, and of a module of that name where it tells one (`lustre 2.15.4`, `beegfs 7.4`). */
export function versionOf(type: string): string {
  const name = type.split('.').at(-1) ?? ''
  const module = /^\w+$/.test(name) ? textOf(`/sys/module/${name}/version`) : ''
  const kernel = `Linux ${release()}`
  return module === '' ? kernel : `${kernel}, ${name} ${module}`
}

/** What changes from host to host and mount to mount, and says nothing of how the mount behaves. */
const ADDRESS_OR_DESCRIPTOR =
  /^(addr|clientaddr|mountaddr|srcaddr|ip|mon_addr|port|mountport|unc|fd|rfdno|wfdno)=/

/** The options of a mount that count, sorted: no address, no descriptor. */
export const countedOptions = (options: string): string =>
  options
    .split(',')
    .filter((option) => option !== '' && !ADDRESS_OR_DESCRIPTOR.test(option))
    .sort()
    .join(',')

export const isSamePlace = (a: KernelPlace | null, b: KernelPlace | null): boolean =>
  a !== null && b !== null && a.bootId === b.bootId && a.device === b.device && a.inode === b.inode

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    // Containers have no machine id, most modules no version.
    return ''
  }
}
