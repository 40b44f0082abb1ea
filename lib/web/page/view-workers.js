/** The workers of the cluster, as the active master knows them. */
import { h } from './dom.js'
import { count, duration, several } from './format.js'
import { Loaded } from './load.js'
import { badge, heading, named, notice, pager, table, trouble } from './parts.js'
import { searchForm } from './search-form.js'
import { state } from './store.js'

/** @typedef {import('./types.d.ts').Worker} Worker */
/** @type {Loaded<{workers: Worker[], asOfMs: number | null}>} */
const loaded = new Loaded()
const LIMIT = 100

/** @param {import('./route.js').Route} route */
function render({ query }) {
  // A heartbeat's age is worth another look each few seconds.
  loaded.want('/api/v1/workers', `${state.workersTick} ${Math.floor(Date.now() / 3000)}`)
  const search = query.get('search') ?? ''
  const offset = Math.max(0, Number(query.get('offset')) || 0)
  const all = loaded.data?.workers ?? []
  const rows = all.filter(({ address, state: how, host }) =>
    `${address} ${host} ${how}`.includes(search),
  )
  const slots = all.reduce((sum, one) => sum + one.slots, 0)
  const running = all.reduce((sum, one) => sum + one.running, 0)
  return [
    heading('Workers'),
    searchForm(
      { label: 'Name, host or state', words: ['workers'], query: { search } },
      h(
        'p',
        { class: 'note', role: 'status' },
        `${several(rows.length, 'worker')}, ${running} of ${several(slots, 'slot')} busy`,
      ),
    ),
    loaded.data?.asOfMs === null
      ? notice('warning', 'No master could be asked: only the active one knows the workers.')
      : null,
    trouble(loaded),
    loaded.data === null
      ? null
      : table({
          caption: 'Workers',
          label: 'Workers',
          columns: [
            { title: 'Worker', look: 'name', cell: (one) => one.address },
            { title: 'State', cell: (one) => badge(one.state) },
            {
              title: 'Running',
              look: 'number',
              cell: (one) => `${count(one.running)} of ${count(one.slots)}`,
            },
            { title: 'Heartbeat', look: 'number', cell: (one) => duration(one.heartbeatAgeMs) },
            { title: 'Host', cell: (one) => [named(one.host), `, process ${one.pid}`] },
            { title: 'Version', cell: (one) => one.version },
          ],
          rows: rows.slice(offset, offset + LIMIT),
          key: ({ address }) => address,
          empty: search === '' ? 'No worker has registered.' : 'No worker fits.',
        }),
    pager({ words: ['workers'], query: { search }, offset, limit: LIMIT, total: rows.length }),
  ]
}

/** @type {import('./main.js').View} */
export const workersView = { title: 'Workers', render }
