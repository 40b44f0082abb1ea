/** The one thing to see first, in each view: who is active, and whether a failover would work now. */
import { h } from './dom.js'
import { state } from './store.js'

/** As `ready` says: whether somebody would take over. */
export function readiness() {
  const { cluster } = state
  if (cluster === null) return null
  const { successor } = cluster.ifActiveDied
  if (cluster.active === null) return { ready: false, text: 'no active master' }
  if (successor === null) return { ready: false, text: 'nobody would take over' }
  return { ready: true, text: `${successor} would take over` }
}

export function header() {
  const { cluster } = state
  if (cluster === null)
    return h('span', null, state.link.status === 'lost' ? 'No master answers' : 'Connecting…')
  const ready = readiness()
  return [
    cluster.active === null
      ? h(
          'span',
          { class: 'who' },
          h('span', { class: 'dot bad', 'aria-hidden': 'true' }),
          'No active master',
        )
      : h(
          'span',
          { class: 'who' },
          h('span', { class: 'dot good', 'aria-hidden': 'true' }),
          h('strong', { class: 'name' }, cluster.active),
          ` active · term ${cluster.epoch}`,
        ),
    h(
      'span',
      { class: `ready ${ready?.ready ? 'good' : 'bad'}` },
      ready?.ready ? '✓ ' : '✗ ',
      ready?.text,
    ),
  ]
}

/** For the window's title and for who listens; changes only when the active master or the reachable ones do. */
export function standing() {
  const { cluster, link } = state
  if (link.status === 'lost') return { title: '✗ no answer', sentence: 'No master answers.' }
  if (cluster === null) return { title: 'Connecting', sentence: '' }
  const from =
    link.base === '' || link.status !== 'live' ? '' : ` The page follows ${cluster.self} now.`
  if (cluster.active === null)
    return { title: '✗ no active master', sentence: `There is no active master.${from}` }
  return {
    title: `${cluster.active} active`,
    sentence: `${cluster.active} is the active master, in term ${cluster.epoch}.${from}`,
  }
}
