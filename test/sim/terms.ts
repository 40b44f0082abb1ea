/**
 * Exhaustive check of the rules of taking over, acknowledging and sweeping (docs/ha-protocol.md): every interleaving of
 * a few masters, each of which may claim at any time, which covers every wrong suspicion, pause and crash. No clock takes
 * part, and no listing needs to be fresh.
 *
 * Invariant: a change is acknowledged by a term only if every higher term that has read the catalog, or will, has it.
 *
 * Two models. `original` is the protocol as it was first written down, with a mkdir that only one can win. `amended` adds
 * sweeping, and may do without that mkdir (`sharedMkdir`, as an HDFS gateway has it). There a number is taken for ever by
 * two exclusive files in history/: `taken`, before the heartbeat, so that only one master ever makes a heartbeat of that
 * name; and `opened`, after claim.json and before anything is ended. Whoever serves sweeps lower terms: it creates both
 * files, then removes the directory; a slow contender may make that directory again, in any state.
 * Files can be removed under a cluster (`removals`): the decision about a term stands in two places, claim.json and
 * `opened`, and each of them is enough. So whoever closes a term closes it in both, and where one of them says that it was
 * opened, unlinks its heartbeat. And `taken` may be removed: then a number can be taken twice where mkdir lets everybody in,
 * and a holder has to tell its heartbeat from another one of that name (`inodes`).
 * A term that nobody has opened can be made void by anybody (`voids`): it is closed in `opened`, and its directory removed if
 * it is empty. Whoever ends the terms below may do the same instead of closing it by claim.json.
 * As in lib/ha/directory/end-below.ts a winner of the amended model goes from n−1 down and stops at a term that is known to have
 * served.
 *
 * A claim that fails at a step (a full disk) and goes on with it later, under its number, is one that was paused there: it
 * needs no step of its own. That it may not do so once its heartbeat was made is the rule `heartbeat-again`.
 *
 * `broken` leaves a rule out or moves it, and must find a violation.
 */
export type BrokenRule =
  /** End only term n−1, not all below. */
  | 'only-previous'
  /** Don't let claim.json decide, just unlink. */
  | 'no-decision'
  /** claim.json before the heartbeat. */
  | 'decide-first'
  /** Acknowledge before the renewal. */
  | 'ack-first'
  /** Read the catalog before ending the lower terms. */
  | 'read-first'
  /** End an undecided term by unlink alone. */
  | 'unlink-only'
  /** Remove a term's directory without taking its number for ever. */
  | 'sweep-without-tombstone'
  /** Make the heartbeat without having taken the number. */
  | 'heartbeat-untaken'
  /** Serve without having created the `opened` file. */
  | 'no-opened'
  /** A claim that failed after its heartbeat goes on with its number: it unlinks that heartbeat, and makes it again. */
  | 'heartbeat-again'
  /** Make a term void by removing its empty directory alone. */
  | 'void-unclosed'
  /** Take a term for void that was opened before, and whose directory could not be removed. */
  | 'void-opened'
  /** Take a term that had no claim.json for one that nobody holds, though the history says that it was opened. */
  | 'closed-is-unheld'

export interface TermsOptions {
  readonly model: 'original' | 'amended'
  readonly masters: number
  readonly terms: number
  readonly changes: number
  /** mkdir tells everybody that it made the directory. */
  readonly sharedMkdir?: boolean
  /** A hand that slips, or an age cleaner: one claim.json, `taken` or `opened` file is removed, at any moment. */
  readonly removals?: 0 | 1
  /** Terms that nobody opened are made void. */
  readonly voids?: boolean
  /** A renewal tells its own heartbeat from another file of that name. */
  readonly inodes?: boolean
  /** Close a term by its claim.json alone, and not in the history as well. */
  readonly closedOnce?: boolean
  readonly broken?: BrokenRule
}

export interface TermsResult {
  readonly states: number
  /** The steps that lead to it, or null. */
  readonly violation: readonly string[] | null
}

