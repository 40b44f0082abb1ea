/**
 * The catalog in the shared directory: each term has a snapshot and a journal of its own. No service, no database, no
 * lock, and nothing that a dead host could hold.
 *
 * What fences it is `Member.commit`, not this file: a deposed master can go on writing into its own term's files, which
 * nobody reads any more, and its commit fails. A term is taken over by reading the newest one below and writing that as
 * its own snapshot, durably, before anything is appended (docs/ha-protocol.md, "Changes are fenced").
 *
 * - After a write whose fate is unknown the journal is never written again. `open` under the same term begins a new
 *   part, whose snapshot decides what counts.
 * - Where nobody may read a file that somebody else still appends to, each group is a closed file of its own
 *   (segmented-journal.ts).
 * - A journal that has got longer than its snapshot (and than 4 MiB), or has many files, is followed by a new part, too,
 *   so that a take-over reads little. Until that part stands nothing is appended anywhere: a snapshot that was given up could land later.
 * - After each append its journal is looked for by its name, beside the commit (by-name.ts). Where it is gone nothing is
 *   acknowledged any more: the catalog is written anew from memory, in the term's next part, and the term is given up.
 * - Without space a change is refused FULL, and the store goes on as soon as there is some.
 */
import { dirname, join } from 'node:path'
import type { Log } from '../base/log.ts'
import { messageOf } from '../base/message-of.ts'
import { markFile, marksOf, type Served, servedNote } from './begun.ts'
import { type Binding, bindingFile, boundTo, requireOurs, UNBOUND } from './binding.ts'
import { whyGone } from './by-name.ts'
import { CatalogError } from './errors.ts'
import { FileError, type Files, type NewFile, openFiles, type Written } from './files.ts'
import { GrowingJournal } from './growing-journal.ts'
import { type Base, type Journal, journalFile, segmentsOf } from './journal.ts'
import { findRestorable } from './restorable.ts'
import { SegmentedJournal } from './segmented-journal.ts'
import { epochDir, partsOf, readNewest, seenTerms, snapshotFile, termsOf } from './shared-read.ts'
import { writeSnapshot } from './snapshot.ts'
import { CatalogState, EMPTY } from './state.ts'
import type { Batch, Kept, LookOptions, Opened, Origin, ReadableStore } from './store.ts'

export interface SharedOptions {
  /** Absolute: `<rootdir>/system/catalog`. */
  readonly directory: string
  readonly log: Log
  readonly files?: Files
  /** What the election's history says of the terms up to one; left out where there is none. */
  readonly served?: (upTo: number) => Promise<Served>
  /** Left out: it is anybody's. */
  readonly binding?: Binding
  /** A journal may grow to this, or to the size of its snapshot, whichever is more. */
  readonly journalBytes?: number
  /** And a journal of many files to so many, or to more where its snapshot is long. */
  readonly journalFiles?: number
  /** For people, in the snapshots. */
  readonly now?: () => Date
}

/** So many terms below the present one keep their files. */
export const KEPT_EPOCHS = 3
/** So many old ones are removed at most in one go. */
const SWEPT_AT_ONCE = 16
const JOURNAL_BYTES = 4 * 1024 * 1024
/** A take-over reads each of them: an opening with 230 took 2.6 s through HDFS's gateway. */
const JOURNAL_FILES = 64
/** And one more for each so many bytes of its snapshot: a long one is not written anew for few files. */
const SNAPSHOT_BYTES_A_FILE = 64 * 1024
/** Names that exist already although no listing showed them. */
const PART_TRIES = 32

/** One term's open files. */
interface Session {
  readonly term: number
  readonly part: number
  readonly journal: Journal
  readonly snapshot: Written
  /** All that is durable. */
  state: CatalogState
  seq: number
  /** The fate of a write is unknown: nothing may be appended to this part any more. */
  closed: boolean
}

