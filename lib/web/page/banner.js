/** Tells when the page does not show what the master that served it says, and what can be done about it. */
import { logIn } from './api.js'
import { h } from './dom.js'
import { time } from './format.js'
import { notice } from './parts.js'
import { state } from './store.js'

export function banner() {
  const { cluster, link } = state
  const home = link.home ?? 'The master'
  const since = time(link.homeLostAtMs)
  if (link.status === 'lost') {
    return notice(
      'critical',
      `No master has answered since ${since}. What you see is from then; the page goes on asking all of them.`,
    )
  }
  if (link.homeLostAtMs === null && state.needsToken) {
    return notice(
      'info',
      'Statements, tables and the configuration are for who shows a token. ',
      h('button', { type: 'button', onclick: () => void logIn() }, 'Log in'),
    )
  }
  if (link.homeLostAtMs === null || cluster === null) return null
  const lost = `${home}, which served this page, has not answered since ${since}.`
  if (link.status === 'connecting') return notice('warning', `${lost} Looking for another master…`)
  return notice(
    'warning',
    `${lost} This is what ${cluster.self} tells. To run or kill queries, `,
    h('a', { href: `${link.base}/${location.hash}` }, `open the page of ${cluster.self}`),
    '.',
  )
}
