/** What a worker answers: to the active master, which gives it tasks, and to clients, which fetch results from it. */
import { z } from 'zod'
import { address, call, epoch, nothing, type ServiceContract } from './method.ts'
import { attempt, columnInfo, queryError, queryId, row } from './query.ts'
import { manifestPage, task } from './task.ts'

export const workerId = z.string().min(1).max(200)

export const workerInfo = z.object({
  workerId,
  /** Changes with each start of the worker's process. */
  incarnation: z.string().min(1).max(100),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
  /** Where masters give it tasks, where clients fetch results, its web page. */
  addresses: z.object({ qm: address, clientRpc: address, peer: address, infoHttp: address }),
  cores: z.number(),
  memoryBytes: z.number(),
  /** Queries it runs at a time. */
  slots: z.number().int().min(1),
  /** Whose network it is on: who says the same answers without any (lib/ha, `hostNetwork`). */
  network: z.string().max(200).optional(),
  /** Whoever started it tells how it ends (`tracker.ended`). */
  watched: z.boolean().optional(),
})
export type WorkerInfo = z.output<typeof workerInfo>

/** The active master calls it on a worker's qm port: its term fences it. */
export const worker = {
  run: call(
    { access: 'cluster', activeOnly: false },
    task,
    z.object({ accepted: z.boolean(), why: z.string().nullable() }),
  ),
  /** This attempt and earlier ones: the order to end one may arrive after the next has begun. */
  kill: call(
    { access: 'cluster', activeOnly: false },
    z.object({
      queryId,
      attempt: attempt.optional(),
      /** For whoever reads its result; left out where somebody wanted its end. */
      why: z.string().max(1000).optional(),
    }),
    nothing,
  ),
  /** What a change has written, where its report says that it is `paged`. UNAVAILABLE for what this worker doesn't have (any more). */
  manifest: call(
    { access: 'cluster', activeOnly: false },
    z.object({ queryId, attempt, page: z.number().int().min(0) }),
    manifestPage,
  ),
  status: call(
    { access: 'who', activeOnly: false },
    nothing,
    workerInfo.extend({ epoch, running: z.number().int() }),
  ),
} as const satisfies ServiceContract

/** On a worker's client port: a result, straight to whose the query is. */
export const results = {
  /** Another user's is answered as one that is not here. Once: columns, then batches of rows, then the end or the error. A stream that ends without either is cut. */
  fetch: {
    kind: 'stream',
    access: 'user',
    request: z.object({ queryId, attempt }),
    line: z.union([
      z.object({ columns: z.array(columnInfo) }),
      z.object({ rows: z.array(row) }),
      z.object({ end: z.object({ rows: z.number().int() }) }),
      z.object({ error: queryError }),
    ]),
  },
  status: call(
    { access: 'who', activeOnly: false },
    nothing,
    z.object({
      workerId,
      epoch,
      /** As in `WorkerInfo`. */
      incarnation: z.string().optional(),
      network: z.string().optional(),
    }),
  ),
} as const satisfies ServiceContract

export type ResultLine = z.output<(typeof results.fetch)['line']>
