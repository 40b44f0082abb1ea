/**
 * The keeper's looks at the directory, and where they are made: what another mount shows is of no use, so a look counts
 * only where the directory is still in the place that was joined, and what was proven of one place proves nothing of
 * another. Whatever a look shows beside the terms is told: a mount's alerts, a call that is never answered.
 */
import { type MountAlerts, MountStanding } from '../check/mount-admission.ts'
import { decodeClusterLoosely } from '../directory/decode.ts'
import type { Looker } from '../directory/look.ts'
import type { Unopened } from '../directory/void-terms.ts'
import { rankOf } from '../rules/elector-decision.ts'
import type { State } from '../rules/elector-state.ts'
import type { Input } from '../rules/elector-step.ts'
import { DiskError, HaError, messageOf } from '../words/errors.ts'
import { ACTIVE_DIR, CLUSTER_FILE } from '../words/layout.ts'
import type { Start } from '../words/messages.ts'
import type { Log } from '../world/ports.ts'
import type { CallWatch } from './call-watch.ts'
import type { KeeperPorts } from './keeper.ts'

interface LookoutOptions extends Pick<KeeperPorts, 'clock' | 'disk' | 'mount' | 'storage'> {
  readonly log: Log
  readonly start: Start
  readonly looker: Looker
  readonly unopened: Pick<Unopened, 'clear'>
  readonly calls: CallWatch
  readonly state: () => State
  readonly input: (input: Input) => void
  /** Empty before the directory is joined. */
  readonly clusterId: () => string
  /** A call is lost for good, and only another keeper gives it up. */
  readonly tellLost: (text: string) => void
  /** `active/` can't be read. */
  readonly onNoActive: () => Promise<void>
}

export class Lookout {
  readonly #o: LookoutOptions
  readonly #standing: MountStanding
  #placedMs = Number.NEGATIVE_INFINITY
  #placedMount = ''

  constructor(options: LookoutOptions) {
    const { clock, log, mount, start, storage } = options
    this.#o = options
    this.#standing = new MountStanding(
      { clock, log, periodMs: start.timing.monitorMs, judge: mount?.judge ?? null },
      storage.mount ?? { critical: [], warnings: [] },
    )
  }

  /** What is to be told of the mount. */
  get alerts(): MountAlerts {
    return this.#standing.told
  }

  /** What hangs now, and what was given up lately. */
  get callWarnings(): string[] {
    const { directory, timing, lost } = this.#o.start
    const hanging = this.#o.calls.hanging(timing.deadlineMs, directory)
    const given = lost != null && this.#o.clock.nowMs() < lost.untilMs ? [lost.text] : []
    return [...given, ...(hanging === null ? [] : [hanging])]
  }

  /** For people; null while the mount is the one that was joined. */
  async mountTrouble(): Promise<string | null> {
    return (await this.#o.mount?.trouble(this.#o.clusterId())) ?? null
  }

  /** One look now. What it shows, or why it fails, is an input. */
  async look(): Promise<void> {
    const startedMs = this.#o.clock.nowMs()
    try {
      const looked = this.#o.looker.look()
      // What it shows is of no use where the mount is another one, and why it fails is told by the mount best.
      looked.catch(() => undefined)
      const trouble = await this.mountTrouble()
      if (trouble !== null) throw new HaError('BAD_STORAGE', trouble)
      const seen = await looked
      // What another mount shows counts only where it is known that nothing is proven of it.
      if (this.#isMountNew()) await this.#place()
      this.#o.input({ type: 'looked', seen, startedMs })
      this.#tellLostTouch(startedMs)
      // A look that hangs here would hold up the next one.
      void this.#place().catch(() => {})
      void this.#standing.consider()
      const state = this.#o.state()
      if (state.phase.name === 'watching' && rankOf(state) === 0) {
        void this.#o.unopened.clear(this.#o.looker.unopened)
      }
    } catch (error) {
      this.#o.input({ type: 'look-failed', why: messageOf(error) })
      if (error instanceof DiskError && error.path === ACTIVE_DIR) await this.#o.onNoActive()
    }
  }

  /** Where the directory is, at a look: what was proven of another place proves nothing of this one. */
  async #place(): Promise<void> {
    const { clock, disk, mount } = this.#o
    const { peers, place } = this.#o.state().contest
    if (peers.length === 0) return
    const isSoon = clock.nowMs() - this.#placedMs < this.#o.start.timing.renewMs
    if (place !== null && !this.#isMountNew() && isSoon) return
    this.#placedMs = clock.nowMs()
    const name = mount?.name() ?? ''
    const text = await disk.read('contest', CLUSTER_FILE)
    // It may be missing for a while, and is put back.
    const id = text === 'missing' ? null : (decodeClusterLoosely(text)?.clusterId ?? null)
    this.#placedMount = name
    this.#o.input({ type: 'place', place: `${name} ${id ?? this.#o.clusterId()}` })
  }

  #isMountNew(): boolean {
    return (this.#o.mount?.name() ?? '') !== this.#placedMount
  }

  /** The look has shown that the directory answers: what is without an answer still is lost. */
  #tellLostTouch(lookedMs: number): void {
    const { deadlineMs } = this.#o.start.timing
    const lost = this.#o.calls.lostTouch(lookedMs, deadlineMs)
    if (lost === null || this.#o.state().phase.name === 'ended') return
    const text = `a call on the shared directory is never answered while others are, ${this.#o.start.directory}: ${lost.text}. This master's keeper is replaced, which gives the call up; on HDFS its file was removed by another host, elsewhere look at the file server or gateway`
    this.#o.tellLost(text)
  }
}
