/** Each term, newest first: who, after whom, why, and how long each phase of the change took. */
import { h } from './dom.js'
import { dateTime, duration, span } from './format.js'
import { Loaded } from './load.js'
import { fact, heading, named, pager, table, trouble } from './parts.js'
import { PHASES } from './phases.js'
import { hrefOf } from './route.js'
import { nowMs, state } from './store.js'

/** @typedef {import('./types.d.ts').Term} Term */

const LIMIT = 25
/** @type {Loaded<{history: Term[]}>} */
const older = new Loaded()

/** @param {import('./route.js').Route} route */
function render({ query }) {
  const offset = Math.max(0, Number(query.get('offset')) || 0)
  const all = query.has('older')
  if (all) older.want('/api/v1/history?limit=1000', state.cluster?.epoch ?? 0)
  const terms = (all ? older.data?.history : state.history) ?? null
  if (terms === null) return [heading('Failovers'), trouble(older)]
  return [
    heading('Failovers'),
    h(
      'p',
      { class: 'note' },
      'Each term is one master’s time as the active one. A bar shows the time from the last heartbeat of the one before, which served on until it died or let go, until this one served.',
    ),
    terms.length === 0 ? h('p', { class: 'empty' }, 'No master has been active yet.') : null,
    h(
      'ol',
      { class: 'terms', reversed: true },
      terms
        .slice(offset, offset + LIMIT)
        .map((term, at) => item(term, terms[offset + at - 1], terms)),
    ),
    pager({
      words: ['failovers'],
      query: all ? { older: '1' } : {},
      offset,
      limit: LIMIT,
      total: terms.length,
    }),
    all || terms.length < 50
      ? null
      : h('p', null, h('a', { href: hrefOf(['failovers'], { older: '1' }) }, 'Older terms')),
  ]
}

/** @param {Term} entry @param {Term | undefined} next @param {readonly Term[]} all */
function item(entry, next, all) {
  const { term, served } = entry
  const worst = Math.max(1, ...all.map((one) => one.served?.phases.totalMs ?? 0))
  const current = next === undefined && state.cluster?.active === term.address
  return h(
    'li',
    { key: String(term.term), class: served === null ? 'unserved' : current ? 'current' : null },
    h(
      'details',
      { open: entry === all[0] },
      h(
        'summary',
        null,
        h('span', { class: 'number' }, `Term ${term.term}`),
        h('strong', { class: 'name' }, term.address),
        h('span', { class: 'why' }, entry.why),
        h('time', { datetime: term.at }, dateTime(term.at)),
        h('span', { class: 'number total' }, outcome(entry)),
        served === null || term.previousAddress === null ? null : bar(served.phases, worst),
      ),
      body(entry, next),
    ),
  )
}

/** @param {Term} entry */
const outcome = ({ term, served }) =>
  served === null
    ? 'not known to have served'
    : term.previousAddress === null
      ? 'first'
      : `${duration(served.phases.totalMs)} from the heartbeat`

/** @param {import('./types.d.ts').Phases} phases @param {number} worst */
const bar = (phases, worst) =>
  h(
    'span',
    { class: 'phases', 'aria-hidden': 'true' },
    PHASES.map(([name], at) =>
      h('span', { class: `phase p${at}`, style: { width: `${(100 * phases[name]) / worst}%` } }),
    ),
  )

/** @param {Term['term']} term */
const before = ({ previousAddress, previousTerm }) =>
  previousAddress ?? (previousTerm === 0 ? 'no term, this is the first' : `term ${previousTerm}`)

/** Its own last word, which is known once the new master serves. @param {Term} entry */
function howThatEnded({ term, served, ended }) {
  if (served === null || term.previousAddress === null) return null
  const end = served.previousEnd
  return fact(
    'How that ended',
    end === null
      ? 'without a word'
      : [
          `${ended ?? end.reason}, told by `,
          named(end.by),
          ', ',
          h('time', { datetime: end.at }, dateTime(end.at)),
        ],
  )
}

/** @param {Term} entry @param {Term | undefined} next */
function body(entry, next) {
  const { term, served } = entry
  const endedMs = next === undefined ? null : Date.parse(next.term.at)
  const ageMs = (endedMs ?? nowMs()) - Date.parse(term.at)
  return h(
    'div',
    { class: 'opened' },
    h('p', null, term.evidence),
    h(
      'dl',
      { class: 'facts' },
      fact('Active', `${term.address} on `, named(term.hostname)),
      fact('Before', before(term)),
      howThatEnded(entry),
      term.orderedBy === undefined ? null : fact('Asked for by', named(term.orderedBy)),
      fact('Claimed', dateTime(term.at)),
      fact('Served from', served === null ? 'never' : dateTime(served.servedAt)),
      fact(endedMs === null ? 'For' : 'Until the next term', span(ageMs)),
    ),
    served === null || term.previousAddress === null ? null : phaseTable(term.term, served.phases),
  )
}

/** @param {number} term @param {import('./types.d.ts').Phases} phases */
const phaseTable = (term, phases) =>
  table({
    caption: `Phases of the change to term ${term}`,
    label: `Phases of term ${term}`,
    columns: [
      {
        title: 'Phase',
        cell: ([, title, , at]) => [
          h('span', { class: `swatch p${at}`, 'aria-hidden': 'true' }),
          title,
        ],
      },
      { title: 'Took', look: 'number', cell: ([name]) => duration(phases[name]) },
      { title: 'From … until', look: 'wide', cell: ([, , meaning]) => meaning },
    ],
    rows: [
      ...PHASES.map(
        ([name, title, meaning], at) => /** @type {const} */ ([name, title, meaning, at]),
      ),
      /** @type {const} */ (['totalMs', 'All', 'from the last heartbeat until it served', -1]),
    ],
    key: ([name]) => name,
    empty: '',
  })

/** @type {import('./main.js').View} */
export const failoversView = { title: 'Failovers', render }
