/**
 * Whether the directory is still the one that was joined: a mount can be taken away under a running master, or another one
 * be put over it, and its path goes on to answer. ENOENT would then look like a successor's deed, and a copy of the
 * directory like the directory.
 *
 * Compared are where its symbolic links lead, the kernel's number of the mount, the device and the inode. Only where one of
 * them is another one, the directory itself is asked (`isOurs`): a mount of the same source that shows what is ours was
 * mounted anew, and is ours; everything else is told, and nothing is done there until the mount is back.
 */
import { readFileSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { decodeClusterLoosely } from '../directory/decode.ts'
import { messageOf } from '../words/errors.ts'
import { CLUSTER_FILE } from '../words/layout.ts'
import { type Mount, mountOf } from '../world/file-system.ts'
import type { Disk, Log } from '../world/ports.ts'

/** Where a directory was found. */
export interface MountPlace {
  /** As it is called. */
  readonly directory: string
  /** Without symbolic links, as it was then. */
  readonly path: string
  /** The mount that it is on; null where the kernel's table doesn't have it. */
  readonly mount: Mount | null
  /** Number of its device, as stat tells it. */
  readonly device: number
  /** Number of its inode. */
  readonly inode: number
}

/** Where a directory is at this moment. Rejects with the system's error. */
export async function placeOf(directory: string): Promise<MountPlace> {
  const path = await realpath(directory)
  const { dev: device, ino: inode } = await stat(path)
  return { directory, path, mount: mountAt(path), device, inode }
}

/** /proc never waits for a disk, and the five rounds of a file thread cost several times as much. */
const mountTable = (): string => readFileSync('/proc/self/mountinfo', 'utf8')

let lastTable = ''
const lastFound = new Map<string, Mount | null>()

/** Asked at every look: a table that is the one before is not searched again. */
function mountAt(path: string): Mount | null {
  const table = mountTable()
  if (table !== lastTable) lastFound.clear()
  lastTable = table
  const found = lastFound.get(path) ?? mountOf(path, table)
  lastFound.set(path, found)
  return found
}

/** Whether a directory is still the one that was joined, though its path goes on to answer. */
export class MountWatch {
  readonly #log: Log
  readonly #words: MountWords
  #joined: MountPlace

  /** `joined`: `placeOf` the directory at that time. `words`: those of a master by default. */
  constructor(joined: MountPlace, log: Log, words: MountWords = OF_THE_ELECTION) {
    this.#log = log
    this.#words = words
    this.#joined = joined
  }

  /** The mount as it was at the last look: what was proven of the directory holds while this is the same. */
  get name(): string {
    const { device, mount, path } = this.#joined
    return `${device} ${mount?.mountId ?? ''} ${path}`
  }

  /**
   * What has become of the mount, as a sentence; null while it shows the directory that was joined, or can't be judged.
   * `isOurs`: whether what the path shows now is that directory; asked only where the mount or the inode is another one.
   * Never rejects.
   */
  async trouble(isOurs: () => Promise<boolean>): Promise<string | null> {
    try {
      return await this.#trouble(isOurs)
    } catch (error) {
      // That it can't be reached is what every other call says as well.
      this.#log('debug', `the mount of ${this.#joined.path} can't be judged: ${messageOf(error)}`, {
        event: 'mount-unjudged',
      })
      return null
    }
  }

  async #trouble(isOurs: () => Promise<boolean>): Promise<string | null> {
    const joined = this.#joined
    const words = this.#words
    const now = await placeOf(joined.directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (now === null) {
      const table = mountTable()
      const isMounted = mountOf(joined.path, table)?.mountId === joined.mount?.mountId
      return isMounted ? null : lostText({ joined, words }, mountOf(joined.path, table), table)
    }
    const isSameMount = now.mount?.mountId === joined.mount?.mountId && now.device === joined.device
    const isSamePath = now.path === joined.path
    if (isSameMount && isSamePath && now.inode === joined.inode) return null
    const isSameSource = isSameMount || sameSource(joined.mount, now.mount)
    if (isSameSource && (await isOurs())) {
      const how = isSamePath ? 'was mounted anew' : `leads to ${now.path} now`
      if (!isSameMount || !isSamePath)
        this.#log('warn', `${joined.directory} ${how}, and is ours`, { event: 'mount-changed' })
      this.#joined = now
      return null
    }
    if (!isSamePath) {
      const { directory, path } = joined
      return `${directory} led to ${path} when ${words.who} joined it, and leads to ${now.path} now, which is another directory: put the symbolic link back; ${words.meanwhile}`
    }
    if (isSameMount) {
      const { path } = joined
      return `${path} is another directory than the one that ${words.who} joined, in the same mount: put back what was there; ${words.meanwhile}`
    }
    return lostText({ joined, words }, now.mount, mountTable())
  }
}

/** Who watches, and what does not happen while it is gone; for people. */
export interface MountWords {
  /** Who has joined the directory, such as `this master`. */
  readonly who: string
  /** A clause: what does not happen until the mount is back. */
  readonly meanwhile: string
}

const OF_THE_ELECTION: MountWords = {
  who: 'this master',
  meanwhile: 'nothing is claimed or acknowledged there meanwhile',
}

/** Does the HA directory show that cluster? Rejects with DiskError. */
export async function showsCluster(disk: Disk, clusterId: string): Promise<boolean> {
  const text = await disk.read('observe', CLUSTER_FILE)
  return text !== 'missing' && decodeClusterLoosely(text)?.clusterId === clusterId
}

const sameSource = (a: Mount | null, b: Mount | null): boolean =>
  a !== null && b !== null && a.type === b.type && a.source === b.source && a.root === b.root

function lostText(
  { joined: { path, mount }, words }: { joined: MountPlace; words: MountWords },
  now: Mount | null,
  table: string,
): string {
  const name = (one: Mount | null): string =>
    one === null ? 'nothing' : `${one.source} on ${one.mountPoint} (${one.type})`
  const isThere = table.split('\n').some((line) => line.startsWith(`${mount?.mountId} `))
  const [what, cure] = isThere
    ? ['something was mounted over it', 'Unmount that']
    : ['it was unmounted', 'Mount it again']
  return `${path} was on ${name(mount)} when ${words.who} joined it, and ${what}: now it is on ${name(now)}. ${cure}; ${words.meanwhile}`
}
