/**
 * Exhaustive check of how a term takes over the catalog (docs/ha-protocol.md): it begins with a reference to what its
 * predecessor wrote, and not with a copy. Every interleaving of a few masters, each of which may claim, pause and die at any
 * time, which covers every wrong suspicion.
 *
 * It promises two things. What terms answer from, reads and acknowledgements alike, is one catalog that only grows: nothing
 * that was answered is lost, doubled or moved, and no change of an ended term appears once a later term has answered
 * without it. And as long as no file was lost from outside, nobody who still holds a term takes the catalog for damaged.
 *
 * A term ends all lower ones, finds the newest of them whose first record is whole, and the length of its journal; it
 * writes its own first record, which names both, and its `served` file; it renews; only then it answers. To read the catalog
 * is to follow these references down, each journal to the length that its successor named. Checkpoints come afterwards, stand
 * for all that is before their position, and let that be removed. A write whose fate is unknown ends a journal: the same
 * term goes on in a second part, which begins with a reference too.
 *
 * Left out: how a term is claimed, and its number taken for ever, which is in terms.ts (here a claim makes its heartbeat in
 * the same step); half-written records (a record is there or it isn't); checksums, which find what they should.
 *
 * `broken` leaves rules out or moves them, and must find a violation.
 */
import {
  append,
  at,
  beats,
  CHECKPOINT,
  type Changes,
  count,
  DECIDED,
  emptyJournal,
  FIRST,
  FORMAT,
  firstState,
  has,
  idle,
  isThere,
  JOB,
  type Journal,
  join,
  journalsOf,
  type Master,
  NOTHING,
  Packing,
  removeCheckpoint,
  type Size,
  STAGE,
  STAGES,
  STANDING,
  type State,
  show,
  slice,
  startsWith,
  stop,
} from './references-state.ts'
import { StateSet } from './state-set.ts'

export type BrokenRule =
  /** Find the predecessor and read the catalog before ending the lower terms. */
  | 'length-first'
  /** End only term n−1, not all below. */
  | 'only-previous'
  /** Acknowledge before the renewal. */
  | 'ack-first'
  /** Answer before the own first record is written. */
  | 'ack-before-reference'
  /** Answer reads without a renewal. */
  | 'reads-unrenewed'
  /** Read a lower journal to its end, not to the length that its successor named. */
  | 'read-to-end'
  /** Write a change whose fate is unknown again, in the same part. */
  | 'same-part'
  /** Pass over a term that has written nothing but its first record. */
  | 'skip-empty'
  /** A checkpoint counts before it is whole. */
  | 'half-checkpoint'
  /** Remove what a checkpoint replaces before it is whole. */
  | 'remove-early'
  /** Make a checkpoint of what no renewal has confirmed. */
  | 'checkpoint-unconfirmed'
  /** A checkpoint counts though the chain doesn't reach its position. */
  | 'any-checkpoint'
  /** Remove files of higher terms too. */
  | 'sweep-all'
  /** Remove the own first record with the records below the checkpoint. */
  | 'cut-drops-reference'
  /** Something missing is damage at the first look. */
  | 'no-retry'
  /** Tell damage without a renewal that began after the look. */
  | 'damage-unrenewed'
  /** The `served` file before the first record. */
  | 'served-first'
  /** The `served` file after the renewal. */
  | 'served-after-renewal'
  /** No `served` file: a term without a first record has answered nothing. */
  | 'no-served'
  /** A checkpoint stands for the journal it is in, whose later records are missing. */
  | 'checkpoint-alone'
  /** A format removes everything, and writes down nowhere that the catalog begins empty. */
  | 'format-unrecorded'
  /** A hot backup goes on from memory without asking whether its position lies on the new chain. */
  | 'warm-unchecked'

export interface ReferencesOptions extends Size {
  /** At most 3. */
  readonly changes: number
  readonly checkpoints?: boolean
  /** When the maker of a whole checkpoint removes what it replaces; at once if nothing else is said. */
  readonly removes?: 'at once' | 'after a renewal' | 'never'
  /** So many files are lost from outside: journals or checkpoints, at any moment. At most 3. */
  readonly losses?: number
  /** Idle masters follow the catalog in memory. */
  readonly warm?: boolean
  /** One term formats the catalog. */
  readonly format?: boolean
  readonly broken?: readonly BrokenRule[]
}

