/** The rules of the contest, each left out through a port: apart.ts has to find every one. */
import type {
  ContestFacts,
  Delivery,
  Letter,
  LetterReply,
  Told,
} from '../../lib/ha/rules/contest-state.ts'
import type { KeeperLink, ToKeeper } from '../../lib/ha/words/messages.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import type { GroundName } from './apart.ts'
import type { Breaks } from './breaks.ts'
import type { Master } from './master.ts'

export interface ApartGuard {
  /** What is left out. */
  readonly name: string
  /** The world in which it shows, and as what. */
  readonly ground: GroundName
  readonly finds: RegExp
  readonly breaks?: Breaks
  readonly forget?: (master: Master) => void
}

/** What the keeper hears from its master, changed on the way; null: nothing. */
const hearing = (lie: (message: ToKeeper) => ToKeeper | null): Breaks => ({
  keeperLink: (link): KeeperLink => ({
    send: (message) => link.send(message),
    onMessage: (listener) =>
      link.onMessage((message) => {
        const told = lie(message)
        if (told !== null) listener(told)
      }),
    onClose: (listener) => link.onClose(listener),
  }),
})

/** What another master tells, by its letters and its answers. */
const told = (
  lie: <F extends ContestFacts & Partial<Letter & LetterReply>>(said: F) => F,
): Breaks =>
  hearing((message) => {
    if (message.type === 'letter') return { ...message, letter: lie(message.letter) }
    if (message.type !== 'delivered') return message
    return { ...message, delivery: ofDelivery(message.delivery) }
    function ofDelivery(delivery: Delivery): Delivery {
      if (delivery.is === 'answered') return { ...delivery, reply: lie(delivery.reply) }
      return delivery.is === 'stranger' ? { ...delivery, facts: lie(delivery.facts) } : delivery
    }
  })

/** In place of the exclusive create: the other's file has to be seen, however late. */
const bySight: Breaks = {
  disk: (disk, { clock, timing }): Disk => {
    const { create } = disk
    const sees = async (path: string, untilMs: number): Promise<boolean> => {
      const text = await disk.read('contest', path)
      if (text !== 'missing' && text !== '') return true
      if (clock.nowMs() >= untilMs) return false
      await new Promise<void>((done) => void clock.after(timing.pollMs / 4, done))
      return sees(path, untilMs)
    }
    disk.create = async (purpose, path, text) => {
      if (purpose !== 'contest' || text !== '') return create.call(disk, purpose, path, text)
      const seen = await sees(path, clock.nowMs() + 1.9 * timing.renewMs)
      return seen ? 'exists' : create.call(disk, purpose, path, text)
    }
    return disk
  },
}

type Peers = {
  heard: boolean
  mismatch: unknown
  mine: string
  theirs: string
  tried: boolean
  facts: { holds: unknown } | null
  openSinceMs: number
}[]

const peersOf = ({ life }: Master): Peers =>
  (life?.keeperCore?.state.contest.peers ?? []) as unknown as Peers

const stillOpen = <S extends Told>(said: S): S =>
  said.mine === 'unknown' ? { ...said, mine: 'open' } : said

export const APART_GUARDS: readonly ApartGuard[] = [
  {
    name: 'no contest at all',
    ground: 'apart',
    finds: /^(beside|lasting)/,
    breaks: hearing((message) =>
      message.type === 'delivered' ? { ...message, delivery: { is: 'older' } } : message,
    ),
  },
  {
    name: 'by sight, not by a contest',
    ground: 'late',
    finds: /^(beside|known|lasting)/,
    breaks: bySight,
  },
  {
    name: 'one way is enough',
    ground: 'oneway',
    finds: /^(beside|known|lasting)/,
    breaks: told((said) => ({
      ...said,
      mine: 'exists',
      ...('check' in said && said.check !== null && { check: 'exists' }),
    })),
  },
  {
    name: 'a mismatch is forgotten with its master',
    ground: 'apart',
    finds: /^known/,
    forget: (master) => {
      for (const peer of peersOf(master)) {
        if (peer.heard) continue
        peer.mismatch = null
        peer.mine = 'open'
        peer.theirs = 'open'
      }
    },
  },
  {
    name: 'a started master claims before it has tried the others',
    ground: 'apart',
    finds: /^beside/,
    forget: (master) => {
      for (const peer of peersOf(master)) peer.tried = true
    },
  },
  {
    name: 'nobody stands back, and nobody minds an active one',
    ground: 'apart',
    finds: /^(beside|lasting)/,
    breaks: told((said) => ({ ...said, holds: null })),
  },
  {
    name: 'a mismatch bars whatever the numbers are',
    ground: 'typo',
    finds: /^blocked/,
    breaks: told((said) => ({ ...said, served: 1_000_000 })),
  },
  {
    name: 'another cluster is no mismatch',
    ground: 'strangers',
    finds: /^(beside|lasting)/,
    breaks: hearing((message) =>
      message.type === 'delivered' && message.delivery.is === 'stranger'
        ? { ...message, delivery: { is: 'unreachable' } }
        : message,
    ),
  },
  {
    name: 'an active whose term is not in the own directory is minded in a mismatch only',
    ground: 'hung',
    finds: /^beside/,
    forget: (master) => {
      for (const peer of peersOf(master)) {
        if (peer.mismatch === null && peer.facts !== null) peer.facts.holds = null
      }
    },
  },
  {
    name: 'a mount that changes voids nothing',
    ground: 'moved',
    finds: /^(beside|known|lasting)/,
    breaks: { mountName: 'ever the same' },
  },
  {
    name: 'what is not known blocks',
    ground: 'stuck',
    finds: /^blocked/,
    breaks: hearing((message) => {
      if (message.type === 'letter') return { ...message, letter: stillOpen(message.letter) }
      if (message.type !== 'delivered' || message.delivery.is !== 'answered') return message
      const { delivery } = message
      if (delivery.reply.check === 'unknown') return null
      return { ...message, delivery: { ...delivery, reply: stillOpen(delivery.reply) } }
    }),
    forget: (master) => {
      for (const peer of peersOf(master)) {
        const isPassed = peer.mine === 'exists' && peer.theirs === 'exists'
        if (peer.heard && !isPassed) peer.openSinceMs = Number.MAX_VALUE
      }
    },
  },
]
