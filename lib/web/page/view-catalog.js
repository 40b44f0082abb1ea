/** Databases, their tables, and the columns of one. */
import { h } from './dom.js'
import { bytes, count, dateTime, several } from './format.js'
import { Loaded } from './load.js'
import { fact, heading, named, pager, table, trouble } from './parts.js'
import { hrefOf } from './route.js'
import { searchForm } from './search-form.js'
import { state } from './store.js'

/** @typedef {import('./types.d.ts').CatalogTable} CatalogTable */
/** @type {Loaded<{databases: string[]}>} */
const databases = new Loaded()
/** @typedef {{database: string, tables: CatalogTable[], total: number}} TablesOf */
/** Some of a database's tables: a catalog may have more than a page can hold. @type {Loaded<TablesOf>} */
const tables = new Loaded()
/** One of them. @type {Loaded<TablesOf>} */
const chosenTable = new Loaded()
const LIMIT = 100

/** @param {import('./route.js').Route} route */
function render({ parts: [chosen, name], query }) {
  databases.want('/api/v1/catalog', moment())
  const database = chosen ?? databases.data?.databases[0] ?? null
  const loaded = name === undefined ? tables : chosenTable
  const search = query.get('search') ?? ''
  const offset = Math.max(0, Number(query.get('offset')) || 0)
  /** @type {Record<string, string>} */
  const wanted =
    name === undefined ? { search, offset: `${offset}`, limit: `${LIMIT}` } : { table: name }
  if (database !== null) {
    const path = `/api/v1/catalog/${encodeURIComponent(database)}`
    loaded.want(`${path}?${new URLSearchParams(wanted)}`, moment())
  }
  const known = loaded.data?.database === database ? loaded.data : null
  const one = known?.tables.find((each) => each.name === name)
  return [
    heading(name === undefined ? 'Catalog' : [named(database), '.', named(name)]),
    trouble(databases),
    databases.data === null ? null : databaseList(databases.data.databases, database),
    database === null || databases.data === null ? null : trouble(loaded),
    known === null || database === null
      ? null
      : name === undefined
        ? tableList(known, search, offset)
        : one !== undefined
          ? details(one)
          : loaded.loading
            ? null
            : h(
                'p',
                { class: 'empty' },
                'There is no table ',
                named(name),
                ' in ',
                named(database),
                '.',
              ),
  ]
}

/** Changes with the queries that ended, which may have changed tables. */
const moment = () => {
  const counts = state.cluster?.queryCounts
  return `${state.cluster?.epoch} ${counts == null ? '' : counts.succeeded}`
}

/** @param {readonly string[]} names @param {string | null} chosen */
const databaseList = (names, chosen) =>
  h(
    'nav',
    { class: 'row', 'aria-label': 'Databases' },
    names.map((each) =>
      h(
        'a',
        {
          key: each,
          class: 'button',
          href: hrefOf(['catalog', each]),
          'aria-current': each === chosen ? 'true' : null,
        },
        each,
      ),
    ),
  )

/** @param {TablesOf} found @param {string} search @param {number} offset */
function tableList({ database, tables: rows, total }, search, offset) {
  return [
    searchForm(
      { label: 'Name', words: ['catalog', database], query: { search } },
      h('p', { class: 'note', role: 'status' }, several(total, 'table')),
    ),
    table({
      caption: `Tables of ${database}`,
      label: `Tables of ${database}`,
      columns: [
        {
          title: 'Table',
          look: 'name',
          cell: (one) => h('a', { href: hrefOf(['catalog', database, one.name]) }, one.name),
        },
        { title: 'Rows', look: 'number', cell: (one) => count(one.rows) },
        { title: 'Size', look: 'number', cell: (one) => bytes(one.bytes) },
        { title: 'Files', look: 'number', cell: (one) => count(one.fileCount) },
        {
          title: 'Columns',
          look: 'number',
          cell: (one) => count(one.columns.length + one.partitionColumns.length),
        },
        { title: 'Format', cell: (one) => one.format },
        { title: 'Kind', cell: (one) => one.kind },
        { title: 'Created', look: 'number', cell: (one) => dateTime(one.createdAt) },
      ],
      rows,
      key: ({ name }) => name,
      empty: search === '' ? 'This database has no tables.' : 'No table fits.',
    }),
    pager({
      words: ['catalog', database],
      query: { search },
      offset,
      limit: LIMIT,
      total,
    }),
  ]
}

/** @param {CatalogTable} one */
function details(one) {
  const all = [
    ...one.columns.map((column) => ({ ...column, partition: false })),
    ...one.partitionColumns.map((column) => ({ ...column, partition: true })),
  ]
  const options = Object.entries(one.options)
  return [
    h(
      'p',
      null,
      h('a', { href: hrefOf(['catalog', one.database]) }, `All tables of ${one.database}`),
    ),
    h(
      'dl',
      { class: 'facts' },
      fact('Rows', count(one.rows)),
      fact('Size', `${bytes(one.bytes)} in ${several(one.fileCount, 'file')}`),
      fact('Format', one.format),
      fact('Kind', one.wholeDirectory ? `${one.kind}, all files below its location` : one.kind),
      fact('Created', dateTime(one.createdAt)),
      fact('Location', one.location),
      options.map(([key, value]) => fact(key, value)),
    ),
    table({
      caption: `Columns of ${one.name}`,
      label: `Columns of ${one.name}`,
      columns: [
        { title: 'Column', look: 'name', cell: ({ name }) => name },
        { title: 'Type', cell: ({ type }) => type },
        { title: 'Partition', cell: ({ partition }) => (partition ? 'yes' : '') },
      ],
      rows: all,
      key: ({ name }) => name,
      empty: 'It has no columns.',
    }),
  ]
}

/** @type {import('./main.js').View} */
export const catalogView = { title: 'Catalog', render }
