/** The search above a list: what is typed goes into the address, so that the list can be linked to and gone back to. */
import { h } from './dom.js'
import { hrefOf, replaceHash } from './route.js'

/**
 * @param {{
 *   label: string,
 *   words: readonly string[],
 *   query: Readonly<Record<string, string>> & {readonly search: string},
 * }} list `words` and `query` are its place; what is typed becomes `search`.
 * @param {...unknown} more
 */
export const searchForm = ({ label, words, query }, ...more) =>
  h(
    'form',
    {
      class: 'row filters',
      role: 'search',
      onsubmit: (/** @type {Event} */ event) => event.preventDefault(),
    },
    h(
      'label',
      null,
      label,
      h('input', {
        type: 'search',
        value: query.search,
        oninput: (/** @type {any} */ { target }) =>
          replaceHash(hrefOf(words, { ...query, search: target.value })),
      }),
    ),
    more,
  )