/** Where a master stands. `x` of a master: the term or change in work. */
const PC = {
  idle: 0,
  claim: 1,
  heartbeat: 2,
  decide: 3,
  confirm: 4,
  close: 5,
  unlink: 6,
  pick: 7,
  read: 8,
  write: 9,
  active: 10,
  renew: 11,
  sweepTake: 12,
  sweepFiles: 13,
  sweepDir: 14,
  take: 15,
  closeOpened: 16,
  closeExisting: 17,
  voidDir: 18,
  voidBelow: 19,
} as const

const [NONE, OPEN, CLOSED] = [0, 1, 2] as const
/** `known` of a master that has read nothing, and a snapshot that isn't there. */
const NOTHING = 15

interface MasterState {
  pc: number
  term: number
  /** Changes in its catalog, as bits. */
  known: number
  x: number
  /** Ending stops at this term. */
  stop: number
  /** Its heartbeat is the second of that name. */
  second: 0 | 1
}

/** All sets are bits: of terms, counted from bit 1, or of changes. */
export interface State {
  dirs: number
  beats: number
  /** Terms that have had a heartbeat, and those whose heartbeat is not the first of that name. */
  made: number
  second: number
  taken: number
  opened: number
  served: number
  acked: number
  next: number
  removals: number
  decided: number[]
  snapshots: number[]
  journals: number[]
  masters: MasterState[]
}

export class Model {
  readonly #o: TermsOptions
  constructor(options: TermsOptions) {
    this.#o = options
  }

  first(): State {
    const { terms, masters } = this.#o
    const perTerm = (value: number): number[] => Array.from({ length: terms + 1 }, () => value)
    return {
      dirs: 0,
      beats: 0,
      made: 0,
      second: 0,
      taken: 0,
      opened: 0,
      served: 0,
      acked: 0,
      next: 0,
      removals: this.#o.removals ?? 0,
      decided: perTerm(NONE),
      snapshots: perTerm(NOTHING),
      journals: perTerm(0),
      masters: Array.from({ length: masters }, () => idle()),
    }
  }

