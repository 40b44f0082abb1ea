/**
 * Who may be a worker: whoever has the cluster's secret and is in `conf/workers`, and others by `tajo.worker.admission`.
 * With `any` they are admitted, and people are told; with `listed` they are refused, and told why themselves. They ask
 * again all the time, so a line that was added counts soon.
 *
 * An address is somebody's when he answers there. So nobody takes the place of a worker that answers at the address which
 * both name. Whoever registers first is called back before the first task that he is given (worker-calls.ts).
 */
import type { Log } from '../../../base/log.ts'
import { type Clock, pause } from '../../../base/time.ts'
import type { WorkerInfo } from '../../../contract/index.ts'
import type { WorkerCalls } from './worker-calls.ts'
import type { Worker, WorkerTable } from './worker-table.ts'

/** `no-list`: there is no file `conf/workers`, so nobody can be missing in it. */
export type Listing = 'listed' | 'unlisted' | 'no-list'

export interface AdmissionRules {
  readonly mode: () => 'any' | 'listed'
  /** Another number than before: the file lists others now. Never rejects. */
  readonly version: () => Promise<number>
  readonly judge: (worker: { workerId: string; qm: string }) => Promise<Listing>
  /** The file, as it is told. */
  readonly file: string
  /** So often those who are registered are judged anew. */
  readonly everyMs: number
}

interface AdmissionOptions {
  /** Null: everybody is admitted, and nobody is told of. */
  readonly rules: AdmissionRules | null
  readonly workers: WorkerTable
  readonly calls: Pick<WorkerCalls, 'callBack'>
  readonly clock: Clock
  readonly log: Log
}

export class Admission {
  readonly #options: AdmissionOptions
  #judged = { version: -1, mode: 'any', atMs: Number.NEGATIVE_INFINITY }
  #isJudging = false
  /** Why each was refused last, by its name. */
  readonly #refused = new Map<string, string>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Null: it may register. Otherwise why it may not, in a sentence for its log. Never rejects. */
  async whyNot(info: WorkerInfo): Promise<string | null> {
    const why = (await this.#notListed(info)) ?? (await this.#placeTaken(info))
    if (why === null) this.#refused.delete(info.workerId)
    else this.#tellRefused(info, why)
    return why
  }

  /** To be called again and again: lists and modes change, and who was barred may be right by now. */
  look(): void {
    const { rules, clock } = this.#options
    if (rules === null || this.#isJudging || clock.nowMs() - this.#judged.atMs < rules.everyMs)
      return
    this.#isJudging = true
    void this.#judgeAll(rules).finally(() => {
      this.#isJudging = false
    })
  }

  async #judgeAll(rules: AdmissionRules): Promise<void> {
    const { workers, clock } = this.#options
    const version = await rules.version()
    const mode = rules.mode()
    const isNew = version !== this.#judged.version || mode !== this.#judged.mode
    this.#judged = { version, mode, atMs: clock.nowMs() }
    let judged = 0
    for (const worker of [...workers.all()]) {
      if (!isNew && worker.unlisted === false && worker.barred === null) continue
      await this.#judge(worker)
      judged += 1
      // There may be thousands, and others are to be answered meanwhile.
      if (judged % JUDGED_AT_ONCE === 0) await pause(clock, 0)
    }
  }

  async #judge(worker: Worker): Promise<void> {
    const { rules, calls, log } = this.#options
    const { info } = worker
    const notListed = await this.#notListed(info)
    const listing = await rules?.judge(placeOf(info))
    const isNews = worker.unlisted !== true && listing === 'unlisted'
    worker.unlisted = listing === 'unlisted'
    if (isNews)
      log('warn', unlistedText({ ...info, address: info.workerId }), {
        event: 'worker-unlisted',
        workerId: info.workerId,
      })
    const isOther = worker.barred === null ? null : await calls.callBack(info)
    worker.barred = notListed ?? (isOther?.is === 'other' ? isOther.why : null)
  }

  async #notListed(info: WorkerInfo): Promise<string | null> {
    const { rules } = this.#options
    if (rules === null || rules.mode() === 'any') return null
    if ((await rules.judge(placeOf(info))) === 'listed') return null
    return `worker ${info.workerId} on ${info.host} is not in ${rules.file}, and tajo.worker.admission is listed: add the line ${info.workerId} there, or set the key to any`
  }

  /** Another incarnation has this name. */
  async #placeTaken(info: WorkerInfo): Promise<string | null> {
    const { workers, calls } = this.#options
    const before = workers.get(info.workerId)
    if (before === null || before.info.incarnation === info.incarnation) return null
    const answer = await calls.callBack(info)
    return answer.is === 'other' ? answer.why : null
  }

  #tellRefused({ workerId, host }: WorkerInfo, why: string): void {
    if (this.#refused.get(workerId) === why) return
    if (this.#refused.size >= MOST_REFUSED) this.#refused.clear()
    this.#refused.set(workerId, why)
    const text = `worker ${workerId} on ${host} may not register: ${why}`
    this.#options.log('warn', text, { event: 'worker-refused', workerId })
  }
}

const MOST_REFUSED = 1000
const JUDGED_AT_ONCE = 100

const placeOf = ({ workerId, addresses }: WorkerInfo): { workerId: string; qm: string } => ({
  workerId,
  qm: addresses.qm,
})

/** For people: who gets queries and is in no list. */
export const unlistedText = ({ address, host }: { address: string; host: string }): string =>
  `worker ${address} on ${host} is not in conf/workers, and gets queries, since it has the cluster's secret: add the line ${address} if it is yours, or set tajo.worker.admission to listed`
