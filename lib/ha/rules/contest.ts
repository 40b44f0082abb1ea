/**
 * Is their directory mine? The contest that proves it, with each of the other masters, as pure functions.
 *
 *     A                                            B
 *     creates a file named by a new nonce
 *     tells B the name                       ──>   creates that very name, exclusively, at once
 *     "exists": one directory                <──   "exists" with A in it | "created" | "unknown"
 *     "created": two directories, or a cache: a mismatch
 *     tells B what came of it                ──>
 *
 * Both sides ask; only passed both ways counts, for the two processes and mounts between which it was held. Whoever made
 * the nonce judges, since only he knows whether the answer came in time: a cache that writes back shows the other's file
 * some time later, when two masters may have claimed, and a nonce that was given up is free for a letter that comes late.
 * An error, a call that hangs and a master of an older version are *unknown*: that bars nobody, and is told.
 *
 * "Heard" is a master that has answered a letter, not one whose letter has come.
 *
 * Messages and file calls are effects; what they bring is an input. The data: contest-state.ts; what follows for claims:
 * contest-rules.ts. Its source is docs/ha-protocol.md, "One and the same directory".
 */
import { unreachable } from '../unreachable.ts'
import {
  type ContestEffect,
  type ContestFacts,
  type ContestPeer,
  type ContestState,
  type Delivery,
  incarnationOf,
  isPassed,
  type Letter,
  type LetterReply,
  type Mismatch,
  type NonceCheck,
  type Own,
  openLimitMs,
  type Told,
} from './contest-state.ts'
import type { Timing } from './timing.ts'

/** This is one step in the making. */
export class Contest {
  s: ContestState
  readonly effects: ContestEffect[] = []
  readonly #own: Own
  readonly #timing: Timing
  readonly #now: number

  constructor(state: ContestState, own: Own, timing: Timing, nowMs: number) {
    this.s = state
    this.#own = own
    this.#timing = timing
    this.#now = nowMs
  }

