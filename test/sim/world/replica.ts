/**
 * One host's files as another host's cache shows them: copied some time later, in one direction. An exclusive create
 * collides only with what has come, as on a mount that writes back.
 */
import { type Server, type SimFile, split } from './server.ts'

export class Replica {
  readonly #from: Server
  readonly #to: Server
  /** Rounds that a file waits: with one, no copy is ever younger than the time between two rounds. */
  readonly #rounds: number
  readonly #waits = new Map<SimFile, number>()
  /** What was copied, by the original. */
  readonly #copies = new Map<SimFile, { readonly path: string; readonly file: SimFile }>()
  /** All that any replica has made: a copy is not copied back. */
  static readonly made = new WeakSet<SimFile>()

  constructor(from: Server, to: Server, rounds: number) {
    this.#from = from
    this.#to = to
    this.#rounds = rounds
  }

  sync(): void {
    for (const [directory, entries] of this.#from.directories) {
      for (const [name, file] of entries) {
        if (file === 'directory' || Replica.made.has(file)) continue
        const path = directory === '' ? name : `${directory}/${name}`
        const waits = this.#waits.get(file) ?? this.#rounds
        this.#waits.set(file, waits - 1)
        if (waits <= 0) this.#copy(path, file)
      }
    }
    for (const [file, copy] of this.#copies) {
      if (file.linked) continue
      this.#copies.delete(file)
      const [directory, name] = split(copy.path)
      if (this.#to.directories.get(directory)?.get(name) === copy.file) {
        this.#to.unlink(copy.path, 'a cache')
      }
    }
  }

  #copy(path: string, file: SimFile): void {
    const known = this.#copies.get(file)
    if (known !== undefined) {
      known.file.text = file.text
      known.file.mtimeMs = file.mtimeMs
      return
    }
    const [directory] = split(path)
    if (directory !== '') this.#to.makeDirectories(directory)
    const made = this.#to.create(path, 0)
    if (typeof made === 'string') return
    made.text = file.text
    made.mtimeMs = file.mtimeMs
    Replica.made.add(made)
    this.#copies.set(file, { path, file: made })
  }
}
