/** What a member tells of the cluster where it knows better than its keeper's last picture. */

import t from 'tap'
import { HeldTerm } from '../../../lib/ha/member/held-term.ts'
import { viewOf } from '../../../lib/ha/member/member-view.ts'
import { newContest } from '../../../lib/ha/rules/contest-state.ts'
import type { Phase } from '../../../lib/ha/rules/elector-phases.ts'
import { begin } from '../../../lib/ha/rules/elector-state.ts'
import { pictureOf } from '../../../lib/ha/rules/picture.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { Seen } from '../../../lib/ha/rules/watch.ts'
import type { Holder } from '../../../lib/ha/words/layout.ts'
import type { Picture, Start } from '../../../lib/ha/words/messages.ts'
import { TAKE_OVER } from '../../support/take-over.ts'

const self = { address: 'a:26001', addresses: {}, priority: 100, version: '1', master: { pid: 7 } }
const start = { self, hostname: 'h' } as unknown as Start
const picture: Picture = {
  clusterId: 'c',
  begunTerm: 4,
  newestTerm: 4,
  active: null,
  opening: false,
  peers: [],
  lastRenewalMs: 1,
  storage: 'ok',
  space: null,
  problem: 'activating term 4',
  failure: null,
  warnings: [],

  network: { trouble: null, workers: [] },
  contest: newContest(0),
  facts: {
    address: '',
    clusterId: '',
    directory: '',
    priority: 0,
    by: '',
    mount: 0,
    served: 0,
    holds: null,
  },
  directories: [],
}

t.test('why nobody is active is over when this master is', (t) => {
  let nowMs = 0
  const term = new HeldTerm({ nowMs: () => nowMs, wallMs: () => 0, after: () => () => {} })
  const see = (more: Partial<Picture> = {}, trouble: string | null = null) =>
    viewOf({
      start,
      picture: { ...picture, ...more },
      term,
      state: 'backup',
      begunTerm: 4,
      trouble,
    })
  term.begin(4, 100, TAKE_OVER)
  t.match(see(), { active: null, problem: 'activating term 4' })
  t.match(see({}, 'EIO'), { problem: /^term 4 can't be served yet: EIO$/ })
  term.open(4)
  t.match(see(), { active: null, problem: 'activating term 4' }, 'until it is told to serve')
  term.serve(4)
  t.match(see(), { active: { address: 'a:26001' }, problem: null })
  t.match(see({ storage: 'unreadable', problem: 'cannot be read' }), { problem: 'cannot be read' })
  nowMs = 100
  t.match(see(), { active: null, problem: 'activating term 4' }, 'its lease is over')
  t.end()
})

t.test('a claim that may be given up is no newer term to anybody', (t) => {
  const nowMs = 0
  const self = { address: 'a:26001', master: { pid: 7 } } as Holder
  const beginning = { address: self.address, priority: 100, timing: makeTiming(), nowMs }
  const seen = { newest: 18, servedTerm: 17, pulses: [], holder: null } as unknown as Seen
  const tell = (held: number | null, phase: Phase | null) => {
    const resume =
      held === null ? null : { term: held, serving: true, untilMs: 100, takeOver: TAKE_OVER }
    const begun = begin({ ...beginning, canFence: false, resume })
    const state = { ...begun, watch: { ...begun.watch, seen }, phase: phase ?? begun.phase }
    const facts = {
      clusterId: 'c',
      peers: [],
      warnings: [],
      critical: [],
      space: null,
      unwritable: null,
    }
    const { begunTerm, newestTerm } = pictureOf({
      state,
      self,
      lastRenewalMs: null,
      nowMs,
      ...facts,
    })
    return { epoch: begunTerm, newestTerm }
  }
  const phase = (name: 'claiming' | 'ending' | 'activating') => ({ name, term: 18 }) as Phase
  t.same(tell(17, null), { epoch: 17, newestTerm: 18 }, 'the holder below goes on under its own')
  t.same(tell(null, null), { epoch: 17, newestTerm: 18 }, 'whoever watches goes on following it')
  t.same(tell(18, phase('claiming')), { epoch: 17, newestTerm: 18 })
  t.same(tell(18, phase('ending')), { epoch: 17, newestTerm: 18 })
  t.same(tell(18, phase('activating')), { epoch: 18, newestTerm: 18 }, 'all below it are ended')
  t.end()
})

t.test('who has claimed a term and not served it opens, whatever numbers are above it', (t) => {
  const nowMs = 0
  const own = { address: 'a:26001', master: { pid: 7 } } as Holder
  const addresses = { umbilical: 'b:26001' }
  const holder = { address: 'b:26001', addresses, master: { pid: 8 } } as unknown as Holder
  const beginning = { address: own.address, priority: 100, timing: makeTiming(), nowMs }
  const opening = (of: { newest: number; holderTerm: number }, isLive = true) => {
    const pulses = [{ term: of.holderTerm, mtimeMs: 1e12 }]
    const seen = { ...of, servedTerm: 17, pulses, holder: isLive ? holder : null }
    const begun = begin({ ...beginning, canFence: false, resume: null })
    const watch = { ...begun.watch, seen: seen as unknown as Seen, lastMs: nowMs, startedMs: nowMs }
    const facts = { clusterId: 'c', peers: [], warnings: [], critical: [], space: null }
    const { active, opening } = pictureOf({
      ...{ ...facts, unwritable: null, lastRenewalMs: null },
      ...{ state: { ...begun, watch }, self: own, nowMs },
    })
    return { active: active?.address ?? null, opening }
  }
  const active = holder.address
  t.same(opening({ newest: 18, holderTerm: 18 }), { active, opening: true })
  t.same(opening({ newest: 17, holderTerm: 17 }), { active, opening: false })
  t.same(
    opening({ newest: 18, holderTerm: 17 }),
    { active, opening: false },
    'a claim above has come to nothing',
  )
  t.same(opening({ newest: 18, holderTerm: 18 }, false), { active: null, opening: false })
  t.end()
})
