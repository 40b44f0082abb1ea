/**
 * The rules of a hand-over over a cut network, each broken on purpose through a port: network.ts has to find every one.
 */

import type { Publication } from '../../lib/ha/directory/network-publication.ts'
import type { Keeper } from '../../lib/ha/keeper/keeper.ts'
import { type Hearing, KINDS, type Kind, type Rank } from '../../lib/ha/rules/network-rank.ts'
import type { KeeperLink, ToKeeper } from '../../lib/ha/words/messages.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import type { Breaks } from './breaks.ts'
import type { Master } from './master.ts'
import type { Course } from './network-courses.ts'

export interface NetworkGuard {
  /** What is broken. */
  readonly name: string
  readonly breaks?: Breaks
  /** Takes something out of each keeper's memory at each turn: what a keeper remembers is its own. */
  readonly forget?: (master: Master) => void
  /** The world in which it shows. */
  readonly full?: string
  readonly course?: Course
  /** The first seed at which it shows, where that is a late one. */
  readonly seed?: number
}

/** What the keeper is told by its master of the network, changed on the way. */
const hearing = (lie: (hearing: Hearing) => Hearing): Breaks => ({
  keeperLink: (link): KeeperLink => ({
    send: (message) => link.send(message),
    onMessage: (listener) =>
      link.onMessage((message: ToKeeper) =>
        listener(
          message.type === 'hears' ? { ...message, hearing: lie(message.hearing) } : message,
        ),
      ),
    onClose: (listener) => link.onClose(listener),
  }),
})

const ofEach = (value: (kind: Kind) => number | null): Hearing['heardMs'] => ({
  worker: value('worker'),
  witness: value('witness'),
  master: value('master'),
})

/** Whoever hears anybody hears as much as everybody. */
const anybody = (told: Hearing): Hearing => {
  const heard = Math.max(...KINDS.map((kind) => told.heardMs[kind] ?? Number.NEGATIVE_INFINITY))
  const some = heard > Number.NEGATIVE_INFINITY
  const workersHeard = some ? [{ network: null, heardMs: heard }] : []
  return { ...told, heardMs: ofEach(() => (some ? heard : null)), workersHeard }
}

/** What was heard once is told as heard just now. */
const stale = (): Breaks => {
  const best = new Map<string, Hearing>()
  return {
    keeperLink: (link, { notes }) => {
      const life = (notes.get('life') as string | undefined) ?? `${best.size}`
      notes.set('life', life)
      const lie = (told: Hearing): Hearing => {
        const before = best.get(life) ?? told
        const sum = ofEach((kind) =>
          before.heardMs[kind] === null && told.heardMs[kind] === null ? null : told.madeMs,
        )
        const workersHeard = [...before.workersHeard, ...told.workersHeard].map(({ network }) => ({
          network,
          heardMs: told.madeMs,
        }))
        best.set(life, { ...told, heardMs: sum, workersHeard })
        // The active knows better: only answers are old.
        return told.workers.length > 0 ? told : { ...told, heardMs: sum, workersHeard }
      }
      return hearing(lie).keeperLink?.(link, {} as never) ?? link
    },
  }
}

/** What was heard at rest, by requests of before the offer, passes for an answer to requests that were sent since. */
const asOfNow = (told: Hearing): Hearing => {
  // The active knows better: only answers are old.
  if (told.workers.length > 0) return told
  const { heardMs, madeMs, workersHeard } = told
  return {
    ...told,
    heardMs: ofEach((kind) => (heardMs[kind] === null ? null : madeMs)),
    workersHeard: workersHeard.map(({ network }) => ({ network, heardMs: madeMs })),
  }
}

/** The next higher one, so that what is equal to it passes for more. */
const aboveIt = ({ worker, witness, master }: Rank): Rank => {
  if (!master) return { worker, witness, master: true }
  if (!witness) return { worker, witness: true, master: false }
  return { worker: true, witness: worker, master: worker }
}

/** What a backup answers, changed on its way into the directory. */
const answering = (lie: (publication: Publication) => Publication): Breaks => ({
  disk: (disk): Disk => {
    const { create } = disk
    disk.create = (purpose, path, text) => {
      if (!path.includes('.network-')) return create.call(disk, purpose, path, text)
      const told = JSON.parse(text) as Publication
      const changed = told.answer === null ? told : lie(told)
      return create.call(disk, purpose, path, JSON.stringify(changed))
    }
    return disk
  },
})

type Memory = { -readonly [K in keyof Keeper['state']['network']]: Keeper['state']['network'][K] }

const forgets =
  (change: (memory: Memory) => void) =>
  ({ life }: Master): void => {
    const memory = life?.keeperCore?.state.network
    if (memory !== undefined) change(memory)
  }

export const NETWORK_GUARDS: readonly NetworkGuard[] = [
  {
    name: 'count what is received as heard',
    breaks: {
      ask: (ask, receives) => async (target, limitMs) => {
        const answer = await ask(target, limitMs)
        return receives(target) ? 'answered' : answer
      },
    },
  },
  { name: 'take an old answer to an offer', breaks: stale() },
  {
    name: 'answer with what was heard before the offer',
    breaks: hearing(asOfNow),
    seed: 14,
  },
  {
    name: 'hand over for an answer that is no higher',
    breaks: answering((told) => ({ ...told, rank: aboveIt(told.rank) })),
    seed: 14,
  },
  {
    name: 'offer the role again at once to a backup that could not take it',
    forget: forgets((memory) => {
      memory.failures = []
    }),
    full: 'm2:26001',
    seed: 8,
  },
  { name: 'move only when nobody is heard, instead of comparing', breaks: hearing(anybody) },
  { name: 'forget a worker as soon as it is lost', breaks: { forgetsLost: true } },
  { name: "count a worker on one's own host", breaks: { ownNetwork: 'nowhere' } },
  {
    name: 'hand over without a proof of files',
    breaks: { proveClaim: async () => null },
    full: 'm2:26001',
  },
  {
    name: 'count M/2 from when the silence was found',
    breaks: hearing((told) => ({ ...told, sinceMs: told.madeMs })),
    course: 'cuts',
  },
  {
    name: "count M/2 from the other's newest publication",
    forget: forgets((memory) => {
      memory.posted = memory.posted.map((one) => ({
        ...one,
        aboveMs: one.aboveMs.map(() => one.seenMs),
      }))
    }),
    course: 'cuts',
  },
  {
    name: 'answer an offer before it has measured',
    forget: forgets((memory) => {
      const { answering } = memory
      if (answering !== null) memory.answering = { ...answering, trouble: null, answered: true }
    }),
    course: 'cuts',
  },
  {
    name: 'offer the role as soon as another hears more',
    forget: forgets((memory) => {
      if (memory.belowMs !== null) memory.belowMs = Number.NEGATIVE_INFINITY
    }),
    course: 'short flaps',
  },
  {
    name: 'forget how often the role has moved',
    forget: forgets((memory) => {
      memory.moves = { ...memory.moves, count: 0 }
    }),
    course: 'swings',
  },
  {
    name: 'take an answer that is older than 2Q',
    forget: forgets((memory) => {
      if (memory.offer !== null) {
        memory.offer = { ...memory.offer, absentMs: Number.POSITIVE_INFINITY }
      }
    }),
    course: 'old answers',
  },
]
