/**
 * The elector's answer to a network that is cut while the storage lives: the active hands its role to a backup that
 * hears more than it does itself, and the two agree on that through the directory. Pure; see elector.ts.
 *
 *     active                                  backup
 *     below its published rank for M/2
 *     publishes an offer (nonce)      ──>     sees it, measures anew, proves that it can make its files
 *     looks every Q                   <──     publishes an answer (nonce, rank, trouble)
 *     releases for it, if the answer is at most 2Q old and still strictly higher; withdraws the offer otherwise
 *
 * What stands in the directory may be old, so a published rank only begins an offer; the answer to it can't be older
 * than the offer. At equal ranks the active stays: a move would help nobody, and the next one would come at once.
 *
 * Source: docs/ha-protocol.md, "When the clients' network is cut and the storage lives".
 */
import type { Publication } from '../directory/network-publication.ts'
import { drain } from './elector-release.ts'
import { type Candidate, isMasterReady, type State } from './elector-state.ts'
import type { Turn } from './elector-turn.ts'
import {
  aboveSince,
  compareRanks,
  describeRank,
  type Hearing,
  hasLost,
  latestMs,
  NOTHING,
  type Rank,
  rankOf,
  rankSince,
  sinceAbove,
} from './network-rank.ts'
import {
  backOffMs,
  type Failure,
  type NetworkState,
  type OpenOffer,
  type Posted,
  REMEMBERED_MS,
} from './network-state.ts'

/** So many answers that are no better cost nothing yet: on a busy host those that it asks may have been late. */
const FREE_ANSWERS = 2
const change = (t: Turn, changed: Partial<NetworkState>): void => {
  t.s.network = { ...t.s.network, ...changed }
}

/** A suspicion is news already: the others' publications are looked at from then on, not only once a silence is one. */
export function onHears(t: Turn, hearing: Hearing): void {
  const before = t.s.network.hearing
  const same = before !== null && compareRanks(rankOf(before), rankOf(hearing)) === 0
  const suspects = hearing.measuring && before?.measuring !== true
  change(t, { hearing, newsMs: same && !suspects ? t.s.network.newsMs : t.now })
}

export function onPosted(t: Turn, publications: readonly Publication[], begunMs: number): void {
  const { network } = t.s
  const posted = publications.map((publication): Posted => {
    const known = network.posted.find((one) => one.publication === publication)
    return known ?? newlyPosted(publication, network.posted, t.now)
  })
  const isNew = posted.some(({ seenMs }) => seenMs === t.now)
  const { offer } = network
  const answered = offer !== null && answerOf(posted, offer) !== undefined
  const absent = offer === null || answered ? offer : { ...offer, absentMs: begunMs }
  // A look that was begun before the offer shows nothing of its answer.
  const looked = offer !== null && begunMs > offer.absentMs ? absent : offer
  change(t, { posted, offer: looked, newsMs: isNew ? t.now : network.newsMs })
}

function newlyPosted(publication: Publication, known: readonly Posted[], nowMs: number): Posted {
  const { address, nonce, rank } = publication
  const last = known.find(
    (one) => one.publication.address === address && one.publication.nonce === nonce,
  )
  const before = last?.aboveMs ?? []
  const aboveMs = aboveSince(rank, before, nowMs)
  // An answer says what was heard in so short a time: late ones are missing, and take nothing from what stood before.
  const kept = publication.answer === null ? [] : before.slice(aboveMs.length)
  return { publication, seenMs: nowMs, aboveMs: [...aboveMs, ...kept] }
}

export function onProven(t: Turn, nonce: string, trouble: string | null): void {
  const { answering } = t.s.network
  if (answering?.nonce !== nonce) return
  change(t, { answering: { ...answering, trouble } })
}

/** A term of ours serves: was it given to us by this rule, or did our own successor fail? */
export function noteServing(
  t: Turn,
  basis: { servedTerm: number; holderTerm: number; successor: string | null },
): void {
  const { network, address } = t.s
  const { answered, given } = network
  const byOffer = basis.successor === address && basis.holderTerm === answered?.term
  const moves = { count: byOffer ? answered.moves + 1 : 0, atMs: t.now }
  change(t, { moves, answering: null, answered: null, given: null, belowMs: null })
  if (given !== null && basis.servedTerm <= given.term) {
    fail(t, given.to, 'it did not take the role when it was handed over')
  }
}