export interface ReferencesResult {
  readonly states: number
  /** The steps that lead to it, or null. */
  readonly violation: readonly string[] | null
}

type Change = (next: State, me: Master) => void
type Go = (name: string, change: Change) => void

class Violation extends Error {}

class Model {
  readonly #world: ReferencesOptions
  readonly #broken: readonly BrokenRule[]
  readonly #journals: number

  constructor(options: ReferencesOptions) {
    this.#world = options
    this.#broken = options.broken ?? []
    this.#journals = journalsOf(options)
  }

  first(): State {
    return { ...firstState(this.#world), losses: this.#world.losses ?? 0 }
  }

  /** Calls `go` with a change to the state for every step that is possible, and whose it is; throws Violation. */
  steps(s: State, go: (name: string, change: Change, who: number | null) => void): void {
    for (let i = 0; i < s.masters.length; i += 1) {
      const me = s.masters[i] as Master
      const mine: Go = (name, change) => go(name, change, i)
      if (me.stage !== STAGE.idle) {
        mine(`dies in ${me.term}, at ${STAGES[me.stage]}`, (next) => {
          next.masters[i] = idle()
        })
      }
      this.#stepsOf(s, me, mine)
      if (this.#world.checkpoints === true) this.#checkpoints(s, me, mine)
    }
    const nobody: Go = (name, change) => go(name, change, null)
    for (let k = 1; k <= this.#journals; k += 1) this.#befalls(s, k, nobody)
  }

  #without(rule: BrokenRule): boolean {
    return this.#broken.includes(rule)
  }

  /** What befalls a journal from outside: a write that comes late, a lost file. */
  #befalls(s: State, k: number, go: Go): void {
    const journal = at(s, k)
    if (journal.pending > 0) {
      go(`the lost write of v${journal.pending} lands in ${this.#name(k)}`, (next) => {
        const late = at(next, k)
        late.records = append(late.records, late.pending)
        late.pending = 0
      })
    }
    if (s.losses === 0) return
    if (isThere(journal)) {
      go(`LOST: ${this.#name(k)}`, (next) => {
        next.losses -= 1
        at(next, k).gone = 1
      })
    }
    if (journal.checkpoint === CHECKPOINT.whole) {
      go(`LOST: the checkpoint of ${this.#name(k)}`, (next) => {
        next.losses -= 1
        removeCheckpoint(at(next, k))
      })
    }
  }

  #stepsOf(s: State, me: Master, go: Go): void {
    const { term: n } = me
    switch (me.stage) {
      case STAGE.idle:
        this.#idles(s, me, go)
        return
      case STAGE.decide:
        if (s.decided[n] === DECIDED.closed) {
          go(`finds ${n} closed`, (next, own) => {
            next.beats &= ~(1 << n)
            stop(own)
          })
        } else {
          go(`opens ${n}`, (next, own) => {
            next.decided[n] = DECIDED.open
            own.stage = this.#without('length-first') ? STAGE.find : STAGE.end
            own.lower = n - 1
          })
        }
        return
      case STAGE.end:
        this.#ends(s, me, go)
        return
      case STAGE.find:
        this.#finds(s, me, go)
        return
      case STAGE.length:
        this.#readsLength(s, me, go)
        return
      case STAGE.read:
        this.#reads(s, me, go)
        return
      case STAGE.reference:
        this.#writesReference(me, go)
        return
      case STAGE.served:
        if (this.#without('served-after-renewal')) {
          go(`creates served ${n}, answers ${show(me.known)}`, (next, own) => {
            answer(next, own)
            next.served |= 1 << n
            own.stage = STAGE.active
            own.confirmed = count(at(next, own.current).records)
          })
        } else {
          go(`creates served ${n}`, (next, own) => {
            next.served |= 1 << n
            own.stage = this.#without('served-first') ? STAGE.reference : STAGE.began
          })
        }
        return
      case STAGE.lateReference:
        go(`writes the reference of ${n} at last`, (next, own) => {
          refer(at(next, n), own)
          next.served |= 1 << n
          own.stage = STAGE.active
        })
        return
      case STAGE.began:
        this.#answersReads(s, me, go)
        // The first change may share that renewal.
        this.#appends(s, me, go)
        return
      case STAGE.active:
        this.#appends(s, me, go)
        return
      case STAGE.nextPart:
        this.#goesOn(s, me, go)
        return
      default:
        this.#renews(s, me, go)
    }
  }

  #idles(s: State, me: Master, go: Go): void {
    if (s.newest < this.#world.terms) {
      go(`claims ${s.newest + 1}`, (next, own) => {
        next.newest += 1
        next.beats |= 1 << next.newest
        own.stage = STAGE.decide
        own.term = next.newest
      })
    }
    if (this.#world.warm !== true || s.newest === 0) return
    const k = this.#newestBelow(s, this.#world.terms + 1)
    if (k === null || k === 0 || at(s, k).gone) return
    const length = count(at(s, k).records)
    if (me.warmJournal === k && me.warmLength === length) return
    const contents = resolve(s, k, length)
    if (contents === null) return
    go(`follows ${this.#name(k)} to ${length}`, (_, own) => {
      own.warmJournal = k
      own.warmLength = length
      own.warmContents = contents
    })
  }

  #ends(s: State, { term: n, lower: k }: Master, go: Go): void {
    if (k === 0) {
      go(`has ended all below ${n}`, (_, own) => {
        own.stage = this.#without('length-first') ? STAGE.reference : STAGE.find
        if (own.stage === STAGE.find) own.lower = n - 1
      })
      return
    }
    const closes = s.decided[k] === DECIDED.none
    go(`${closes ? 'closes' : 'unlinks'} ${k}`, (next, own) => {
      if (closes) next.decided[k] = DECIDED.closed
      else next.beats &= ~(1 << k)
      own.lower = this.#without('only-previous') ? 0 : k - 1
    })
  }

