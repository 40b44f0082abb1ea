/** The page's beginning: which view is shown, the lines that every view has, and what is said to a screen reader. */

import { banner } from './banner.js'
import { byId, h, patch } from './dom.js'
import { dateTime } from './format.js'
import { header, standing } from './headline.js'
import { startLive } from './live.js'
import { routeOf } from './route.js'
import { onChange, state } from './store.js'
import { startTheme } from './theme.js'
import { catalogView } from './view-catalog.js'
import { clusterView } from './view-cluster.js'
import { configView } from './view-config.js'
import { failoversView } from './view-failovers.js'
import { leaseView } from './view-lease.js'
import { queriesView } from './view-queries.js'
import { sqlView } from './view-sql.js'
import { workersView } from './view-workers.js'

/** @typedef {{title: string, render: (route: import('./route.js').Route) => unknown}} View */

/** @type {Record<string, View>} */
const VIEWS = {
  cluster: clusterView,
  failovers: failoversView,
  lease: leaseView,
  workers: workersView,
  queries: queriesView,
  catalog: catalogView,
  query: sqlView,
  configuration: configView,
}

let shown = ''
let said = ''

function draw() {
  const route = routeOf(location.hash)
  const name = route.view in VIEWS ? route.view : 'cluster'
  const view = VIEWS[name] ?? clusterView
  patch(byId('strip'), header())
  patch(byId('banner'), banner())
  patch(
    byId('nav'),
    h(
      'ul',
      null,
      Object.entries(VIEWS).map(([key, { title }]) => navItem(key, title, name)),
    ),
  )
  const main = byId('view')
  patch(main, h('div', { key: name, class: `view ${name}` }, view.render(route)))
  patch(byId('foot'), foot())
  const { title, sentence } = standing()
  document.title = `${title} · ${view.title} · Tajo`
  if (sentence !== said) {
    said = sentence
    byId('said').textContent = sentence
  }
  // Who walks by keyboard or ear begins at the new view, but not at the page's first.
  if (shown !== '' && shown !== name) {
    main.focus()
    scrollTo(0, 0)
  }
  shown = name
}

/** @param {string} key @param {string} title @param {string} name */
const navItem = (key, title, name) =>
  h('li', null, h('a', { href: `#/${key}`, 'aria-current': key === name ? 'page' : null }, title))

function foot() {
  const { cluster, link } = state
  if (cluster === null) return null
  const base = link.base
  return h(
    'p',
    null,
    `Told by ${cluster.self}, version ${cluster.version}, at ${dateTime(cluster.takenAtMs)}. Cluster ${cluster.clusterId ?? 'not joined yet'}. `,
    h('a', { href: `${base}/api/v1/openapi.json` }, 'API'),
    ' · ',
    h('a', { href: `${base}/metrics` }, 'metrics'),
    ' · ',
    h('a', { href: `${base}/plain` }, 'plain page'),
  )
}

startTheme(byId('theme'))
onChange(draw)
addEventListener('hashchange', draw)
// Not by the hash, which holds the view.
for (const skip of document.querySelectorAll('a.skip')) {
  skip.addEventListener('click', (event) => {
    event.preventDefault()
    byId('view').focus()
  })
}
draw()
startLive()
// Durations go on while nothing is heard.
setInterval(draw, 1000)
