/**
 * The contest of two masters by itself: what passes, what is a mismatch, what stays unknown, and what each allows. Letters
 * and files are arrays here, so that each can be late, lost or gone.
 */
import { type Test, test } from 'tap'
import { Contest } from '../../../lib/ha/rules/contest.ts'
import { barOf, mayGoOn, type Sight, standsBackFor } from '../../../lib/ha/rules/contest-rules.ts'
import {
  type ContestState,
  type Delivery,
  type Held,
  isPassed,
  type Letter,
  type LetterReply,
  type NonceCheck,
  newContest,
} from '../../../lib/ha/rules/contest-state.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'

const timing = makeTiming(5000)
const MS = timing.monitorMs

class Side {
  readonly address: string
  files: Set<string>
  s: ContestState
  by: string
  served = 0
  holds: Held | null = null
  priority = 100
  clusterId = 'c'
  place = 'mount 1'
  /** Its storage answers nothing. */
  hung = false
  /** It knows no letters. */
  older = false
  up = true
  /** What came of an exclusive create, changed on the way. */
  lie: (check: NonceCheck) => NonceCheck = (check) => check

  constructor(address: string, files: Set<string>, listed: string[], nowMs = 0) {
    this.address = address
    this.files = files
    this.by = `${address} life 1`
    this.s = newContest(nowMs)
    const contest = this.contest(nowMs)
    contest.list(listed)
    this.s = contest.s
  }

  contest(nowMs: number): Contest {
    const { address, by, served, holds, priority, clusterId } = this
    const own = { address, by, served, holds, priority, clusterId, directory: `/ha of ${address}` }
    return new Contest(this.s, own, timing, nowMs)
  }

  sight(): Sight {
    return { served: this.served, holder: this.holds }
  }

  with(address: string) {
    return this.s.peers.find((peer) => peer.address === address)
  }
}

/** Everything that is due, until nothing more happens at this moment. */
class Ground {
  nowMs = 0
  readonly sides: Side[] = []
  readonly cut = new Set<string>()
  letters = 0
  /** Replies that come too late. */
  lateReplies = false

  add(side: Side): Side {
    this.sides.push(side)
    return side
  }

  settle(): void {
    for (let round = 0; round < 200; round += 1) {
      let news = false
      for (const side of this.sides) {
        if (side.up && !side.older && this.#turn(side, (contest) => contest.tick())) news = true
      }
      if (!news) return
    }
    throw new Error('it does not come to rest')
  }

  wait(ms: number): void {
    const untilMs = this.nowMs + ms
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + timing.renewMs)
      this.settle()
    }
  }

  /** A life of its own: it knows nothing any more. */
  restart(side: Side, files = side.files): void {
    const listed = side.s.peers.filter((peer) => peer.listed).map(({ address }) => address)
    side.by = `${side.address} at ${this.nowMs}`
    side.files = files
    side.s = newContest(this.nowMs)
    side.holds = null
    const contest = side.contest(this.nowMs)
    contest.list(listed)
    side.s = contest.s
  }

  #turn(side: Side, does: (contest: Contest) => void): LetterReply | null {
    const contest = side.contest(this.nowMs)
    contest.look(side.place)
    does(contest)
    side.s = contest.s
    let answer: LetterReply | null = null
    let news = false
    for (const effect of contest.effects) {
      if (effect.do === 'contest-make') {
        if (!side.hung) side.files.add(effect.nonce)
        this.#turn(side, (next) => next.onMade(effect.id, !side.hung))
        news = true
      } else if (effect.do === 'contest-drop') side.files.delete(effect.nonce)
      else if (effect.do === 'contest-send') {
        const delivery = this.#deliver(side, effect.to, effect.letter)
        this.#turn(side, (next) => next.onDelivered(effect.id, delivery))
        news = true
      } else if (effect.do === 'contest-try') {
        const check = side.hung ? 'unknown' : side.files.has(effect.nonce) ? 'exists' : 'created'
        answer = this.#turn(side, (next) => next.onChecked(effect.id, effect.from, side.lie(check)))
      } else answer = effect.reply
    }
    return answer ?? (news ? NOTHING : null)
  }

  #deliver(from: Side, to: string, letter: Letter): Delivery {
    this.letters += 1
    const other = this.sides.find(({ address }) => address === to)
    const reached = other?.up === true && !this.cut.has(`${from.address} ${to}`)
    if (!reached) return { is: 'unreachable' }
    if (other.older) return { is: 'older' }
    if (other.clusterId !== from.clusterId) {
      const { address, by, served, holds, priority, clusterId } = other
      const facts = { address, by, served, holds, priority, clusterId }
      return { is: 'stranger', facts: { ...facts, directory: '/ha', mount: other.s.mount } }
    }
    const reply = this.#turn(other, (contest) => contest.onLetter(this.letters, letter))
    if (this.lateReplies || reply === null) return { is: 'unreachable' }
    return { is: 'answered', reply }
  }

  bar(side: Side) {
    return barOf(side.s, side.sight(), timing, this.nowMs)
  }
}

