/** The button that ends a query, with a question first. */
import { postJson, sentence } from './api.js'
import { confirmed } from './dialog.js'
import { h } from './dom.js'
import { shortened } from './format.js'
import { changed, state } from './store.js'

/** Whether a query can still be killed, by state. @type {Record<import('./types.d.ts').QueryRecord['state'], boolean>} */
export const OPEN = { queued: true, running: true, succeeded: false, failed: false, killed: false }

/** What became of a wish to end one, by query id. @type {Map<string, string>} */
const outcomes = new Map()

/** @param {import('./types.d.ts').QueryRecord} query */
export function killButton({ queryId, sql, state: how }) {
  if (!OPEN[how] || state.cluster?.sql === 'off') return null
  const outcome = outcomes.get(queryId)
  if (outcome !== undefined) return h('span', { role: 'status' }, outcome)
  // Other masters' pages take it, this one's address does not.
  if (state.link.base !== '') return null
  const name = shortened(sql, 40)
  return h(
    'button',
    {
      type: 'button',
      class: 'danger',
      'aria-label': `Kill ${name}`,
      onclick: () => void kill(queryId, sql),
    },
    'Kill',
  )
}

/** @param {string} queryId @param {string} sql */
async function kill(queryId, sql) {
  const answer = await confirmed({
    title: 'Kill this query?',
    text: shortened(sql, 300),
    action: 'Kill it',
  })
  if (answer === null) return
  outcomes.set(queryId, 'being killed…')
  changed()
  try {
    const { known } = await postJson(`/api/v1/queries/${encodeURIComponent(queryId)}/kill`, {})
    if (!known) outcomes.set(queryId, 'not known any more')
  } catch (error) {
    outcomes.set(queryId, sentence(error))
  }
  changed()
}