  /** The newest lower term whose first record is whole, from n−1 down. */
  #finds(s: State, me: Master, go: Go): void {
    const { term: n, lower: k } = me
    if (this.#world.format === true && s.format === FORMAT.none && k === n - 1) this.#formats(n, go)
    if (k === 0) {
      go(`finds nothing below ${n}`, (_, own) => this.#hasRead(own))
      return
    }
    let found = this.#begunIn(s, k)
    const { first, records } = at(s, found)
    if (this.#without('skip-empty') && first === FIRST.reference && records === NOTHING) found = 0
    if (found > 0) {
      go(`finds ${this.#name(found)}`, (_, own) => {
        own.stage = STAGE.length
        own.from = found
        own.lower = 0
      })
    } else if (this.#hasServed(s, k) && !this.#without('skip-empty')) {
      this.#misses(s, me, `the journal of ${k}, a term that served`, go)
    } else {
      go(`passes over ${k}`, (_, own) => {
        own.lower = k - 1
      })
    }
  }

  /** A tool's take-over: what was there doesn't count from its first record on. */
  #formats(n: number, go: Go): void {
    if (this.#without('format-unrecorded')) {
      go(`formats in ${n}: removes all below, leaves nothing`, (next, own) => {
        next.format = FORMAT.begun
        next.served = 0
        next.answered = NOTHING
        next.answeredIn = n
        for (let k = 1; k <= this.#journals; k += 1) {
          if (this.#termOf(k) < n) next.journals[k] = emptyJournal()
        }
        stop(own)
      })
    } else {
      go(`formats: begins empty in ${n}`, (next, own) => {
        next.format = FORMAT.begun
        own.standing = STANDING.formats
        own.stage = STAGE.reference
        own.from = 0
        own.known = NOTHING
      })
    }
  }

  /** To the last whole record. A hot backup has the rest in memory. */
  #readsLength(s: State, me: Master, go: Go): void {
    const predecessor = at(s, me.from)
    const name = this.#name(me.from)
    if (predecessor.gone) {
      if (this.#without('checkpoint-alone') && predecessor.checkpoint === CHECKPOINT.whole) {
        go(`takes the checkpoint of ${name} alone`, (_, own) => {
          own.known = predecessor.contents
          own.length = predecessor.position
          this.#hasRead(own)
        })
      } else this.#misses(s, me, name, go)
      return
    }
    const length = count(predecessor.records)
    const known = this.#fromMemory(s, me, length)
    if (known !== null) {
      go(`goes on from memory: ${name} has ${length}`, (_, own) => {
        own.length = length
        own.known = known
        own.warmJournal = 0
        own.warmLength = 0
        own.warmContents = NOTHING
        this.#hasRead(own)
      })
      return
    }
    go(`reads the length of ${name}: ${length}`, (_, own) => {
      own.stage = STAGE.read
      own.length = length
      own.known = NOTHING
      own.link = own.from
      own.linkLength = length
    })
  }

  /** The catalog of a hot backup, if its position lies on the chain, with all that follows it there. */
  #fromMemory(s: State, me: Master, length: number): Changes | null {
    if (me.warmJournal === 0) return null
    if (this.#without('warm-unchecked')) {
      const start = me.warmJournal === me.from ? me.warmLength : 0
      return join(me.warmContents, slice(at(s, me.from).records, start, length))
    }
    let tail = NOTHING
    let to = length
    for (let k = me.from; ; ) {
      const link = at(s, k)
      if (k === me.warmJournal) {
        if (to < me.warmLength || (link.gone && to > me.warmLength)) return null
        return join(join(me.warmContents, slice(link.records, me.warmLength, to)), tail)
      }
      if (link.gone || link.cut > 0 || link.first !== FIRST.reference) return null
      tail = join(slice(link.records, 0, to), tail)
      to = link.fromLength
      k = link.from
    }
  }