  /** Calls `go` with a change to the state for every step that is possible; throws Violation. */
  steps(
    s: State,
    go: (name: string, change: (next: State, me: MasterState) => void) => void,
  ): void {
    for (let i = 0; i < s.masters.length; i += 1) {
      const me = s.masters[i] as MasterState
      this.#stepsOf(s, me, (name, change) =>
        go(`${i} ${name}`, (next) => change(next, next.masters[i] as MasterState)),
      )
    }
    if (s.removals === 0) return
    for (let k = 1; k < s.decided.length; k += 1) {
      if (s.decided[k] !== NONE) {
        go(`somebody removes the claim of ${k}`, (next) => {
          next.decided[k] = NONE
          next.removals -= 1
        })
      }
      if (s.taken & (1 << k)) {
        go(`somebody removes the record of ${k}`, (next) => {
          next.taken &= ~(1 << k)
          next.removals -= 1
        })
      }
      if (s.opened & (1 << k)) {
        go(`somebody removes the opened file of ${k}`, (next) => {
          next.opened &= ~(1 << k)
          next.removals -= 1
        })
      }
    }
  }

  #stepsOf(s: State, me: MasterState, go: (name: string, change: Change) => void): void {
    const { broken, model, terms, sharedMkdir } = this.#o
    const { term: n } = me
    const bit = 1 << n
    const amended = model === 'amended'
    const giveUp = (name: string): void =>
      go(name, (next, own) => {
        next.beats &= ~bit
        Object.assign(own, idle())
      })
    switch (me.pc) {
      case PC.idle: {
        const wanted = s.dirs === 0 ? 1 : 32 - Math.clz32(s.dirs)
        if (wanted <= terms) {
          go(`wants ${wanted}`, (_, own) =>
            Object.assign(own, idle(), { pc: PC.claim, term: wanted }),
          )
        }
        if (this.#o.voids === true) this.#voiding(s, wanted - 1, go)
        return
      }
      case PC.voidDir:
      case PC.voidBelow:
        this.#voidDir(s, me, go)
        return
      case PC.claim:
        if (s.dirs & bit && sharedMkdir !== true) {
          go(`loses ${n}`, (_, own) => Object.assign(own, idle()))
          return
        }
        go(`claims ${n}`, (next, own) => {
          next.dirs |= bit
          if (amended && broken !== 'heartbeat-untaken') own.pc = PC.take
          else own.pc = broken === 'decide-first' ? PC.decide : PC.heartbeat
        })
        return
      case PC.take:
        if (s.taken & bit) go(`finds ${n} taken`, (_, own) => Object.assign(own, idle()))
        else {
          go(`takes ${n}`, (next, own) => {
            next.taken |= bit
            own.pc = broken === 'decide-first' ? PC.decide : PC.heartbeat
          })
        }
        return
      case PC.heartbeat:
        if (!(s.dirs & bit)) {
          giveUp(`finds ${n} swept`)
          return
        }
        if (s.beats & bit) {
          go(`finds a heartbeat in ${n}`, (_, own) => Object.assign(own, idle()))
          return
        }
        go(`heartbeat ${n}`, (next, own) => {
          makeHeartbeat(next, own)
          const decided = broken === 'decide-first' || broken === 'no-decision' || own.x > 0
          own.x = 0
          if (decided) this.#afterDecision(next, own)
          else own.pc = PC.decide
        })
        return
      case PC.decide:
        if (s.decided[n] !== NONE || !(s.dirs & bit)) {
          giveUp(`finds ${n} closed`)
          return
        }
        go(`opens ${n}`, (next, own) => {
          next.decided[n] = OPEN
          if (broken === 'decide-first') own.pc = PC.heartbeat
          else this.#afterDecision(next, own)
        })
        return
      case PC.confirm:
        if (s.opened & bit && broken !== 'no-opened') giveUp(`finds ${n} used`)
        else {
          go(`confirms ${n}`, (next, own) => {
            next.opened |= bit
            this.#beginEnding(next, own)
          })
          if (broken === 'heartbeat-again') {
            go(`fails in ${n} and tries again`, (next, own) => {
              next.beats &= ~bit
              // Its own claim.json says that it was opened.
              Object.assign(own, { pc: PC.heartbeat, x: 1 })
            })
          }
        }
        return
      case PC.close:
      case PC.closeOpened:
      case PC.closeExisting:
      case PC.unlink:
        this.#ending(s, me, go)
        return
      case PC.pick: {
        const from = newestSnapshot(s, n)
        go(`picks ${from}`, (_, own) => Object.assign(own, { pc: PC.read, x: from }))
        return
      }
      case PC.read:
        go(`reads ${me.x}`, (next, own) => {
          const has = own.x > 0
          own.known = has ? (next.snapshots[own.x] ?? 0) | (next.journals[own.x] ?? 0) : 0
          if (broken === 'read-first') this.#beginEnding(next, own, true)
          else Object.assign(own, { pc: PC.write, x: 0 })
        })
        return
      case PC.write:
        go(`snapshot ${n}`, (next, own) => {
          next.snapshots[n] = own.known
          own.pc = PC.active
        })
        return
      case PC.active:
        if (s.next < this.#o.changes) {
          go(`appends v${s.next}`, (next, own) => {
            const change = 1 << next.next
            next.journals[n] = (next.journals[n] ?? 0) | change
            Object.assign(own, { pc: PC.renew, known: own.known | change, x: next.next })
            next.next += 1
          })
        } else go(`stops ${n}`, (_, own) => Object.assign(own, idle()))
        // Of a swept term only the history is left: what is removed there is not held by a second place any more.
        if (amended && !this.#o.removals) this.#sweeping(s, me, go)
        return
      case PC.renew:
        if (!this.#beats(s, me) && broken !== 'ack-first') {
          go(`deposed ${n}`, (_, own) => Object.assign(own, idle()))
          return
        }
        checkAck(s, me)
        go(`acks v${me.x}`, (next, own) => {
          next.acked |= 1 << own.x
          Object.assign(own, { pc: PC.active, x: 0 })
        })
        return
      default:
        this.#swept(s, me, go)
    }
  }

  #beats(s: State, { term, second }: MasterState): boolean {
    if (!(s.beats & (1 << term))) return false
    const isSecond = (s.second & (1 << term)) !== 0
    return isSecond === (second === 1) || this.#o.inodes !== true
  }

  /** By somebody who holds nothing: numbers go on from the newest directory, which stays. */
  #voiding(s: State, newest: number, go: (name: string, change: Change) => void): void {
    for (let k = 1; k < newest; k += 1) {
      if (!(s.dirs & (1 << k)) || s.opened & (1 << k)) continue
      go(`closes ${k} for nobody`, (next, own) => {
        if (this.#o.broken !== 'void-unclosed') next.opened |= 1 << k
        Object.assign(own, { pc: PC.voidDir, x: k })
      })
    }
  }

  #voidDir(s: State, me: MasterState, go: (name: string, change: Change) => void): void {
    const { x: k } = me
    const isEmpty = s.decided[k] === NONE && !(s.beats & (1 << k))
    const isOver = isEmpty || this.#o.broken === 'void-opened'
    go(isEmpty ? `removes the empty ${k}` : `can't remove ${k}`, (next, own) => {
      if (isEmpty) next.dirs &= ~(1 << k)
      if (own.pc === PC.voidDir) Object.assign(own, idle())
      else if (isOver) nextBelow(own)
      else own.pc = PC.closeExisting
    })
  }

  #afterDecision(next: State, me: MasterState): void {
    if (this.#o.model === 'amended') me.pc = PC.confirm
    else this.#beginEnding(next, me)
  }

  #beginEnding(next: State, me: MasterState, hasRead = false): void {
    if (this.#o.broken === 'read-first' && !hasRead) {
      me.pc = PC.pick
      return
    }
    me.pc = PC.close
    me.x = me.term - 1
    me.stop = this.#o.broken === 'only-previous' ? me.term - 1 : newestServed(next, me.term)
  }

  #ending(s: State, me: MasterState, go: (name: string, change: Change) => void): void {
    const { broken } = this.#o
    const { x: k } = me
    const on = (_: State, own: MasterState): void => nextBelow(own)
    if (k <= 0) {
      go('ended all', (_, own) => {
        Object.assign(own, { pc: broken === 'read-first' ? PC.write : PC.pick, x: 0, stop: 0 })
      })
    } else if (me.pc === PC.closeExisting) {
      go(`closes ${k} in the history`, (next, own) => {
        next.opened |= 1 << k
        own.pc = PC.unlink
      })
    } else if (me.pc === PC.closeOpened) {
      if (s.opened & (1 << k) && broken !== 'closed-is-unheld') {
        go(`finds ${k} opened`, (_, own) => {
          own.pc = PC.unlink
        })
      } else {
        go(`closes ${k} in the history`, (next, own) => {
          next.opened |= 1 << k
          on(next, own)
        })
      }
    } else if (me.pc === PC.unlink) {
      go(`unlinks ${k}`, (next, own) => {
        next.beats &= ~(1 << k)
        on(next, own)
      })
    } else if (!(s.dirs & (1 << k))) go(`finds ${k} swept`, on)
    else {
      if (this.#o.voids === true && (!(s.opened & (1 << k)) || broken === 'void-opened')) {
        go(`closes ${k} in the history first`, (next, own) => {
          if (broken !== 'void-unclosed') next.opened |= 1 << k
          own.pc = PC.voidBelow
        })
      }
      this.#closing(s, k, { go, on })
    }
  }

  #closing(
    s: State,
    k: number,
    { go, on }: { go: (name: string, change: Change) => void; on: Change },
  ): void {
    const { broken, closedOnce } = this.#o
    const twice = this.#o.model === 'amended' && !closedOnce
    if (s.decided[k] === NONE && broken !== 'unlink-only' && broken !== 'no-decision') {
      go(`closes ${k}`, (next, own) => {
        next.decided[k] = CLOSED
        if (twice) own.pc = PC.closeOpened
        else on(next, own)
      })
    } else {
      go(`can't close ${k}`, (_, own) => {
        own.pc = twice ? PC.closeExisting : PC.unlink
      })
    }
  }

  #sweeping(s: State, me: MasterState, go: (name: string, change: Change) => void): void {
    const { term: n } = me
    if (!(s.served & (1 << n))) {
      go(`records ${n}`, (next) => {
        next.served |= 1 << n
      })
      return
    }
    for (let k = 1; k < n; k += 1) {
      if (s.dirs & (1 << k)) {
        go(`sweeps ${k}`, (_, own) => Object.assign(own, { pc: PC.sweepTake, x: k }))
      }
    }
  }

  /** The directory's files go in any order, and then the directory if it is empty. */
  #swept(s: State, me: MasterState, go: (name: string, change: Change) => void): void {
    const { x: k } = me
    const bit = 1 << k
    const back = (_: State, own: MasterState): void => {
      Object.assign(own, { pc: PC.active, x: 0 })
    }
    if (me.pc === PC.sweepTake) {
      go(`takes ${k} for ever`, (next, own) => {
        if (this.#o.broken !== 'sweep-without-tombstone') {
          next.taken |= bit
          next.opened |= bit
        }
        own.pc = PC.sweepFiles
      })
    } else if (me.pc === PC.sweepFiles) {
      const empty = s.decided[k] === NONE && !(s.beats & bit)
      if (empty || !(s.dirs & bit)) {
        go(`has emptied ${k}`, (_, own) => {
          own.pc = PC.sweepDir
        })
        return
      }
      if (s.decided[k] !== NONE) {
        go(`removes the claim of ${k}`, (next) => {
          next.decided[k] = NONE
        })
      }
      if (s.beats & bit) {
        go(`removes the heartbeat of ${k}`, (next) => {
          next.beats &= ~bit
        })
      }
    } else if (s.decided[k] !== NONE || s.beats & bit || !(s.dirs & bit)) go(`leaves ${k}`, back)
    else {
      go(`removes ${k}`, (next, own) => {
        next.dirs &= ~bit
        back(next, own)
      })
    }
  }
}