export class SharedStore implements ReadableStore {
  readonly #directory: string
  readonly #files: Files
  readonly #served: SharedOptions['served']
  readonly #binding: Binding
  readonly #log: Log
  readonly #journalBytes: number
  readonly #journalFiles: number
  readonly #now: () => Date
  #session: Session | null = null
  /** Where the term was opened; null where that can't be told. */
  #device: number | null = null
  /** Which `open` is the latest: one that hung and comes back late must not put its session in place. */
  #opening = 0

  constructor(options: SharedOptions) {
    this.#directory = options.directory
    this.#files = options.files ?? openFiles(options.directory)
    this.#served = options.served
    this.#binding = options.binding ?? UNBOUND
    this.#log = options.log
    this.#journalBytes = options.journalBytes ?? JOURNAL_BYTES
    this.#journalFiles = options.journalFiles ?? JOURNAL_FILES
    this.#now = options.now ?? (() => new Date())
  }

  async open(term: number, signal: AbortSignal): Promise<Opened> {
    const opening = ++this.#opening
    this.#drop()
    const isCurrent = (): boolean => opening === this.#opening && !signal.aborted
    const { session, device } = await this.#translated('open', () => this.#begin(term, isCurrent))
    if (!isCurrent()) {
      closeQuietly(session.journal)
      throw new CatalogError('NOT_ACTIVE', `term ${term} ended while the catalog was being opened`)
    }
    this.#session = session
    this.#device = device
    void this.#sweep(session)
    return { data: session.state.toData(), seq: session.seq }
  }

  async append({ firstSeq, transactions, after }: Batch): Promise<void> {
    const session = await this.#writable()
    if (firstSeq !== session.seq + 1) {
      throw new CatalogError('CORRUPT', `change ${firstSeq} does not follow ${session.seq}`)
    }
    try {
      await session.journal.append(firstSeq, transactions)
    } catch (error) {
      throw await this.#failedAppend(session, error)
    }
    session.seq += transactions.length
    session.state = after
  }

  async prove(what: 'appended' | 'everything'): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { journal, snapshot } = session
    const gone = await this.#translated('append', async () => {
      if (what === 'appended') return journal.whyGone(what)
      await this.#markAgain(session)
      const found = [journal.whyGone(what), whyGone(this.#files, snapshot)]
      return (await Promise.all(found)).find((why) => why !== null) ?? null
    })
    // A part that has been followed by another one meanwhile is swept by right.
    if (this.#session !== session) return this.prove(what)
    if (gone === null) return
    await this.#translated('append', () => this.#requireMount())
    throw new CatalogError('GONE', gone)
  }

