/**
 * The catalog in the shared directory: each term has a journal of its own, which begins with a reference to what it goes on
 * from. No service, no database, no lock, and nothing that a dead host could hold.
 *
 * What fences it is `Member.commit`, not this file: a deposed master can go on writing into its own term's files, which
 * nobody reads any more, and its commit fails. A term is taken over by finding the newest one below, reading how long its
 * journal is, and writing that as the own first record, durably, before anything is answered (docs/ha-protocol.md, "A term
 * begins with a reference"). How long that takes does not grow with the catalog, where the memory follows it (`follow`).
 *
 * - After a write whose fate is unknown the journal is never written again. `open` under the same term begins a new
 *   part, whose reference says what counts.
 * - Where nobody may read a file that somebody else still appends to, each group is a closed file of its own
 *   (journal.ts).
 * - A journal that has got long, or has many files, is followed by a new part, too; and one before a group of several
 *   records, which stands in a part of another format.
 * - A checkpoint is made beside the work, of what was acknowledged (checkpointer.ts). When it is whole, what the one before it
 *   does not need any more is removed.
 * - After each append its journal is looked for by its name, beside the commit (presence.ts). Where it is gone nothing is
 *   acknowledged any more: the catalog is written anew from memory, in the term's next part, and the term is given up.
 * - Without space a change is refused FULL, and the store goes on as soon as there is some.
 */
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import type { Turns } from '../../base/slices.ts'
import { type Binding, boundTo, requireBound, UNBOUND } from '../binding.ts'
import { CatalogError } from '../errors.ts'
import { CatalogState, EMPTY } from '../state.ts'
import type { Batch, Kept, LookOptions, Opened, Opening, Origin, ReadableStore } from '../store.ts'
import { beginPart, bindFiles, closeQuietly, lastPart, type PartMaker } from './begin-part.ts'
import { type Served, servedNote } from './begun.ts'
import { Checkpointer } from './checkpointer.ts'
import { FileError, type Files, isNoSpace, openFiles } from './files.ts'
import { formatFor, JOURNAL_FORMAT } from './journal-format.ts'
import type { Memory } from './memory.ts'
import { readNewest, seenTerms } from './newest.ts'
import { Following, Presence } from './presence.ts'
import { findRestorable, oldestRestorableMs } from './restorable.ts'
import {
  baseOf,
  goingOnFrom,
  knownOf,
  type NewSession,
  NOTHING_BELOW,
  type Session,
  termsIn,
} from './session.ts'
import { journalFile, snapshotFile, termDir } from './term-names.ts'

interface SharedOptions {
  /** Absolute: `<rootdir>/system/catalog`. */
  readonly directory: string
  readonly log: Log
  readonly files?: Files
  /** What the election's history says of the terms up to one; left out where there is none. */
  readonly served?: (upTo: number) => Promise<Served>
  /** Left out: it is anybody's. */
  readonly binding?: Binding
  /** What the process knows of this catalog from term to term; left out, each opening reads it. */
  readonly memory?: Memory
  /** A journal may grow to this. A checkpoint is due when so much, or so much as the last one holds, would have to be read. */
  readonly journalBytes?: number
  /** And a journal of many files to so many, or to more where the last checkpoint is long. */
  readonly journalFiles?: number
  /** For people, in the checkpoints. */
  readonly now?: () => Date
}

/** A chain of so many terms begins with a checkpoint: none was made beside the work, for whatever reason. */
const CHAIN_TERMS_MAX = 16

export class SharedStore implements ReadableStore {
  readonly #directory: string
  readonly #files: Files
  readonly #served: SharedOptions['served']
  readonly #binding: Binding
  readonly #memory: Memory | null
  readonly #log: Log
  readonly #now: () => Date
  readonly #presence: Presence
  readonly #checkpointer: Checkpointer
  readonly #following: Following | null
  #session: Session | null = null
  /** Which `open` is the latest: one that hung and comes back late must not put its session in place. */
  #opening = 0

