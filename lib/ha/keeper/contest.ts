/**
 * The keeper's hands in the contest (rules/contest.ts): it makes nonces' files, and creates those of others exclusively.
 *
 *     contest/host1_26001.BOOT_PID_TICKS.123456-7      a nonce: gone again when the letter with it was answered
 *
 * Both kinds of calls have a lane of their own and a time limit, since the storage may hang: what is late is *unknown*. An
 * error at the exclusive create may stand for "exists" (HDFS's gateway says EIO): then the listing decides. A nonce that
 * the other could create proves two directories only while its own file is still there: somebody may remove files of any
 * kind.
 */
import type { ContestEffect, Delivery, NonceCheck } from '../rules/contest-state.ts'
import { messageOf } from '../words/errors.ts'
import { CONTEST_DIR } from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'

interface ContestWorkOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly address: string
  /** So long may a call take, those before it in its lane included. */
  readonly limitMs: number
}

type Lane = 'make' | 'try'

/** Some more than a master asks at a time; whoever asks for more gets no answer of the storage. */
const MOST_WAITING = 16

export class ContestWork {
  readonly #o: ContestWorkOptions
  readonly #lanes: Record<Lane, Promise<unknown>> = {
    make: Promise.resolve(),
    try: Promise.resolve(),
  }
  readonly #waiting: Record<Lane, number> = { make: 0, try: 0 }
  /** Made, and not dropped yet. */
  readonly #standing = new Set<string>()
  #swept = false
  #lateListing: string | null = null

  constructor(options: ContestWorkOptions) {
    this.#o = options
  }

  /** A sentence for people where names come late: the contest has passed, and others are noticed late all the same. */
  get warnings(): readonly string[] {
    return this.#lateListing === null ? [] : [this.#lateListing]
  }

  /** Whether the file is there now. Never rejects. */
  async make({ nonce }: ContestEffect & { do: 'contest-make' }): Promise<boolean> {
    this.#standing.add(nonce)
    const made = await this.#timed('make', () => this.#create(nonce, this.#o.address))
    if (!this.#swept) void this.#timed('make', () => this.#sweep())
    // Nobody else makes that name: one that is there already is ours, and the answer to its create was lost.
    return made !== undefined
  }

  drop(nonce: string): void {
    this.#standing.delete(nonce)
    void this.#timed('make', () => this.#o.disk.unlink('contest', pathOf(nonce)))
  }

  /** What an exclusive create of that name finds. Never rejects. */
  async try({ nonce, from }: ContestEffect & { do: 'contest-try' }): Promise<NonceCheck> {
    const check = (await this.#timed('try', () => this.#try(nonce, from))) ?? 'unknown'
    // Before the answer, since the file goes with it.
    if (check === 'exists') this.#lateListing = await this.#judgeListing(nonce)
    return check
  }

  /** What could be created where its own file was removed proves nothing. Never rejects. */
  async confirm(delivery: Delivery, nonce: string | null): Promise<Delivery> {
    if (delivery.is !== 'answered' || delivery.reply.check !== 'created') return delivery
    const isThere =
      nonce !== null && (await this.#timed('make', async () => this.#isListed(nonce))) === true
    if (isThere) return delivery
    return { is: 'answered', reply: { ...delivery.reply, check: 'unknown' } }
  }

  async #create(nonce: string, text: string): Promise<'created' | 'exists'> {
    const { disk } = this.#o
    const made = await disk.create('contest', pathOf(nonce), text)
    if (made !== 'missing') return made
    await disk.makeDirs('contest', CONTEST_DIR)
    const again = await disk.create('contest', pathOf(nonce), text)
    if (again === 'missing') throw new Error(`${CONTEST_DIR} can't be made`)
    return again
  }

  async #try(nonce: string, from: string): Promise<NonceCheck> {
    const { disk } = this.#o
    try {
      if ((await this.#create(nonce, '')) === 'created') {
        void this.#timed('try', () => disk.unlink('contest', pathOf(nonce)))
        return 'created'
      }
    } catch (error) {
      if (!(await this.#isListed(nonce))) throw error
    }
    return (await disk.read('contest', pathOf(nonce))) === from ? 'exists' : 'unknown'
  }

  /** Listings are asked until a name that is there is in one, for half of a call's time. Null where the first has it. */
  async #judgeListing(nonce: string): Promise<string | null> {
    const { clock, limitMs } = this.#o
    const startedMs = clock.nowMs()
    for (let looks = 1; ; looks += 1) {
      const isListed = await this.#timed('try', () => this.#isListed(nonce))
      // That the storage does not answer is told elsewhere.
      if (isListed === undefined) return this.#lateListing
      const lateMs = Math.round(clock.nowMs() - startedMs)
      if (isListed) return looks === 1 ? null : lateListing(`was ${lateMs} ms old`)
      if (lateMs >= limitMs / 2) return lateListing(`was more than ${lateMs} ms old`)
      await pause(clock, limitMs / 40)
    }
  }

  async #isListed(nonce: string): Promise<boolean> {
    const names = await this.#o.disk.list('contest', CONTEST_DIR)
    return names !== 'missing' && names.includes(nonce)
  }

  /** What an earlier life of this master has left. */
  async #sweep(): Promise<void> {
    const { disk, address } = this.#o
    this.#swept = true
    const names = await disk.list('contest', CONTEST_DIR)
    const own = `${address}.`.replaceAll(/[^A-Za-z0-9.-]/g, '_')
    for (const name of names === 'missing' ? [] : names) {
      if (name.startsWith(own) && !this.#standing.has(name)) {
        await disk.unlink('contest', pathOf(name))
      }
    }
  }

  /** Undefined for what fails or is late: the call itself can't be taken back, and holds up its lane only. */
  #timed<T>(lane: Lane, run: () => Promise<T>): Promise<T | undefined> {
    const { clock, log, limitMs } = this.#o
    if (this.#waiting[lane] >= MOST_WAITING) return Promise.resolve(undefined)
    this.#waiting[lane] += 1
    let late = false
    const work = this.#lanes[lane]
      .then(() => (late ? undefined : run()))
      .catch((error: unknown) => {
        log('debug', `a file call of the contest failed: ${messageOf(error)}`, {
          event: 'contest-call-failed',
        })
        return undefined
      })
      .finally(() => {
        this.#waiting[lane] -= 1
      })
    this.#lanes[lane] = work
    return new Promise((resolve) => {
      const cancel = clock.after(limitMs, () => {
        late = true
        resolve(undefined)
      })
      void work.then((value) => {
        cancel()
        resolve(value)
      })
    })
  }
}

const lateListing = (howOld: string): string =>
  `a listing of the HA directory ${howOld}: it did not show a file of another master that was there. Terms of the others are seen late on this mount: check its attribute and directory caching`

const pathOf = (nonce: string): string => `${CONTEST_DIR}/${nonce}`
