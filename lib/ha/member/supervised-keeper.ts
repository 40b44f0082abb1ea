/**
 * A keeper that is always there: started, heard, and replaced when it dies or falls silent.
 *
 * It promises that only the newest keeper's messages are passed on, that an old one is killed before its successor
 * starts, and that a keeper which can't stay up is told as hopeless instead of being started for ever.
 */
import type { Timing } from '../rules/timing.ts'
import { HaError } from '../words/errors.ts'
import type { MasterLink, Start, ToKeeper, ToMaster } from '../words/messages.ts'
import type { Clock, Log } from '../world/ports.ts'

/** A keeper process, as its master sees it. */
export interface KeeperHandle {
  readonly link: MasterLink
  readonly pid: number
  /** Sends SIGKILL. */
  kill(): void
}

export interface KeeperPorts {
  readonly clock: Clock
  readonly log: Log
  readonly spawnKeeper: () => KeeperHandle
}

/** What its master knows and does about it. */
interface KeeperOwner {
  /** Makes the first message to a new keeper. */
  introduction(): Start
  onMessage(message: ToMaster): void
  /** It has ended or was killed. True: start another one. */
  onGone(): boolean
  /** Not started again: it died too often. */
  onHopeless(error: HaError): void
}

/** A keeper that can't stay up this often within this time is no bad luck. */
const RESTARTS = 10
const RESTARTS_WITHIN_MS = 60_000

export class SupervisedKeeper {
  readonly #ports: KeeperPorts
  readonly #timing: Timing
  readonly #owner: KeeperOwner
  #keeper: KeeperHandle | null = null
  /** Raised with every keeper and at the end: whatever belongs to an older one is passed over. */
  #generation = 0
  #restarts: number[] = []
  #heardMs = 0
  #ready = false
  #cancelCheck = (): void => {}
  #replacedMs = Number.NEGATIVE_INFINITY

  constructor(ports: KeeperPorts, timing: Timing, owner: KeeperOwner) {
    this.#ports = ports
    this.#timing = timing
    this.#owner = owner
  }

  /** Null while there is none. */
  get pid(): number | null {
    return this.#keeper?.pid ?? null
  }

  /** False, and nothing sent, while there is none. */
  send(message: ToKeeper): boolean {
    this.#keeper?.link.send(message)
    return this.#keeper !== null
  }

  start(): void {
    const nowMs = this.#ports.clock.nowMs()
    this.#restarts = [...this.#restarts.filter((ms) => nowMs - ms < RESTARTS_WITHIN_MS), nowMs]
    this.#startAt(nowMs)
  }

  /** On its own word, once in a monitor interval at most: it can stay up, and another one does better. */
  replace(why: string): boolean {
    const nowMs = this.#ports.clock.nowMs()
    if (nowMs - this.#replacedMs < this.#timing.monitorMs) return false
    this.#replacedMs = nowMs
    if (this.#drop(why)) this.#startAt(nowMs)
    return true
  }

  #startAt(nowMs: number): void {
    if (this.#restarts.length > RESTARTS) {
      const text = `the keeper died ${RESTARTS} times in a minute`
      this.#owner.onHopeless(new HaError('KEEPER_FAILED', text))
      return
    }
    this.#generation += 1
    const generation = this.#generation
    this.#ready = false
    const keeper = this.#ports.spawnKeeper()
    this.#keeper = keeper
    this.#heardMs = nowMs
    keeper.link.onMessage((message) => {
      if (generation !== this.#generation) return
      this.#heardMs = this.#ports.clock.nowMs()
      if (message.type === 'ready') this.#ready = true
      this.#owner.onMessage(message)
    })
    keeper.link.onClose(() => {
      if (generation === this.#generation) this.#gone('it ended')
    })
    keeper.link.send(this.#owner.introduction())
    this.#watch()
  }

  /** Hears and replaces it no more. It ends by itself: it was told to leave, refused, or loses its master. */
  end(): void {
    this.#cancelCheck()
    this.#generation += 1
  }

  /** Pings come every renewal period; a keeper that is silent for some is as good as dead. */
  #watch(): void {
    const { clock } = this.#ports
    const { renewMs, monitorMs } = this.#timing
    // Node's own start and the first look at a slow directory take longer than a period; on a busy host everything does. And
    // one that joins may wait for a holder that puts back what was removed, up to four monitor intervals (setup.ts).
    const silentMs = this.#ready ? Math.max(2.5 * renewMs, 500) : Math.max(5 * monitorMs, 10_000)
    this.#cancelCheck()
    const generation = this.#generation
    const checkedMs = clock.nowMs()
    this.#cancelCheck = clock.after(renewMs / 2, () => {
      if (generation !== this.#generation) return
      // Whoever stalled itself can't blame the keeper.
      if (clock.nowMs() - checkedMs > renewMs) this.#heardMs = clock.nowMs()
      if (clock.nowMs() - this.#heardMs > silentMs) this.#gone('it fell silent')
      else this.#watch()
    })
  }

  #gone(why: string): void {
    if (this.#drop(why)) this.start()
  }

  /** True: another one is to be started. */
  #drop(why: string): boolean {
    this.#ports.log('warn', `the keeper is gone: ${why}`, {
      event: 'keeper-gone',
      keeperPid: this.#keeper?.pid,
    })
    this.#keeper?.kill()
    this.#keeper = null
    return this.#owner.onGone()
  }
}
