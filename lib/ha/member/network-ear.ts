/**
 * A master's own measure of the network: whom its requests reach, and who answers them.
 *
 * At rest it asks once in 2 M, and what was heard last stands. While there is a suspicion (a stream fell silent, the keeper
 * saw in the directory that somebody else hears less, somebody new is known) it asks one or a few of each kind every P.
 * A kind is silent when none of it has answered a request for two P; a later answer, up to three, ends that. It calms
 * down when all kinds have answered for M/2.
 *
 * - Only who is on another network (`Holder.network`: boot id and network namespace) is asked.
 * - A gap in its own timers above 2Q is left out of all silences: whoever stalled can't tell whose stall it was.
 * - A sign of life that was only received is never an answer; its age just tells since when a silence lasts.
 *
 * The same class runs in the master and in the simulation: whom to ask, and how, comes in.
 */
import {
  type Hearing,
  KINDS,
  type Kind,
  type KnownWorker,
  latestMs,
  silenceMs,
} from '../rules/network-rank.ts'
import type { Timing } from '../rules/timing.ts'
import type { Clock } from '../world/ports.ts'

/** Somebody to ask. */
export interface Target {
  /** What it is. */
  readonly kind: Kind
  /** `host:port`, or a witness's host. */
  readonly address: string
  /** The network that it is on; null for a witness, or where it has not told. */
  readonly network: string | null
}

/** What came of a request. `refused`: something there answered, but not the one that was asked for. */
export type Answer = 'answered' | 'refused' | 'silent'

/** What an ear needs of the world. */
export interface NetworkEarPorts {
  /** Any monotonic one: what is told counts from the moment of telling (`onClock`). */
  readonly clock: Pick<Clock, 'nowMs' | 'after'>
  /** The member's own. */
  readonly timing: Timing
  /** The network that this host is on (`hostNetwork`). */
  readonly network: string
  /** One request of its own. Never rejects, and resolves within about `limitMs`. */
  readonly ask: (target: Target, limitMs: number) => Promise<Answer>
  /** Since when the stream that is silent longest has been so, if that is more than `limitMs`; null where none is. */
  readonly quietSinceMs: (limitMs: number) => number | null
  /** Hears each measure: what `Member.hears` takes. */
  readonly tell: (hearing: Hearing) => void
}

/** At rest all are asked once in so many M. */
const REST_M = 2
/** Of each kind so many are asked at a time, one after the other in turn. */
const ASKED_AT_ONCE = 4

interface Ear {
  targets: readonly Target[]
  /** The next one to be asked. */
  turn: number
  /** Sent time of the newest request that was answered; null before the first and while it is silent. */
  heardMs: number | null
  /** Sent time of the earliest request after it without an answer. */
  unansweredMs: number | null
  sentMs: number
  silentSinceMs: number | null
}

const newEar = (): Ear => ({
  targets: [],
  turn: 0,
  heardMs: null,
  unansweredMs: null,
  sentMs: Number.NEGATIVE_INFINITY,
  silentSinceMs: null,
})

