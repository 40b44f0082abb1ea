/**
 * What is asked again after a failure, when, and for how long. All calls that come here may be repeated: a statement
 * carries an id that the client made, and no master begins the same id twice.
 *
 * A failover takes some ten milliseconds as a rule, so the first pauses are short; they grow to the configured one.
 */
import { RpcError } from '../rpc/errors.ts'

export interface RetryOptions {
  /** tajo.master.ha.client.read.retry.max-num: with the pause it makes the time after which a call is given up. */
  readonly maxNum: number
  /** tajo.master.ha.client.read.retry.pause-time: the longest pause between two rounds through the masters. */
  readonly pauseTimeMs: number
  /** So long is asked when nobody has ever listened at any of the addresses: a cluster that isn't running. */
  readonly nobodyMs: number
}

export const DEFAULT_RETRY: RetryOptions = { maxNum: 120, pauseTimeMs: 500, nobodyMs: 60_000 }

/** Never zero, so that a wrong setting can't make a call fail in its first failover. */
export const budgetMs = ({ maxNum, pauseTimeMs }: RetryOptions): number =>
  Math.max(1, maxNum) * Math.max(1, pauseTimeMs)

const FIRST_PAUSES_MS = [10, 20, 50, 100, 200]

/** The pause after the `round`-th round (from 0), up to a quarter more or less, so that clients don't march in step. */
export const pauseMs = (round: number, { pauseTimeMs }: RetryOptions, random: number): number =>
  Math.min(FIRST_PAUSES_MS[round] ?? pauseTimeMs, pauseTimeMs) * (0.75 + random / 2)

/** Whether another master, or the same one later, may answer what this one didn't. */
export const mayBeAskedAgain = (error: unknown): error is RpcError =>
  error instanceof RpcError &&
  ['NOT_ACTIVE', 'UNAVAILABLE', 'TIMEOUT', 'OTHER_CLUSTER'].includes(error.code)
