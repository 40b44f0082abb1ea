/** Who is active, what would happen if it died now, what is wrong, and each master. */
import { adminActions } from './admin.js'
import { h } from './dom.js'
import { count, dateTime, duration, several, span } from './format.js'
import { readiness } from './headline.js'
import { badge, fact, heading, named, notice, table, tile } from './parts.js'
import { hrefOf } from './route.js'
import { nowMs, state } from './store.js'

/** @typedef {import('./types.d.ts').Cluster} Cluster @typedef {import('./types.d.ts').Master} Master */

function render() {
  const { cluster } = state
  if (cluster === null)
    return [heading('Cluster'), h('p', { class: 'empty' }, 'Asking the master…')]
  return [
    h('div', { class: 'first' }, activePanel(cluster), ifDied(cluster)),
    alerts(cluster),
    masters(cluster),
    tiles(cluster),
    lastFailover(),
  ]
}

/**
 * What the active one tells on the page of another, which has died, is not the active one's page.
 * @param {Cluster} cluster
 */
function whosePage({ active, self, activePage }) {
  if (active === null) return h('p', { class: 'note' }, `Told by ${self}.`)
  const atHome = state.link.base === ''
  if (active === self && atHome) return h('p', { class: 'note' }, 'This is its page.')
  return h(
    'p',
    { class: 'note' },
    `You see what ${self} tells. `,
    h('a', { class: 'button', href: activePage ?? '#' }, 'Open the active’s page'),
  )
}

/** @param {Cluster} cluster */
function activePanel(cluster) {
  const { active, activeSinceMs, epoch } = cluster
  const other = cluster.masters.find(({ address }) => address === active)
  return h(
    'section',
    { class: `panel active ${active === null ? 'bad' : 'good'}`, 'aria-labelledby': 'title' },
    h('p', { class: 'label' }, 'Active master'),
    heading(active ?? 'None'),
    h(
      'dl',
      { class: 'facts' },
      fact('Term', count(epoch)),
      fact(
        'Since',
        activeSinceMs === null
          ? '–'
          : `${dateTime(activeSinceMs)} (${span(nowMs() - activeSinceMs)})`,
      ),
      fact('Lease margin', duration(other?.leaseMarginMs)),
      fact('Last renewal', duration(other?.lastRenewalMs)),
    ),
    whosePage(cluster),
  )
}

/** @param {Cluster} cluster */
function ifDied({ ifActiveDied, highAvailability }) {
  const { successor, processDeathMs, hostLossMs, why } = ifActiveDied
  const ready = readiness()?.ready === true
  return h(
    'section',
    { class: `panel ${ready ? 'good' : 'bad'}`, 'aria-labelledby': 'if-died' },
    h('h2', { id: 'if-died', class: 'label' }, 'If the active died now'),
    h(
      'p',
      { class: 'answer' },
      ready
        ? [h('strong', { class: 'name' }, successor), ' would take over']
        : 'Nobody would take over',
    ),
    ready
      ? h(
          'dl',
          { class: 'facts' },
          fact('Its process dies', `at most ${duration(processDeathMs)}`),
          fact('Its host is lost', `at most ${duration(hostLossMs)}`),
        )
      : null,
    why === null ? null : h('p', { class: 'note' }, why),
    highAvailability
      ? null
      : h('p', { class: 'note' }, 'High availability is off (tajo.master.ha.enable).'),
  )
}

const WEIGHT = { critical: 0, warning: 1, info: 2 }

/** @param {Cluster} cluster */
function alerts({ alerts: all }) {
  if (all.length === 0) return notice('good', '✓ No warnings.')
  const sorted = [...all].sort((a, b) => WEIGHT[a.level] - WEIGHT[b.level])
  return h(
    'section',
    { 'aria-label': 'Warnings' },
    h(
      'ul',
      { class: 'alerts' },
      sorted.map(({ level, text }) =>
        h('li', { class: `notice ${level}` }, h('strong', null, `${level}: `), text),
      ),
    ),
  )
}

/** @param {Cluster} cluster */
function masters(cluster) {
  const order = (/** @type {Master} */ one) => (one.address === cluster.active ? 0 : 1)
  const rows = [...cluster.masters].sort((a, b) => order(a) - order(b) || b.priority - a.priority)
  /** @type {import('./parts.js').ColumnOf<Master>[]} */
  const columns = [
    { title: 'Master', look: 'name', cell: (one) => h('a', { href: one.page }, one.address) },
    { title: 'State', cell: (one) => [badge(stateOf(one)), one.self ? ' tells this' : null] },
    {
      title: 'Heartbeat',
      look: 'number',
      cell: (one) => (one.self ? 'now' : duration(one.heartbeatAgeMs)),
    },
    { title: 'Lease margin', look: 'number', cell: (one) => duration(one.leaseMarginMs) },
    { title: 'Renewal', look: 'number', cell: (one) => duration(one.lastRenewalMs) },
    { title: 'Priority', look: 'number', cell: (one) => one.priority },
    { title: 'Term', look: 'number', cell: (one) => count(one.epoch) },
    {
      title: 'Clock',
      look: 'number',
      cell: (one) => (one.self ? '0 ms' : duration(one.clockOffsetMs)),
    },
    { title: 'Host', cell: (one) => [named(one.hostname), `, process ${one.pid}`] },
    { title: 'Version', cell: (one) => one.version },
  ]
  if (cluster.admin)
    columns.push({ title: 'Role', look: 'action', cell: (one) => adminActions(cluster, one) })
  return table({
    caption: 'Masters',
    label: 'Masters',
    columns,
    rows,
    key: ({ address }) => address,
    empty: 'None is known yet.',
    mark: (one) => (one.address === cluster.active ? 'marked' : null),
  })
}

/** @param {Master} one */
const stateOf = (one) => (one.connected || one.self ? one.state : `${one.state}, no answer`)

/** @param {NonNullable<Cluster['workerCounts']>} counts */
const busy = ({ silent, slots, running }) =>
  silent > 0 ? `${silent} silent` : `${running} of ${several(slots, 'slot')} busy`

/** @param {Cluster} cluster */
function tiles({ workerCounts, queryCounts }) {
  const workers = workerCounts === null ? 'not told yet' : busy(workerCounts)
  return h(
    'div',
    { class: 'tiles' },
    tile('Workers', count(workerCounts?.live), workers, '#/workers'),
    tile(
      'Running',
      count(queryCounts?.running),
      'queries',
      hrefOf(['queries'], { state: 'running' }),
    ),
    tile('Queued', count(queryCounts?.queued), 'queries', hrefOf(['queries'], { state: 'queued' })),
    tile(
      'Succeeded',
      count(queryCounts?.succeeded),
      'in the history',
      hrefOf(['queries'], { state: 'succeeded' }),
    ),
    tile(
      'Failed',
      count(queryCounts?.failed),
      'in the history',
      hrefOf(['queries'], { state: 'failed' }),
    ),
  )
}

function lastFailover() {
  const last = state.history?.find(({ served }) => served !== null)
  if (last === undefined || last.term.previousAddress === null) return null
  const { term, served } = last
  return h(
    'p',
    { class: 'note' },
    `Last change: ${dateTime(term.at)}, ${term.address} after ${term.previousAddress}, ${last.why}; served ${duration(served?.phases.totalMs)} after the last heartbeat before. `,
    h('a', { href: '#/failovers' }, 'All terms'),
  )
}

/** @type {import('./main.js').View} */
export const clusterView = { title: 'Cluster', render }
