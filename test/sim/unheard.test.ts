/**
 * A word that the other process does not know, as after an upgrade under a running master: the master passes it over and
 * goes on serving. In the election itself it is a mistake of ours, which ends the keeper at once, whatever waits for it;
 * its master starts another one, which goes on with the term.
 */
import { test } from 'tap'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import type { KeeperLink, MasterLink, ToKeeper, ToMaster } from '../../lib/ha/words/messages.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import { drawProfile, WITHOUT_FAULTS } from './profile.ts'

const M = 2000
/** A master's channel and its keeper's, each with words put in between. */
interface Ends {
  master?: (message: ToMaster) => void
  keeper?: (message: ToKeeper) => void
}

async function alone(run: (cluster: Cluster, ends: Ends) => Promise<void>): Promise<void> {
  const ends: Ends = {}
  const breaks: Breaks = {
    masterLink: (link): MasterLink => ({
      ...through(link),
      onMessage: (listener) => {
        ends.master = listener
        link.onMessage(listener)
      },
    }),
    keeperLink: (link): KeeperLink => ({
      ...through(link),
      onMessage: (listener) => {
        ends.keeper = listener
        link.onMessage(listener)
      },
    }),
  }
  const timing = makeTiming(M)
  const profile = {
    ...drawProfile(1),
    ...WITHOUT_FAULTS,
    ...{ masters: 1, hosts: 1, network: null, auditReads: true, timing, timings: [timing] },
  }
  const cluster = new Cluster(profile, breaks, null)
  for (const master of cluster.masters) master.start()
  await cluster.world.timeline.runUntil(2 * M)
  await run(cluster, ends)
}

const through = <Out, In>(link: {
  send(message: Out): void
  onMessage(listener: (message: In) => void): void
  onClose(listener: () => void): void
}) => ({
  send: (message: Out) => link.send(message),
  onClose: (listener: () => void) => link.onClose(listener),
})

test('a master passes over what its keeper says and it does not know', async (t) => {
  await alone(async (cluster, ends) => {
    const { active } = cluster
    const life = active?.life
    ends.master?.({ type: 'unheard-of' } as unknown as ToMaster)
    await cluster.world.timeline.runUntil(3 * M)
    t.ok(active?.serves, 'it serves')
    t.equal(active?.life, life, 'in the same life')
  })
})

test('a keeper that is fed what its election does not know ends, and another goes on', async (t) => {
  await alone(async (cluster, ends) => {
    const { active } = cluster
    const { life = null, heldTerm: term } = active ?? {}
    const keeper = life?.keeper
    ends.keeper?.({ type: 'unheard-of' } as unknown as ToKeeper)
    t.equal(keeper?.alive, false, 'at once')
    await cluster.world.timeline.runUntil(3 * M)
    t.ok(active?.serves, 'it serves')
    t.equal(active?.life, life, 'in the same life')
    t.not(active?.life?.keeper, keeper)
    t.equal(active?.heldTerm, term, 'under the same term')
  })
})