type Change = (next: State, me: MasterState) => void

export class Violation extends Error {}

const idle = (): MasterState => ({
  pc: PC.idle,
  term: 0,
  known: NOTHING,
  x: 0,
  stop: 0,
  second: 0,
})

function makeHeartbeat(next: State, own: MasterState): void {
  const bit = 1 << own.term
  own.second = next.made & bit ? 1 : 0
  if (own.second) next.second |= bit
  next.made |= bit
  next.beats |= bit
}

/** `stop` itself is ended too. */
function nextBelow(own: MasterState): void {
  own.pc = PC.close
  own.x = own.x <= own.stop ? 0 : own.x - 1
}

function newestSnapshot(s: State, below: number): number {
  for (let k = below - 1; k > 0; k -= 1) if (s.snapshots[k] !== NOTHING) return k
  return 0
}

const newestServed = (s: State, below: number): number =>
  31 - Math.clz32((s.served & ((1 << below) - 1)) | 1)

function checkAck(s: State, me: MasterState): void {
  const change = 1 << me.x
  const lost = (m: number): never => {
    throw new Violation(`v${me.x} acknowledged by ${me.term} after ${m} read without it`)
  }
  for (const other of s.masters) {
    const reads = other.term > me.term && other.known !== NOTHING
    if (reads && !(other.known & change)) lost(other.term)
  }
  for (let m = me.term + 1; m < s.snapshots.length; m += 1) {
    const snapshot = s.snapshots[m] ?? NOTHING
    if (snapshot !== NOTHING && !(snapshot & change)) lost(m)
  }
  if (s.acked & ~me.known) {
    throw new Violation(`${me.term} acknowledges v${me.x} without knowing all before`)
  }
}

