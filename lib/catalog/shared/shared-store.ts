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
 * - A checkpoint is made beside the work, of what was acknowledged, once there is so much to read below it that a cold start
 *   would take long, or so many terms. When it is whole, what the one before it does not need any more is removed.
 * - After each append its journal is looked for by its name, beside the commit (by-name.ts). Where it is gone nothing is
 *   acknowledged any more: the catalog is written anew from memory, in the term's next part, and the term is given up.
 * - Without space a change is refused FULL, and the store goes on as soon as there is some.
 */
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import type { Turns } from '../../base/slices.ts'
import { type Binding, bindingFile, boundTo, requireOurs, UNBOUND } from '../binding.ts'
import { CatalogError } from '../errors.ts'
import { CatalogState, EMPTY } from '../state.ts'
import type { Batch, Kept, LookOptions, Opened, Opening, Origin, ReadableStore } from '../store.ts'
import { beginPart, closeQuietly, makeMark, type NewPart, type PartMaker } from './begin-part.ts'
import { markFile, marksOf, type Served, servedNote } from './begun.ts'
import { whyGone } from './by-name.ts'
import { type Base, type Chain, isAt, type Known, type Link } from './chain.ts'
import { type Checkpoint, makeCheckpoint, makeSign } from './checkpoint.ts'
import { epochDir, journalFile, partsOf, snapshotFile } from './epoch-names.ts'
import { FileError, type Files, isNoSpace, openFiles } from './files.ts'
import type { Journal, Place, Position } from './journal.ts'
import type { Memory } from './memory.ts'
import { glanceAt, readNewest, seenTerms } from './newest.ts'
import { isLong } from './records.ts'
import { findRestorable, oldestRestorableMs } from './restorable.ts'
import { sweepBelow } from './sweep.ts'

export interface SharedOptions {
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

/** A chain of so many terms is followed by a checkpoint, beside the work; */
const CHAIN_TERMS = 8
/** and one of so many begins with one: none was made, for whatever reason. */
const CHAIN_TERMS_MAX = 16
const JOURNAL_BYTES = 4 * 1024 * 1024
/** Each commit looks for all journals below by name, so a long checkpoint is followed by few long ones. */
const PARTS_A_CHECKPOINT = 8
/** A cold start reads each of them: an opening with 230 took 2.6 s through HDFS's gateway. */
const JOURNAL_FILES = 64
/** And one more for each so many bytes of the checkpoint: a long one is not written anew for few files. */
const CHECKPOINT_BYTES_A_FILE = 64 * 1024

/** One term's open files. */
interface Session {
  readonly term: number
  readonly part: number
  readonly journal: Journal
  /** What lies below this part. */
  readonly below: Chain
  /** All that is durable. */
  state: CatalogState
  /** Nothing that it lacks is older; ms since 1970. */
  asOfMs: number
  /** What was acknowledged: what a checkpoint may be made of; null where nothing was yet. */
  confirmed: {
    readonly position: Position
    readonly files: number
    readonly state: CatalogState
    readonly asOfMs: number
  } | null
  readonly ground: Ground
  /** The fate of a write is unknown: nothing may be appended to this part any more. */
  closed: boolean
}

/** What a term's parts, all of them, can be read from; a checkpoint that is whole takes the place of the one before. */
interface Ground {
  /** The newest checkpoint; the one before it is kept for `catalog restore`. */
  base: Base | null
}

/** What a glance does not show is seen at one look of so many. */
const GLANCES = 10

export class SharedStore implements ReadableStore {
  readonly #directory: string
  readonly #files: Files
  readonly #served: SharedOptions['served']
  readonly #binding: Binding
  readonly #memory: Memory | null
  readonly #log: Log
  readonly #journalBytes: number
  readonly #journalFiles: number
  readonly #now: () => Date
  #session: Session | null = null
  /** Where the term was opened; null where that can't be told. */
  #device: number | null = null
  /** Which `open` is the latest: one that hung and comes back late must not put its session in place. */
  #opening = 0
  /** The one that is being made. */
  #checkpointing: Promise<void> | null = null
  /** What had to be read beside the last one when a new one failed: it is not tried again at once. */
  #failedAt: { readonly bytes: number; readonly files: number } | null = null

  /** Where the last look came to, and the glance from which it began. */
  #followed: { readonly to: Place; readonly glance: string | null } | null = null

  /** So many looks in a row have seen the same. */
  #glances = 0

  /** Somebody waits for a checkpoint, though little was written since the last. */
  #wanted = false

