/**
 * Word of a master that was refused at its start, since it is configured with another catalog than the cluster: whoever
 * watches the active one learns of it, too, and not only the log on that master's host.
 *
 *     backup/host2_26001.refused     left by the refused master; removed when it joins, or an hour after it was seen
 *
 * Information only: nothing is decided by it, and a name that doesn't end in .json is no backup to anybody.
 */

import { BACKUP_DIR, type CatalogName, encode, type Refusal, refusedFile } from '../words/layout.ts'
import type { Clock, Disk } from '../world/ports.ts'
import { decodeRefusal } from './decode.ts'

/** By the keeper's own clock: a master that nobody starts again is no news for ever. */
const KEPT_MS = 60 * 60_000

export const describeCatalog = (catalog: CatalogName): string =>
  catalog.uri === '' ? catalog.class : `${catalog.class} at ${catalog.uri}`

/** In place of what an earlier start has left. Rejects with DiskError. */
export async function leaveRefusal(disk: Disk, refusal: Refusal): Promise<void> {
  const path = refusedFile(refusal.address)
  await disk.unlink('setup', path)
  await disk.create('setup', path, encode(refusal))
}

interface Known {
  /** Tells the file from one that replaced it. */
  readonly version: string
  readonly sinceMs: number
  /** Null for a torn or foreign text. */
  readonly refusal: Refusal | null
}

export class Refusals {
  readonly #disk: Disk
  readonly #clock: Clock
  #known = new Map<string, Known>()

  constructor(disk: Disk, clock: Clock) {
    this.#disk = disk
    this.#clock = clock
  }

  /** There is a sentence for each. */
  get warnings(): string[] {
    return [...this.#known.values()].flatMap(({ refusal }) =>
      refusal === null ? [] : [sentenceOf(refusal)],
    )
  }

  /** Takes the names that were found among the backups. Rejects with DiskError; what was known is kept then. */
  async scan(names: readonly string[]): Promise<void> {
    const next = new Map<string, Known>()
    for (const name of names) {
      const known = name.endsWith('.refused') ? await this.#one(name) : null
      if (known !== null) next.set(name, known)
    }
    this.#known = next
  }

  async #one(name: string): Promise<Known | null> {
    const path = `${BACKUP_DIR}/${name}`
    const glimpse = await this.#disk.glimpse('peers', path)
    if (glimpse === 'missing') return null
    const version = `${glimpse.fileId} ${glimpse.mtimeMs}`
    const before = this.#known.get(name)
    const nowMs = this.#clock.nowMs()
    if (before?.version !== version) {
      const text = await this.#disk.read('peers', path)
      const refusal = text === 'missing' ? null : decodeRefusal(text)
      return { version, sinceMs: nowMs, refusal }
    }
    if (nowMs - before.sinceMs < KEPT_MS) return before
    await this.#disk.unlink('peers', path)
    return null
  }
}

const sentenceOf = ({ address, hostname, at, catalog }: Refusal): string =>
  `${address} on ${hostname} was refused at its start (${at}): it is configured with another catalog than this cluster, ${describeCatalog(catalog)}`