/** All states by their depth. Memory: about 100 bytes a state. */
export function explore(options: TermsOptions): TermsResult {
  const model = new Model(options)
  const first = encode(model.first())
  const cameFrom = new Map<string, string>()
  const seen = new Set([first])
  let level = [first]
  while (level.length > 0) {
    const deeper: string[] = []
    for (const key of level) {
      const state = decode(key, options)
      try {
        model.steps(state, (_, change) => {
          const next = decode(key, options)
          change(next, next.masters[0] as MasterState)
          const nextKey = encode(next)
          if (seen.has(nextKey)) return
          seen.add(nextKey)
          cameFrom.set(nextKey, key)
          deeper.push(nextKey)
        })
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        return { states: seen.size, violation: [...path(cameFrom, key, options), error.message] }
      }
    }
    level = deeper
  }
  return { states: seen.size, violation: null }
}

function path(cameFrom: Map<string, string>, last: string, options: TermsOptions): string[] {
  const names: string[] = []
  const model = new Model(options)
  for (let to = last; ; ) {
    const from = cameFrom.get(to)
    if (from === undefined) return names.reverse()
    model.steps(decode(from, options), (name, change) => {
      const next = decode(from, options)
      change(next, next.masters[0] as MasterState)
      if (encode(next) === to && names.at(-1) !== name) names.push(name)
    })
    to = from
  }
}

