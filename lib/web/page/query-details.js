/** One query, whole: its statement, its error, and who ran it under which master. */
import { h } from './dom.js'
import { count, dateTime, duration } from './format.js'
import { killButton } from './kill.js'
import { Loaded } from './load.js'
import { badge, fact, heading, notice, trouble } from './parts.js'
import { nowMs, state } from './store.js'

/** @type {Loaded<{query: import('./types.d.ts').QueryRecord}>} */
const loaded = new Loaded()
let shown = ''

/** @param {string} queryId */
export function queryDetails(queryId) {
  if (queryId !== shown) loaded.data = null
  shown = queryId
  const query = loaded.data?.query ?? null
  const over = query !== null && query.finishedMs !== null
  // The progress of a running one is worth a look each second.
  const moment = over ? '' : Math.floor(Date.now() / 1000)
  loaded.want(
    `/api/v1/queries/${encodeURIComponent(queryId)}`,
    `${over ? '' : state.queriesTick} ${moment}`,
  )
  const back = h('p', null, h('a', { href: '#/queries' }, 'All queries'))
  if (query === null) return [heading('Query'), back, trouble(loaded)]
  const { startedMs, finishedMs, error } = query
  return [
    heading('Query'),
    back,
    h(
      'p',
      { class: 'row' },
      badge(query.state),
      query.state === 'running'
        ? h('progress', { max: '1', value: query.progress, 'aria-label': 'Progress' })
        : null,
      killButton(query),
    ),
    error === null
      ? null
      : notice(
          'critical',
          error.place === null ? '' : `Line ${error.place.line}, column ${error.place.column}: `,
          error.message,
        ),
    query.message === null ? null : notice('good', query.message),
    h('pre', { class: 'sql', tabindex: '0', 'aria-label': 'Statement' }, query.sql),
    h(
      'dl',
      { class: 'facts' },
      fact('Id', query.queryId),
      fact('Kind', query.kind),
      fact('User', query.user),
      fact('Database', query.database),
      fact('Submitted', dateTime(query.submittedMs)),
      fact('Waited', startedMs === null ? '–' : duration(startedMs - query.submittedMs)),
      fact('Took', startedMs === null ? '–' : duration((finishedMs ?? nowMs()) - startedMs)),
      fact('Rows', count(query.rows)),
      fact('Attempt', count(query.attempt)),
      fact('Master', query.master),
      fact('Term', count(query.epoch)),
      fact('Worker', query.worker ?? '–'),
      ...(query.failures ?? []).map(({ attempt, why }) => fact(`Attempt ${attempt}`, why)),
    ),
  ]
}