const NOTHING = {} as LetterReply

function two(apart: boolean) {
  const ground = new Ground()
  const files = new Set<string>()
  const a = ground.add(new Side('a:1', files, ['b:1']))
  const b = ground.add(new Side('b:1', apart ? new Set<string>() : files, ['a:1']))
  return { ground, a, b }
}

const passed = (t: Test, side: Side, address: string, wanted: boolean): void => {
  const peer = side.with(address)
  t.equal(
    peer !== undefined && isPassed(peer),
    wanted,
    `${side.address} has passed with ${address}`,
  )
}

test('one directory: it passes both ways at once, and nothing is left behind', async (t) => {
  const { ground, a, b } = two(false)
  t.match(ground.bar(a), { waits: true }, 'nothing is claimed before it was tried')
  ground.settle()
  passed(t, a, 'b:1', true)
  passed(t, b, 'a:1', true)
  t.equal(ground.bar(a), null)
  t.equal(ground.bar(b), null)
  t.equal(a.files.size, 0)
  t.equal(ground.nowMs, 0, 'no time-out takes part')
  const before = ground.letters
  ground.wait(MS)
  t.ok(ground.letters - before <= 8, `at rest ${ground.letters - before} letters in M`)
})

test('a step in which nothing is due leaves the state as it was, which whoever looks for changes sees at once', async (t) => {
  const { ground, a, b } = two(false)
  ground.settle()
  const before = [a.s, b.s]
  ground.settle()
  t.equal(a.s, before[0])
  t.equal(b.s, before[1])
})

test('two directories, none of which ever served: both are barred, and both know', async (t) => {
  const { ground, a, b } = two(true)
  ground.settle()
  for (const [side, other] of [
    [a, b],
    [b, a],
  ] as const) {
    t.match(ground.bar(side), { waits: false, byForce: true, why: /another directory.*neither/ })
    t.match(side.with(other.address)?.mismatch, { ours: 0, theirs: 0 })
    t.match(ground.bar(side)?.why, `/ha of ${other.address}`)
  }
})

test('the lower newest served term is barred, also when the other is not heard any more', async (t) => {
  const { ground, a, b } = two(true)
  a.served = 3
  b.served = 2
  ground.settle()
  t.equal(ground.bar(a), null)
  t.match(ground.bar(b), { why: /3 there, so this master may not/ })
  a.up = false
  ground.wait(2 * MS)
  t.equal(b.with('a:1')?.heard, false)
  t.match(ground.bar(b), { waits: false })
})

test('a mismatch is lifted by another incarnation that passes, by no late sight', async (t) => {
  const { ground, a, b } = two(true)
  ground.settle()
  b.files = a.files
  a.served = 1
  b.served = 1
  ground.wait(MS)
  t.not(a.with('b:1')?.mismatch, null, 'files that come late change nothing')
  ground.restart(b)
  ground.wait(MS)
  t.equal(a.with('b:1')?.mismatch, null)
  passed(t, a, 'b:1', true)
  passed(t, b, 'a:1', true)
})

test('another mount under the same process is another incarnation, and voids what had passed', async (t) => {
  const { ground, a, b } = two(false)
  ground.settle()
  passed(t, a, 'b:1', true)
  a.served = 1
  b.served = 1
  const saw = b.contest(ground.nowMs)
  saw.noteHolder(1, 'a:1', a.by)
  b.s = saw.s
  t.equal(b.s.provenTerm, 1)
  b.place = 'mount 2'
  b.files = new Set()
  ground.wait(MS)
  passed(t, a, 'b:1', false)
  t.equal(
    b.s.provenTerm,
    0,
    'the newest term of a copy is another one than that whose holder it has passed with',
  )
  t.match(ground.bar(b), { byForce: true })
  t.not(a.with('b:1')?.mismatch, null)
  t.not(b.with('a:1')?.mismatch, null)
  b.place = 'mount 3'
  b.files = a.files
  ground.wait(MS)
  t.equal(a.with('b:1')?.mismatch, null, 'and mended under it as well')
  t.equal(b.with('a:1')?.mismatch, null)
})

test('the numbers are told anew when they change, with a nonce of their own', async (t) => {
  const { ground, a, b } = two(true)
  ground.settle()
  a.served = 1
  ground.wait(timing.renewMs)
  t.match(a.with('b:1')?.mismatch, { ours: 1, theirs: 0 })
  t.match(b.with('a:1')?.mismatch, { ours: 0, theirs: 1 })
  t.equal(ground.bar(a), null)
})

test('a storage that hangs is unknown: it is waited for until M/2, and then bars nobody', async (t) => {
  const { ground, a, b } = two(false)
  b.hung = true
  ground.settle()
  t.equal(a.with('b:1')?.mine, 'unknown')
  t.equal(ground.bar(a), null)
  passed(t, a, 'b:1', false)
  b.hung = false
  ground.wait(MS)
  passed(t, a, 'b:1', true)
})

