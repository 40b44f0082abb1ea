/**
 * The shared directory as one process uses it: `Disk` of lib/ha/world/ports.ts on the simulated storage.
 *
 * A call happens at the server at some instant between its start and its answer; both ways take their time. It may wait
 * while the storage hangs, fail, happen twice because the first answer got lost, or still happen after its process died.
 */
import { DiskError } from '../../../lib/ha/words/errors.ts'
import type { Disk, Glimpse, Purpose, Space, Touched } from '../../../lib/ha/world/ports.ts'
import { CallsAtServer, NEVER, type Outcome } from './calls.ts'
import type { SimProcess } from './process.ts'
import type { Storage } from './storage.ts'

export type Verb =
  | 'makeTermDir'
  | 'makeDirs'
  | 'create'
  | 'fill'
  | 'space'
  | 'touch'
  | 'glimpse'
  | 'read'
  | 'list'
  | 'unlink'
  | 'removeDir'
  | 'append'

export interface Call {
  readonly verb: Verb
  readonly purpose: Purpose | 'catalog'
  readonly path: string
  readonly text: string
  readonly mtimeMs: number
  readonly process: SimProcess
}

/** Told of every call before it starts; the faults' trigger. */
export type Spy = (call: Call) => void

/** What libuv has. */
const FILE_THREADS = 4

/** After a lost answer the client sends again so much later. */
const RETRANSMIT_MS = 40

export class SimDisk implements Disk {
  readonly #storage: Storage
  readonly #process: SimProcess
  readonly #spy: Spy
  readonly #calls: CallsAtServer
  /** Calls that are never answered, each with a file thread. */
  #lost = 0

