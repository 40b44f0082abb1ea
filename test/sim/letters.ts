/**
 * Letters of the contest between simulated masters, over the world's links: they take their time, get lost where a link is
 * cut, and are refused at once where nobody runs. What the product's transport decides by seals and ids is the same here.
 */

import type { MemberCore } from '../../lib/ha/member/member.ts'
import type { Delivery, Letter } from '../../lib/ha/rules/contest-state.ts'
import type { Master } from './master.ts'
import { clockOf } from './world/host.ts'
import type { Links } from './world/links.ts'
import type { SimProcess } from './world/process.ts'
import type { World } from './world/world.ts'

export interface LettersOptions {
  readonly links: Links
  /** Addresses of the others, as this master has them. */
  readonly listed: readonly string[]
  /** Of the cluster that this master forms if it is the first in its directory. */
  readonly clusterId: string
}

interface Carried extends LettersOptions {
  readonly world: World
  readonly master: Master
  readonly process: SimProcess
  readonly core: MemberCore
  readonly masters: () => readonly Master[]
}

/** One way. */
const TRAVELS_MS = [0.1, 1] as const

export function carryLetters(carried: Carried): void {
  const { core, process, world, master, links, masters } = carried
  core.onLetter((to, letter) => {
    const me = master.host.name
    const limitMs = master.timing.monitorMs / 2
    return new Promise((resolve) => {
      clockOf(process).after(limitMs, () => resolve({ is: 'unreachable' }))
      const home = (end: string, delivery: Delivery): void =>
        world.after(world.random.between(...TRAVELS_MS), () => {
          if (!links.reaches(end, me)) return
          process.deliver({
            kind: 'message',
            run: () => {
              resolve(delivery)
              return true
            },
          })
        })
      world.after(world.random.between(...TRAVELS_MS), () => {
        const other = masters().find(({ address }) => address === to)
        if (other === undefined || !other.host.up || !links.reaches(me, other.host.name)) return
        const answer = (delivery: Delivery): void => home(other.host.name, delivery)
        const { life } = other
        if (!other.alive || life === null) answer({ is: 'unreachable' })
        else {
          life.process.deliver({
            kind: 'message',
            run: () => {
              read(life.core, letter).then(answer, () => answer({ is: 'unreachable' }))
              return true
            },
          })
        }
      })
    })
  })
}

async function read(core: MemberCore, letter: Letter): Promise<Delivery> {
  const facts = core.facts()
  if (facts === null || facts.clusterId === '') return { is: 'unreachable' }
  if (facts.clusterId !== letter.clusterId) return { is: 'stranger', facts }
  return { is: 'answered', reply: await core.letter(letter) }
}
