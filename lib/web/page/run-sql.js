/**
 * One statement at a time, from the page: sent to the master that served it, answered as a stream of JSON lines. Giving up
 * the stream ends the query in the cluster.
 */
import { ApiError, errorOf, ofCluster, sentence, shown } from './api.js'
import { changed } from './store.js'

/**
 * @typedef {object} Run
 * @property {'running' | 'done' | 'failed' | 'cancelled'} state
 * @property {string} sql
 * @property {string | null} queryId
 * @property {string} stage
 * @property {number} progress
 * @property {readonly import('./types.d.ts').Column[]} columns
 * @property {unknown[][]} rows
 * @property {boolean} truncated
 * @property {string | null} message
 * @property {import('./types.d.ts').QueryError | null} error
 * @property {number} beganMs
 * @property {number | null} endedMs
 */

/** @type {{database: string, variables: Record<string, string>}} */
export const session = { database: 'default', variables: {} }
/** @type {Run | null} */
export let run = null
let abort = new AbortController()

/** @param {string} sql @param {number} maxRows */
export async function begin(sql, maxRows) {
  abort.abort()
  abort = new AbortController()
  const { signal } = abort
  /** @type {Run} */
  const mine = {
    state: 'running',
    sql,
    queryId: null,
    stage: 'sent',
    progress: 0,
    columns: [],
    rows: [],
    truncated: false,
    message: null,
    error: null,
    beganMs: Date.now(),
    endedMs: null,
  }
  run = mine
  changed()
  try {
    for await (const line of linesOf({ sql, ...session, maxRows }, signal)) {
      take(mine, line)
      changed()
    }
    if (mine.state === 'running')
      throw new Error(
        'The master died before the end of the answer. What became of the query is told in the list of queries.',
      )
  } catch (error) {
    mine.state = signal.aborted ? 'cancelled' : 'failed'
    if (!signal.aborted) mine.error = { message: sentence(error), place: null, kind: 'refused' }
  }
  mine.endedMs ??= Date.now()
  changed()
}

export function cancel() {
  abort.abort()
}

/** @param {Run} mine @param {any} line */
function take(mine, line) {
  if (line.queryId !== undefined) mine.queryId = line.queryId
  if (line.progress !== undefined) {
    mine.stage = line.progress.state
    mine.progress = line.progress.progress
  }
  if (line.columns !== undefined) mine.columns = line.columns
  if (line.rows !== undefined) mine.rows.push(...line.rows)
  if (line.error !== undefined) {
    mine.state = 'failed'
    mine.error = line.error
  }
  if (line.end === undefined) return
  mine.state = 'done'
  mine.truncated = line.end.truncated
  mine.message = line.end.message
  Object.assign(session, line.end.session ?? {})
}

/** @param {object} body @param {AbortSignal} signal @returns {AsyncGenerator<any>} */
async function* linesOf(body, signal) {
  const response = await fetch(ofCluster('/api/v1/sql'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...shown() },
    body: JSON.stringify(body),
    signal,
  }).catch((error) => {
    throw signal.aborted ? error : new ApiError(0, 'NO_ANSWER', 'The master did not answer.')
  })
  if (!response.ok || response.body === null) throw await errorOf(response)
  let rest = ''
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    // A master that dies breaks the connection in the middle; a proxy before it may end the answer instead.
    const { done, value } = await reader.read().catch((error) => {
      if (signal.aborted) throw error
      return { done: true, value: '' }
    })
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
  }
}
