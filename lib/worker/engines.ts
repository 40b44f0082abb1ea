/**
 * The engines of a worker: each running query has a process of its own, which it can't leave by anything that it does to it,
 * and a share of the memory that belongs to that process.
 *
 * There are as many as queries may run at a time. Each is made when the one before it is taken, so that one is always ready,
 * and serves one query after the other until it has died, or kept too much of what it was given. Its bound is fixed when it
 * starts, so it has one share for its life, and a query is given the largest that is free.
 *
 * Memory: half of it belongs to the queries that may run at a time, in equal parts. The other half goes by halves to the
 * first ones; the last one gets what is left. So each is sure of its part, a query that comes alone has more than a quarter
 * of the whole, and all together never get more than there is. A process needs room of its own besides.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { EngineError, interrupted } from './duckdb-errors.ts'
import { EngineLink } from './engine-link.ts'
import { QueryEngine } from './query-engine.ts'
import { SlowDisk } from './slow-disk.ts'

export interface EnginesOptions {
  readonly threads: number
  /** Of all that run. */
  readonly memoryBytes: number
  /** How many queries run at a time. */
  readonly slots: number
  /** How much lower the priority of the processes is than the worker's. */
  readonly niceness: number
  /** Absolute; each process makes a directory of its own in it. */
  readonly spillDirectory: string
  /** What all of them may spill: each an equal part. */
  readonly spillBytes: number
  /** A name that nobody can guess, another one each time. */
  readonly secretName: () => string
  readonly clock: Clock
  readonly log: Log
}

/** The worker waits no longer for what is left of an engine to be removed: that disk may hang. */
const REMOVE_MS = 1000
/** No engine gets along with less. */
const LEAST_BYTES = 16 * 1024 * 1024
/** Of a process besides its query's share: for its program and engine, reading a statement, and telling rows. */
const ROOM_BYTES = 512 * 1024 * 1024
/** Of each thread that a query has: stacks, since engines at rest have as many. */
const THREAD_ROOM_BYTES = 64 * 1024 * 1024

/** What each of the queries that may run at a time has, the largest first. */
export function sharesOf({
  memoryBytes,
  slots,
}: Pick<EnginesOptions, 'memoryBytes' | 'slots'>): number[] {
  const sure = memoryBytes / (2 * slots)
  let free = memoryBytes / 2
  return Array.from({ length: slots }, (_, at) => {
    const more = at + 1 < slots ? free / 2 : free
    free -= more
    return Math.max(LEAST_BYTES, Math.floor(sure + more))
  })
}

/** A place for one process after the other. */
interface Seat {
  /** Its queries' share. */
  readonly bytes: number
  link: Promise<EngineLink> | null
  isTaken: boolean
}

export class Engines {
  readonly #options: EnginesOptions
  /** The largest share first. */
  readonly #seats: Seat[]
  /** The processes that live, each with its end: all of it is removed then. */
  readonly #living = new Map<EngineLink, Promise<void>>()
  readonly #disk: SlowDisk
  #closed = false

  private constructor(options: EnginesOptions) {
    this.#options = options
    this.#disk = new SlowDisk(options.clock, REMOVE_MS)
    this.#seats = sharesOf(options).map((bytes) => ({ bytes, link: null, isTaken: false }))
  }

  /** Rejects with EngineError for options that the engine refuses, or where no process can be started. */
  static async open(options: EnginesOptions): Promise<Engines> {
    const engines = new Engines(options)
    await engines.#linkOf(engines.#freeSeat())
    return engines
  }

  /** For one query, which has to close it. Rejects with EngineError. */
  async take(): Promise<QueryEngine> {
    if (this.#closed) throw interrupted()
    const seat = this.#freeSeat()
    seat.isTaken = true
    try {
      const link = await this.#linkOf(seat)
      this.#makeAhead()
      const { clock } = this.#options
      return new QueryEngine({
        ...{ link, clock, bytes: seat.bytes },
        onClosed: (isUsable) => this.#onClosed(seat, link, isUsable),
      })
    } catch (error) {
      seat.isTaken = false
      throw error
    }
  }

  /** Ends all processes, and what runs in them. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#living.keys()].map((link) => this.#dismiss(link)))
  }

  /** Who comes when all are taken has the smallest share: an ended query's process may not yet have left its seat. */
  #freeSeat(): Seat {
    const free = this.#seats.find(({ isTaken }) => !isTaken)
    if (free !== undefined) return free
    const seat = { bytes: this.#seats.at(-1)?.bytes ?? LEAST_BYTES, link: null, isTaken: false }
    this.#seats.push(seat)
    return seat
  }

  #makeAhead(): void {
    const { slots } = this.#options
    const next = this.#seats.slice(0, slots).find(({ isTaken }) => !isTaken)
    // Told to whoever asks for it.
    if (next !== undefined && !this.#closed) void this.#linkOf(next).catch(() => undefined)
  }

  /** One that has died while nobody used it is made anew, as is one that could not be started. */
  #linkOf(seat: Seat): Promise<EngineLink> {
    seat.link ??= this.#start(seat)
    return seat.link
  }

  async #start(seat: Seat): Promise<EngineLink> {
    const { bytes } = seat
    const { threads, slots, niceness, spillDirectory, spillBytes, secretName } = this.#options
    const room = ROOM_BYTES + threads * THREAD_ROOM_BYTES
    const link = new EngineLink({ bytes: bytes + room, niceness })
    const directory = join(spillDirectory, secretName())
    this.#living.set(
      link,
      link.gone.then((how) => this.#onGone(how, { link, seat, directory })),
    )
    try {
      await link.call('start', {
        ...{ threads, memoryBytes: bytes },
        ...{ spillDirectory: directory, spillBytes: spillBytes / slots },
      })
      return link
    } catch (error) {
      await this.#dismiss(link)
      throw EngineError.is(error, 'gone')
        ? new EngineError('internal', `no engine can be started: ${error.message}`, null, error)
        : error
    }
  }

  async #onGone(
    how: string,
    { link, seat, directory }: { link: EngineLink; seat: Seat; directory: string },
  ): Promise<void> {
    seat.link = null
    if (!link.isDismissed) {
      const text = `the process ${link.pid} of an engine has ended (${how}): the query that ran in it fails, and another process takes its place`
      this.#options.log('warn', text, { event: 'engine-ended', enginePid: link.pid, how })
    }
    // Its disk may be gone, and the worker empties the directory of all when it starts.
    await this.#disk.call(() => rm(directory, { recursive: true, force: true }))
    this.#living.delete(link)
  }

  async #onClosed(seat: Seat, link: EngineLink, isUsable: boolean): Promise<void> {
    const isExtra = this.#seats.indexOf(seat) >= this.#options.slots
    if (!isUsable || isExtra || this.#closed) await this.#dismiss(link)
    if (isExtra) this.#seats.splice(this.#seats.indexOf(seat), 1)
    seat.isTaken = false
    if (!isUsable) this.#makeAhead()
  }

  async #dismiss(link: EngineLink): Promise<void> {
    link.dismiss()
    await this.#living.get(link)
  }
}
