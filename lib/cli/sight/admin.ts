/**
 * Orders to a master through its Unix socket, which exists on its own host only and lets nobody in but the cluster's OS
 * user. A refusal keeps its meaning: UNSAFE ends in exit code 4.
 */
import { hostname, userInfo } from 'node:os'
import { isAbsolute } from 'node:path'
import { CLUSTER_HEADER, clusterName } from '../../rpc/index.ts'
import { failure, Refusal } from '../exit.ts'
import { exchange, NoAnswer } from './http.ts'

export type Order =
  | {
      readonly name: 'handOver'
      readonly successor: string | null
      readonly force: boolean
      readonly by: string
    }
  | { readonly name: 'takeOver'; readonly force: boolean; readonly by: string }

/** Resolves when the master has done it. Rejects with Refusal or CliError. */
export async function giveOrder(
  master: {
    readonly address: string
    readonly adminSocket: string | null
    /** The one that is meant. */
    readonly clusterId: string | null
  },
  { name, ...body }: Order,
  deadlineMs: number,
): Promise<void> {
  const { address, adminSocket, clusterId } = master
  if (adminSocket === null || !isAbsolute(adminSocket)) {
    throw failure(`the admin socket of ${address} is not known: start that master first`)
  }
  const headers = { [CLUSTER_HEADER]: clusterName(clusterId) }
  const options = { method: 'POST' as const, body, headers, deadlineMs }
  try {
    const answer = await exchange({ socketPath: adminSocket }, `/admin/${name}`, options)
    if (answer.status < 300) return
    const { code, message } = errorOf(answer.body)
    throw new Refusal(code, `${address} refused: ${message}`)
  } catch (error) {
    if (error instanceof NoAnswer) throw failure(explain(error, address, adminSocket), error)
    throw error
  }
}

function errorOf(body: unknown): { code: string; message: string } {
  const { code, message } = (typeof body === 'object' && body !== null ? body : {}) as {
    code?: unknown
    message?: unknown
  }
  return {
    code: typeof code === 'string' ? code : 'FAILED',
    message: typeof message === 'string' ? message : 'it gave no reason',
  }
}

function explain(error: NoAnswer, address: string, socket: string): string {
  switch (error.errno) {
    case 'ENOENT':
      return `${address} can't be given orders on ${hostname()}: its admin socket ${socket} is not there. Either it does not run there, or somebody has removed the socket: a running master makes it again within a second or two. 'tajo haadmin -status' tells whether it runs; try again then`
    case 'ECONNREFUSED':
      return `${address} does not run on ${hostname()}: nothing listens on its admin socket ${socket}`
    case 'EACCES':
    case 'EPERM':
      return `user ${userName()} may not open ${socket}: only the user that runs ${address} may`
    case 'TIMEOUT':
      return `${address} has not confirmed: ${error.message}; see 'tajo haadmin -status'`
    default:
      return `${address} broke off the command: ${error.message}; see 'tajo haadmin -status'`
  }
}

/** Who gives the order, for logs and the history. */
export const orderedBy = (): string => `${userName()}@${hostname()}`

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A uid without a name, as in many containers.
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
