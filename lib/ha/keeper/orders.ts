/**
 * The keeper's side of orders through the directory (directory-order.ts): each is carried out at most once, and only by
 * a keeper that was there before it was given: one that is older may have been meant for a world that is over.
 */
import {
  type DirectoryOrder,
  decodeOrder,
  orderFile,
  orderOf,
  replyFile,
} from '../directory/directory-order.ts'
import type { Input } from '../rules/elector-step.ts'
import { messageOf } from '../words/errors.ts'
import { BACKUP_DIR, encode } from '../words/layout.ts'
import type { ToMaster } from '../words/messages.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'

interface OrdersOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly address: string
  /** The newest term that this keeper knows. */
  readonly newest: () => number
  readonly input: (input: Input) => void
}

type Reply = Extract<ToMaster, { readonly type: 'reply' }>

/** What is still there then was left by a tool that was killed. */
const LEFT_MS = 600_000

export class Orders {
  readonly #o: OrdersOptions
  /** Since when each name is known. */
  #known = new Map<string, number>()
  #isFirst = true
  /** Under way, by the id that the elector knows. */
  readonly #running = new Map<number, string>()
  /** Below 0: the master's own commands count from 1. */
  #nextId = -1

  constructor(options: OrdersOptions) {
    this.#o = options
  }

  /** Takes the names that were found among the backups. Rejects with DiskError. */
  async scan(names: readonly string[]): Promise<void> {
    const { clock, disk } = this.#o
    const nowMs = clock.nowMs()
    const next = new Map<string, number>()
    const fresh: string[] = []
    for (const name of names) {
      const found = orderOf(name)
      if (found === null) continue
      const sinceMs = this.#known.get(name)
      next.set(name, sinceMs ?? nowMs)
      if (sinceMs === undefined && found.is === 'order' && !this.#isFirst) fresh.push(found.id)
      if (sinceMs !== undefined && nowMs - sinceMs > LEFT_MS) {
        await disk.unlink('order', `${BACKUP_DIR}/${name}`)
      }
    }
    this.#known = next
    this.#isFirst = false
    for (const id of fresh) await this.#take(id)
  }

  /** True when that reply was to an order of the directory's. */
  onReply({ id, error }: Reply): boolean {
    const order = this.#running.get(id)
    if (order === undefined) return false
    this.#running.delete(id)
    void this.#answer(order, error)
    return true
  }

  async #take(id: string): Promise<void> {
    const { disk, address, newest, log } = this.#o
    const text = await disk.read('order', orderFile(id))
    const given = text === 'missing' ? null : decodeOrder(text)
    if (given === null) {
      // Its author may be just writing it: the next look reads it again.
      if (text !== 'missing') this.#known.delete(`order-${id}.order`)
      return
    }
    if (given.to !== address) return
    log('info', `order through the directory: ${given.order.name}`, {
      event: 'directory-order-found',
      ...given,
    })
    if (given.term === newest()) this.#run(id, given)
    else {
      const message = `term ${newest()} has begun since the order was given in term ${given.term}`
      await this.#answer(id, { code: 'NOT_ACTIVE', message })
    }
  }

  #run(order: string, { order: what, by }: DirectoryOrder): void {
    const id = this.#nextId
    this.#nextId -= 1
    this.#running.set(id, order)
    const { force } = what
    const { input } = this.#o
    if (what.name === 'takeOver') input({ type: 'take-over', id, force, by })
    else input({ type: 'hand-over', id, successor: what.successor, force, by })
  }

  async #answer(order: string, error: Reply['error']): Promise<void> {
    const { disk, log } = this.#o
    try {
      await disk.create('order', replyFile(order), encode({ error }))
    } catch (cause) {
      log('warn', `an order through the directory is not answered: ${messageOf(cause)}`, {
        event: 'directory-order-unanswered',
      })
    }
  }
}
