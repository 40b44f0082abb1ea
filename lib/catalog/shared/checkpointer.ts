/**
 * When a checkpoint of the shared catalog is made, and what is removed after it: beside the work, of what was acknowledged, once
 * there is so much to read below it that a cold start would take long, or so many terms. The longer the last one is, the more
 * may lie beside it, so that a long one is not written anew for little.
 */
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import type { Base } from './chain.ts'
import { makeCheckpoint } from './checkpoint.ts'
import type { Files } from './files.ts'
import { baseOf, linkOf, linksAbove, type Session, termsIn, unread } from './session.ts'
import { sweepBelow } from './sweep.ts'

/** A chain of so many terms is followed by one, beside the work. */
const CHAIN_TERMS = 8
const JOURNAL_BYTES = 4 * 1024 * 1024
/** Each commit looks for all journals below by name, so a long checkpoint is followed by few long ones. */
const PARTS_A_CHECKPOINT = 8
/** A cold start reads each of them: an opening with 230 took 2.6 s through HDFS's gateway. */
const JOURNAL_FILES = 64
/** And one more for each so many bytes of the checkpoint: a long one is not written anew for few files. */
const CHECKPOINT_BYTES_A_FILE = 64 * 1024

interface CheckpointOptions {
  readonly files: Files
  readonly directory: string
  readonly log: Log
  readonly cluster: string | null
  readonly journalBytes?: number | undefined
  readonly journalFiles?: number | undefined
}

export class Checkpointer {
  readonly #files: Files
  readonly #directory: string
  readonly #log: Log
  readonly #cluster: string | null
  readonly #journalBytes: number
  readonly #journalFiles: number
  /** The one that is being made. */
  #making: Promise<void> | null = null
  /** What had to be read beside the last one when a new one failed: it is not tried again at once. */
  #failedAt: { readonly bytes: number; readonly files: number } | null = null
  /** Somebody waits for one, though little was written since the last. */
  #wanted = false

  constructor(options: CheckpointOptions) {
    this.#files = options.files
    this.#directory = options.directory
    this.#log = options.log
    this.#cluster = options.cluster
    this.#journalBytes = options.journalBytes ?? JOURNAL_BYTES
    this.#journalFiles = options.journalFiles ?? JOURNAL_FILES
  }

  soon(): void {
    this.#wanted = true
  }

  /** A journal that has reached this is followed by a new part. */
  journalLimit(session: Session): { readonly bytes: number; readonly files: number } {
    const { base } = session.ground
    const bytes = Math.max(this.#journalBytes, (base?.sizeBytes ?? 0) / PARTS_A_CHECKPOINT)
    return { bytes, files: this.#filesLimit(session) }
  }

  /** Makes one of what was acknowledged, where it is due, for as long as `goesOn`. */
  consider(session: Session, goesOn: () => boolean): void {
    if (this.#making !== null || !this.#isDue(session)) return
    this.#making = this.#make(session, goesOn).finally(() => {
      this.#making = null
    })
  }

  #filesLimit({ ground }: Session): number {
    return Math.max(this.#journalFiles, (ground.base?.sizeBytes ?? 0) / CHECKPOINT_BYTES_A_FILE)
  }

  /** Whether a cold start would have much more to read than a checkpoint. */
  #isDue(session: Session): boolean {
    const links = linksAbove([linkOf(session), ...session.below.links], session.ground.base)
    const { bytes, files } = unread(session)
    const failed = this.#failedAt
    if (failed !== null) {
      const moreFiles = files >= failed.files + this.#filesLimit(session)
      return moreFiles || bytes >= failed.bytes + this.#journalBytes
    }
    const changed = session.journal.position.seq > (session.ground.base?.seq ?? 0)
    return (
      (this.#wanted && changed) ||
      bytes >= Math.max(this.#journalBytes, session.ground.base?.sizeBytes ?? 0) ||
      files >= this.#filesLimit(session) ||
      links.length >= 2 * CHAIN_TERMS ||
      termsIn({ links }) >= CHAIN_TERMS
    )
  }

  /** Makes one of what was acknowledged, beside the work: nothing waits for it, and where it fails the next one is made. */
  async #make(session: Session, goesOn: () => boolean): Promise<void> {
    const { term, part, confirmed, ground } = session
    if (confirmed === null) return
    const { position, state, asOfMs } = confirmed
    try {
      const cluster = this.#cluster
      const at = new Date(asOfMs).toISOString()
      const made = await makeCheckpoint(
        this.#files,
        this.#directory,
        { term, part, position, cluster, state, at },
        goesOn,
      )
      if (made === null) return
      this.#failedAt = null
      this.#wanted = false
      const before = ground.base
      ground.base = baseOf(this.#files, made, confirmed.files)
      if (before !== null) await this.#sweep(before)
    } catch (error) {
      this.#failedAt = unread(session)
      const facts = { directory: this.#directory, term, error: messageOf(error) }
      this.#log('warn', 'no checkpoint of the catalog could be made', {
        event: 'checkpoint-failed',
        ...facts,
      })
    }
  }

  /** Old files that stay are no reason to fail: the next checkpoint's sweep finds them. */
  async #sweep(base: Base): Promise<void> {
    try {
      await sweepBelow(this.#files, this.#directory, base)
    } catch (error) {
      const facts = { directory: this.#directory, error: messageOf(error) }
      this.#log('warn', 'old files of the catalog could not be removed', {
        event: 'catalog-sweep-failed',
        ...facts,
      })
    }
  }
}