  constructor(storage: Storage, process: SimProcess, spy: Spy) {
    this.#storage = storage
    this.#process = process
    this.#spy = spy
    this.#calls = new CallsAtServer(storage, process.host)
    process.onDeath(() => this.#calls.endAll())
  }

  makeTermDir(purpose: Purpose, path: string): Promise<'made' | 'exists'> {
    return this.#call('makeTermDir', purpose, path)
  }
  makeDirs(purpose: Purpose, path: string): Promise<void> {
    return this.#call('makeDirs', purpose, path)
  }
  create(purpose: Purpose, path: string, text: string): Promise<'created' | 'exists' | 'missing'> {
    return this.#call('create', purpose, path, text)
  }
  fill(purpose: Purpose, path: string, text: string): Promise<'filled' | 'missing'> {
    return this.#call('fill', purpose, path, text)
  }
  occupy(purpose: Purpose, path: string, bytes: number): Promise<'created' | 'exists' | 'missing'> {
    return this.#call('create', purpose, path, `${bytes} bytes`)
  }
  space(): Promise<Space> {
    return this.#call('space', 'reserve', '.')
  }
  touch(purpose: Purpose, path: string, mtimeMs: number, sameAs = ''): Promise<Touched> {
    return this.#call('touch', purpose, path, sameAs, mtimeMs)
  }
  glimpse(purpose: Purpose, path: string): Promise<Glimpse | 'missing'> {
    return this.#call('glimpse', purpose, path)
  }
  read(purpose: Purpose, path: string): Promise<string | 'missing'> {
    return this.#call('read', purpose, path)
  }
  list(purpose: Purpose, path: string): Promise<string[] | 'missing'> {
    return this.#call('list', purpose, path === '.' ? '' : path)
  }
  unlink(purpose: Purpose, path: string): Promise<'unlinked' | 'missing'> {
    return this.#call('unlink', purpose, path)
  }
  async replace(): Promise<never> {
    throw new Error('no directory is of an older format here')
  }
  removeDir(purpose: Purpose, path: string): Promise<'removed' | 'missing' | 'kept'> {
    return this.#call('removeDir', purpose, path)
  }
  async syncDir(): Promise<void> {}

  /** For the catalog: a record at the end of a file of which this process is the only writer. */
  append(path: string, record: string): Promise<'appended' | 'missing'> {
    return this.#call('append', 'catalog', path, record)
  }
  createCatalog(path: string, text: string): Promise<'created' | 'exists' | 'missing'> {
    return this.#call('create', 'catalog', path, text)
  }
  readCatalog(path: string): Promise<string | 'missing'> {
    return this.#call('read', 'catalog', path)
  }

  #call<T>(verb: Verb, purpose: Call['purpose'], path: string, text = '', mtimeMs = 0): Promise<T> {
    const call: Call = { verb, purpose, path, text, mtimeMs, process: this.#process }
    this.#spy(call)
    const { fileThreads = FILE_THREADS } = this.#storage.kind
    if (!this.#process.alive || this.#lost >= fileThreads) return new Promise(() => {})
    return new Promise<T>((resolve, reject) => {
      const { timeline } = this.#storage
      const answer = (outcome: Outcome): void => {
        if (outcome === NEVER) {
          this.#lost += 1
          return
        }
        const deliver = (): boolean =>
          this.#process.deliver({
            kind: 'disk',
            run: () => {
              this.#calls.end(call)
              if (outcome instanceof DiskError) reject(outcome)
              else resolve(outcome as T)
              return true
            },
          })
        const home = (): boolean => {
          if (!this.#process.alive) {
            this.#calls.end(call)
            return false
          }
          if (!this.#storage.blocked(this.#process.host)) return deliver()
          this.#storage.whenReachable(this.#process.host, home)
          return false
        }
        timeline.after(this.#storage.latencyMs(), home)
      }
      timeline.after(this.#storage.latencyMs(), () => this.#arrive(call, answer))
    })
  }

  /** At the server's door. A dead process's call may have been on its way already, or not. */
  #arrive(call: Call, answer: (outcome: Outcome) => void, fate = { sent: false }): boolean {
    const storage = this.#storage
    const { host } = this.#process
    const again = (): boolean => this.#arrive(call, answer, fate)
    if (!host.up) return false
    if (!this.#process.alive && !fate.sent) {
      if (storage.random.chance(0.5)) return false
      fate.sent = true
    }
    if (this.#process.stopped && !fate.sent) {
      // Taken by a file thread already, or not before it goes on.
      fate.sent = storage.random.chance(0.5)
      if (!fate.sent) {
        this.#process.whenAwake(again)
        return false
      }
    }
    if (storage.blocked(host)) {
      storage.whenReachable(host, again)
      return false
    }
    const waitMs = this.#calls.waitMs(call)
    if (waitMs > 0) {
      storage.timeline.after(waitMs, again)
      return false
    }
    const { random, weather } = storage
    if (random.chance(weather.error)) this.#fail(call, answer)
    else if (mayBeStale(call) && random.chance(weather.stale)) answer(staleAnswer(call))
    else if (random.chance(weather.lostReply)) {
      this.#do(call, () => {
        storage.timeline.after(RETRANSMIT_MS * (0.5 + random.next()), () => {
          if (storage.blocked(host)) storage.whenReachable(host, () => this.#do(call, answer))
          else this.#do(call, answer)
          return false
        })
      })
    } else this.#do(call, answer)
    return false
  }

  /** An error may mean that nothing happened, that it did, or that it still will. */
  #fail(call: Call, answer: (outcome: Outcome) => void): void {
    const { random, timeline } = this.#storage
    const error = new DiskError('EIO', call.path, `EIO: ${call.verb} ${call.path}`)
    const how = LOOKS.has(call.verb) ? 0 : random.below(3)
    if (how === 1) this.#do(call, () => {})
    if (how === 2) {
      timeline.after(random.logBetween(10, 3000), () => {
        if (this.#process.host.up) this.#do(call, () => {})
        return false
      })
    }
    answer(error)
  }

  #do(call: Call, answer: (outcome: Outcome) => void): false {
    const first = this.#calls.first(call)
    if (first === null) answer(this.#calls.carryOut(call))
    else if (first instanceof DiskError || typeof first !== 'object' || !('file' in first))
      answer(first)
    else {
      // Made, and empty; the text comes a moment later, if its writer lives to send it.
      const { random, timeline } = this.#storage
      timeline.after(this.#storage.latencyMs(), () => {
        if (!this.#process.alive && random.chance(0.7)) return false
        answer(this.#calls.fill(call, first.file))
        return false
      })
    }
    return false
  }
}

const LOOKS: ReadonlySet<Verb> = new Set(['glimpse', 'read', 'list', 'space'] as const)

const MAY_BE_STALE: ReadonlySet<Verb> = new Set([
  'create',
  'touch',
  'glimpse',
  'read',
  'list',
  'unlink',
] as const)

const mayBeStale = (call: Call): boolean => MAY_BE_STALE.has(call.verb)

/** As lib/ha/world/disk.ts has it. */
const staleAnswer = (call: Call): Outcome =>
  call.verb === 'touch' || call.verb === 'glimpse'
    ? 'missing'
    : new DiskError('ESTALE', call.path, `ESTALE: ${call.verb} ${call.path}`)
