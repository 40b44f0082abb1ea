/** Whom a master asks over the network, and which workers it lets the others know. */
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { Hearing, KnownWorker, MemberView } from '../../../lib/ha/index.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { MasterNetwork } from '../../../lib/master/network/network.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { until } from '../../support/until.ts'

t.test(
  'a worker that the active has lost is let known further: a backup may reach it',
  async (t) => {
    const worker: KnownWorker = {
      address: `127.0.0.1:${await freePortRow(1)}`,
      network: 'elsewhere',
    }
    let registered: readonly KnownWorker[] = [worker]
    const told: Hearing[] = []
    const network = new MasterNetwork({
      timing: makeTiming(500),
      network: 'here',
      witnesses: [],
      clusterId: () => 'c',
      secret: () => 'x'.repeat(64),
      term: () => 1,
      quietSinceMs: () => null,
      registered: () => registered,
      tell: (hearing) => told.push(hearing),
      clock: systemClock,
    })
    t.teardown(() => network.close())
    const view = {
      self: { address: 'a:26001' },
      active: null,
      peers: [],
      network: { workers: [] },
    } as unknown as MemberView
    network.follow(view, true)
    await until('it is told', () => told.at(-1)?.workers.length === 1)
    registered = []
    network.follow(view, true)
    network.want(true)
    const before = told.length
    await until('it is told anew', () => told.length > before + 2)
    t.same(told.at(-1)?.workers, [worker])
    t.match(told.at(-1), { known: { worker: true }, heardMs: { worker: null } })
  },
)
