/**
 * What one call does at the server, and what the client of its host adds to it: remembered absences, old listings and
 * attributes where the weather has them, files that live on under a `.nfs*` name.
 */
import { DiskError } from '../../../lib/ha/words/errors.ts'
import type { Glimpse, Space } from '../../../lib/ha/world/ports.ts'
import type { Call } from './disk.ts'
import type { Host } from './host.ts'
import type { SimFile } from './server.ts'
import { split } from './server.ts'
import type { Memory, Storage } from './storage.ts'

/** No answer, ever. */
export const NEVER = Symbol('never')

export type Outcome =
  | string
  | readonly string[]
  | Glimpse
  | Space
  | DiskError
  | typeof NEVER
  | undefined

/** A file that was renamed by another host is still found by its old name for so long. */
const RENAMED_MS = 28_000

/** Old files can be touched and listed while the server's grace period lasts, and nothing else. */
const IN_GRACE: ReadonlySet<string> = new Set(['touch', 'list', 'append'])

export class CallsAtServer {
  readonly #storage: Storage
  readonly #host: Host
  readonly #memory: Memory
  /** This boot of the host: opens die with it, and nobody closes them. */
  readonly #client: string
  readonly #open = new Map<Call, SimFile>()
  readonly #filled = new Map<Call, SimFile>()

  constructor(storage: Storage, host: Host) {
    this.#storage = storage
    this.#host = host
    this.#memory = storage.memory(host)
    this.#client = host.client
  }