/** All that is due of it. Nothing before the master has told what it hears. */
export function considerNetwork(t: Turn): void {
  const { hearing } = t.s.network
  if (hearing === null) return
  if (t.s.phase.name === 'active') considerOffer(t, hearing)
  else {
    change(t, { offer: null, belowMs: null })
    considerAnswer(t, hearing)
  }
  publish(t, hearing)
  askForMeasure(t)
  scanIfDue(t)
}

// ---- the active ----------------------------------------------------------------------------------------------------

function considerOffer(t: Turn, hearing: Hearing): void {
  const { s, now } = t
  const { network, timing } = s
  const own = ownRank(s, now)
  const better = own === null || !hasLost(hearing) ? undefined : betterThan(t.s, own, now)
  if (own === null || better === undefined || s.handOver !== null || s.leaving !== null) {
    change(t, { offer: null, belowMs: null })
    if (network.offer !== null) noteNoBetter(t, network.offer)
    return
  }
  const belowMs = network.belowMs ?? Math.max(hearing.sinceMs, sinceAbove(better.aboveMs, own))
  change(t, { belowMs, answering: null })
  if (network.offer !== null) {
    judgeAnswer(t, network.offer, own)
    return
  }
  if (now < belowMs + timing.monitorMs / 2 || now < moveAllowedMs(s, own)) return
  const { term } = s.phase as { term: number }
  const to = better.publication.address
  const nonce = `${term}-${Math.round(now * 1000)}`
  const { count } = network.moves
  const moves = now - network.moves.atMs > REMEMBERED_MS ? 0 : count
  const untilMs = now + answerMs(s, better)
  change(t, { offer: { nonce, to, moves, own, untilMs, absentMs: now } })
  t.log(
    'warn',
    `the role is offered to ${to}: over the network this master hears ${describeRank(own)}, ${to} ${describeRank(better.publication.rank)}`,
    { event: 'role-offered', silent: hearing.silent },
  )
}

/** What it hears now: null while its own measure is old. At rest what was heard last stands. */
function ownRank({ network, timing }: State, nowMs: number): Rank | null {
  const { hearing } = network
  if (hearing === null) return null
  const old = hearing.measuring && nowMs - hearing.madeMs > 3 * timing.renewMs
  return old ? null : rankOf(hearing)
}

/** The live backup that hears most, if that is more. */
function betterThan(s: State, own: Rank, nowMs: number): Posted | undefined {
  const { network } = s
  const barred = (address: string): boolean =>
    network.failures.some((failed) => failed.address === address && nowMs < failed.untilMs)
  const ranked = liveBackups(s).filter(
    ({ publication: { address, rank } }) => compareRanks(rank, own) > 0 && !barred(address),
  )
  const offered = ranked.find(({ publication }) => publication.address === network.offer?.to)
  if (offered !== undefined) return offered
  return ranked.sort(
    (a, b) =>
      compareRanks(b.publication.rank, a.publication.rank) ||
      priorityOf(s, b) - priorityOf(s, a) ||
      answerMs(s, a) - answerMs(s, b) ||
      (a.publication.address < b.publication.address ? -1 : 1),
  )[0]
}

const liveBackups = (s: State): Posted[] =>
  s.network.posted.filter((one) => one.publication.address !== s.address && priorityOf(s, one) > 0)

const candidateOf = ({ candidates }: State, { publication }: Posted): Candidate | undefined =>
  candidates.find((one) => one.address === publication.address)

const priorityOf = (s: State, posted: Posted): number => candidateOf(s, posted)?.priority ?? 0

const ANSWER_IN_M = 0.6

/**
 * How long an answer may take: a backup finds the offer, and measures, at its own pace, which is slower where its monitor
 * interval is longer. At rest it looks once in 2P, it measures for 3P, and the answer is written and found within 2Q.
 */
const answerMs = (s: State, posted: Posted): number =>
  ANSWER_IN_M * Math.max(s.timing.monitorMs, candidateOf(s, posted)?.monitorMs ?? 0)

const answerOf = (posted: readonly Posted[], { nonce, to }: OpenOffer): Posted | undefined =>
  posted.find(({ publication: { address, answer } }) => address === to && answer?.nonce === nonce)

