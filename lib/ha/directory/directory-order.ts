/**
 * An order to a master through the shared directory, for when the network to it is cut: whoever may write there is the
 * cluster's own user, as on a master's admin socket.
 *
 *     backup/order-UUID.order     whom it is for, what to do, and the newest term at the time: in another one it is void
 *     backup/order-UUID.reply     by that master: done, or refused and why
 *
 * Both are made by exclusive create, lie where every keeper lists names anyway, and go when the reply is read; what is
 * left of a tool that was killed is swept (orders.ts).
 */
import { randomUUID } from 'node:crypto'
import type { Timing } from '../rules/timing.ts'
import { HaError, type HaErrorCode, isDefinite } from '../words/errors.ts'
import { BACKUP_DIR, encode } from '../words/layout.ts'
import { pause, realClock } from '../world/clock.ts'
import { openDisk } from '../world/disk.ts'
import type { Clock, Disk } from '../world/ports.ts'
import { hostProcesses } from '../world/processes.ts'
import { Looker } from './look.ts'

/** An order to a master, for when the network to it is cut. */
export interface DirectoryOrder {
  /** Umbilical address of the master that is to carry it out. */
  readonly to: string
  /** The newest term when it was given. */
  readonly term: number
  /** Who gave it, for the history. */
  readonly by: string
  /** What is to be done: as `Member.handOver` and `Member.takeOver`. */
  readonly order:
    | { readonly name: 'handOver'; readonly successor: string | null; readonly force: boolean }
    | { readonly name: 'takeOver'; readonly force: boolean }
}

interface OrderReply {
  readonly error: { readonly code: HaErrorCode; readonly message: string } | null
}

export const orderFile = (id: string): string => `${BACKUP_DIR}/order-${id}.order`
export const replyFile = (id: string): string => `${BACKUP_DIR}/order-${id}.reply`

/** Of a name among the backups' files; null for any other. */
export function orderOf(name: string): { id: string; is: 'order' | 'reply' } | null {
  const match = /^order-([0-9a-f-]{36})\.(order|reply)$/.exec(name)
  return match === null
    ? null
    : { id: match[1] ?? '', is: match[2] === 'order' ? 'order' : 'reply' }
}

export function decodeOrder(text: string): DirectoryOrder | null {
  const value = parsed(text)
  const { to, term, by, order } = value ?? {}
  if (typeof to !== 'string' || typeof by !== 'string' || !Number.isSafeInteger(term)) return null
  if (typeof order !== 'object' || order === null) return null
  const { name, successor, force } = order as Readonly<Record<string, unknown>>
  if (typeof force !== 'boolean') return null
  const named = successor === null || typeof successor === 'string'
  return name === 'takeOver' || (name === 'handOver' && named)
    ? (value as unknown as DirectoryOrder)
    : null
}

function decodeReply(text: string): OrderReply | null {
  const { error } = parsed(text) ?? {}
  if (error === null) return { error }
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof code !== 'string' || typeof message !== 'string') return null
  return { error: { code: code as HaErrorCode, message } }
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** How long an order is waited for. */
export interface OrderOptions {
  /** Whose `pollMs` is the time between two looks for the answer. */
  readonly timing: Timing
  /** After so long it is given up. */
  readonly limitMs: number
}

/**
 * Gives an order to a master through the shared directory, and resolves when that master says that it is done. Rejects with
 * HaError, which is the master's refusal under its code, or one of three. UNSAFE: the order finds no room, or the storage is
 * read-only. TIMEOUT: no answer comes within `limitMs`. BAD_DIRECTORY: no cluster is there. Else it rejects with DiskError.
 */
export async function giveDirectoryOrder(
  directory: string,
  order: Omit<DirectoryOrder, 'term'>,
  giving: OrderOptions,
): Promise<void> {
  const disk = openDisk(directory)
  const { newest } = await new Looker(disk, hostProcesses(), null).look()
  const id = randomUUID()
  const text = encode({ ...order, term: newest })
  const made = await disk.create('order', orderFile(id), text).catch((error: unknown) => {
    throw isDefinite(error) ? new HaError('UNSAFE', error.message, { cause: error }) : error
  })
  if (made !== 'created') throw new HaError('BAD_DIRECTORY', `${directory} holds no cluster`)
  try {
    const reply = await replyTo(disk, realClock, id, giving)
    if (reply.error !== null) throw new HaError(reply.error.code, reply.error.message)
  } finally {
    await disk.unlink('order', orderFile(id))
    await disk.unlink('order', replyFile(id))
  }
}

/** New names are found by listing. */
async function replyTo(
  disk: Disk,
  clock: Clock,
  id: string,
  { timing, limitMs }: OrderOptions,
): Promise<OrderReply> {
  const untilMs = clock.nowMs() + limitMs
  while (clock.nowMs() < untilMs) {
    const names = await disk.list('order', BACKUP_DIR)
    if (names !== 'missing' && names.some((name) => `${BACKUP_DIR}/${name}` === replyFile(id))) {
      const text = await disk.read('order', replyFile(id))
      const reply = text === 'missing' ? null : decodeReply(text)
      if (reply !== null) return reply
    }
    await pause(clock, timing.pollMs)
  }
  throw new HaError('TIMEOUT', `it has not answered in the directory within ${limitMs} ms`)
}
