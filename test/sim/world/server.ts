/**
 * The file server's truth: every operation happens at one instant, and exclusive means exclusive.
 *
 * Directories are kept by their path. A file lives as long as a name leads to it; `.nfs*` names are names.
 */
import type { Host } from './host.ts'

export interface SimFile {
  readonly id: number
  text: string
  mtimeMs: number
  /** A name leads to it. */
  linked: boolean
  /** How many opens each host has, by `Host.client`. */
  readonly opens: Map<string, number>
  /** Given by the server to a host that opened it, in worlds with delegations. */
  delegatedTo: Host | null
}

export type Entry = SimFile | 'directory'

export class Server {
  readonly directories = new Map<string, Map<string, Entry>>([['', new Map()]])
  readonly #granularityMs: number
  #nextId = 1

  constructor(granularityMs: number) {
    this.#granularityMs = granularityMs
  }

  entry(path: string): Entry | undefined {
    const [directory, name] = split(path)
    return this.directories.get(directory)?.get(name)
  }
  file(path: string): SimFile | undefined {
    const entry = this.entry(path)
    return entry === 'directory' ? undefined : entry
  }

  makeDirectory(path: string): 'made' | 'exists' | 'no-parent' {
    const [directory, name] = split(path)
    const entries = this.directories.get(directory)
    if (entries === undefined) return 'no-parent'
    if (entries.has(name)) return 'exists'
    entries.set(name, 'directory')
    this.directories.set(path, new Map())
    return 'made'
  }

  makeDirectories(path: string): void {
    const names = path.split('/')
    for (let depth = 1; depth <= names.length; depth += 1) {
      this.makeDirectory(names.slice(0, depth).join('/'))
    }
  }

  create(path: string, nowMs: number): SimFile | 'exists' | 'no-parent' {
    const [directory, name] = split(path)
    const entries = this.directories.get(directory)
    if (entries === undefined) return 'no-parent'
    if (entries.has(name)) return 'exists'
    const file: SimFile = {
      id: this.#nextId++,
      text: '',
      mtimeMs: this.round(1_800_000_000_000 + nowMs),
      linked: true,
      opens: new Map(),
      delegatedTo: null,
    }
    entries.set(name, file)
    return file
  }

  /** A whole file, as an earlier time left it. */
  write(path: string, text: string): void {
    const file = this.create(path, 0)
    if (typeof file === 'string') throw new Error(`${path}: ${file}`)
    file.text = text
  }

  names(path: string): string[] | undefined {
    const entries = this.directories.get(path)
    return entries === undefined ? undefined : [...entries.keys()]
  }

  /** By the client `host`: a file that it has open only gets another name. */
  unlink(path: string, host: string): 'unlinked' | 'missing' | 'busy' {
    const [directory, name] = split(path)
    const entries = this.directories.get(directory)
    const file = entries?.get(name)
    if (entries === undefined || file === undefined || file === 'directory') return 'missing'
    if (file.opens.has(host)) {
      if (name.startsWith('.nfs')) return 'busy'
      entries.delete(name)
      entries.set(`.nfs${String(file.id).padStart(8, '0')}`, file)
      return 'unlinked'
    }
    entries.delete(name)
    file.linked = false
    return 'unlinked'
  }

  removeDirectory(path: string): 'removed' | 'missing' | 'kept' {
    const entries = this.directories.get(path)
    if (entries === undefined) return 'missing'
    if (entries.size > 0) return 'kept'
    const [directory, name] = split(path)
    this.directories.get(directory)?.delete(name)
    this.directories.delete(path)
    return 'removed'
  }

  open(file: SimFile, host: string): void {
    file.opens.set(host, (file.opens.get(host) ?? 0) + 1)
  }
  /** The last close on a host that had renamed it away removes it for good. */
  close(file: SimFile, path: string, host: string): void {
    const left = (file.opens.get(host) ?? 1) - 1
    if (left > 0) {
      file.opens.set(host, left)
      return
    }
    file.opens.delete(host)
    const [directory] = split(path)
    const name = `.nfs${String(file.id).padStart(8, '0')}`
    const entries = this.directories.get(directory)
    if (entries?.get(name) === file) {
      entries.delete(name)
      file.linked = false
    }
  }

  round(mtimeMs: number): number {
    return Math.floor(mtimeMs / this.#granularityMs) * this.#granularityMs
  }
}

const parts = new Map<string, readonly [string, string]>()
/** A path as its directory and its name. */
export function split(path: string): readonly [string, string] {
  let known = parts.get(path)
  if (known === undefined) {
    const at = path.lastIndexOf('/')
    known = at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)]
    parts.set(path, known)
  }
  return known
}