function judgeAnswer(t: Turn, offer: OpenOffer, own: Rank): void {
  const { s, now } = t
  const { timing, network } = s
  const found = answerOf(network.posted, offer)
  const withdraw = (why: string | null): void => {
    change(t, { offer: null })
    if (why !== null) fail(t, offer.to, why)
  }
  if (found === undefined) {
    if (now >= offer.untilMs) withdraw('it has not answered the offer')
    return
  }
  const { rank, answer } = found.publication
  if (answer?.trouble != null) withdraw(`it can't make its files: ${answer.trouble}`)
  else if (compareRanks(rank, own) <= 0) {
    withdraw(null)
    noteNoBetter(t, offer)
  }
  // A new offer follows at once: what it hears now is not known.
  else if (now - offer.absentMs > 2 * timing.pollMs) withdraw(null)
  else handOverTo(t, offer, { own, rank })
}

/**
 * What it publishes can be above what it answers: a worker on this host counts in the one only. Offered again at once it
 * would go on so for ever. Where this active is better off than it was, its successor has not failed.
 */
function noteNoBetter(t: Turn, offer: OpenOffer): void {
  const rank = answerOf(t.s.network.posted, offer)?.publication.rank
  if (rank === undefined || compareRanks(rank, offer.own) > 0) return
  fail(t, offer.to, `it hears ${describeRank(rank)} itself`, 1 - FREE_ANSWERS)
}

function handOverTo(t: Turn, { to }: OpenOffer, ranks: { own: Rank; rank: Rank }): void {
  const { phase } = t.s
  if (phase.name !== 'active') return
  const { own, rank } = ranks
  const by = `the network: it was heard by ${describeRank(own)} here, ${to} hears ${describeRank(rank)}`
  change(t, { given: { to, term: phase.term } })
  t.log('warn', `the role is handed to ${to}, by ${by}`, {
    event: 'role-handed-over',
    term: phase.term,
  })
  drain(t, phase.term, { reason: 'handed-over', successor: to, by, commandId: null })
}

/** `first`: what the first one counts; below 1 it costs no wait. */
function fail(t: Turn, address: string, why: string, first = 1): void {
  const { failures } = t.s.network
  const before = failures.find((one) => one.address === address)
  const fresh = before !== undefined && t.now - before.untilMs < REMEMBERED_MS
  const count = fresh ? Math.max(before.count + 1, first) : first
  const waitMs = backOffMs(t.s, count)
  const failure: Failure = { address, count, untilMs: t.now + waitMs, why }
  change(t, { failures: [...failures.filter((one) => one.address !== address), failure] })
  t.log('warn', `${address} is not offered the role for ${Math.round(waitMs)} ms: ${why}`, {
    event: 'offer-failed',
  })
}

/** Who hears nobody waits for nothing: it can't get worse. */
function moveAllowedMs(s: State, own: Rank): number {
  const { count, atMs } = s.network.moves
  if (count === 0 || compareRanks(own, NOTHING) === 0) return Number.NEGATIVE_INFINITY
  return Math.min(atMs + backOffMs(s, count), atMs + REMEMBERED_MS)
}

// ---- a backup ------------------------------------------------------------------------------------------------------

function considerAnswer(t: Turn, hearing: Hearing): void {
  const { s, now } = t
  const offered = offerToUs(s)
  const { answering } = s.network
  if (offered === null) {
    if (answering !== null) change(t, { answering: null })
    return
  }
  const { offer, term, network, rank } = offered
  const able = s.phase.name === 'watching' && s.priority > 0 && s.standDown === null
  if (!able || s.leaving !== null || !isMasterReady(s, now)) return
  if (answering?.nonce !== offer.nonce) {
    const { nonce, moves } = offer
    const fresh = { nonce, term, moves, network, seenMs: now, trouble: undefined, answered: false }
    change(t, { answering: fresh, wants: true })
    t.tell({ type: 'measure', wanted: true })
    t.act({ do: 'prove', nonce })
    return
  }
  if (answering.answered || answering.trouble === undefined) return
  // More than the active hears is answered at once. "Nobody" would be a lie where the answers are only late.
  const heard = rankSince(hearing, answering.seenMs, network)
  if (compareRanks(heard, rank) <= 0 && now - answering.seenMs < latestMs(s.timing)) return
  const { moves } = answering
  change(t, { answering: { ...answering, answered: true }, answered: { term, moves } })
}

