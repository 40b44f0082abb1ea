/** Queries of all terms, newest first: filtered and paged by the master, so that five thousand cost no more than fifty. */
import { h } from './dom.js'
import { count, dateTime, duration, shortened } from './format.js'
import { killButton, OPEN } from './kill.js'
import { Loaded } from './load.js'
import { badge, heading, pager, table, trouble } from './parts.js'
import { queryDetails } from './query-details.js'
import { hrefOf } from './route.js'
import { searchForm } from './search-form.js'
import { nowMs, state } from './store.js'

/** @typedef {import('./types.d.ts').QueryRecord} QueryRecord */
/** @type {Loaded<{queries: QueryRecord[], total: number, counts: import('./types.d.ts').Counts}>} */
const list = new Loaded()
const LIMIT = 50
const STATES = /** @type {(keyof typeof OPEN)[]} */ (Object.keys(OPEN))

/** @param {import('./route.js').Route} route */
function render({ query, parts: [queryId] }) {
  if (queryId !== undefined) return queryDetails(queryId)
  const filter = { state: query.get('state') ?? '', search: query.get('search') ?? '' }
  const offset = Math.max(0, Number(query.get('offset')) || 0)
  const wanted = new URLSearchParams({ limit: String(LIMIT), offset: String(offset) })
  for (const [name, value] of Object.entries(filter)) if (value !== '') wanted.set(name, value)
  list.want(`/api/v1/queries?${wanted}`, state.queriesTick)
  return [
    heading('Queries'),
    filters(filter),
    trouble(list),
    list.data === null ? null : rowsOf(list.data.queries, filter),
    list.data === null
      ? null
      : pager({ words: ['queries'], query: filter, offset, limit: LIMIT, total: list.data.total }),
  ]
}

/** @param {{state: string, search: string}} filter */
function filters(filter) {
  const counts = state.cluster?.queryCounts
  const chosen = filter.state === '' ? [] : filter.state.split(',')
  const all = counts == null ? null : STATES.reduce((sum, name) => sum + counts[name], 0)
  return searchForm(
    { label: 'Text, user or id', words: ['queries'], query: filter },
    h(
      'div',
      { class: 'row', role: 'group', 'aria-label': 'State' },
      chip('all', all, chosen.length === 0, { ...filter, state: '' }),
      STATES.map((name) =>
        chip(name, counts?.[name] ?? null, chosen.includes(name), { ...filter, state: name }),
      ),
    ),
  )
}

/** @param {string} text @param {number | null} many @param {boolean} on @param {Record<string, string>} filter */
const chip = (text, many, on, filter) =>
  h(
    'a',
    { class: 'button', href: hrefOf(['queries'], filter), 'aria-current': on ? 'true' : null },
    `${text} `,
    h('span', { class: 'number' }, count(many)),
  )

/** @param {readonly QueryRecord[]} loaded @param {{state: string, search: string}} filter */
function rowsOf(loaded, filter) {
  // What was heard since is newer than the list.
  const news = new Map(state.changed.map((query) => [query.queryId, query]))
  const rows = loaded.map((query) => later(query, news.get(query.queryId)))
  return table({
    caption: 'Queries, newest first',
    label: 'Queries',
    columns: [
      {
        title: 'Query',
        look: 'line',
        cell: (one) =>
          h(
            'a',
            { href: hrefOf(['queries', one.queryId]), class: 'sql' },
            shortened(one.sql, 200) || '(empty)',
          ),
      },
      {
        title: 'State',
        cell: (one) => [badge(one.state), one.state === 'running' ? bar(one) : null],
      },
      { title: 'Action', cell: (one) => killButton(one) },
      { title: 'Took', look: 'number', cell: (one) => duration(tookMs(one)) },
      { title: 'Rows', look: 'number', cell: (one) => count(one.rows) },
      { title: 'Submitted', look: 'number', cell: (one) => dateTime(one.submittedMs) },
      { title: 'User', cell: (one) => one.user },
      { title: 'Master, term', cell: (one) => `${one.master}, ${one.epoch}` },
      { title: 'Worker', cell: (one) => one.worker ?? '–' },
    ],
    rows,
    key: ({ queryId }) => queryId,
    empty:
      filter.state === '' && filter.search === ''
        ? 'No query was submitted yet.'
        : 'No query fits.',
  })
}

/** @param {QueryRecord} known @param {QueryRecord | undefined} heard */
function later(known, heard) {
  if (heard === undefined || known.finishedMs !== null || heard.epoch < known.epoch) return known
  return heard.progress >= known.progress || heard.finishedMs !== null ? heard : known
}

/** @param {QueryRecord} query */
const bar = ({ progress }) =>
  h('progress', { max: '1', value: progress, 'aria-label': `${Math.round(progress * 100)} % done` })

/** @param {QueryRecord} query */
export const tookMs = ({ startedMs, finishedMs }) =>
  startedMs === null ? null : Math.max(0, (finishedMs ?? nowMs()) - startedMs)

/** @type {import('./main.js').View} */
export const queriesView = { title: 'Queries', render }