  /** All other masters that are to be tried. Who has only called stays as long as it is heard. */
  list(addresses: readonly string[]): void {
    const wanted = new Set(addresses.filter((one) => one !== this.#own.address))
    const kept = this.s.peers
      .map((peer) => ({ ...peer, listed: wanted.has(peer.address) }))
      .filter((peer) => peer.listed || peer.heard)
    const known = new Set(kept.map(({ address }) => address))
    const added = [...wanted]
      .filter((one) => !known.has(one))
      .map((one) => this.#newPeer(one, true))
    this.s = { ...this.s, peers: [...kept, ...added] }
  }

  /** Where the directory was found at a look. Another place: nothing that was proven holds any more. */
  look(place: string): void {
    const { s } = this
    if (s.place === place) return
    const first = s.place === null
    this.s = first
      ? { ...s, place }
      : {
          ...s,
          place,
          mount: s.mount + 1,
          provenTerm: 0,
          peers: s.peers.map((peer) => this.#begin(peer)),
        }
  }

  /** Notes that the holder of our directory's newest term has passed with us, or is us. */
  noteHolder(term: number, address: string, by: string): void {
    if (term <= this.s.provenTerm) return
    const peer = this.s.peers.find((one) => one.address === address)
    const passed = peer !== undefined && isPassed(peer) && peer.facts?.by === by
    if (by === this.#own.by || passed) this.s = { ...this.s, provenTerm: term }
  }

  /** The letter of a master that has shown our cluster's secret. It is answered in its turn, and tried where it is new. */
  onLetter(id: number, letter: Letter): void {
    const { address, nonce } = letter
    this.#ensure(address)
    this.#note(address, letter)
    this.#update(address, (peer) => {
      if (peer.heard) return peer
      // Not at once where the last one has just failed: the two would call each other without end.
      const soonMs = Math.max(this.#now, peer.wroteMs + this.#timing.pollMs / 5)
      return { ...peer, nextMs: Math.min(peer.nextMs, soonMs) }
    })
    if (nonce === null) this.#answer(id, address, null)
    else this.effects.push({ do: 'contest-try', id, from: address, nonce })
  }

  onChecked(id: number, from: string, check: NonceCheck): void {
    this.#answer(id, from, check)
  }

  onMade(id: number, made: boolean): void {
    const peer = this.#calling(id)
    if (peer?.call == null) return
    if (made) {
      this.#send(peer)
      return
    }
    // It is still told how things stand here. What was proven before stands.
    this.#drop(peer)
    const mine = peer.mine === 'open' ? 'unknown' : peer.mine
    const next = { ...peer, mine, call: { id, nonce: null } } as const
    this.#update(peer.address, () => next)
    this.#send(next)
  }

  onDelivered(id: number, delivery: Delivery): void {
    const peer = this.#calling(id)
    if (peer?.call == null) return
    this.#drop(peer)
    this.#update(peer.address, (one) => ({ ...one, call: null, tried: true }))
    switch (delivery.is) {
      case 'answered':
        // Under another of our own names.
        if (delivery.reply.by === this.#own.by) this.#forget(peer.address)
        else this.#onReply(peer, delivery.reply)
        return
      case 'stranger':
        this.#note(peer.address, { ...delivery.facts, mine: 'unknown', toward: null })
        this.#hear(peer.address)
        this.#update(peer.address, (one) => ({
          ...this.#mismatch({ ...one, mine: 'unknown' }, ANOTHER_CLUSTER),
          nextMs: this.#now + 2 * this.#timing.renewMs,
        }))
        return
      case 'unreachable':
        this.#update(peer.address, (one) => ({
          ...one,
          heard: false,
          nextMs: this.#now + openLimitMs(this.#timing),
        }))
        return
      case 'older':
      case 'wrong-secret':
        this.#hear(peer.address)
        this.#update(peer.address, (one) => ({
          ...one,
          cannot: delivery.is,
          nextMs: this.#now + openLimitMs(this.#timing),
        }))
        return
      default:
        unreachable(delivery)
    }
  }

  /** Its stream broke, or it refuses connections: it is tried at once. */
  suspect(address: string): void {
    this.#update(address, (peer) => ({ ...peer, nextMs: this.#now }))
  }

  /** Letters that are due. Nothing is created before it is known where the directory is. */
  tick(): void {
    if (this.s.place === null) return
    const news = this.#news()
    for (const { address } of this.s.peers) {
      this.#update(address, (peer) =>
        peer.heard && (peer.told !== news || peer.toldMine !== peer.mine)
          ? { ...peer, nextMs: this.#now }
          : peer,
      )
      const peer = this.#peer(address)
      if (peer !== undefined && peer.call === null && this.#now >= peer.nextMs) this.#write(peer)
    }
  }

  #onReply(peer: ContestPeer, reply: LetterReply): void {
    const { address, call } = peer
    this.#note(address, reply)
    this.#hear(address)
    this.#update(address, (one) => {
      // A nonce that was told is used up: what is not known of it by now never will be.
      const mine = call?.nonce == null ? one.mine : (reply.check ?? 'unknown')
      return this.#judge({ ...one, cannot: null, mine })
    })
    this.#update(address, (one) => ({ ...one, nextMs: this.#now + this.#restMs(one) }))
  }

  /** What this master tells of itself. */
  get facts(): ContestFacts {
    return { ...this.#own, mount: this.s.mount }
  }

  /** What it tells of itself. Another process or mount than before: all that was proven with the one before is over. */
  #note(address: string, told: Told): void {
    this.#update(address, (peer) => {
      const { facts } = peer
      const same = facts !== null && incarnationOf(facts) === incarnationOf(told)
      const met = { ...(same ? peer : this.#begin(peer)), facts: factsOf(told) }
      const ofUs = told.toward === incarnationOf({ by: this.#own.by, mount: this.s.mount })
      const judged = this.#judge(ofUs ? { ...met, theirs: told.mine } : met)
      const { mismatch } = judged
      if (mismatch === null) return judged
      return { ...judged, mismatch: { ...mismatch, ours: this.#own.served, theirs: told.served } }
    })
  }

  /** It has answered. A new hearing begins with a new nonce; what was proven before stands until that says otherwise. */
  #hear(address: string): void {
    this.#update(address, (peer) => {
      const heard = { ...peer, tried: true, heard: true, heardMs: this.#now }
      if (peer.heard) return heard
      // A network that comes and goes must not hold up a claim each time.
      const isLong = this.#now - peer.heardMs > this.#timing.monitorMs
      const openSinceMs = isLong ? this.#now : peer.openSinceMs
      return { ...heard, openSinceMs, told: '', nextMs: this.#now }
    })
  }

  #begin(peer: ContestPeer): ContestPeer {
    const open = { mine: 'open', theirs: 'open', toldMine: 'open', told: '', cannot: null } as const
    return { ...peer, ...open, openSinceMs: this.#now, nextMs: this.#now }
  }

  /** A mismatch of two is lifted by none of their own later contests: a cache shows late what it did not show in time. */
  #judge(peer: ContestPeer): ContestPeer {
    if (peer.mine === 'created') return this.#mismatch(peer, THEY_COULD)
    if (peer.theirs === 'created') return this.#mismatch(peer, WE_COULD)
    const { mismatch } = peer
    const passed = peer.mine === 'exists' && peer.theirs === 'exists'
    const lifts = mismatch !== null && passed && mismatch.pair !== this.#pairOf(peer)
    return lifts ? { ...peer, mismatch: null } : peer
  }

  #mismatch(peer: ContestPeer, found: string): ContestPeer {
    const pair = this.#pairOf(peer)
    const before = peer.mismatch?.pair === pair ? peer.mismatch : null
    const mismatch: Mismatch = {
      pair,
      ours: this.#own.served,
      theirs: peer.facts?.served ?? 0,
      found: before?.found ?? found,
      sinceMs: before?.sinceMs ?? this.#now,
    }
    return { ...peer, mismatch }
  }

  #pairOf({ facts }: ContestPeer): string {
    const theirs = facts === null ? '' : incarnationOf(facts)
    return `${incarnationOf({ by: this.#own.by, mount: this.s.mount })} ${theirs}`
  }

  /** Tells the time until the next letter. */
  #restMs(peer: ContestPeer): number {
    const settled = isPassed(peer) || peer.mine === 'unknown' || peer.theirs === 'unknown'
    if (settled && peer.mismatch === null) return openLimitMs(this.#timing)
    // What comes of its own nonces it tells by itself.
    return peer.mine === 'open' ? 0 : 2 * this.#timing.renewMs
  }

  #write(peer: ContestPeer): void {
    const { address, heard, told } = peer
    const id = this.s.letters + 1
    this.s = { ...this.s, letters: id }
    const nonce = this.#wantsContest(peer) ? nonceFile(this.#own, this.#now, id) : null
    const wroteMs = this.#now
    const next = { ...peer, call: { id, nonce }, wroteMs, told: heard ? this.#news() : told }
    this.#update(address, () => next)
    if (nonce === null) this.#send(next)
    else this.effects.push({ do: 'contest-make', id, nonce })
  }

  /** At a new hearing, until it has passed, and in a mismatch when the numbers are others. */
  #wantsContest({ heard, cannot, told, mine, mismatch }: ContestPeer): boolean {
    if (!heard || cannot !== null) return false
    if (mismatch !== null) return told !== this.#news()
    return told === '' || mine !== 'exists'
  }

  #send(peer: ContestPeer): void {
    const { address, call, mine } = peer
    if (call === null) return
    const letter: Letter = { ...this.#said(peer), nonce: call.nonce }
    this.#update(address, (one) => ({ ...one, toldMine: mine }))
    this.effects.push({ do: 'contest-send', id: call.id, to: address, letter })
  }

  #answer(id: number, to: string, check: NonceCheck | null): void {
    const peer = this.#peer(to) ?? this.#newPeer(to, false)
    this.effects.push({ do: 'contest-answer', id, reply: { ...this.#said(peer), check } })
  }

  #said({ mine, facts }: ContestPeer): Told {
    const toward = facts === null ? null : incarnationOf(facts)
    return { ...this.facts, mine, toward }
  }

  #drop({ call }: ContestPeer): void {
    if (call?.nonce != null) this.effects.push({ do: 'contest-drop', nonce: call.nonce })
  }

  /** What the others have to hear of at once. */
  #news(): string {
    const { served, holds } = this.#own
    return `${served} ${holds?.term} ${this.s.mount}`
  }

  #forget(address: string): void {
    this.s = { ...this.s, peers: this.s.peers.filter((peer) => peer.address !== address) }
  }

  #ensure(address: string): void {
    if (this.#peer(address) !== undefined) return
    this.s = { ...this.s, peers: [...this.s.peers, this.#newPeer(address, false)] }
  }

  #newPeer(address: string, listed: boolean): ContestPeer {
    return {
      address,
      listed,
      tried: false,
      heard: false,
      heardMs: Number.NEGATIVE_INFINITY,
      facts: null,
      mine: 'open',
      theirs: 'open',
      openSinceMs: this.#now,
      mismatch: null,
      cannot: null,
      call: null,
      nextMs: this.#now,
      wroteMs: Number.NEGATIVE_INFINITY,
      told: '',
      toldMine: 'open',
    }
  }

  #peer(address: string): ContestPeer | undefined {
    return this.s.peers.find((peer) => peer.address === address)
  }

  #calling(id: number): ContestPeer | undefined {
    return this.s.peers.find(({ call }) => call?.id === id)
  }

  /** Where nothing changes the state stays the same object: that is how a keeper sees that it has nothing to tell. */
  #update(address: string, change: (peer: ContestPeer) => ContestPeer): void {
    const was = this.#peer(address)
    if (was === undefined) return
    const next = change(was)
    if (next === was) return
    this.s = { ...this.s, peers: this.s.peers.map((peer) => (peer === was ? next : peer)) }
  }
}

const THEY_COULD = 'it could create the name of a file that this master had just created'
const WE_COULD = 'this master could create the name of a file that the other had just created'
const ANOTHER_CLUSTER = 'the two name different clusters'

const factsOf = (told: ContestFacts): ContestFacts => {
  const { address, clusterId, directory, priority, by, mount, served, holds } = told
  return { address, clusterId, directory, priority, by, mount, served, holds }
}

/** No name is used twice: the process, its clock and a counter are in it. */
const nonceFile = ({ address, by }: Own, nowMs: number, n: number): string =>
  `${address}.${by}.${Math.round(nowMs)}-${n}`.replaceAll(/[^A-Za-z0-9.-]/g, '_')
