/** A statement to run: its progress, its rows, its error at its place. */
import { byId, h } from './dom.js'
import { cell, count, duration, several } from './format.js'
import { Loaded } from './load.js'
import { badge, heading, named, notice, table } from './parts.js'
import { hrefOf } from './route.js'
import { begin, cancel, run, session } from './run-sql.js'
import { changed, state } from './store.js'

/** @type {Loaded<{databases: string[]}>} */
const databases = new Loaded()
const LIMIT = 100
const MOST_ROWS = ['100', '1000', '10000']

let draft = ''
let maxRows = '1000'
let page = 0

function render() {
  const { cluster, link } = state
  const right = cluster?.sql ?? 'read'
  const away = link.base !== ''
  if (right === 'off') {
    return [
      heading('Query'),
      notice(
        'info',
        'SQL from this page is off. ',
        h('code', null, 'tajo.master.info-http.sql'),
        ' would allow it; ',
        h('code', null, 'bin/tsql'),
        ' always works.',
      ),
    ]
  }
  databases.want('/api/v1/catalog', cluster?.epoch ?? 0)
  return [
    heading('Query'),
    right === 'read'
      ? h(
          'p',
          { class: 'note' },
          'Only statements that read are taken here (tajo.master.info-http.sql).',
        )
      : null,
    away
      ? notice(
          'warning',
          'The master that served this page is gone, so it can’t run queries: open the page of the one named above.',
        )
      : null,
    form(away),
    outcome(),
  ]
}

/** @param {boolean} away */
function form(away) {
  const busy = run?.state === 'running'
  const names = [...new Set([session.database, ...(databases.data?.databases ?? [])])]
  return h(
    'form',
    { class: 'ask', onsubmit: submit },
    h(
      'label',
      null,
      'Statement',
      h('textarea', {
        id: 'sql',
        rows: '6',
        spellcheck: 'false',
        autocapitalize: 'off',
        autocomplete: 'off',
        'aria-describedby': 'sql-help',
        value: draft,
        oninput: typed,
        onkeydown: key,
      }),
    ),
    h(
      'p',
      { id: 'sql-help', class: 'note' },
      'One statement. Ctrl+Enter runs it, Escape cancels it.',
    ),
    h(
      'div',
      { class: 'row' },
      h('button', { class: 'primary', disabled: busy || away }, 'Run'),
      h('button', { type: 'button', disabled: !busy, onclick: cancel }, 'Cancel'),
      select('Database', session.database, names, (value) => {
        session.database = value
      }),
      select('Rows at most', maxRows, MOST_ROWS, (value) => {
        maxRows = value
      }),
    ),
    Object.keys(session.variables).length === 0
      ? null
      : h(
          'p',
          { class: 'note' },
          'Session: ',
          Object.entries(session.variables).map(([name, value], at) => [
            at === 0 ? '' : ', ',
            named(name),
            ' = ',
            named(value),
          ]),
        ),
  )
}

/** @param {string} title @param {string} value @param {readonly string[]} options @param {(value: string) => void} take */
const select = (title, value, options, take) =>
  h(
    'label',
    { class: 'inline' },
    title,
    h(
      'select',
      {
        value,
        onchange: (/** @type {any} */ { target }) => {
          take(target.value)
          changed()
        },
      },
      options.map((each) => h('option', { key: each, value: each }, each)),
    ),
  )

/** @param {Event} event */
function submit(event) {
  event.preventDefault()
  const box = byId('sql')
  if (run?.state === 'running' || !(box instanceof HTMLTextAreaElement) || box.value.trim() === '')
    return
  draft = box.value
  page = 0
  void begin(draft, Number(maxRows)).then(() => showPlace())
}

/** @param {any} event */
function typed({ target }) {
  draft = target.value
}

/** @param {KeyboardEvent} event */
function key(event) {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event)
  else if (event.key === 'Escape' && run?.state === 'running') cancel()
}

/** Puts the caret where the error is. */
function showPlace() {
  const place = run?.error?.place ?? null
  const box = document.getElementById('sql')
  if (place === null || run?.sql !== draft || !(box instanceof HTMLTextAreaElement)) return
  const before = draft
    .split('\n')
    .slice(0, place.line - 1)
    .join('\n').length
  const at = before + (place.line > 1 ? 1 : 0) + place.column - 1
  box.focus()
  box.setSelectionRange(at, Math.min(draft.length, at + 1))
}

function outcome() {
  if (run === null) return h('div', { class: 'outcome', role: 'status' })
  const {
    state: how,
    stage,
    progress,
    error,
    message,
    rows,
    truncated,
    queryId,
    beganMs,
    endedMs,
  } = run
  const took = duration((endedMs ?? Date.now()) - beganMs)
  const word = how === 'running' ? stage : how === 'done' ? 'succeeded' : how
  const place = error?.place ?? null
  return [
    h(
      'div',
      { class: 'outcome', role: 'status' },
      h(
        'span',
        { class: 'row' },
        badge(word),
        how === 'done' ? [named(message ?? several(rows.length, 'row')), ` in ${took}`] : null,
        truncated ? ' (there are more rows)' : null,
      ),
    ),
    h(
      'p',
      { class: 'row' },
      how === 'running'
        ? h('progress', { max: '1', value: progress, 'aria-label': 'Progress' })
        : null,
      how === 'running'
        ? h(
            'span',
            { class: 'number' },
            `${Math.round(progress * 100)} %, ${several(rows.length, 'row')}, ${took}`,
          )
        : null,
      queryId === null ? null : h('a', { href: hrefOf(['queries', queryId]) }, 'Its details'),
    ),
    error === null
      ? null
      : h(
          'div',
          { role: 'alert' },
          notice(
            'critical',
            place === null ? '' : `Line ${place.line}, column ${place.column}: `,
            error.message,
          ),
        ),
    run.columns.length === 0 ? null : result(run),
  ]
}

/** @param {string} type @returns {'number' | 'wide'} */
const lookOf = (type) => (/INT|FLOAT|DOUBLE|NUMERIC|DECIMAL/i.test(type) ? 'number' : 'wide')

/** @param {import('./run-sql.js').Run} answer */
function result({ columns, rows }) {
  const first = page * LIMIT
  const shown = rows.slice(first, first + LIMIT).map((values, at) => ({ at: first + at, values }))
  /** @param {number} to @param {string} text @param {boolean} there */
  const move = (to, text, there) =>
    h(
      'button',
      {
        type: 'button',
        disabled: !there,
        onclick: () => {
          page = to
          changed()
        },
      },
      text,
    )
  return [
    table({
      caption: `Result: ${several(rows.length, 'row')}`,
      label: 'Result',
      columns: [
        { title: '#', look: 'number', cell: ({ at }) => count(at + 1) },
        ...columns.map(({ name, type }, at) => ({
          title: name,
          look: lookOf(type),
          cell: (/** @type {{values: unknown[]}} */ { values }) =>
            values[at] === null ? h('span', { class: 'null' }, 'NULL') : cell(values[at]),
        })),
      ],
      rows: shown,
      key: ({ at }) => String(at),
      empty: 'No rows.',
    }),
    rows.length <= LIMIT
      ? null
      : h(
          'p',
          { class: 'pager' },
          move(page - 1, 'Previous', page > 0),
          h(
            'span',
            null,
            `${count(first + 1)}–${count(first + shown.length)} of ${count(rows.length)}`,
          ),
          move(page + 1, 'Next', first + LIMIT < rows.length),
        ),
  ]
}

/** @type {import('./main.js').View} */
export const sqlView = { title: 'Query', render }
