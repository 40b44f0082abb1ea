/** Each setting of the master that tells: its value, where that comes from, and what it would be otherwise. */
import { h } from './dom.js'
import { several } from './format.js'
import { Loaded } from './load.js'
import { heading, named, table, trouble } from './parts.js'
import { hrefOf, replaceHash } from './route.js'
import { searchForm } from './search-form.js'
import { state } from './store.js'

/** @typedef {import('./types.d.ts').Setting} Setting */
/** @type {Loaded<{confDir: string, settings: Setting[]}>} */
const loaded = new Loaded()

/** @param {import('./route.js').Route} route */
function render({ query }) {
  loaded.want('/api/v1/config', state.cluster?.self ?? '')
  const filter = { search: query.get('search') ?? '', set: query.get('set') ?? '' }
  const { data } = loaded
  const all = data?.settings ?? []
  const rows = all.filter((one) => fits(one, filter))
  const groups = [...new Set(rows.map(({ group }) => group))]
  return [
    heading('Configuration'),
    data === null
      ? null
      : h(
          'p',
          { class: 'note' },
          `Of ${state.cluster?.self ?? 'this master'}, from `,
          h('code', null, data.confDir),
          '. Secrets are not shown.',
        ),
    searchForm(
      { label: 'Key or meaning', words: ['configuration'], query: filter },
      h(
        'label',
        { class: 'check' },
        h('input', {
          type: 'checkbox',
          checked: filter.set !== '',
          onchange: (/** @type {any} */ { target }) =>
            replaceHash(hrefOf(['configuration'], { ...filter, set: target.checked ? '1' : '' })),
        }),
        'Only what a file sets',
      ),
      h('p', { class: 'note', role: 'status' }, several(rows.length, 'setting')),
    ),
    trouble(loaded),
    data !== null && rows.length === 0 ? h('p', { class: 'empty' }, 'No setting fits.') : null,
    groups.map((group) =>
      settings(
        group,
        rows.filter((one) => one.group === group),
      ),
    ),
  ]
}

/** @param {Setting} one @param {{search: string, set: string}} filter */
const fits = ({ key, doc, source }, { search, set }) =>
  `${key} ${doc}`.toLowerCase().includes(search.toLowerCase()) && (set === '' || source !== null)

/** @param {string} group @param {readonly Setting[]} rows */
const settings = (group, rows) =>
  h(
    'section',
    { key: group, 'aria-label': group },
    table({
      caption: group,
      label: group,
      columns: [
        {
          title: 'Key',
          look: 'wide',
          cell: (one) => [h('code', null, one.key), h('p', { class: 'doc' }, one.doc)],
        },
        {
          title: 'Value',
          cell: (one) =>
            h(
              'code',
              { class: one.source === null ? null : 'set' },
              one.secret ? '(not shown)' : one.value || '(empty)',
            ),
        },
        {
          title: 'Comes from',
          cell: (one) =>
            one.source === null ? 'default' : [named(one.source.file), `, line ${one.source.line}`],
        },
        { title: 'Default', cell: (one) => h('code', null, one.default || '(empty)') },
      ],
      rows,
      key: ({ key }) => key,
      empty: '',
    }),
  )

/** @type {import('./main.js').View} */
export const configView = { title: 'Configuration', render }
