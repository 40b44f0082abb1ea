/** What a member tells of the cluster where it knows better than its keeper's last picture. */
import t from 'tap'
import { HeldTerm } from '../../../lib/ha/held-term.ts'
import { viewOf } from '../../../lib/ha/member-view.ts'
import type { Picture, Start } from '../../../lib/ha/messages.ts'

const self = { address: 'a:26001', addresses: {}, priority: 100, version: '1', master: { pid: 7 } }
const start = { self, hostname: 'h' } as unknown as Start
const picture: Picture = {
  clusterId: 'c',
  epoch: 4,
  active: null,
  peers: [],
  lastRenewalMs: 1,
  storage: 'ok',
  space: null,
  problem: 'activating term 4',
  warnings: [],
  network: { trouble: null, workers: [] },
}

t.test('why nobody is active is over when this master is', (t) => {
  let nowMs = 0
  const term = new HeldTerm({ nowMs: () => nowMs, wallMs: () => 0, after: () => () => {} })
  const see = (more: Partial<Picture> = {}, trouble: string | null = null) =>
    viewOf({ start, picture: { ...picture, ...more }, term, state: 'backup', epoch: 4, trouble })
  term.begin(4, 100)
  t.match(see(), { active: null, problem: 'activating term 4' })
  t.match(see({}, 'EIO'), { problem: /^term 4 can't be served yet: EIO$/ })
  term.serve(4)
  t.match(see(), { active: { address: 'a:26001' }, problem: null })
  t.match(see({ storage: 'unreadable', problem: 'cannot be read' }), { problem: 'cannot be read' })
  nowMs = 100
  t.match(see(), { active: null, problem: 'activating term 4' }, 'its lease is over')
  t.end()
})