test('a peer whose own contest never comes is waited for until M/2', async (t) => {
  const { ground, a, b } = two(false)
  ground.cut.add('b:1 a:1')
  ground.settle()
  t.match(ground.bar(a), { waits: true })
  ground.wait(MS / 2)
  t.equal(ground.bar(a), null)
  t.equal(b.with('a:1')?.heard, false)
})

test('an older version is unknown, and bars nobody', async (t) => {
  const { ground, a, b } = two(true)
  b.older = true
  ground.settle()
  t.equal(a.with('b:1')?.cannot, 'older')
  t.equal(ground.bar(a), null)
})

test('an answer that comes too late counts for nothing, whatever it says', async (t) => {
  for (const apart of [false, true]) {
    const { ground, a, b } = two(apart)
    ground.lateReplies = true
    ground.settle()
    for (const side of [a, b]) {
      t.match(side.s.peers[0], { mine: 'open', theirs: 'open', mismatch: null }, `apart ${apart}`)
    }
  }
})

test('nobody who is not heard holds up a claim for longer than M/2', async (t) => {
  const { ground, a, b } = two(false)
  b.up = false
  ground.settle()
  t.equal(ground.bar(a), null, 'a refused connection is an answer')
})

test('nobody claims beside an active of another directory, with force neither', async (t) => {
  const { ground, a, b } = two(true)
  a.served = 9
  b.served = 1
  b.holds = { term: 1, by: b.by }
  ground.settle()
  t.match(ground.bar(a), {
    byForce: false,
    waits: false,
    why: /b:1 is active in term 1 of another/,
  })
  ground.cut.add('a:1 b:1')
  ground.wait(MS)
  t.equal(ground.bar(a), null, 'not heard any more, and its numbers are lower')
})

test('an active whose storage hangs is found by its term, which is not in our directory', async (t) => {
  const { ground, a, b } = two(true)
  b.served = 1
  b.holds = { term: 1, by: b.by }
  b.hung = true
  ground.settle()
  t.match(ground.bar(a), { why: /active in term 1/ })
  const same = two(false)
  same.b.served = 1
  same.b.holds = { term: 1, by: same.b.by }
  same.b.hung = true
  same.ground.settle()
  same.a.served = 1
  const sight = { served: 1, holder: { term: 1, by: same.b.by } }
  t.equal(barOf(same.a.s, sight, timing, 0), null)
})

test('whoever has passed with the holder of the newest served term is not barred by a third', async (t) => {
  const { ground, a, b } = two(true)
  const z = ground.add(new Side('z:1', a.files, ['a:1', 'b:1']))
  const list = a.contest(0)
  list.list(['b:1', 'z:1'])
  a.s = list.s
  b.served = 1
  ground.settle()
  t.match(ground.bar(a), { waits: false })
  z.served = 1
  z.holds = { term: 1, by: z.by }
  const saw = a.contest(0)
  a.served = 1
  saw.noteHolder(1, 'z:1', z.by)
  a.s = saw.s
  t.equal(a.s.provenTerm, 1)
  z.up = false
  ground.wait(MS)
  t.equal(ground.bar(a), null)
  const stranger = b.contest(0)
  stranger.noteHolder(1, 'z:1', z.by)
  t.equal(stranger.s.provenTerm, 0, 'not by the holder of a mismatch')
})

test('of two actives in two directories the one that ranks lower stands back', async (t) => {
  const { ground, a, b } = two(true)
  for (const side of [a, b]) {
    side.served = 1
    side.holds = { term: 1, by: side.by }
  }
  ground.settle()
  t.equal(standsBackFor(a.s, a), null)
  t.equal(standsBackFor(b.s, b), 'a:1')
  b.priority = 200
  t.equal(standsBackFor(b.s, b), null, 'by priority first')
  b.priority = 100
  t.notOk(mayGoOn(b.s, 'a:1'))
  a.up = false
  ground.wait(MS)
  t.notOk(mayGoOn(b.s, 'a:1'), 'a silent one may serve where it is not heard')
  a.up = true
  ground.restart(a, b.files)
  a.served = 1
  ground.wait(MS)
  t.ok(mayGoOn(b.s, 'a:1'))
})

test('another cluster at a listed address needs no contest', async (t) => {
  const { ground, a, b } = two(true)
  b.clusterId = 'other'
  ground.settle()
  t.match(a.with('b:1')?.mismatch, { found: 'the two name different clusters' })
  t.match(ground.bar(a), { waits: false })
  ground.wait(MS)
  t.ok(ground.letters < 60, `${ground.letters} letters`)
})

test('what a keeper knew, the next one of that master goes on with', async (t) => {
  const { ground, a, b } = two(true)
  ground.settle()
  const told = JSON.parse(JSON.stringify(a.s)) as ContestState
  a.s = newContest(ground.nowMs, told)
  b.up = false
  ground.settle()
  t.match(ground.bar(a), { waits: false, why: /another directory/ })
})
