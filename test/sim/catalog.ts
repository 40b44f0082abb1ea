/**
 * The workload's catalog: a list of changes, fenced by the storage as docs/ha-protocol.md says.
 *
 * Each term has its own snapshot and its own journal, which is a file for each change where no growing file may be read. Taking over reads the newest whole snapshot below the term, that
 * term's journal up to the last whole record, and writes a snapshot of its own. A change is acknowledged when its record
 * is durable and then a renewal has succeeded (`member.commit`). Snapshots are looked up by number, newest first, so
 * that no listing needs to be fresh.
 */

import type { Member, Service } from '../../lib/ha/member/member-api.ts'
import { DiskError } from '../../lib/ha/words/errors.ts'
import type { Clock } from '../../lib/ha/world/ports.ts'
import type { StorageProfile } from '../../lib/ha/world/storage-profile.ts'
import type { Auditor, Change } from './auditor.ts'
import type { SimDisk } from './world/disk.ts'

export const CATALOG_DIR = 'catalog'
const snapshotFile = (term: number): string => `${CATALOG_DIR}/snapshot-${term}`
const journalFile = (term: number): string => `${CATALOG_DIR}/journal-${term}`
const groupFile = (term: number, group: number): string => `${CATALOG_DIR}/journal-${term}-${group}`
const termInJournal = (name: string): number => Number(name.split('-')[1])
const RETRY_MS = 20
/** Hundreds of numbers that failed claims have left, asked for one after the other, would outlast what is promised. */
const ASKED_ONE_BY_ONE = 32
const ASKED_AT_ONCE = 32
const END = 'end\n'

export interface CatalogPorts {
  readonly owner: string
  readonly disk: SimDisk
  readonly clock: Clock
  readonly auditor: Auditor
  /** Broken on purpose where the auditor has to show its teeth. */
  readonly ackFirst: boolean
  /** What was read before the lower terms were ended, in that same kind of test. */
  readonly readEarly: ((term: number) => Promise<Change[]> | null) | null
  /** Why it can't be opened; null when it can. */
  readonly refuses: () => string | null
  readonly profile: StorageProfile
}

interface Open {
  readonly term: number
  readonly signal: AbortSignal
  changes: number
  /** Closed files of its journal. */
  groups: number
  journal: Promise<unknown>
  accepting: boolean
  readonly pending: Set<Promise<void>>
}

export class Catalog implements Service {
  readonly #ports: CatalogPorts
  #open: Open | null = null
  #member: Member | null = null

  constructor(ports: CatalogPorts) {
    this.#ports = ports
  }
  use(member: Member): void {
    this.#member = member
  }

