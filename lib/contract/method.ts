/**
 * How the contract says a method: what is asked, what is answered, who may ask. It also has what messages of all services
 * are made of, and the status that each of an active master's services answers.
 */
import { z } from 'zod'

/**
 * Each request names the cluster it is meant for (cluster-id.ts). `cluster`: the caller has proven the cluster's secret with its connection and shows its term as well. `user`: the caller shows a token, unless `tajo.security.authentication` is `none`. `open`: anybody; it never changes the cluster's own state. `who`: also anybody who names no cluster,
 * because he doesn't know which one this is: the answer tells.
 */
type Access = 'cluster' | 'user' | 'open' | 'who'

export interface CallMethod<Q extends z.ZodType = z.ZodType, A extends z.ZodType = z.ZodType> {
  readonly kind: 'call'
  readonly access: Access
  /** Answered by the active master; all others say NOT_ACTIVE. */
  readonly activeOnly: boolean
  readonly request: Q
  readonly answer: A
}

/** Lines of JSON until one side ends it, with empty lines as beats (stream.ts). */
export interface StreamMethod<Q extends z.ZodType = z.ZodType, L extends z.ZodType = z.ZodType> {
  readonly kind: 'stream'
  readonly access: Access
  readonly request: Q
  readonly line: L
}

export type ServiceContract = Readonly<Record<string, CallMethod | StreamMethod>>

export const call = <Q extends z.ZodType, A extends z.ZodType>(
  rules: { access: Access; activeOnly: boolean },
  request: Q,
  answer: A,
): CallMethod<Q, A> => ({ kind: 'call', ...rules, request, answer })

export const address = z.string().min(1).max(300)
export const epoch = z.number().int().min(0).max(9_999_999_999)
export const nothing = z.object({})

export type RequestOf<M> = M extends { request: infer Q extends z.ZodType } ? z.output<Q> : never
export type AnswerOf<M> = M extends { answer: infer A extends z.ZodType } ? z.output<A> : never
export type LineOf<M> = M extends { line: infer L extends z.ZodType } ? z.output<L> : never

/** Answered by the active only: the proof that it serves. */
const service = z.object({
  epoch,
  address,
  inFlight: z.number().int(),
  /** Why changes have to wait, where they do. */
  trouble: z.string().optional(),
})
export type ServiceStatus = z.output<typeof service>

export const activeStatus = {
  status: call({ access: 'who', activeOnly: true }, nothing, service),
} as const satisfies ServiceContract