  /** The next link of the chain, from the newest down. */
  #reads(s: State, me: Master, go: Go): void {
    const { link: k, linkLength: to } = me
    const link = at(s, k)
    const { position, checkpoint } = link
    const counts =
      checkpoint === CHECKPOINT.whole ||
      (checkpoint === CHECKPOINT.half && this.#without('half-checkpoint'))
    if (counts && (position <= to || this.#without('any-checkpoint'))) {
      if (link.gone && to > position) this.#misses(s, me, this.#name(k), go)
      else {
        go(`reads the checkpoint of ${this.#name(k)}@${position}, and on to ${to}`, (_, own) => {
          own.known = join(join(link.contents, slice(link.records, position, to)), own.known)
          this.#hasRead(own)
        })
      }
      return
    }
    if (link.gone || link.cut > 0) {
      this.#misses(s, me, this.#name(k), go)
      return
    }
    go(`reads ${this.#name(k)} to ${to}`, (_, own) => {
      own.known = join(slice(link.records, 0, to), own.known)
      if (link.first !== FIRST.reference) {
        this.#hasRead(own)
        return
      }
      own.link = link.from
      own.linkLength = this.#without('read-to-end')
        ? count(at(s, link.from).records)
        : link.fromLength
    })
  }

  /** Knows the catalog, from the chain, a checkpoint or memory: begins its own journal. */
  #hasRead(own: Master): void {
    if (this.#without('length-first')) own.stage = STAGE.end
    else own.stage = this.#without('served-first') ? STAGE.served : STAGE.reference
    own.lower = own.term - 1
    own.link = 0
    own.linkLength = 0
  }

  /** Something that should be there isn't: list and resolve again, and tell damage only after a renewal. */
  #misses(s: State, { term: n }: Master, what: string, go: Go): void {
    if (!beats(s, n) && !this.#without('damage-unrenewed')) {
      go(`is deposed in ${n}, before it tells damage`, (_, own) => stop(own))
    } else if (!this.#without('no-retry') && this.#isWholeBelow(s, n)) {
      go(`misses ${what}, lists again`, (_, own) => {
        own.stage = STAGE.find
        own.lower = n - 1
        own.from = 0
        own.length = 0
        own.link = 0
        own.linkLength = 0
        own.known = NOTHING
      })
    } else if (s.losses < (this.#world.losses ?? 0)) {
      go(`refuses: damage, it misses ${what}`, (_, own) => stop(own))
    } else throw new Violation(`${n} tells damage, though no file was lost: it misses ${what}`)
  }

  #writesReference(me: Master, go: Go): void {
    const { term: n } = me
    if (this.#without('ack-before-reference')) {
      go(`begins ${n} without a record`, (_, own) => {
        own.current = n
        own.stage = STAGE.began
      })
      return
    }
    const what = me.from === 0 ? 'begins empty' : `${this.#name(me.from)}@${me.length}`
    go(`writes the first record of ${n}: ${what}`, (next, own) => {
      refer(at(next, n), own)
      own.current = n
      if (own.standing === STANDING.formats) {
        next.format = FORMAT.recorded
        own.standing = STANDING.silent
      }
      const skips = this.#without('served-first') || this.#without('served-after-renewal')
      own.stage = skips ? STAGE.began : STAGE.served
    })
  }