  /**
   * Nothing at all on another device is a mount that was taken away, not a hand that removed files: what is written there
   * would be seen by nobody, and hidden when the mount is back.
   */
  async #requireMount(): Promise<void> {
    if (this.#device === null || (await this.#files.list(this.#directory)) !== 'missing') return
    if ((await this.#deviceNow()) === this.#device) return
    throw new CatalogError(
      'UNAVAILABLE',
      `${this.#directory} is not there, and what is above it is on another file system than when this term was opened: its mount is gone. Mount it again`,
    )
  }

  async #deviceNow(): Promise<number | null> {
    return (await this.#files.deviceOf?.(this.#directory)) ?? null
  }

  async replace(term: number, state: CatalogState): Promise<string> {
    const before = this.#session
    this.#drop()
    return this.#translated('append', async () => {
      await this.#requireMount()
      await this.#files.makeDirs(join(this.#directory, epochDir(term)))
      const last = Math.max(before?.part ?? 0, await this.#lastPart(term))
      const { journal, part } = await this.#beginPart({ term, part: last + 1, state, seq: 0 })
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

  async close(): Promise<void> {
    this.#opening += 1
    this.#drop()
  }

  async readOnly({ besideMasters = false }: LookOptions = {}): Promise<Kept> {
    return this.#translated('open', async () => {
      const where = { files: this.#files, directory: this.#directory }
      const look = { ...where, takesOver: false, besideMasters }
      const [newest] = await seenTerms(look, 0)
      const read = await readNewest(look, newest ?? 1, this.#history(Number.MAX_SAFE_INTEGER))
      return { data: read?.state.toData() ?? EMPTY, term: newest ?? 0 }
    })
  }

  // ---- opening ---------------------------------------------------------------------------------------------------

  /** Each call takes its time on a busy host or over a network: those that don't depend on each other are made at once. */
  async #begin(
    term: number,
    isCurrent: () => boolean,
  ): Promise<{ session: Session; device: number | null }> {
    const listed = await this.#files.list(this.#directory)
    if (listed === 'missing') await this.#files.makeDirs(this.#directory)
    const bound = boundTo(listed === 'missing' ? [] : listed)
    const { clusterId, rebinds } = this.#binding
    for (const theirs of rebinds === true ? [] : bound) {
      requireOurs(this.#directory, theirs, clusterId)
    }
    // The answer is kept, so it is asked for once the directory is there. Whoever needs it waits, and hears of a failure.
    void this.#files.growingFilesReadable?.().catch(() => undefined)
    const look = { files: this.#files, directory: this.#directory, takesOver: true }
    const [read, ownPart, device] = await Promise.all([
      readNewest(look, term, this.#history(term)),
      this.#lastPart(term),
      this.#deviceNow(),
    ])
    if (read === null) {
      this.#log('info', 'the catalog begins empty', { directory: this.#directory, term })
    }
    if (!isCurrent()) throw new CatalogError('NOT_ACTIVE', `term ${term} is over`)
    await this.#bind(bound)
    await this.#files.makeDirs(join(this.#directory, epochDir(term)))
    const last = Math.max(read?.term === term ? read.part : 0, ownPart)
    const state = read?.state ?? CatalogState.from(EMPTY)
    const seq = read?.term === term ? read.seq : 0
    const base = read === null ? null : { term: read.term, part: read.part, seq: read.seq }
    return { session: await this.#beginPart({ term, part: last + 1, state, seq, base }), device }
  }

  /** Its mark reaches the disk with the part that is begun. `bound`: whose marks there are; another's only to be replaced. */
  async #bind(bound: readonly string[]): Promise<void> {
    const { clusterId: ours, rebinds } = this.#binding
    for (const theirs of rebinds === true ? bound : []) {
      await this.#files.unlink(join(this.#directory, bindingFile(theirs)))
    }
    if (ours === null || (bound.length > 0 && rebinds !== true)) return
    const path = join(this.#directory, bindingFile(ours))
    try {
      const mark = await this.#files.create(path, { durable: false })
      if (mark !== 'exists') await mark.close()
    } catch (error) {
      if (!isNoSpace(error)) throw error
      // The next term makes it: this one must not fail for what only tells of damage later.
      this.#log('warn', `no room for ${path}, which says whose catalog it is`)
    }
  }

  async #names(): Promise<string[]> {
    const names = await this.#files.list(this.#directory)
    return names === 'missing' ? [] : names
  }

  /** Asked for beside the reading of the files. */
  #history(upTo: number): Promise<Served> | null {
    const asked = this.#served?.(upTo) ?? null
    // Whoever waits for it hears of a failure; one who has failed before that waits no more.
    void asked?.catch(() => undefined)
    return asked
  }

  /** The highest number that a part of the term has had, as far as can be seen; 0 for none. */
  async #lastPart(term: number): Promise<number> {
    const dirs = [join(this.#directory, epochDir(term)), this.#directory]
    const [names = 'missing', all = 'missing'] = await Promise.all(
      dirs.map((path) => this.#files.list(path)),
    )
    const marked = marksOf(all === 'missing' ? [] : all).filter((mark) => mark.term === term)
    const parts = partsOf(names === 'missing' ? [] : names)
    return Math.max(0, ...parts, ...marked.map(({ part }) => part))
  }

  /** The one after `session`, with all that is durable in it. */
  async #nextPart(session: Session): Promise<Session> {
    const { term, part, state, seq } = session
    await this.#requireMount()
    await this.#files.makeDirs(join(this.#directory, epochDir(term)))
    const last = Math.max(part, await this.#lastPart(term))
    return this.#beginPart({ term, part: last + 1, state, seq, base: { term, part, seq } })
  }

  /** A snapshot and, once that is durable, an empty journal beside it. */
  async #beginPart(
    begin: Pick<Session, 'term' | 'part' | 'state' | 'seq'> & { readonly base?: Base | null },
  ): Promise<Session> {
    const { term, state, seq, base } = begin
    const directory = join(this.#directory, epochDir(term))
    const segmented = !((await this.#files.growingFilesReadable?.()) ?? true)
    const kind = segmented ? SegmentedJournal : GrowingJournal
    for (let part = begin.part; part < begin.part + PART_TRIES; part += 1) {
      const snapshot = await this.#files.create(join(directory, snapshotFile(part)), {
        durable: false,
      })
      if (snapshot === 'exists') continue
      const head = { term, part, seq, at: this.#now().toISOString(), segmented }
      await this.#written(directory, part, snapshot, (file) => writeSnapshot(file, head, state))
      const file = await this.#files.create(join(directory, journalFile(part)), { durable: true })
      if (file === 'exists') continue
      try {
        // After the journal: a mark promises it.
        await this.#mark(term, part)
        // At once, since the file system commits them together: a take-over waits for nothing but this.
        const dirs = [directory, this.#directory, dirname(this.#directory)]
        const [gone, journal] = await Promise.all([
          whyGone(this.#files, snapshot.written),
          kind.begin(this.#files, file, { term, part, ...(base === undefined ? {} : { base }) }),
          ...dirs.map((dir) => this.#files.syncDir(dir)),
        ])
        // Nothing was acknowledged in it, and nobody may think so: whoever asked for it tries again.
        if (gone !== null) throw new CatalogError('UNAVAILABLE', gone)
        return { term, part, journal, snapshot: snapshot.written, state, seq, closed: false }
      } catch (error) {
        closeQuietly(file)
        if (isNoSpace(error) || error instanceof CatalogError) await this.#removePart(term, part)
        throw error
      }
    }
    throw new CatalogError('UNAVAILABLE', `${directory} has files that its listing does not show`)
  }

  /** One that is there already is ours: its number was never used before. */
  async #mark(term: number, part: number): Promise<void> {
    const path = join(this.#directory, markFile(term, part))
    const mark = await this.#files.create(path, { durable: false })
    if (mark !== 'exists') await mark.close()
  }

  async #markAgain({ term, part }: Session): Promise<void> {
    const path = join(this.#directory, markFile(term, part))
    if ((await this.#files.lookAt(path)) !== 'missing') return
    await this.#requireMount()
    this.#log('warn', `${path} is gone: somebody has removed it; it is made again`, { term, part })
    await this.#files.makeDirs(this.#directory)
    await this.#mark(term, part)
    await this.#files.syncDir(this.#directory)
  }

  /** A snapshot that found no space must not keep what space there is. */
  async #written<T>(
    directory: string,
    part: number,
    file: NewFile,
    write: (f: NewFile) => Promise<T>,
  ) {
    try {
      return await closing(file, () => write(file))
    } catch (error) {
      if (isNoSpace(error)) {
        await this.#files.unlink(join(directory, snapshotFile(part)))
      }
      throw error
    }
  }

  // ---- appending -------------------------------------------------------------------------------------------------

  /** The part to append to: a new one when the journal has got long. */
  async #writable(): Promise<Session> {
    const session = this.#session
    if (session === null || session.closed) {
      throw new CatalogError('UNAVAILABLE', 'the catalog has to be opened again')
    }
    const { bytes: ofSnapshot } = session.snapshot
    const bytes = Math.max(this.#journalBytes, ofSnapshot)
    const files = Math.max(this.#journalFiles, ofSnapshot / SNAPSHOT_BYTES_A_FILE)
    if (!session.journal.hasReached({ bytes, files })) return session
    const next = await this.#translated('append', () => this.#nextPart(session))
    if (this.#session !== session) {
      closeQuietly(next.journal)
      throw new CatalogError('UNAVAILABLE', 'the catalog was closed meanwhile')
    }
    this.#session = next
    closeQuietly(session.journal)
    void this.#sweep(next)
    return next
  }

  async #failedAppend(session: Session, error: unknown): Promise<unknown> {
    const failed = catalogError(error, 'append')
    if (failed instanceof CatalogError && failed.code === 'FULL') {
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
    if (this.#session !== null) closeQuietly(this.#session.journal)
    this.#session = null
  }

  // ---- sweeping --------------------------------------------------------------------------------------------------

  /** Removes what lies behind; the part before the present one stays for whoever is reading it just now. */
  async #sweep({ term, part }: Session): Promise<void> {
    try {
      const listed = await this.#files.list(this.#directory)
      const all = listed === 'missing' ? [] : listed
      const marks = marksOf(all)
      const names = await this.#files.list(join(this.#directory, epochDir(term)))
      const own = marks.filter((mark) => mark.term === term).map((mark) => mark.part)
      for (const old of new Set([...own, ...partsOf(names === 'missing' ? [] : names)])) {
        if (old < part - 1) await this.#removePart(term, old)
      }
      const lower = [...new Set([...termsOf(all), ...marks.map((mark) => mark.term)])]
        .filter((one) => one < term)
        .sort((a, b) => b - a)
      for (const old of lower.slice(KEPT_EPOCHS).reverse().slice(0, SWEPT_AT_ONCE)) {
        await this.#removeEpoch(old, marks)
      }
    } catch (error) {
      const facts = { directory: this.#directory, error: messageOf(error) }
      this.#log('warn', 'old files of the catalog could not be removed', facts)
    }
  }

  /**
   * The mark goes first, then the journal: either without what it promises would look like damage. Without the journal's
   * first file nobody asks for its others.
   */
  async #removePart(term: number, part: number): Promise<void> {
    const directory = join(this.#directory, epochDir(term))
    await this.#files.unlink(join(this.#directory, markFile(term, part)))
    await this.#files.unlink(join(directory, journalFile(part)))
    await this.#files.unlink(join(directory, snapshotFile(part)))
    const names = await this.#files.list(directory)
    for (const segment of segmentsOf(names === 'missing' ? [] : names)) {
      if (segment.part === part) await this.#files.unlink(join(directory, segment.name))
    }
  }

  async #removeEpoch(term: number, marks: readonly { term: number; part: number }[]) {
    for (const mark of marks) {
      if (mark.term === term)
        await this.#files.unlink(join(this.#directory, markFile(term, mark.part)))
    }
    const directory = join(this.#directory, epochDir(term))
    const names = await this.#files.list(directory)
    if (names === 'missing') return
    for (const part of partsOf(names)) await this.#removePart(term, part)
    await this.#files.removeDir(directory)
  }

  async #translated<T>(when: 'open' | 'append', call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw catalogError(error, when)
    }
  }
}

const NO_SPACE = ['ENOSPC', 'EDQUOT', 'EFBIG']
const isNoSpace = (error: unknown): boolean =>
  error instanceof FileError && NO_SPACE.includes(error.errno)
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

async function closing<T>(file: NewFile, use: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await use()
  } catch (error) {
    void file.close().catch(() => undefined)
    throw error
  }
  await file.close()
  return result
}

/** Everything in it is durable or given up, so a close that fails or hangs says nothing. */
function closeQuietly(open: Pick<Journal, 'close'>): void {
  void open.close().catch(() => undefined)
}
