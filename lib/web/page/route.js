/**
 * Where the reader is: `#/VIEW/PART/…?NAME=VALUE`. Filters and pages of lists are part of it, so that the back button,
 * a reload and a link sent to a colleague show the same.
 */

/**
 * @typedef {object} Route
 * @property {string} view
 * @property {readonly string[]} parts
 * @property {URLSearchParams} query
 */

/** @param {string} hash @returns {Route} */
export function routeOf(hash) {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [view = '', ...parts] = path.split('/').map(decoded)
  return { view: view === '' ? 'cluster' : view, parts, query: new URLSearchParams(query) }
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** @param {readonly string[]} words @param {Record<string, string | number | null>} [query] empty values are left out */
export function hrefOf(words, query = {}) {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== '' && value !== 0) search.set(name, String(value))
  }
  const path = `#/${words.map(encodeURIComponent).join('/')}`
  return search.size === 0 ? path : `${path}?${search}`
}

/** Without a new entry for the back button: for what changes with each key stroke. @param {string} href */
export function replaceHash(href) {
  if (href === location.hash) return
  history.replaceState(null, '', href)
  dispatchEvent(new HashChangeEvent('hashchange'))
}
