/** What several views are made of: tables, pagers, notices, badges. */
import { h } from './dom.js'
import { count } from './format.js'
import { hrefOf } from './route.js'

/**
 * @template T
 * @typedef {object} ColumnOf
 * @property {string} title
 * @property {(row: T) => unknown} cell
 * @property {'number' | 'name' | 'line' | 'wide' | 'action' | undefined} [look]
 */

/**
 * A table with a caption, in a region that scrolls by itself on narrow screens. The first column names the row.
 * @template T
 * @param {{caption: unknown, label: string, columns: readonly ColumnOf<T>[], rows: readonly T[], key: (row: T) => string,
 *   empty: string, mark?: (row: T) => string | null}} options
 */
export function table({ caption, label, columns, rows, key, empty, mark }) {
  const cells = (/** @type {T} */ row) =>
    columns.map(({ cell, look }, at) =>
      at === 0
        ? h('th', { scope: 'row', class: look ?? null }, cell(row))
        : h('td', { class: look ?? null }, cell(row)),
    )
  return h(
    'div',
    { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' },
    h(
      'table',
      null,
      h('caption', null, caption),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          columns.map(({ title, look }) =>
            h('th', { scope: 'col', class: look === 'name' ? null : (look ?? null) }, title),
          ),
        ),
      ),
      h(
        'tbody',
        null,
        rows.length === 0
          ? h('tr', { key: '' }, h('td', { class: 'empty', colspan: columns.length }, empty))
          : rows.map((row) => h('tr', { key: key(row), class: mark?.(row) ?? null }, cells(row))),
      ),
    ),
  )
}

/**
 * Links to the neighbouring pages of a long list.
 * @param {{words: readonly string[], query: Record<string, string>, offset: number, limit: number, total: number}} options
 */
export function pager({ words, query, offset, limit, total }) {
  const to = Math.min(offset + limit, total)
  const link = (
    /** @type {number} */ start,
    /** @type {string} */ text,
    /** @type {boolean} */ there,
  ) =>
    there
      ? h('a', { class: 'button', href: hrefOf(words, { ...query, offset: start }) }, text)
      : h('a', { class: 'button', role: 'link', 'aria-disabled': 'true' }, text)
  if (total <= limit && offset === 0) return null
  return h(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of the list' },
    link(0, 'First', offset > 0),
    link(Math.max(0, offset - limit), 'Previous', offset > 0),
    h('span', null, total === 0 ? 'none' : `${count(offset + 1)}–${count(to)} of ${count(total)}`),
    link(offset + limit, 'Next', to < total),
    link(Math.max(0, Math.floor((total - 1) / limit) * limit), 'Last', to < total),
  )
}

/**
 * A name that somebody else made up, where text of ours follows in the same line: a sign in it that turns the direction
 * of writing (U+202E and its kin) ends with it. In cells, facts and links the style sheet sees to that.
 * @param {unknown} name
 */
export const named = (name) => h('bdi', null, name)

/** @param {'critical' | 'warning' | 'info' | 'good'} level @param {...unknown} text */
export const notice = (level, ...text) => h('p', { class: `notice ${level}` }, text)

/** What a document has not brought: its error, or that it is on its way. @param {import('./load.js').Loaded<any>} loaded */
export function trouble(loaded) {
  if (loaded.error !== null) return notice('warning', loaded.error)
  return loaded.data === null ? h('p', { class: 'empty' }, 'Loading…') : null
}

const TONES = new Map([
  ['active', 'good'],
  ['succeeded', 'good'],
  ['live', 'good'],
  ['backup', 'calm'],
  ['running', 'busy'],
  ['activating', 'busy'],
  ['stepping-down', 'busy'],
  ['starting', 'busy'],
  ['queued', 'calm'],
  ['failed', 'bad'],
  ['suspended', 'bad'],
  ['silent', 'bad'],
  ['no answer', 'bad'],
])

/** A state, told by its word first and its colour second. @param {string} state */
export const badge = (state) => h('span', { class: `badge ${TONES.get(state) ?? 'calm'}` }, state)

/** @param {string} term @param {...unknown} value */
export const fact = (term, ...value) =>
  h('div', { class: 'fact' }, h('dt', null, term), h('dd', null, value))

/** @param {unknown} title */
export const heading = (title) => h('h1', { id: 'title' }, title)

/** A number in large print with its word. @param {string} label @param {unknown} value @param {unknown} note @param {string} href */
export const tile = (label, value, note, href) =>
  h(
    'a',
    { class: 'tile', href },
    h('span', { class: 'label' }, label),
    h('strong', null, value),
    h('span', { class: 'note' }, note),
  )
