/** What a client asks of a master: it submits queries, waits for them and kills them, and sees what there is. */
import { z } from 'zod'
import { activeStatus, address, call, nothing, type ServiceContract } from './method.ts'
import { attempt, queryId, queryRecord, queryState, queryStatus, session, sql } from './query.ts'

const workerRow = z.object({
  /** Peer address: its name. */
  address: z.string(),
  /**
   * `silent`: its stream to the active master broke, and it has not been heard since.
   * `stuck`: its mount of the shared directory does not answer, and it gets no queries (`trouble`).
   */
  state: z.enum(['live', 'silent', 'stuck']),
  trouble: z.string().nullish(),
  /** What has happened to its spill directory; it gets queries all the same. */
  spill: z.string().nullish(),
  /** It has the cluster's secret, gets queries, and is not in `conf/workers`. */
  unlisted: z.boolean().nullish(),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
  /** Queries that it can run at a time, and that it runs. */
  slots: z.number().int(),
  running: z.number().int(),
  heartbeatAgeMs: z.number(),
  webPage: z.string(),
})
export type WorkerRow = z.output<typeof workerRow>

const scramMessage = z.string().max(1000)
const logInState = z.string().max(8192)

export const client = {
  ...activeStatus,
  /**
   * Client RPC addresses of this cluster's masters, those that are down included, each under every name that is known of
   * its host: for whoever hears a part of his list only and has to know whose the rest is.
   */
  masters: call(
    { access: 'open', activeOnly: false },
    nothing,
    z.object({ masters: z.array(address) }),
  ),
  /**
   * The two messages of SCRAM-SHA-256 (RFC 5802): whoever knows a user's password gets a token, which is good at every
   * master and worker of the cluster. UNAUTHENTICATED for a wrong one; the words are the same where there is no such user.
   */
  beginLogIn: call(
    { access: 'open', activeOnly: true },
    z.object({ message: scramMessage }),
    z.object({ message: scramMessage, state: logInState }),
  ),
  /** `state`: as `beginLogIn` gave it. The token ends at `endMs`, by this master's clock. */
  endLogIn: call(
    { access: 'open', activeOnly: true },
    z.object({ message: scramMessage, state: logInState }),
    z.object({ message: scramMessage, token: z.string(), endMs: z.number() }),
  ),
  /** Begins it, or tells how it stands: the same id and attempt begin nothing twice, on any master. */
  submit: call(
    { access: 'user', activeOnly: true },
    z.object({ queryId, attempt, session, sql }),
    queryStatus,
  ),
  /**
   * Answers when it stands otherwise than `state` and `attempt` say, or after `waitMs`, or at once when this master
   * steps down. Null: this master has never heard of it; submit it again under the same id.
   */
  wait: call(
    { access: 'user', activeOnly: true },
    z.object({
      queryId,
      state: queryState,
      attempt,
      worker: address.nullable(),
      waitMs: z.number().int().min(0).max(30_000),
    }),
    queryStatus.nullable(),
  ),
  kill: call({ access: 'user', activeOnly: true }, z.object({ queryId }), queryStatus.nullable()),
  /**
   * They come newest first: running ones of this term and the history of all terms. NOT_ACTIVE from a backup that may
   * not read the query log (HDFS's NFS gateway).
   */
  queries: call(
    { access: 'user', activeOnly: false },
    z.object({ limit: z.number().int().min(1).max(10_000) }),
    z.object({ queries: z.array(queryRecord) }),
  ),
  /** As status pages show them. */
  workers: call(
    { access: 'user', activeOnly: true },
    nothing,
    z.object({ workers: z.array(workerRow) }),
  ),
} as const satisfies ServiceContract