  /** How long the server lets it wait: its grace period, or a delegation that has to be called back. */
  waitMs(call: Call): number {
    const { timeline, graceUntilMs, kind, random } = this.#storage
    if (timeline.nowMs < graceUntilMs && !IN_GRACE.has(call.verb)) {
      return graceUntilMs - timeline.nowMs + random.between(0, 20)
    }
    if (!kind.delegations || (call.verb !== 'touch' && call.verb !== 'unlink')) return 0
    const file = this.#storage.server.file(call.path)
    if (file === undefined || file.delegatedTo === null || file.delegatedTo === this.#host) return 0
    return this.#storage.recall(file)
  }

  /** The file is made in one instant and filled in another one: then it is the answer, otherwise null. */
  first(call: Call): { readonly file: SimFile } | Outcome | null {
    if (call.verb !== 'create') return null
    const { server, timeline, random } = this.#storage
    const before = this.#filled.get(call)
    if (before !== undefined) return this.#exists(call) // sent again after a lost answer
    const full = !this.#hasRoom()
    if (full && random.chance(0.5)) return noSpace(call)
    if (this.#isAbsent(split(call.path)[0])) return 'missing'
    const file = server.create(call.path, timeline.nowMs)
    this.#changed(call.path)
    if (file === 'exists') return this.#exists(call)
    if (file === 'no-parent') {
      this.#forgetUntil(split(call.path)[0])
      return 'missing'
    }
    this.#remember(call.path, file)
    this.#filled.set(call, file)
    if (full) return noSpace(call, true)
    this.#useRoom()
    return { file }
  }

  fill(call: Call, file: SimFile): Outcome {
    file.text = call.text
    this.#storage.onWritten(call.path)
    return 'created'
  }

  carryOut(call: Call): Outcome {
    const { server } = this.#storage
    const { path } = call
    switch (call.verb) {
      case 'makeTermDir':
        return this.#makeTermDir(call)
      case 'makeDirs':
        server.makeDirectories(path)
        this.#changed(path)
        return undefined
      case 'touch':
        return this.#touch(call)
      case 'glimpse':
        return this.#glimpse(call)
      case 'read': {
        const file = this.#openFile(call)
        if (file instanceof DiskError) return file
        return file === null ? 'missing' : this.#text(call, file)
      }
      case 'fill': {
        const file = server.file(path)
        if (file === undefined) return 'missing'
        if (!this.#hasRoom()) return noSpace(call)
        this.#useRoom()
        file.text = call.text
        this.#storage.onWritten(path)
        return 'filled'
      }
      case 'space':
        return this.#space()
      case 'list':
        return this.#list(path)
      case 'unlink':
        return this.#unlink(call)
      case 'removeDir':
        this.#memory.listings.clear()
        return server.removeDirectory(path)
      case 'append': {
        const file = server.file(path)
        if (file === undefined) return 'missing'
        if (this.#filled.has(call)) return 'appended' // written at its offset once more
        this.#filled.set(call, file)
        file.text += call.text
        return 'appended'
      }
      case 'create':
        throw new Error('create has two steps')
    }
  }

  /** The answer is there: what the call had open is closed. */
  end(call: Call): void {
    const file = this.#open.get(call)
    if (file === undefined) return
    this.#open.delete(call)
    if (this.#host.up) this.#storage.server.close(file, call.path, this.#client)
  }

  /** The process is gone: the kernel closes what it had open. */
  endAll(): void {
    for (const call of [...this.#open.keys()]) this.end(call)
  }

  #makeTermDir(call: Call): Outcome {
    const { server, kind } = this.#storage
    if (!this.#hasRoom()) return noSpace(call)
    const made = server.makeDirectory(call.path)
    if (made === 'made') this.#useRoom()
    this.#changed(call.path)
    if (made === 'no-parent')
      return new DiskError('ENOENT', call.path, `ENOENT: mkdir ${call.path}`)
    return made === 'exists' && kind.hdfs ? 'made' : made
  }

  #exists({ verb, path }: Call): Outcome {
    return this.#storage.kind.hdfs ? new DiskError('EIO', path, `EIO: ${verb} ${path}`) : 'exists'
  }

  /** Where nothing was there to be read, the client has asked for nothing. */
  #text({ path }: Call, file: SimFile): Outcome {
    const { lengths } = this.#memory
    const before = lengths.get(file) ?? file.text.length
    if (!this.#storage.kind.hdfs || file.text.length === 0) return file.text
    lengths.set(file, before)
    return file.text.length > before ? new DiskError('EIO', path, `EIO: read ${path}`) : file.text
  }

  #touch(call: Call): Outcome {
    const { server, timeline, kind } = this.#storage
    if (this.#isAbsent(call.path)) return 'missing'
    const handle = this.#memory.handles.get(call.path)
    let file = server.file(call.path)
    if (file === undefined && handle !== undefined && timeline.nowMs < handle.untilMs) {
      const lives = handle.file.linked || (kind.linksIgnored && handle.file.opens.size > 0)
      if (lives) file = handle.file
    }
    if (file === undefined) {
      this.#forgetUntil(call.path)
      // The kernel asks by a handle that it has; the gateway finds no file for it, and nobody catches that.
      const { hdfs, lostShare = 0.5 } = kind
      const isLost = hdfs && handle !== undefined && this.#storage.random.chance(lostShare)
      return isLost ? NEVER : 'missing'
    }
    file.mtimeMs = server.round(call.mtimeMs)
    this.#storage.onTouched(call.path)
    if (handle?.file !== file) this.#remember(call.path, file)
    return call.text === '' || call.text === String(file.id) ? 'touched' : 'replaced'
  }

  #glimpse(call: Call): Outcome {
    const file = this.#openFile(call)
    if (file === null) return 'missing'
    if (file instanceof DiskError) return file
    const { weather, timeline } = this.#storage
    const { attributes } = this.#memory
    if (weather.staleAttributeMs > 0) {
      const old = attributes.get(call.path)
      if (old?.id === file.id && timeline.nowMs - old.atMs < weather.staleAttributeMs) {
        return { mtimeMs: old.mtimeMs, fileId: String(old.id) }
      }
      attributes.set(call.path, { mtimeMs: file.mtimeMs, id: file.id, atMs: timeline.nowMs })
    }
    return { mtimeMs: file.mtimeMs, fileId: String(file.id) }
  }

  /** On the gateway a file that the client knows, and another has removed, goes on giving EIO. */
  #openFile(call: Call): SimFile | DiskError | null {
    const { server, kind } = this.#storage
    if (this.#isAbsent(call.path)) return null
    const file = server.file(call.path)
    if (file === undefined) {
      const isKnown = this.#memory.handles.has(call.path)
      this.#forgetUntil(call.path)
      if (!kind.hdfs || !isKnown) return null
      return new DiskError('EIO', call.path, `EIO: ${call.verb} ${call.path}`)
    }
    if (!this.#open.has(call)) {
      this.#open.set(call, file)
      server.open(file, this.#client)
    }
    if (kind.delegations) file.delegatedTo = this.#host
    this.#remember(call.path, file)
    return file
  }

  #list(path: string): Outcome {
    const { server, weather, timeline } = this.#storage
    if (weather.staleListingMs > 0) {
      const old = this.#memory.listings.get(path)
      if (old !== undefined && timeline.nowMs - old.atMs < weather.staleListingMs) return old.names
    }
    const names = server.names(path)
    if (names === undefined) return 'missing'
    if (weather.staleListingMs > 0) {
      this.#memory.listings.set(path, { names, atMs: timeline.nowMs })
    }
    return names
  }

  #unlink(call: Call): Outcome {
    if (this.#isAbsent(call.path)) return 'missing'
    const outcome = this.#storage.server.unlink(call.path, this.#client)
    this.#changed(call.path)
    this.#memory.handles.delete(call.path)
    if (outcome === 'busy') return new DiskError('EBUSY', call.path, `EBUSY: unlink ${call.path}`)
    if (outcome === 'missing') this.#forgetUntil(call.path)
    if (outcome === 'unlinked') this.#storage.weather.room += 1
    return outcome
  }

  // ---- room ------------------------------------------------------------------------------------------------------

  #hasRoom(): boolean {
    const { full, room } = this.#storage.weather
    return !full || room > 0
  }
  #useRoom(): void {
    const { weather } = this.#storage
    if (weather.full) weather.room -= 1
  }
  #space(): Space {
    const { full, room } = this.#storage.weather
    const files = full ? room : 1_000_000
    return { freeBytes: files * 4096, totalBytes: 4e9, freeFiles: files, totalFiles: 1_000_000 }
  }

  // ---- what the client remembers ---------------------------------------------------------------------------------

  #remember(path: string, file: SimFile): void {
    if (this.#memory.absent.size > 0) this.#memory.absent.delete(path)
    this.#memory.handles.set(path, { file, untilMs: this.#storage.timeline.nowMs + RENAMED_MS })
  }
  /** Own changes are known to the own client. */
  #changed(path: string): void {
    const { absent, listings } = this.#memory
    if (absent.size > 0) absent.delete(path)
    if (listings.size > 0) listings.delete(split(path)[0])
  }
  #forgetUntil(path: string): void {
    const { kind, timeline, random } = this.#storage
    if (kind.absenceMs === 0) return
    this.#memory.absent.set(path, timeline.nowMs + random.between(0, kind.absenceMs))
  }
  /** The name, or the directory that it would be in, is remembered as missing. */
  #isAbsent(path: string): boolean {
    const { absent } = this.#memory
    if (absent.size === 0) return false
    const { nowMs } = this.#storage.timeline
    return (absent.get(path) ?? 0) > nowMs || (absent.get(split(path)[0]) ?? 0) > nowMs
  }
}

const noSpace = (call: Call, made = false): DiskError =>
  new DiskError('ENOSPC', call.path, `ENOSPC: ${call.verb} ${call.path}`, { made })
