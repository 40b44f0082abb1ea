/**
 * What a master tells its workers: one kept connection pool for each, and what became of a `run`, as far as it is sure.
 * And what the address of a worker that is gone says.
 */

import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import type { Clock } from '../../../base/time.ts'
import { RpcClient } from '../../../call/index.ts'
import type { ManifestPage, Task, WorkerInfo } from '../../../contract/index.ts'
import { unreachable } from '../../../ha/index.ts'
import { RpcError } from '../../../rpc/index.ts'
import type { Sign } from './deaths.ts'
import type { Spot } from './query.ts'

export type RunAnswer =
  | { readonly is: 'accepted' }
  /** Surely not taken, by this call: another worker may have it. `reached`: the worker has said so itself. */
  | { readonly is: 'refused'; readonly why: string; readonly reached: boolean }
  /** Nobody knows whether it was taken. */
  | { readonly is: 'unsure'; readonly why: string }
  /** Surely not taken: somebody else answers at that address. */
  | { readonly is: 'stranger'; readonly why: string }
  /** No worker would take it. */
  | { readonly is: 'impossible'; readonly why: string }

/** Who answers where a worker says that it takes orders. */
export type CalledBack =
  | { readonly is: 'it' }
  | { readonly is: 'other'; readonly why: string }
  /** Nobody, or nobody who says so. */
  | { readonly is: 'unknown'; readonly why: string }

export type PageAnswer =
  | { readonly is: 'page'; readonly page: ManifestPage }
  /** It may be had later, or from whoever is asked then. */
  | { readonly is: 'missing'; readonly why: string }
  /** It will never be had. */
  | { readonly is: 'strange'; readonly why: string }

/** What the scheduler needs of the workers; a test has its own. None of it rejects. */
export interface WorkerCalls {
  /** Calls it where it says that it takes orders: whoever names another's address is found out. */
  callBack(info: WorkerInfo): Promise<CalledBack>
  /** The first time it is called back before. */
  run(info: WorkerInfo, task: Task): Promise<RunAnswer>
  /** Ends this attempt, not a later one. `why`: for whoever reads its result. */
  kill(info: WorkerInfo, query: { queryId: string; attempt: number }, why?: string): Promise<void>
  /** A page of what it has written. */
  manifest(
    info: WorkerInfo,
    asked: { queryId: string; attempt: number; page: number },
  ): Promise<PageAnswer>
  /** Asks where it was, by a connection of its own. */
  sign(spot: Spot): Promise<Sign>
  /** It is gone: connections to it are dropped. */
  drop(info: WorkerInfo): void
  close(): void
}

interface WorkerCallsOptions {
  readonly clusterId: () => string | null
  readonly secret: () => string
  readonly term: number
  readonly clock: Clock
  readonly log: Log
}

const CONNECT_MS = 1000
const CALL_MS = 3000
/** Half a million characters, from a host that is busy. */
const PAGE_MS = 10_000
/** Long enough for a packet that is lost to be sent again. */
const SIGN_CONNECT_MS = 3000
const SIGN_MS = 5000
/** Errors of a connection that never came about. */
const CONNECT_TIMED_OUT = 'UND_ERR_CONNECT_TIMEOUT'
const NO_WAY = ['EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', CONNECT_TIMED_OUT]
const NOT_CONNECTED = ['ECONNREFUSED', ...NO_WAY]
/** Silence, as the kernel tells it. */
const SILENT = ['EHOSTDOWN', 'ETIMEDOUT']

export class RpcWorkerCalls implements WorkerCalls {
  readonly #options: WorkerCallsOptions
  readonly #clients = new Map<string, RpcClient<'worker'>>()
  /** The incarnation that has answered at an address. */
  readonly #answered = new Map<string, string>()

  constructor(options: WorkerCallsOptions) {
    this.#options = options
  }

  async callBack(info: WorkerInfo): Promise<CalledBack> {
    const { workerId, incarnation, addresses } = info
    try {
      const said = await this.#to(info).call('status', {}, { deadlineMs: CALL_MS })
      if (said.workerId === workerId && said.incarnation === incarnation) {
        this.#answered.set(addresses.qm, incarnation)
        return { is: 'it' }
      }
      const who =
        said.workerId === workerId
          ? 'another process of that name'
          : `worker ${said.workerId} on ${said.host}`
      const why = `at ${addresses.qm}, which worker ${workerId} names as its address for orders, ${who} answers: give each worker an address of its own (tajo.worker.qm-rpc.address, conf/workers)`
      return { is: 'other', why }
    } catch (error) {
      const why = messageOf(error)
      // Another cluster's worker has its address.
      return { is: RpcError.is(error, 'OTHER_CLUSTER') ? 'other' : 'unknown', why }
    }
  }

  async run(info: WorkerInfo, task: Task): Promise<RunAnswer> {
    if (this.#answered.get(info.addresses.qm) !== info.incarnation) {
      const said = await this.callBack(info)
      if (said.is === 'other') return { is: 'stranger', why: said.why }
      if (said.is === 'unknown') return { is: 'refused', why: said.why, reached: false }
    }
    try {
      const { accepted, why } = await this.#to(info).call('run', task, { deadlineMs: CALL_MS })
      return accepted
        ? { is: 'accepted' }
        : { is: 'refused', why: why ?? 'it is busy', reached: true }
    } catch (error) {
      return judge(error)
    }
  }