  async activate(term: number, signal: AbortSignal): Promise<void> {
    const { auditor, owner, disk, readEarly, refuses } = this.#ports
    const why = refuses()
    if (why !== null) throw new Error(why)
    auditor.onActivate(term, owner)
    const changes = await (readEarly?.(term) ?? this.read(term, signal))
    if (signal.aborted) return
    auditor.onRead(term, changes)
    const text = changes.map(encode).join('') + END
    await this.#retry(signal, async () => {
      if ((await this.#create(snapshotFile(term), text)) !== 'exists') return
      // Made before, and the answer was lost or an error: whole or torn?
      if ((await disk.readCatalog(snapshotFile(term))) !== text) throw new Error('torn snapshot')
    })
    await this.#retry(signal, () => this.#create(journalFile(term), ''))
    if (signal.aborted) return
    this.#open = {
      term,
      signal,
      changes: 0,
      groups: 0,
      journal: Promise.resolve(),
      accepting: true,
      pending: new Set(),
    }
  }

  async drain(): Promise<void> {
    if (this.#open === null) return
    this.#open.accepting = false
    await Promise.all(this.#open.pending)
  }
  async deactivate(): Promise<void> {
    this.#open = null
  }

  /** Somebody looks into the catalog on this host while another one serves: what is listed is read, nothing is asked for. */
  async dump(): Promise<void> {
    const { disk } = this.#ports
    const listed = await disk.list('inspect', CATALOG_DIR)
    const names = listed === 'missing' ? [] : listed.filter((name) => name.startsWith('journal-'))
    const newest = Math.max(...names.map(termInJournal))
    for (const name of names.filter((one) => termInJournal(one) === newest)) {
      await disk.readCatalog(`${CATALOG_DIR}/${name}`)
    }
  }

  /** A client asks for a change. Acknowledged, or nobody knows. */
  change(): void {
    const open = this.#open
    if (open === null || !open.accepting || !this.#member?.mayServe()) return
    const done = this.#change(open).catch(() => {
      // Not acknowledged: the term is over.
    })
    open.pending.add(done)
    void done.then(() => open.pending.delete(done))
  }

  async #change(open: Open): Promise<void> {
    const { auditor, ackFirst } = this.#ports
    const { term, signal } = open
    const asked = auditor.ask()
    const change: Change = { id: asked.id, term, place: open.changes }
    open.changes += 1
    const durable = open.journal.then(async () => {
      await this.#retry(signal, () => this.#write(open, change))
      if (signal.aborted) throw new Error('the term is over')
      auditor.onApply(change)
    })
    open.journal = durable.catch(() => {
      open.accepting = false
    })
    await durable
    if (!ackFirst) await this.#member?.commit()
    auditor.onAck(change, asked, ackFirst || this.#member?.term() === term)
  }

  async read(below: number, signal: AbortSignal): Promise<Change[]> {
    const { disk } = this.#ports
    for (let top = below - 1, size = 1; top > 0; top -= size) {
      size = below - top <= ASKED_ONE_BY_ONE ? 1 : ASKED_AT_ONCE
      const terms = Array.from({ length: Math.min(size, top) }, (_, i) => top - i)
      const snapshots = await Promise.all(
        terms.map((term) => this.#retry(signal, () => disk.readCatalog(snapshotFile(term)))),
      )
      const i = snapshots.findIndex((text) => text?.endsWith(END))
      const [term, snapshot] = [terms[i], snapshots[i]]
      if (term === undefined || snapshot === undefined) continue
      const journal = await this.#retry(signal, () => this.#journal(term))
      const base = decodeAll(snapshot.slice(0, -END.length))
      const known = new Set(base.map((change) => change.id))
      // A record that was written again after an error counts once, where it came first.
      const more = decodeAll(journal === 'missing' || journal === undefined ? '' : journal).filter(
        (change) => !known.has(change.id) && known.add(change.id),
      )
      return [...base, ...more]
    }
    return []
  }

  /** An EIO is settled as `profiledDisk` does it. */
  async #create(path: string, text: string): Promise<'created' | 'exists' | 'missing'> {
    const { disk, profile } = this.#ports
    try {
      return await disk.createCatalog(path, text)
    } catch (error) {
      if (!(error instanceof DiskError) || !profile.eioMayMeanExists) throw error
      const names = await disk.list('inspect', CATALOG_DIR)
      if (names === 'missing' || !names.some((name) => `${CATALOG_DIR}/${name}` === path))
        throw error
      return 'exists'
    }
  }

  /**
   * Into its term's journal, durably: at its end, or as a closed file of it, the next one where that is torn. What lands
   * twice counts once.
   */
  async #write(open: Open, change: Change): Promise<void> {
    const { disk, profile } = this.#ports
    const { term } = open
    const text = encode(change)
    if (profile.readsGrowingFiles) {
      await disk.append(journalFile(term), text)
      return
    }
    for (let isWhole = false; !isWhole; open.groups += 1) {
      const path = groupFile(term, open.groups)
      isWhole =
        (await this.#create(path, text)) !== 'exists' || (await disk.readCatalog(path)) === text
    }
  }

  async #journal(term: number): Promise<string> {
    const { disk, profile } = this.#ports
    if (profile.readsGrowingFiles) return disk.readCatalog(journalFile(term))
    const groups: string[] = []
    for (;;) {
      const text = await disk.readCatalog(groupFile(term, groups.length))
      if (text === 'missing') return groups.join('')
      groups.push(text)
    }
  }

  /** Tries again while the storage fails and the term lives; undefined once it is over. */
  async #retry<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T | undefined> {
    while (!signal.aborted) {
      try {
        return await call()
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        await new Promise<void>((done) => this.#ports.clock.after(RETRY_MS, done))
      }
    }
    return undefined
  }
}

const encode = (change: Change): string => `${change.id} ${change.term} ${change.place}\n`

/** Whole records only: a torn one has no line end. */
function decodeAll(text: string): Change[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const lines = whole.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const [id = 0, term = 0, place = 0] = line.split(' ').map(Number)
    return { id, term, place }
  })
}