/** By the holder of the newest term that is alive, in this very life of it. */
function offerToUs(s: State): {
  offer: NonNullable<Publication['offer']>
  term: number
  network: string | null
  rank: Rank
} | null {
  const { seen } = s.watch
  const holder = seen?.holder ?? null
  if (holder === null || holder.address === s.address) return null
  const by = s.network.posted.find(
    ({ publication }) =>
      publication.address === holder.address && publication.nonce === holder.nonce,
  )
  const offer = by?.publication.offer ?? null
  if (seen === null || by === undefined || offer?.to !== s.address) return null
  const { rank } = by.publication
  return { offer, term: seen.holderTerm, network: holder.network ?? null, rank }
}

// ---- both ----------------------------------------------------------------------------------------------------------

function publish(t: Turn, hearing: Hearing): void {
  const { network } = t.s
  const { offer, answering } = network
  // Until it answers: a silence of 2P may be a late answer, and would begin the active's M/2 anew.
  if (answering?.answered === false) return
  const answered = answering !== null
  const rank = answered ? rankSince(hearing, answering.seenMs, answering.network) : rankOf(hearing)
  const said = {
    rank,
    workers: hearing.workers,
    offer: offer === null ? null : { nonce: offer.nonce, to: offer.to, moves: offer.moves },
    answer: answered ? { nonce: answering.nonce, trouble: answering.trouble ?? null } : null,
  }
  const text = JSON.stringify(said)
  if (text === network.published) return
  change(t, { published: text })
  t.act({ do: 'publish', ...said })
}

/** So long after the last news everybody measures, and looks at the others' publications every Q. */
const alertMs = (s: State): number => 2 * s.timing.monitorMs

const isAlert = (s: State, nowMs: number): boolean =>
  s.network.offer !== null || s.network.answering !== null || nowMs - s.network.newsMs < alertMs(s)

function askForMeasure(t: Turn): void {
  const { network } = t.s
  const wanted =
    network.offer !== null ||
    network.answering !== null ||
    t.now - network.newsMs < t.s.timing.monitorMs / 2
  if (wanted === network.wants) return
  change(t, { wants: wanted })
  t.tell({ type: 'measure', wanted })
}

function scanIfDue(t: Turn): void {
  const { s, now } = t
  if (!isAlert(s, now) || now < s.network.scanMs) return
  change(t, { scanMs: now + s.timing.pollMs })
  t.act({ do: 'scan' })
}

/** What an operator has to know of it, as a sentence; null when nothing is wrong, or this master's rank tells enough. */
export function networkProblemOf(s: State, nowMs: number): string | null {
  const { hearing } = s.network
  if (hearing === null || !hasLost(hearing) || hearing.silent.length === 0) return null
  if (nowMs - hearing.sinceMs < s.timing.monitorMs / 2) return null
  const silent = hearing.silent.join(', ')
  if (s.phase.name !== 'active') return problemOfBackup(s, silent)
  const own = rankOf(hearing)
  const others = liveBackups(s)
  if (others.length > 0 && others.every((one) => compareRanks(one.publication.rank, own) < 0)) {
    return null
  }
  const why =
    others.length === 0
      ? 'no backup is live in the directory'
      : others.map((one) => whyNot(s, one, own, nowMs)).join('; ')
  const { offer } = s.network
  const what = offer === null ? 'It stays active' : `Its role is being offered to ${offer.to}`
  return `the network of this master, the active one, is cut, or that of the others: no answer from ${silent}; it hears ${describeRank(own)}. ${what}: ${why}. Mend the network, or hand over with 'tajo haadmin -transitionToActive'`
}

function whyNot(s: State, { publication }: Posted, own: Rank, nowMs: number): string {
  const { address, rank } = publication
  const failed = s.network.failures.find((one) => one.address === address && nowMs < one.untilMs)
  if (failed !== undefined) return `${address} was offered the role: ${failed.why}`
  const soon = s.network.offer?.to === address ? '' : ', and is offered the role soon'
  const than = compareRanks(rank, own) > 0 ? soon : ', which is no more'
  return `${address} hears ${describeRank(rank)}${than}`
}

function problemOfBackup(s: State, silent: string): string | null {
  const active = s.watch.seen?.holder?.address ?? null
  if (s.phase.name !== 'watching' || active === null) return null
  if (s.network.hearing?.silent.includes(active) !== true) return null
  return `no answer over the network from ${silent}: the network of the active master ${active} is cut, or this one's. It hands its role over only to a backup that hears more than it does`
}
