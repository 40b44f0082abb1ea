/**
 * Whether the directory is still the one that was joined: a mount can be taken away under a running master, or another one
 * be put over it, and its path goes on to answer. ENOENT would then look like a successor's deed, and a copy of the
 * directory like the directory.
 *
 * Compared are the kernel's number of the mount, the device and the inode: one stat and one read of /proc. Only where one
 * of them is another one, cluster.json is read: a mount of the same source that shows our cluster was mounted anew, and
 * is ours; everything else is told, and nothing is claimed or renewed there until the mount is back.
 */
import { readFile, stat } from 'node:fs/promises'
import { decodeClusterLoosely } from './decode.ts'
import { messageOf } from './errors.ts'
import { type Mount, mountOf } from './file-system.ts'
import { CLUSTER_FILE } from './layout.ts'
import type { Disk, Log } from './ports.ts'

/** Where a directory was found. */
export interface MountPlace {
  /** Without symbolic links, as it was when it was joined. */
  readonly path: string
  readonly mount: Mount | null
  readonly device: number
  readonly inode: number
}

/** Rejects with the system's error. `path` has no symbolic links. */
export async function placeOf(path: string): Promise<MountPlace> {
  const { dev: device, ino: inode } = await stat(path)
  return { path, mount: mountOf(path, await mountTable()), device, inode }
}

const mountTable = (): Promise<string> => readFile('/proc/self/mountinfo', 'utf8')

export class MountWatch {
  readonly #disk: Disk
  readonly #log: Log
  #joined: MountPlace

  constructor(disk: Disk, log: Log, joined: MountPlace) {
    this.#disk = disk
    this.#log = log
    this.#joined = joined
  }

  /** What has become of the mount, as a sentence; null while it shows the directory that was joined. Never rejects. */
  async trouble(clusterId: string): Promise<string | null> {
    try {
      return await this.#trouble(clusterId)
    } catch (error) {
      // That it can't be reached is what every other call says as well.
      this.#log('debug', `the mount of the shared directory can't be judged: ${messageOf(error)}`)
      return null
    }
  }

  async #trouble(clusterId: string): Promise<string | null> {
    const joined = this.#joined
    const now = await placeOf(joined.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    const table = await mountTable()
    if (now === null) {
      const isMounted = mountOf(joined.path, table)?.mountId === joined.mount?.mountId
      return isMounted ? null : lostText(joined, mountOf(joined.path, table), table)
    }
    const isSameMount = now.mount?.mountId === joined.mount?.mountId && now.device === joined.device
    if (isSameMount && now.inode === joined.inode) return null
    const isSameSource = isSameMount || sameSource(joined.mount, now.mount)
    if (isSameSource && (await this.#shows()) === clusterId) {
      if (!isSameMount) this.#log('warn', `${joined.path} was mounted anew, and shows our cluster`)
      this.#joined = now
      return null
    }
    if (isSameMount) {
      const { path } = joined
      return `${path} is another directory than the one that this master joined, in the same mount: put back what was there; nothing is claimed or acknowledged there meanwhile`
    }
    return lostText(joined, now.mount, table)
  }

  async #shows(): Promise<string | null> {
    const text = await this.#disk.read('observe', CLUSTER_FILE)
    return text === 'missing' ? null : (decodeClusterLoosely(text)?.clusterId ?? null)
  }
}

const sameSource = (a: Mount | null, b: Mount | null): boolean =>
  a !== null && b !== null && a.type === b.type && a.source === b.source && a.root === b.root

function lostText({ path, mount }: MountPlace, now: Mount | null, table: string): string {
  const name = (one: Mount | null): string =>
    one === null ? 'nothing' : `${one.source} on ${one.mountPoint} (${one.type})`
  const isThere = table.split('\n').some((line) => line.startsWith(`${mount?.mountId} `))
  const what = isThere ? 'something was mounted over it' : 'it was unmounted'
  return `${path} was on ${name(mount)} when this master joined it, and ${what}: now it is on ${name(now)}. Mount it again; nothing is claimed or acknowledged there meanwhile`
}