  constructor(options: SharedOptions) {
    this.#directory = options.directory
    this.#files = options.files ?? openFiles(options.directory)
    this.#served = options.served
    this.#binding = options.binding ?? UNBOUND
    this.#memory = options.memory ?? null
    this.#log = options.log
    this.#journalBytes = options.journalBytes ?? JOURNAL_BYTES
    this.#journalFiles = options.journalFiles ?? JOURNAL_FILES
    this.#now = options.now ?? (() => new Date())
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
    this.#device = device
    // It goes on in the session; what it was before would only be kept in memory.
    this.#memory?.handOver()
    return { state: session.state, seq: session.journal.position.seq }
  }

  async append({ firstSeq, transactions, after }: Batch): Promise<void> {
    const session = await this.#writable(isLong(transactions))
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
    if (this.#checkpointing === null && this.#isDue(session)) {
      this.#checkpointing = this.#checkpoint(session).finally(() => {
        this.#checkpointing = null
      })
    }
  }

  async prove(what: 'appended' | 'everything'): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { journal, below, ground } = session
    const { base } = ground
    const gone = await this.#translated('append', async () => {
      if (what === 'everything') await this.#markAgain(session)
      const rests = [...linksAbove(below.links, base), ...(base === null ? [] : [base])]
      const found = [journal.whyGone(what), ...rests.map((one) => one.whyGone())]
      const why = (await Promise.all(found)).find((one) => one !== null) ?? null
      if (why === null && what === 'everything') await this.#signAgain(base?.sign ?? null)
      return why
    })
    // A part that has been followed by another one, or by a checkpoint, is swept by right.
    if (this.#session !== session || ground.base !== base) return this.prove(what)
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
      const { journal, part } = await this.#beginPart({
        term,
        part: last + 1,
        state,
        seq: 0,
        basis: { is: 'checkpoint' },
        below: NOTHING_BELOW,
        long: false,
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
    this.#wanted = true
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
    const memory = this.#memory
    if (memory === null) return
    const look = { ...this.#where(), takesOver: false, besideMasters: true, turns }
    await this.#translated('open', async () => {
      const { known } = memory
      // Before the reading: what comes meanwhile is another glance.
      const glance = known === null ? null : await glanceAt(look, known)
      // A term that was opened meanwhile knows more.
      if (memory.known !== known) return
      const last = this.#followed
      const isSame =
        known !== null && last !== null && isAt(known, last.to) && glance === last.glance
      this.#glances = isSame ? this.#glances + 1 : 0
      if (this.#glances % GLANCES > 0) return
      await memory.learn((from, onProgress) => {
        const term = Number.MAX_SAFE_INTEGER
        return readNewest({ look: { ...look, onProgress }, term, served: null, known: from })
      })
      // Not the state itself, which a term that is opened here goes on from and lets go.
      this.#followed = memory.known === null ? null : { to: placeOf(memory.known), glance }
    })
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
    const { clusterId, rebinds } = this.#binding
    for (const theirs of rebinds === true ? [] : bound) {
      requireOurs(this.#directory, theirs, clusterId)
    }
    // The answer is kept, so it is asked for once the directory is there. Whoever needs it waits, and hears of a failure.
    void this.#files.growingFilesReadable?.().catch(() => undefined)
    const look = { ...this.#where(), takesOver: true, onProgress }
    const served = this.#history(term)
    const knownSoon = this.#memory?.knownSoon(onProgress) ?? Promise.resolve(null)
    const [read, ownPart, device] = await Promise.all([
      knownSoon.then((known) => readNewest({ look, term, served, known, renewed })),
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
    const session = await this.#beginPart({
      term,
      part: last + 1,
      state: read?.state ?? CatalogState.from(EMPTY),
      seq: read?.term === term ? read.position.seq : 0,
      ...(read === null ? { basis: { is: 'empty' }, below: NOTHING_BELOW } : goingOnFrom(read)),
      long: false,
      copies: read !== null && termsIn(read.chain) >= CHAIN_TERMS_MAX ? 'if there is room' : 'no',
      onProgress,
    })
    return { session, device }
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

  /** The one after `session`, with all that is durable in it. `long`: as in `NewPart`. */
  async #nextPart(session: Session, long: boolean): Promise<Session> {
    const { term, part, state, journal } = session
    await this.#requireMount()
    await this.#files.makeDirs(join(this.#directory, epochDir(term)))
    const last = Math.max(part, await this.#lastPart(term))
    const known = knownOf(session)
    const { seq } = journal.position
    const begin = { term, part: last + 1, state, seq, ...goingOnFrom(known), long }
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

  async #markAgain({ term, part }: Session): Promise<void> {
    const path = join(this.#directory, markFile(term, part))
    if ((await this.#files.lookAt(path)) !== 'missing') return
    await this.#requireMount()
    this.#log('warn', `${path} is gone: somebody has removed it; it is made again`, { term, part })
    await this.#files.makeDirs(this.#directory)
    await makeMark(this.#where(), { term, part })
    await this.#files.syncDir(this.#directory)
  }

  /** Nobody would read a checkpoint without it. */
  async #signAgain(sign: string | null): Promise<void> {
    if (sign === null || (await this.#files.lookAt(sign)) !== 'missing') return
    this.#log('warn', `${sign} is gone: somebody has removed it; it is made again`)
    await makeSign(this.#files, sign)
  }

  // ---- appending -------------------------------------------------------------------------------------------------

  /** The part to append to: a new one when the journal has got long, or takes no long groups. */
  async #writable(long: boolean): Promise<Session> {
    const session = this.#session
    if (session === null || session.closed) {
      throw new CatalogError('UNAVAILABLE', 'the catalog has to be opened again')
    }
    const { base } = session.ground
    const bytes = Math.max(this.#journalBytes, (base?.sizeBytes ?? 0) / PARTS_A_CHECKPOINT)
    const limit = { bytes, files: this.#filesLimit(session) }
    const { journal } = session
    if (!journal.hasReached(limit) && (journal.takesLong || !long)) return session
    const next = await this.#translated('append', () => this.#nextPart(session, long))
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
    const session = this.#session
    this.#session = null
    if (session === null) return
    closeQuietly(session.journal)
    if (this.#memory !== null) this.#memory.known = knownOf(session)
  }

  // ---- checkpoints -----------------------------------------------------------------------------------------------

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

  /** Of what was acknowledged, beside the work: nothing waits for it, and the next one is made where it fails. */
  async #checkpoint(session: Session): Promise<void> {
    const { term, part, confirmed, ground } = session
    if (confirmed === null) return
    const { position, state, asOfMs } = confirmed
    const goesOn = (): boolean => this.#session?.term === term
    try {
      const cluster = this.#binding.clusterId
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
      this.#log('warn', 'no checkpoint of the catalog could be made', facts)
    }
  }

  /** Old files that stay are no reason to fail: the next checkpoint's sweep finds them. */
  async #sweep(base: Base): Promise<void> {
    try {
      await sweepBelow(this.#files, this.#directory, base)
    } catch (error) {
      const facts = { directory: this.#directory, error: messageOf(error) }
      this.#log('warn', 'old files of the catalog could not be removed', facts)
    }
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

const NOTHING_BELOW: Chain = { links: [], base: null }

type NewSession = Omit<NewPart, 'state'> & Pick<Session, 'state' | 'below'>

const goingOnFrom = ({
  term,
  part,
  position,
  chain,
}: Known): Pick<NewSession, 'basis' | 'below'> => ({
  basis: { is: 'journal', term, part, position },
  below: chain,
})

const linkOf = ({ term, part, journal }: Session): Link => ({
  term,
  part,
  position: journal.position,
  files: journal.files,
  whyGone: () => journal.whyGone('everything'),
})

/** What the open part holds, for whoever goes on from it. */
function knownOf(session: Session): Known {
  const { term, part, journal, state, below, ground } = session
  const { base } = ground
  const links = linksAbove([linkOf(session), ...below.links], base)
  const { position, tail } = journal
  return { term, part, position, tail, state, chain: { links, base } }
}

/** Those that are needed beside a checkpoint: with the one that it is in. */
const linksAbove = (links: readonly Link[], base: Base | null): readonly Link[] =>
  base === null
    ? links
    : links.filter(
        ({ term, part }) => term > base.term || (term === base.term && part >= base.part),
      )

const baseOf = (files: Files, made: Checkpoint, journalFiles = 0): Base => ({
  ...{ term: made.term, part: made.part, seq: made.position.seq },
  ...{ journalBytes: made.position.bytes, journalFiles },
  ...{ sizeBytes: made.written.bytes, sign: made.sign },
  whyGone: () => whyGone(files, made.written),
})

/** What a cold start has to read beside the checkpoint. */
const unread = (session: Session): { bytes: number; files: number } => {
  const { base } = session.ground
  const links = linksAbove([linkOf(session), ...session.below.links], base)
  const sum = (of: (link: Link) => number): number =>
    links.reduce((before, link) => before + of(link), 0)
  return {
    bytes: sum(({ position }) => position.bytes) - (base?.journalBytes ?? 0),
    files: sum(({ files }) => files) - (base?.journalFiles ?? 0),
  }
}

const termsIn = ({ links }: Pick<Chain, 'links'>): number =>
  new Set(links.map(({ term }) => term)).size

const placeOf = ({ term, part, position }: Place): Place => ({ term, part, position })
