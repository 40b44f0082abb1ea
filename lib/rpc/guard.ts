/**
 * Who may speak in the cluster's name: whoever shows its secret and knows no older term than we do.
 *
 * The term is the fencing token: whoever has seen n refuses n−1. A refused message is counted and never acted upon. A
 * newer term than ours, shown together with the secret, is news: from then on it is the one that counts here.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { EPOCH_HEADER, SECRET_HEADER } from './contract.ts'
import { RpcError } from './errors.ts'

export interface GuardOptions {
  /** The newest term that this process knows from the directory. */
  readonly epoch: () => number
  /** A caller with the right secret knew a newer term. */
  readonly onNewerEpoch: (epoch: number) => void
  readonly onRefused: (what: 'secret' | 'epoch', from: string) => void
}

/** Terms have ten digits in file names. */
const LARGEST_EPOCH = 9_999_999_999

const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest()

export class Guard {
  readonly refused = { secret: 0, epoch: 0 }
  readonly #options: GuardOptions
  #secret: Buffer | null = null
  #heardEpoch = 0

  constructor(options: GuardOptions) {
    this.#options = options
  }

  /** Until it is called nobody gets in: UNAVAILABLE. */
  setSecret(secret: string): void {
    this.#secret = digest(secret)
  }

  /** The newest term that was seen, in the directory or with a caller who knew the secret. */
  epoch(): number {
    return Math.max(this.#heardEpoch, this.#options.epoch())
  }

  /** Lets a message in or throws FORBIDDEN, STALE_EPOCH, BAD_REQUEST or UNAVAILABLE. `from` is for logs. */
  admit(headers: IncomingHttpHeaders, from: string): void {
    if (this.#secret === null) {
      throw new RpcError('UNAVAILABLE', 'this master has not joined its cluster yet')
    }
    const shown = headers[SECRET_HEADER]
    // Digests are of one length, so the comparison takes the same time whatever was sent.
    if (typeof shown !== 'string' || !timingSafeEqual(digest(shown), this.#secret)) {
      this.refused.secret += 1
      this.#options.onRefused('secret', from)
      throw new RpcError('FORBIDDEN', "the secret is missing or is not this cluster's")
    }
    this.requireNewest(headers, from)
    const epoch = readEpoch(headers[EPOCH_HEADER])
    if (epoch > this.epoch()) {
      this.#heardEpoch = epoch
      this.#options.onNewerEpoch(epoch)
    }
  }

  /**
   * The term alone, again when the body has come: that may take its time, and the term may have ended meanwhile. Throws
   * STALE_EPOCH.
   */
  requireNewest(headers: IncomingHttpHeaders, from: string): void {
    const epoch = readEpoch(headers[EPOCH_HEADER])
    const known = this.epoch()
    if (epoch < known) {
      this.refused.epoch += 1
      this.#options.onRefused('epoch', from)
      throw new RpcError('STALE_EPOCH', `term ${epoch} is over, the newest is ${known}`, {
        epoch: known,
      })
    }
  }
}

function readEpoch(text: string | string[] | undefined): number {
  const epoch = typeof text === 'string' && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(epoch <= LARGEST_EPOCH)) {
    throw new RpcError('BAD_REQUEST', `the header ${EPOCH_HEADER} must hold a term's number`)
  }
  return epoch
}