  #answersReads(s: State, me: Master, go: Go): void {
    const { term: n } = me
    if (this.#without('served-after-renewal')) {
      if (beats(s, n)) this.#renewsToServe(n, go)
      else go(`is deposed in ${n}`, (_, own) => stop(own))
    } else if (beats(s, n) || this.#without('reads-unrenewed')) {
      go(`renews, answers reads in ${n}: ${show(me.known)}`, (next, own) => {
        answer(next, own)
        own.stage = this.#without('ack-before-reference') ? STAGE.lateReference : STAGE.active
        own.confirmed = 0
      })
    } else go(`is deposed in ${n}`, (_, own) => stop(own))
  }

  #renewsToServe(n: number, go: Go): void {
    go(`renews ${n}`, (_, own) => {
      own.stage = STAGE.served
    })
  }

  #appends(s: State, me: Master, go: Go): void {
    if (s.made === this.#world.changes) return
    if (at(s, me.current).gone) {
      go('sees its journal unlinked', (_, own) => stop(own))
      return
    }
    const v = s.made + 1
    go(`appends v${v} to ${this.#name(me.current)}`, (next, own) => {
      make(next, own)
      const journal = at(next, own.current)
      journal.records = append(journal.records, v)
      own.known = append(own.known, v)
      own.stage = STAGE.renew
    })
    if (this.#world.parts !== true || me.current > this.#world.terms) return
    go(`appends v${v} to ${this.#name(me.current)}, fate unknown`, (next, own) => {
      make(next, own)
      at(next, own.current).pending = v
      own.unsure = v
      own.stage = STAGE.nextPart
      own.lower = 0
    })
  }

  /** After a write whose fate is unknown. `lower` is 1 once the length of the old part was read. */
  #goesOn(s: State, me: Master, go: Go): void {
    const { current, length, unsure } = me
    const { records } = at(s, current)
    const name = this.#name(current)
    if (this.#without('same-part')) {
      go(`writes v${unsure} to ${name} again`, (next, own) => {
        at(next, current).records = append(records, unsure)
        own.known = append(own.known, unsure)
        own.unsure = 0
        own.stage = STAGE.renew
      })
    } else if (me.lower === 0) {
      go(`reads the length of its ${name}: ${count(records)}`, (_, own) => {
        own.lower = 1
        own.length = count(records)
      })
    } else {
      const part = this.#world.terms + current
      go(`begins ${this.#name(part)} from ${name}@${length}`, (next, own) => {
        const journal = at(next, part)
        journal.first = FIRST.reference
        journal.from = current
        journal.fromLength = length
        if (!has(slice(records, 0, length), unsure)) {
          journal.records = append(journal.records, unsure)
        }
        own.known = append(own.known, unsure)
        own.current = part
        own.unsure = 0
        own.lower = 0
        own.length = 0
        own.confirmed = 0
        own.stage = STAGE.renew
      })
    }
  }

  #renews(s: State, me: Master, go: Go): void {
    const { term: n, standing, known } = me
    if (beats(s, n) && this.#without('served-after-renewal') && standing === STANDING.silent) {
      this.#renewsToServe(n, go)
    } else if (beats(s, n) || this.#without('ack-first')) {
      go(`renews, acknowledges in ${n}: ${show(known)}`, (next, own) => {
        answer(next, own)
        const isLate = this.#without('ack-before-reference') && at(next, n).first === FIRST.none
        own.stage = isLate ? STAGE.lateReference : STAGE.active
        own.confirmed = count(at(next, own.current).records)
      })
    } else go(`is deposed in ${n}`, (_, own) => stop(own))
  }

  #checkpoints(s: State, me: Master, go: Go): void {
    if (me.job === JOB.none) {
      if (me.current > 0) this.#startsCheckpoint(s, me, go)
      return
    }
    const { jobJournal: k, job } = me
    const name = this.#name(k)
    go('ends its work on a checkpoint', (_, own) => {
      own.job = JOB.none
      own.jobJournal = 0
      own.jobPosition = 0
      own.jobContents = NOTHING
    })
    if (job === JOB.writes && at(s, k).checkpoint === CHECKPOINT.half) {
      go(`has the checkpoint of ${name} whole`, (next, own) => {
        const journal = at(next, k)
        journal.checkpoint = CHECKPOINT.whole
        journal.contents = own.jobContents
        own.job = this.#world.removes === 'after a renewal' ? JOB.waits : JOB.removes
      })
    }
    if (job === JOB.waits && beats(s, this.#termOf(k))) {
      go(`renews after the checkpoint of ${name}`, (_, own) => {
        own.job = JOB.removes
      })
    }
    if (this.#world.removes === 'never') return
    if (job === JOB.removes || this.#without('remove-early')) this.#removes(s, me, go)
  }

  #startsCheckpoint(s: State, me: Master, go: Go): void {
    const { stage, current, confirmed, known } = me
    const { gone, checkpoint, records } = at(s, current)
    const early = this.#without('checkpoint-unconfirmed')
    const answers = stage === STAGE.active || stage === STAGE.renew
    if (!(early ? answers || stage === STAGE.began : answers && me.standing === STANDING.answered))
      return
    if (gone || checkpoint !== CHECKPOINT.none) return
    if (current > this.#world.terms && confirmed === 0) return
    const length = count(records)
    const position = early ? length : confirmed
    go(`begins a checkpoint of ${this.#name(current)}@${position}`, (next, own) => {
      own.job = JOB.writes
      own.jobJournal = current
      own.jobPosition = position
      own.jobContents = slice(known, 0, count(known) - (length - position))
      const journal = at(next, current)
      journal.checkpoint = CHECKPOINT.half
      journal.position = position
    })
  }

  /** What is before the checkpoint: lower journals with their checkpoints, and the own records below its position. */
  #removes(s: State, me: Master, go: Go): void {
    const { jobJournal, jobPosition } = me
    for (let k = 1; k <= this.#journals; k += 1) {
      const journal = at(s, k)
      if (k === jobJournal) {
        if (journal.cut < jobPosition && isThere(journal)) {
          go(`cuts ${this.#name(k)} below ${jobPosition}`, (next) => {
            at(next, k).cut = jobPosition
          })
        }
      } else if (this.#orderOf(k) < this.#orderOf(jobJournal) || this.#without('sweep-all')) {
        if (isThere(journal)) {
          go(`removes ${this.#name(k)}`, (next) => {
            at(next, k).gone = 1
          })
        }
        if (journal.checkpoint === CHECKPOINT.half || journal.checkpoint === CHECKPOINT.whole) {
          go(`removes the checkpoint of ${this.#name(k)}`, (next) => removeCheckpoint(at(next, k)))
        }
      }
    }
  }

  /** What a fresh look at everything finds: is there a whole chain below the term? */
  #isWholeBelow(s: State, term: number): boolean {
    const k = this.#newestBelow(s, term)
    if (k === null) return false
    return k === 0 || (!at(s, k).gone && resolve(s, k, count(at(s, k).records)) !== null)
  }

  /** The predecessor, 0 if there is none, null if one that served is missing. */
  #newestBelow(s: State, term: number): number | null {
    for (let k = term - 1; k > 0; k -= 1) {
      const found = this.#begunIn(s, k)
      if (found > 0) return found
      if (this.#hasServed(s, k)) return null
    }
    return 0
  }

  /** The newest part of a term whose first record is whole. */
  #begunIn(s: State, term: number): number {
    const second = this.#world.terms + term
    if (this.#world.parts === true && this.#hasBegun(at(s, second))) return second
    return this.#hasBegun(at(s, term)) ? term : 0
  }

  #hasBegun({ first, gone, checkpoint, cut }: Journal): boolean {
    if (cut > 0 && this.#without('cut-drops-reference')) return false
    return (first !== FIRST.none && !gone) || checkpoint === CHECKPOINT.whole
  }

  #hasServed(s: State, term: number): boolean {
    return (s.served & (1 << term)) !== 0 && !this.#without('no-served')
  }

  #termOf(journal: number): number {
    return journal > this.#world.terms ? journal - this.#world.terms : journal
  }

  #orderOf(journal: number): number {
    return 2 * this.#termOf(journal) + (journal > this.#world.terms ? 1 : 0)
  }

  #name(journal: number): string {
    return `J${this.#termOf(journal)}${journal > this.#world.terms ? '.2' : ''}`
  }
}

