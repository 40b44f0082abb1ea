/**
 * Every message between the parts of a cluster, in one place: what is asked, what is answered, who may ask, and whether
 * only the active master may answer. Types for both sides follow from it, so a handler that is missing or a field that
 * is misspelt does not compile.
 *
 * A method is `POST /rpc/SERVICE/METHOD` with a JSON body, and can be called with curl. Unknown fields are ignored, so
 * that versions can differ by one. Each service has a port of its own, under the name of its configuration key.
 */
import { z } from 'zod'

/** `cluster`: the caller shows the cluster's secret and its epoch. `open`: anybody; it must change nothing. */
export type Access = 'cluster' | 'open'

export interface CallMethod<Q extends z.ZodType = z.ZodType, A extends z.ZodType = z.ZodType> {
  readonly kind: 'call'
  readonly access: Access
  /** Answered by the active master; all others say NOT_ACTIVE. */
  readonly activeOnly: boolean
  readonly request: Q
  readonly answer: A
}

/** Lines of JSON until one side ends it, with empty lines as heartbeat (stream.ts). */
export interface StreamMethod<Q extends z.ZodType = z.ZodType, L extends z.ZodType = z.ZodType> {
  readonly kind: 'stream'
  readonly access: Access
  readonly request: Q
  readonly line: L
}

export type ServiceContract = Readonly<Record<string, CallMethod | StreamMethod>>

const call = <Q extends z.ZodType, A extends z.ZodType>(
  rules: { access: Access; activeOnly: boolean },
  request: Q,
  answer: A,
): CallMethod<Q, A> => ({ kind: 'call', ...rules, request, answer })

const address = z.string().min(1).max(300)
const epoch = z.number().int().min(0).max(9_999_999_999)
const nothing = z.object({})
const state = z.enum([
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
])

/** How a master stands, in a line. `serving` is judged by the clock at the moment of writing it. */
const standing = z.object({
  address,
  state,
  serving: z.boolean(),
  epoch,
  /** Umbilical address of the active master as this one knows it. */
  active: address.nullable(),
})

const masterStatus = standing.extend({
  /** Client RPC address of the active master. */
  activeClient: address.nullable(),
  clusterId: z.string().nullable(),
  hostname: z.string(),
  pid: z.number().int(),
  version: z.string(),
  priority: z.number(),
  /** Path of the Unix socket on its own host that takes changing commands. */
  adminSocket: z.string().nullable(),
  /** Why it isn't active, or why no master is; null when all is well. */
  problem: z.string().nullable(),
  warnings: z.array(z.string()),
  leaseMarginMs: z.number().nullable(),
  /** Of the other masters, by umbilical address. */
  heartbeatAgesMs: z.record(z.string(), z.number()),
})

/** Answered by the active only: the proof that it serves. Stands in for what the port's service will offer. */
const service = z.object({ epoch, address, inFlight: z.number().int() })

export const umbilical = {
  status: call({ access: 'open', activeOnly: false }, nothing, masterStatus),
  /** "I have become active", "I have stepped down": the others look at the directory at once. */
  announce: call(
    { access: 'cluster', activeOnly: false },
    z.object({ address, state, epoch }),
    z.object({ epoch }),
  ),
  /** A line at once, at every change, and at least once a heartbeat period. */
  watch: {
    kind: 'stream',
    access: 'cluster',
    request: z.object({ from: address }),
    line: standing,
  },
} as const satisfies ServiceContract

const activeStatus = {
  status: call({ access: 'open', activeOnly: true }, nothing, service),
} as const satisfies ServiceContract

/** Under the names that paths carry. */
export const services = {
  umbilical,
  client: activeStatus,
  tracker: activeStatus,
  catalog: activeStatus,
} as const

export type ServiceName = keyof typeof services
export type Services = typeof services
export type MethodName<N extends ServiceName> = keyof Services[N] & string

export type RequestOf<M> = M extends { request: infer Q extends z.ZodType } ? z.output<Q> : never
export type AnswerOf<M> = M extends { answer: infer A extends z.ZodType } ? z.output<A> : never
export type LineOf<M> = M extends { line: infer L extends z.ZodType } ? z.output<L> : never

export type Standing = z.output<typeof standing>
export type MasterStatus = z.output<typeof masterStatus>
export type ServiceStatus = z.output<typeof service>
export type Announcement = z.output<(typeof umbilical.announce)['request']>

export const EPOCH_HEADER = 'x-tajo-epoch'
export const SECRET_HEADER = 'x-tajo-secret'

/** The first thing wrong with a message, as a phrase: `from: Invalid input: expected string, received number`. */
export function faultOf(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'not what the contract says'
  const where = issue.path.map(String).join('.')
  return where === '' ? issue.message : `${where}: ${issue.message}`
}
