/**
 * Requests that only the active master may answer, told by the header `tajo-active-only`: of the cluster whose id it
 * holds, or of any (`1`). A proxy sets it, and sends what was refused with 503 to the next master: so every answer comes
 * from the active one, without the proxy's own checks, which are always a little late.
 *
 * While no other master is heard to be active, in the middle of a failover, a request is kept: it is answered here if
 * this master takes over. Otherwise it is refused after a moment, so that a proxy's few tries outlast the time after a
 * death in which the others have not heard of it yet, on a busy machine too.
 *
 * An answer that was only read, and that is ready when this master serves no more, is not sent either.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../base/time.ts'
import { RpcError } from '../rpc/index.ts'
import type { WebView } from './view.ts'

export const ACTIVE_ONLY = 'tajo-active-only'
const ANY = '1'
const CLUSTER_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const KEPT_AT_LEAST_MS = 200
const KEPT_AT_MOST_MS = 5000
const LOOK_EVERY_MS = 15
/** More are refused at once. */
const MOST_KEPT = 1000

const REFUSAL = {
  code: 'UNAVAILABLE',
  message: 'this master is not the active one',
  active: null,
  epoch: null,
} as const

interface Kept {
  readonly request: FastifyRequest['raw']
  readonly sinceMs: number
  readonly admit: () => void
  readonly refuse: () => void
}

export class ActiveOnly {
  readonly #view: WebView
  readonly #clock: Clock
  readonly #kept = new Set<Kept>()
  #closed = false

  constructor({ view, clock }: { view: WebView; clock: Clock }) {
    this.#view = view
    this.#clock = clock
  }

  /**
   * Resolves when the request may be answered; rejects UNAVAILABLE, the proxy's sign to ask another master, and
   * BAD_REQUEST for what is no id.
   */
  async admit({ headers, raw }: FastifyRequest): Promise<void> {
    const wanted = headers[ACTIVE_ONLY]
    if (wanted === undefined) return
    if (wanted !== ANY) this.#requireOurs(String(wanted))
    if (this.#view.serving()) return
    const isAdmitted =
      !this.#closed &&
      this.#kept.size < MOST_KEPT &&
      (await new Promise<boolean>((resolve) => {
        this.#kept.add({
          request: raw,
          sinceMs: this.#clock.nowMs(),
          admit: () => resolve(true),
          refuse: () => resolve(false),
        })
        if (this.#kept.size === 1) this.#lookLater()
      }))
    if (!isAdmitted) throw new RpcError('UNAVAILABLE', REFUSAL.message)
  }

  #requireOurs(wanted: string): void {
    if (!CLUSTER_ID.test(wanted)) {
      throw new RpcError(
        'BAD_REQUEST',
        `the header ${ACTIVE_ONLY} is neither a cluster's id nor ${ANY}, for any`,
      )
    }
    const own = this.#view.clusterId()
    if (wanted.toLowerCase() !== own) {
      throw new RpcError('UNAVAILABLE', `this master is of cluster ${own}`)
    }
  }

  /** Gives, right before an answer leaves, the answer itself or the refusal in its place. */
  confirm<T>({ headers, method }: FastifyRequest, reply: FastifyReply, answer: T): T | string {
    const isRead = method === 'GET' || method === 'HEAD'
    if (headers[ACTIVE_ONLY] === undefined || !isRead || this.#view.serving()) return answer
    if (reply.statusCode >= 500) return answer
    reply.code(503).removeHeader('content-encoding').type('application/json; charset=utf-8')
    return JSON.stringify(REFUSAL)
  }

  /** This master stops: whoever waits, and whoever comes yet over an open connection, is to ask another one. */
  close(): void {
    this.#closed = true
    for (const one of this.#kept) one.refuse()
    this.#kept.clear()
  }

  /** One look for all that are kept. */
  #lookLater(): void {
    this.#clock.after(LOOK_EVERY_MS, () => {
      const nowMs = this.#clock.nowMs()
      const serving = this.#view.serving()
      const elsewhere = !serving && this.#view.activeElsewhere()
      for (const one of this.#kept) {
        const keptMs = nowMs - one.sinceMs
        const inVain = elsewhere && keptMs >= KEPT_AT_LEAST_MS
        const over = inVain || keptMs >= KEPT_AT_MOST_MS || one.request.destroyed
        if (!serving && !over) continue
        this.#kept.delete(one)
        if (serving) one.admit()
        else one.refuse()
      }
      if (this.#kept.size > 0) this.#lookLater()
    })
  }
}