  constructor(options: SharedOptions) {
    this.#directory = options.directory
    this.#files = options.files ?? openFiles(options.directory)
    this.#served = options.served
    this.#binding = options.binding ?? UNBOUND
    this.#memory = options.memory ?? null
    this.#log = options.log
    this.#now = options.now ?? (() => new Date())
    const { log, journalBytes, journalFiles } = options
    this.#presence = new Presence(this.#files, this.#directory, log)
    const cluster = this.#binding.clusterId
    const limits = { journalBytes, journalFiles }
    this.#checkpointer = new Checkpointer({ ...this.#where(), log, cluster, ...limits })
    this.#following = this.#memory === null ? null : new Following(this.#where(), this.#memory)
  }

  async open(term: number, signal: AbortSignal, opening: Opening = {}): Promise<Opened> {
    const number = ++this.#opening
    this.#drop()
    const isCurrent = (): boolean => number === this.#opening && !signal.aborted
    const { session, device } = await this.#translated('open', () =>
      this.#begin(term, isCurrent, opening),
    )
    if (!isCurrent()) {
      closeQuietly(session.journal)
      throw new CatalogError('NOT_ACTIVE', `term ${term} ended while the catalog was being opened`)
    }
    this.#session = session
    this.#presence.device = device
    // It goes on in the session; what it was before would only be kept in memory.
    this.#memory?.handOver()
    return { state: session.state, seq: session.journal.position.seq }
  }

  async append({ firstSeq, transactions, after }: Batch): Promise<void> {
    const session = await this.#writable(formatFor(transactions))
    const { seq } = session.journal.position
    if (firstSeq !== seq + 1) {
      throw new CatalogError('CORRUPT', `change ${firstSeq} does not follow ${seq}`)
    }
    // What comes with the next batch may have been proposed while this one is written.
    const asOfMs = this.#now().getTime()
    try {
      await session.journal.append(transactions)
    } catch (error) {
      throw await this.#failedAppend(session, error)
    }
    session.state = after
    session.asOfMs = asOfMs
  }

  confirmed(seq: number): void {
    const session = this.#session
    if (session === null || session.closed || session.journal.position.seq !== seq) return
    const { position, files } = session.journal
    const { state, asOfMs } = session
    session.confirmed = { position, files, state, asOfMs }
    this.#checkpointer.consider(session, () => this.#session?.term === session.term)
  }

  async prove(what: 'appended' | 'everything'): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { ground } = session
    const { base } = ground
    const gone = await this.#translated('append', () => this.#presence.whyGone(session, what))
    // A part that has been followed by another one, or by a checkpoint, is swept by right.
    if (this.#session !== session || ground.base !== base) return this.prove(what)
    if (gone === null) return
    await this.#translated('append', () => this.#presence.requireMount())
    throw new CatalogError('GONE', gone)
  }

  async replace(term: number, state: CatalogState): Promise<string> {
    const before = this.#session
    this.#drop()
    return this.#translated('append', async () => {
      await this.#presence.requireMount()
      await this.#files.makeDirs(join(this.#directory, termDir(term)))
      const last = Math.max(before?.part ?? 0, await lastPart(this.#where(), term))
      const { journal, part } = await this.#beginPart({
        term,
        part: last + 1,
        state,
        seq: 0,
        basis: { is: 'checkpoint' },
        below: NOTHING_BELOW,
        journal: JOURNAL_FORMAT,
        copies: 'surely',
      })
      await journal.close()
      return noteOf(part)
    })
  }

  async newestTerm(): Promise<number> {
    return this.#translated('open', async () => {
      const look = { files: this.#files, directory: this.#directory, takesOver: false }
      const [newest = 0] = await seenTerms(look, 0)
      const history = await this.#history(Number.MAX_SAFE_INTEGER)
      return Math.max(newest, history?.begun?.term ?? 0)
    })
  }

  async origin(): Promise<Origin> {
    return this.#translated('open', async () => {
      const look = { files: this.#files, directory: this.#directory, takesOver: false }
      const [term = 0] = await seenTerms(look, 0)
      const [clusterId = null] = boundTo(await this.#names())
      return { clusterId, term }
    })
  }

  note(): string {
    return noteOf(this.#session?.part)
  }

  /** What can be brought back, newest first, whatever is damaged. */
  async restorable(): ReturnType<typeof findRestorable> {
    return this.#translated('open', async () => {
      const history = await this.#history(Number.MAX_SAFE_INTEGER)
      return findRestorable(this.#files, this.#directory, history?.begun ?? null)
    })
  }

  async oldestRestorableMs(): Promise<number | null> {
    return this.#translated('open', () => oldestRestorableMs(this.#files, this.#directory))
  }

  checkpointSoon(): void {
    this.#checkpointer.soon()
  }

  async close(): Promise<void> {
    this.#opening += 1
    this.#drop()
  }

  async readOnly({ besideMasters = false }: LookOptions = {}): Promise<Kept> {
    return this.#translated('open', async () => {
      const look = { ...this.#where(), takesOver: false, besideMasters }
      const [newest] = await seenTerms(look, 0)
      const served = this.#history(Number.MAX_SAFE_INTEGER)
      const read = await readNewest({ look, term: newest ?? 1, served, known: null })
      return { data: read?.state.toData() ?? EMPTY, term: newest ?? 0 }
    })
  }

  /**
   * Brings the memory up to what is there now, so that an opening has little left to read; for a backup, now and then. Reads
   * what is new only, disturbs nobody, and concludes nothing: what can't be read is told by whoever opens it. Rejects
   * CatalogError as `open`.
   */
  async follow(turns?: Turns): Promise<void> {
    await this.#translated('open', async () => this.#following?.look(turns))
  }

  #where() {
    return { files: this.#files, directory: this.#directory }
  }

  // ---- opening ---------------------------------------------------------------------------------------------------

  /** Each call takes its time on a busy host or over a network: those that don't depend on each other are made at once. */
  async #begin(
    term: number,
    isCurrent: () => boolean,
    { onProgress, renewed }: Opening,
  ): Promise<{ session: Session; device: number | null }> {
    const listed = await this.#files.list(this.#directory)
    if (listed === 'missing') await this.#files.makeDirs(this.#directory)
    const bound = boundTo(listed === 'missing' ? [] : listed)
    requireBound(this.#directory, bound, this.#binding)
    // The answer is kept, so it is asked for once the directory is there. Whoever needs it waits, and hears of a failure.
    void this.#files.growingFilesReadable?.().catch(() => undefined)
    const look = { ...this.#where(), takesOver: true, onProgress }
    const served = this.#history(term)
    const knownSoon = this.#memory?.knownSoon(onProgress) ?? Promise.resolve(null)
    const [read, ownPart, device] = await Promise.all([
      knownSoon.then((known) => readNewest({ look, term, served, known, renewed })),
      lastPart(this.#where(), term),
      this.#presence.deviceNow(),
    ])
    if (read === null) {
      this.#log('info', 'the catalog begins empty', {
        event: 'catalog-begun',
        directory: this.#directory,
        term,
      })
    }
    if (!isCurrent()) throw new CatalogError('NOT_ACTIVE', `term ${term} is over`)
    await bindFiles(this.#maker(), bound, this.#binding)
    await this.#files.makeDirs(join(this.#directory, termDir(term)))
    const last = Math.max(read?.term === term ? read.part : 0, ownPart)
    const session = await this.#beginPart({
      term,
      part: last + 1,
      state: read?.state ?? CatalogState.from(EMPTY),
      seq: read?.term === term ? read.position.seq : 0,
      ...(read === null ? { basis: { is: 'empty' }, below: NOTHING_BELOW } : goingOnFrom(read)),
      journal: JOURNAL_FORMAT,
      copies: read !== null && termsIn(read.chain) >= CHAIN_TERMS_MAX ? 'if there is room' : 'no',
      onProgress,
    })
    return { session, device }
  }

  async #names(): Promise<string[]> {
    const names = await this.#files.list(this.#directory)
    return names === 'missing' ? [] : names
  }

  /** It is asked for beside the reading of the files. */
  #history(upTo: number): Promise<Served> | null {
    const asked = this.#served?.(upTo) ?? null
    // Whoever waits for it hears of a failure; one who has failed before that waits no more.
    void asked?.catch(() => undefined)
    return asked
  }

  /** The one after `session`, with all that is durable in it. `format`: of its journal. */
  async #nextPart(session: Session, format: number): Promise<Session> {
    const { term, part, state, journal } = session
    await this.#presence.requireMount()
    await this.#files.makeDirs(join(this.#directory, termDir(term)))
    const last = Math.max(part, await lastPart(this.#where(), term))
    const known = knownOf(session)
    const { seq } = journal.position
    const begin = { term, part: last + 1, state, seq, ...goingOnFrom(known), journal: format }
    const { ground, asOfMs } = session
    return { ...(await this.#beginPart({ ...begin, copies: 'no' })), ground, asOfMs }
  }

  async #beginPart({ state, below, ...begin }: NewSession): Promise<Session> {
    const { journal, part, copy } = await beginPart(this.#maker(), { ...begin, state })
    const base = copy === null ? below.base : baseOf(this.#files, copy)
    const asOfMs = this.#now().getTime()
    const open = { asOfMs, confirmed: null, ground: { base }, closed: false }
    return { term: begin.term, part, journal, below, state, ...open }
  }

  #maker(): PartMaker {
    const cluster = this.#binding.clusterId
    return { ...this.#where(), cluster, now: this.#now, log: this.#log }
  }

  // ---- appending -------------------------------------------------------------------------------------------------

  /** The part to append to: a new one when the journal has got long, or takes no such groups. */
  async #writable(format: number): Promise<Session> {
    const session = this.#session
    if (session === null || session.closed) {
      throw new CatalogError('UNAVAILABLE', 'the catalog has to be opened again')
    }
    const limit = this.#checkpointer.journalLimit(session)
    const { journal } = session
    if (!journal.hasReached(limit) && journal.format >= format) return session
    const next = await this.#translated('append', () => this.#nextPart(session, format))
    if (this.#session !== session) {
      closeQuietly(next.journal)
      throw new CatalogError('UNAVAILABLE', 'the catalog was closed meanwhile')
    }
    this.#session = next
    closeQuietly(session.journal)
    return next
  }

  async #failedAppend(session: Session, error: unknown): Promise<unknown> {
    const failed = catalogError(error, 'append')
    if (CatalogError.is(failed, 'FULL')) {
      try {
        await session.journal.cutBack()
        return failed
      } catch (uncut) {
        session.closed = true
        return new CatalogError('UNAVAILABLE', messageOf(uncut), { cause: error })
      }
    }
    session.closed = true
    return failed
  }

  #drop(): void {
    const session = this.#session
    this.#session = null
    if (session === null) return
    closeQuietly(session.journal)
    if (this.#memory !== null) this.#memory.known = knownOf(session)
  }

  async #translated<T>(when: 'open' | 'append', call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw catalogError(error, when)
    }
  }
}

/** At opening these are a matter of configuration; later on they are a mount that has gone wrong. */
const NO_ACCESS = ['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']

function catalogError(error: unknown, when: 'open' | 'append'): unknown {
  if (!(error instanceof FileError)) return error
  const { errno, message } = error
  if (isNoSpace(error)) return new CatalogError('FULL', message, { cause: error })
  const code = when === 'open' && NO_ACCESS.includes(errno) ? 'BAD_STORE' : 'UNAVAILABLE'
  return new CatalogError(code, message, { cause: error })
}

const noteOf = (part: number | undefined): string =>
  part === undefined
    ? servedNote('SharedStore')
    : servedNote('SharedStore', part, [snapshotFile(part), journalFile(part)])