  async kill(
    info: WorkerInfo,
    { queryId, attempt }: { queryId: string; attempt: number },
    why?: string,
  ): Promise<void> {
    try {
      await this.#to(info).call('kill', { queryId, attempt, why }, { deadlineMs: CALL_MS })
    } catch (error) {
      // Its next report is answered with `forget`, which stops the query as well.
      this.#options.log('warn', `${info.workerId} was not told to stop: ${messageOf(error)}`, {
        event: 'worker-untold',
        queryId,
      })
    }
  }

  async manifest(
    info: WorkerInfo,
    asked: { queryId: string; attempt: number; page: number },
  ): Promise<PageAnswer> {
    try {
      const page = await this.#to(info).call('manifest', asked, { deadlineMs: PAGE_MS })
      return { is: 'page', page }
    } catch (error) {
      const { queryId } = asked
      const why = messageOf(error)
      this.#options.log('warn', `${info.workerId} did not tell what it has written: ${why}`, {
        event: 'worker-silent',
        queryId,
      })
      return { is: isForGood(error) ? 'strange' : 'missing', why }
    }
  }

  async sign({ clientRpc, incarnation }: Spot): Promise<Sign> {
    const { clusterId, secret, term, clock } = this.#options
    let client: RpcClient<'results'> | null = null
    try {
      client = new RpcClient('results', clientRpc, {
        clusterId,
        secret,
        term: () => term,
        clock,
        connectTimeoutMs: SIGN_CONNECT_MS,
      })
      const status = await client.call('status', {}, { deadlineMs: SIGN_MS })
      const lives = status.incarnation === incarnation
      return lives ? { is: 'lives' } : { is: 'anew', network: status.network }
    } catch (error) {
      return signOf(error)
    } finally {
      void client?.close()
    }
  }

  drop({ addresses }: WorkerInfo): void {
    this.#answered.delete(addresses.qm)
    const client = this.#clients.get(addresses.qm)
    this.#clients.delete(addresses.qm)
    void client?.close()
  }

  close(): void {
    for (const client of this.#clients.values()) void client.close()
    this.#clients.clear()
  }

  #to({ addresses }: WorkerInfo): RpcClient<'worker'> {
    const known = this.#clients.get(addresses.qm)
    if (known !== undefined) return known
    const { clusterId, secret, term, clock } = this.#options
    const client = new RpcClient('worker', addresses.qm, {
      clusterId,
      secret,
      term: () => term,
      clock,
      connectTimeoutMs: CONNECT_MS,
    })
    this.#clients.set(addresses.qm, client)
    return client
  }
}

/** A `run` that rejected. It is exported for its test. */
export function judge(error: unknown): RunAnswer {
  const why = messageOf(error)
  if (!(error instanceof RpcError)) return { is: 'unsure', why }
  switch (error.code) {
    case 'TIMEOUT':
    case 'INTERNAL':
      return { is: 'unsure', why }
    case 'UNAVAILABLE':
      return neverConnected(error.cause)
        ? { is: 'refused', why, reached: false }
        : { is: 'unsure', why }
    // Ours is gone, and its address is another's now.
    case 'OTHER_CLUSTER':
      return { is: 'refused', why, reached: false }
    case 'BAD_REQUEST':
      return { is: 'impossible', why }
    case 'NOT_ACTIVE':
    case 'FORBIDDEN':
    case 'UNAUTHENTICATED':
    case 'STALE_EPOCH':
    case 'NOT_FOUND':
      return { is: 'refused', why, reached: true }
    default:
      return unreachable(error.code)
  }
}

/** Whatever it is asked next, it says the same. */
const isForGood = (error: unknown): boolean =>
  RpcError.is(error, 'BAD_REQUEST', 'NOT_FOUND', 'INTERNAL')

const codeOf = (cause: unknown): string => {
  const code = (cause as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

const neverConnected = (cause: unknown): boolean => NOT_CONNECTED.includes(codeOf(cause))

/** A `status` that rejected. It is exported for its test. */
export function signOf(error: unknown): Sign {
  if (!(error instanceof RpcError)) return { is: 'mute' }
  const code = codeOf(error.cause)
  switch (error.code) {
    case 'UNAVAILABLE':
      return { is: NO_WAY.includes(code) || SILENT.includes(code) ? 'unreachable' : 'refused' }
    // Another cluster's worker has its address by now.
    case 'OTHER_CLUSTER':
      return { is: 'refused' }
    case 'NOT_ACTIVE':
    case 'FORBIDDEN':
    case 'UNAUTHENTICATED':
    case 'STALE_EPOCH':
    case 'BAD_REQUEST':
    case 'NOT_FOUND':
    case 'TIMEOUT':
    case 'INTERNAL':
      return { is: 'mute' }
    default:
      return unreachable(error.code)
  }
}