/** A member's own measure of the network: whom its requests reach, and who answers them. */
export class NetworkEar {
  readonly #ports: NetworkEarPorts
  readonly #ears: Record<Kind, Ear> = {
    worker: newEar(),
    witness: newEar(),
    master: newEar(),
  }
  readonly #silent = new Set<string>()
  /** By network: sent time of the newest request that a worker there has answered. */
  readonly #workersHeard = new Map<string | null, number>()
  #workers: readonly KnownWorker[] = []
  #measuring = false
  #wanted = false
  #stopped = false
  /** The last sign of life before the suspicion. */
  #suspectedMs = Number.POSITIVE_INFINITY
  /** Since then it asks every P. */
  #begunMs = Number.NEGATIVE_INFINITY
  #calmSinceMs = Number.NEGATIVE_INFINITY
  /** The rank that was told last, and since when it has been that. */
  #told: { readonly rank: string; readonly sinceMs: number } | null = null
  #tickMs = Number.NEGATIVE_INFINITY
  #cancel = (): void => {}

  /** Asks nobody before `follow`. */
  constructor(ports: NetworkEarPorts) {
    this.#ports = ports
  }

  /** Who there is now. Somebody new is asked at once; `workers` is what the active lets the others know. */
  follow(targets: readonly Target[], workers: readonly KnownWorker[]): void {
    const { network } = this.#ports
    let news = JSON.stringify(workers) !== JSON.stringify(this.#workers)
    this.#workers = workers
    for (const kind of KINDS) {
      const ear = this.#ears[kind]
      const wanted = targets.filter((one) => one.kind === kind && one.network !== network)
      const known = new Set(ear.targets.map(({ address }) => address))
      const isNew = wanted.some(({ address }) => !known.has(address))
      if (!isNew && wanted.length === ear.targets.length) continue
      const gone = ear.targets.filter((old) => !wanted.some((one) => one.address === old.address))
      for (const { address } of gone) this.#silent.delete(address)
      ear.targets = wanted
      if (wanted.length === 0) this.#ears[kind] = newEar()
      const networks = new Set(wanted.map((one) => one.network))
      for (const old of this.#workersHeard.keys()) {
        if (kind === 'worker' && !networks.has(old)) this.#workersHeard.delete(old)
      }
      news = true
    }
    if (news) this.suspect(this.#ports.clock.nowMs())
  }

  /** Somebody may not be heard any more; the last sign of life was at `sinceMs` of its clock. It measures until all is calm. */
  suspect(sinceMs: number): void {
    if (this.#stopped) return
    this.#suspectedMs = Math.min(this.#suspectedMs, sinceMs)
    this.#calmSinceMs = this.#ports.clock.nowMs()
    if (!this.#measuring) this.#begin()
  }

  /** Whether the election needs a measure, by requests that are sent from now on: what `Member.onMeasure` tells. */
  want(wanted: boolean): void {
    this.#wanted = wanted
    if (!wanted || this.#stopped) return
    if (!this.#measuring) this.#begin()
    else {
      this.#round()
      this.#tell(this.#ports.clock.nowMs())
    }
  }

  /** Asks nobody any more, and tells nothing. */
  close(): void {
    this.#stopped = true
    this.#cancel()
  }

  #begin(): void {
    this.#measuring = true
    const nowMs = this.#ports.clock.nowMs()
    this.#begunMs = nowMs
    this.#calmSinceMs = nowMs
    this.#suspectedMs = Math.min(this.#suspectedMs, nowMs)
    this.#tickMs = nowMs
    this.#tick()
  }

  #tick(): void {
    const { clock, timing } = this.#ports
    if (this.#stopped) return
    const nowMs = clock.nowMs()
    if (nowMs - this.#tickMs > timing.renewMs + 2 * timing.pollMs) this.#leaveOut(this.#tickMs)
    this.#tickMs = nowMs
    this.#judge(nowMs)
    if (this.#isCalm(nowMs)) {
      this.#measuring = false
      this.#suspectedMs = Number.POSITIVE_INFINITY
      this.#tell(nowMs)
      this.#rest()
      return
    }
    this.#round()
    this.#tell(nowMs)
    this.#cancel()
    this.#cancel = clock.after(timing.renewMs, () => this.#tick())
  }

  /** One request to each now and then: a cut that breaks no stream is found by it. */
  #rest(): void {
    const { clock, timing } = this.#ports
    this.#cancel()
    this.#cancel = clock.after(REST_M * timing.monitorMs, () => {
      if (this.#stopped || this.#measuring) return
      const askedMs = clock.nowMs()
      this.#round()
      this.#cancel = clock.after(silenceMs(timing), () => this.#afterRest(askedMs))
    })
  }

  #afterRest(askedMs: number): void {
    const { clock, timing, quietSinceMs } = this.#ports
    if (this.#stopped || this.#measuring) return
    const nowMs = clock.nowMs()
    const stalled = nowMs - askedMs > silenceMs(timing) + 2 * timing.pollMs
    if (stalled) this.#leaveOut(askedMs)
    const quiet = KINDS.some((kind) => this.#ears[kind].unansweredMs !== null)
    // A stream that the same cut has silenced knows how old it is, and may not be silent for long enough to say so.
    const signMs = quietSinceMs(nowMs - askedMs) ?? askedMs
    if (quiet) this.suspect(stalled ? nowMs : signMs)
    else this.#rest()
  }

  #round(): void {
    const { clock, timing, ask } = this.#ports
    const sentMs = clock.nowMs()
    for (const kind of KINDS) {
      const ear = this.#ears[kind]
      const count = Math.min(ASKED_AT_ONCE, ear.targets.length)
      if (count === 0) continue
      ear.unansweredMs ??= sentMs
      ear.sentMs = sentMs
      for (let i = 0; i < count; i += 1) {
        const target = ear.targets[(ear.turn + i) % ear.targets.length] as Target
        void ask(target, latestMs(timing)).then((answer) => this.#heard(target, sentMs, answer))
      }
      ear.turn = (ear.turn + count) % ear.targets.length
    }
  }

  #heard({ kind, address, network }: Target, sentMs: number, answer: Answer): void {
    const ear = this.#ears[kind]
    if (this.#stopped || !ear.targets.some((one) => one.address === address)) return
    if (answer === 'silent') this.#silent.add(address)
    else this.#silent.delete(address)
    if (answer !== 'answered') return
    const first = ear.heardMs === null
    if (kind === 'worker') this.#noteWorker(network, sentMs)
    ear.heardMs = Math.max(ear.heardMs ?? sentMs, sentMs)
    ear.silentSinceMs = null
    ear.unansweredMs = ear.sentMs > sentMs ? ear.sentMs : null
    const nowMs = this.#ports.clock.nowMs()
    if (first) this.#calmSinceMs = nowMs
    this.#tell(nowMs)
  }

  #noteWorker(network: string | null, sentMs: number): void {
    const before = this.#workersHeard.get(network) ?? sentMs
    this.#workersHeard.set(network, Math.max(before, sentMs))
  }

  #judge(nowMs: number): void {
    for (const kind of KINDS) {
      const ear = this.#ears[kind]
      if (ear.unansweredMs === null || nowMs - ear.unansweredMs < silenceMs(this.#ports.timing)) {
        continue
      }
      // At rest hardly anybody was asked: the silence is as old as the last sign of life, on a stream or as an answer.
      const heardMs = ear.heardMs ?? Number.NEGATIVE_INFINITY
      const signMs = heardMs < this.#begunMs ? Math.max(this.#suspectedMs, heardMs) : nowMs
      ear.silentSinceMs ??= Math.min(signMs, ear.unansweredMs)
      ear.heardMs = null
    }
  }

  /** The newest silence began then; now, where the rank is another one for a different reason. */
  #since(nowMs: number): number {
    const times = KINDS.flatMap((kind) => this.#ears[kind].silentSinceMs ?? [])
    return times.length === 0 ? nowMs : Math.max(...times)
  }

  /** Its own stall since then: what has come meanwhile is read after the timers. What was silence before it stays so. */
  #leaveOut(sinceMs: number): void {
    const gapMs = this.#ports.clock.nowMs() - sinceMs
    for (const kind of KINDS) {
      const ear = this.#ears[kind]
      if (ear.unansweredMs !== null) ear.unansweredMs += gapMs
    }
    this.#suspectedMs += gapMs
  }

  #isCalm(nowMs: number): boolean {
    const all = KINDS.every((kind) => {
      const ear = this.#ears[kind]
      return ear.targets.length === 0 || (ear.heardMs ?? 0) >= this.#calmSinceMs
    })
    return all && !this.#wanted && nowMs - this.#calmSinceMs >= this.#ports.timing.monitorMs / 2
  }

  /** Nothing is told before each kind has answered once or is silent. */
  #tell(nowMs: number): void {
    const { worker, witness, master } = this.#ears
    const all = [worker, witness, master]
    const open = (ear: Ear): boolean =>
      ear.targets.length > 0 && ear.heardMs === null && ear.silentSinceMs === null
    if (all.some(open)) return
    const known = (ear: Ear): boolean => ear.targets.length > 0
    const rank = all.map((ear) => ear.heardMs !== null).join()
    if (this.#told?.rank !== rank) this.#told = { rank, sinceMs: this.#since(nowMs) }
    this.#ports.tell({
      heardMs: { worker: worker.heardMs, witness: witness.heardMs, master: master.heardMs },
      known: { worker: known(worker), witness: known(witness), master: known(master) },
      silent: [...this.#silent].sort(),
      sinceMs: this.#told.sinceMs,
      measuring: this.#measuring,
      madeMs: nowMs,
      workersHeard: [...this.#workersHeard].map(([network, heardMs]) => ({ network, heardMs })),
      workers: this.#workers,
    })
  }
}
