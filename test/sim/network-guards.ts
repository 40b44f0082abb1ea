/**
 * The rules of a hand-over over a cut network, each broken on purpose through a port: network.ts has to find every one.
 */
import type { KeeperLink, ToKeeper } from '../../lib/ha/messages.ts'
import { type Hearing, KINDS, type Kind } from '../../lib/ha/network-rank.ts'
import type { Breaks } from './breaks.ts'

export interface NetworkGuard {
  /** What is broken. */
  readonly name: string
  readonly breaks: Breaks
  /** The world in which it shows. */
  readonly full?: string
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
  { name: 'move only when nobody is heard, instead of comparing', breaks: hearing(anybody) },
  { name: 'forget a worker as soon as it is lost', breaks: { forgetsLost: true } },
  { name: "count a worker on one's own host", breaks: { ownNetwork: 'nowhere' } },
  {
    name: 'hand over without a proof of files',
    breaks: { proveClaim: async () => null },
    full: 'm2:26001',
  },
]