/** Masters are alike: states that differ only in who is who are one. */
function encode(s: State): string {
  const codes = [
    s.dirs | (s.beats << 8),
    s.taken | (s.served << 8),
    s.acked | (s.next << 4) | (s.removals << 7) | (s.opened << 8),
    s.made | (s.second << 8),
  ]
  for (let k = 1; k < s.decided.length; k += 1) {
    codes.push((s.decided[k] ?? 0) | ((s.snapshots[k] ?? 0) << 2) | ((s.journals[k] ?? 0) << 6))
  }
  const masters = s.masters.map(
    (m) => m.pc | (m.term << 5) | (m.known << 8) | (m.x << 12) | (m.stop << 15) | (m.second << 18),
  )
  masters.sort((a, b) => a - b)
  for (const code of masters) codes.push(code & 0xffff, code >>> 16)
  return String.fromCharCode(...codes)
}

function decode(key: string, { terms, masters }: TermsOptions): State {
  const at = (i: number): number => key.charCodeAt(i)
  const s: State = {
    dirs: at(0) & 0xff,
    beats: at(0) >> 8,
    taken: at(1) & 0xff,
    served: at(1) >> 8,
    acked: at(2) & 15,
    next: (at(2) >> 4) & 7,
    removals: (at(2) >> 7) & 1,
    opened: at(2) >> 8,
    made: at(3) & 0xff,
    second: at(3) >> 8,
    decided: [NONE],
    snapshots: [NOTHING],
    journals: [0],
    masters: [],
  }
  for (let k = 1; k <= terms; k += 1) {
    const code = at(3 + k)
    s.decided.push(code & 3)
    s.snapshots.push((code >> 2) & 15)
    s.journals.push(code >> 6)
  }
  for (let i = 0; i < masters; i += 1) {
    const code = at(4 + terms + 2 * i) | (at(5 + terms + 2 * i) << 16)
    s.masters.push({
      pc: code & 31,
      term: (code >> 5) & 7,
      known: (code >> 8) & 15,
      x: (code >> 12) & 7,
      stop: (code >> 15) & 7,
      second: code >> 18 ? 1 : 0,
    })
  }
  return s
}