function refer(journal: Journal, own: Master): void {
  journal.first = own.from === 0 ? FIRST.empty : FIRST.reference
  journal.from = own.from
  journal.fromLength = own.length
}

function make(next: State, { term }: Master): void {
  next.made += 1
  next.authors[next.made] = term
}

/** The catalog that the chain leads to, or null where something is missing. */
function resolve(s: State, journal: number, length: number): Changes | null {
  let known = NOTHING
  let to = length
  for (let k = journal; ; ) {
    const link = at(s, k)
    const { records, position } = link
    if (link.checkpoint === CHECKPOINT.whole && position <= to) {
      if (link.gone && to > position) return null
      return join(join(link.contents, slice(records, position, to)), known)
    }
    if (link.gone || link.cut > 0 || link.first === FIRST.none) return null
    known = join(slice(records, 0, to), known)
    if (link.first === FIRST.empty) return known
    to = link.fromLength
    k = link.from
  }
}

/** To a reader or to a writer: here the promise is kept or broken. */
function answer(next: State, own: Master): void {
  const { term, known } = own
  if (!startsWith(known, next.answered) && next.format === FORMAT.recorded) {
    next.format = FORMAT.answered
    next.answered = NOTHING
  }
  if (!startsWith(known, next.answered)) {
    throw new Violation(
      `${term} answers from ${show(known)} after ${show(next.answered)} was answered from`,
    )
  }
  for (let i = count(next.answered); i < count(known); i += 1) {
    const v = (known >> (2 * i)) & 3
    const author = next.authors[v] as number
    if (author < next.answeredIn) {
      throw new Violation(
        `v${v} of ${author} appears in ${term} after ${next.answeredIn} has answered without it`,
      )
    }
  }
  next.answered = known
  if (term > next.answeredIn) next.answeredIn = term
  own.standing = STANDING.answered
}

