/**
 * Moving the role from the page: only where `tajo.master.info-http.admin` is on, and with the token that
 * `tajo haadmin -token` prints. The token is kept in this page's memory and nowhere else.
 */
import { ApiError, postJson, sentence } from './api.js'
import { confirmed } from './dialog.js'
import { h } from './dom.js'
import { changed, state } from './store.js'

let token = ''
let outcome = ''

/** @typedef {import('./types.d.ts').Cluster} Cluster @typedef {import('./types.d.ts').Master} Master */

/** @param {Cluster} cluster @param {Master} master */
export function adminActions(cluster, master) {
  if (state.link.base !== '') return null
  const here = master.address === cluster.self
  if (cluster.active === cluster.self && !here && master.state === 'backup') {
    return button(`Hand over to ${master.address}`, 'hand-over', { successor: master.address })
  }
  if (cluster.active === null && here) return button('Take over', 'take-over', {})
  return here && outcome !== '' ? h('span', { role: 'status' }, outcome) : null
}

/** @param {string} text @param {string} action @param {object} body */
const button = (text, action, body) =>
  h('button', { type: 'button', onclick: () => void act(text, action, body) }, text)

/** @param {string} text @param {string} action @param {object} body */
async function act(text, action, body) {
  const answer = await confirmed({
    title: `${text}?`,
    text: 'The active master finishes what it is committing; clients and workers follow the new one by themselves.',
    action: text,
    secret: token === '' ? 'Token (tajo haadmin -token prints it)' : null,
  })
  if (answer === null) return
  if (answer !== '') token = answer
  try {
    await postJson(`/api/v1/admin/${action}`, body, { authorization: `Bearer ${token}` })
    outcome = ''
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) token = ''
    outcome = sentence(error)
  }
  changed()
}