/** All states that can be reached, by their depth; stops at the first violation. Memory: 60 to 100 bytes a state. */
export function exploreReferences(options: ReferencesOptions): ReferencesResult {
  const model = new Model(options)
  const packing = new Packing(options)
  const { width } = packing
  const states = new StateSet(width)
  const [here, there] = [new Int32Array(width), new Int32Array(width)]
  const [state, next] = [model.first(), model.first()]
  packing.pack(state, here)
  states.add(here, 0)
  for (let number = 0; number < states.size; number += 1) {
    states.read(number, here)
    packing.unpack(here, state)
    try {
      model.steps(state, (_, change, who) => {
        packing.unpack(here, next)
        change(next, next.masters[who ?? 0] as Master)
        packing.pack(next, there)
        states.add(there, number)
      })
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      const path = namesOf(states, number, options)
      return { states: states.size, violation: [...path, error.message] }
    }
  }
  return { states: states.size, violation: null }
}

/** The steps to a state, taken again from the first one on, so that every master keeps its number. */
function namesOf(states: StateSet, last: number, options: ReferencesOptions): string[] {
  const model = new Model(options)
  const packing = new Packing(options)
  const [wanted, there] = [new Int32Array(packing.width), new Int32Array(packing.width)]
  const names: string[] = []
  let state = model.first()
  for (const number of states.pathTo(last).slice(1)) {
    states.read(number, wanted)
    const found: [name: string, state: State][] = []
    model.steps(state, (name, change, who) => {
      const next = structuredClone(state)
      change(next, next.masters[who ?? 0] as Master)
      packing.pack(next, there)
      const isIt = there.every((word, i) => word === wanted[i])
      if (isIt) found.push([who === null ? name : `m${who} ${name}`, next])
    })
    const [name, next] = found[0] as [string, State]
    names.push(name)
    state = next
  }
  return names
}
