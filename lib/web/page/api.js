/**
 * Requests to the masters. Reading goes to the master that the page follows at the moment; what changes something goes to
 * the one that served the page, the only one that takes it from here.
 *
 * What is not open to everybody asks for a token. It is kept in this page's memory and nowhere else, and goes to the master
 * that served the page alone: a browser would ask any other one for leave first, and no master gives that.
 */
import { confirmed } from './dialog.js'
import { change, state } from './store.js'

const PATIENCE_MS = 10_000

let token = ''

/** What a request shows. @returns {Record<string, string>} */
export const shown = () => (token === '' ? {} : { authorization: `Bearer ${token}` })

/** Asks for the token, and for all that was refused once more. */
export async function logIn() {
  const typed = await confirmed({
    title: 'Log in',
    text: 'Statements, tables and the configuration are for who shows a token.',
    action: 'Log in',
    secret: 'Token (tajo haadmin -token prints it)',
  })
  if (typed === null) return
  token = typed.trim()
  change({ needsToken: false, logIns: state.logIns + 1 })
}

/** The path, naming the cluster that the page shows: a master of another one refuses. @param {string} path */
export function ofCluster(path) {
  const { clusterId } = state.cluster ?? {}
  if (clusterId == null) return path
  return `${path}${path.includes('?') ? '&' : '?'}cluster=${encodeURIComponent(clusterId)}`
}

export class ApiError extends Error {
  /** @param {number} status 0: no answer @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} the document */
export function getJson(path, signal) {
  const late = AbortSignal.timeout(PATIENCE_MS)
  const either = signal === undefined ? late : AbortSignal.any([signal, late])
  const url = state.link.base + ofCluster(path)
  const headers = state.link.base === '' ? shown() : {}
  return answerOf(fetch(url, { cache: 'no-store', signal: either, headers }))
}

/** @param {string} path @param {unknown} body @param {Record<string, string>} [headers] @returns {Promise<any>} */
export function postJson(path, body, headers = {}) {
  return answerOf(
    fetch(ofCluster(path), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...shown(), ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    }),
  )
}

/** @param {Promise<Response>} asked */
async function answerOf(asked) {
  const response = await asked.catch((error) => {
    if (error instanceof Error && error.name === 'AbortError') throw error
    throw new ApiError(0, 'NO_ANSWER', 'The master did not answer.')
  })
  if (response.ok) return response.json()
  throw await errorOf(response)
}

/** @param {Response} response */
export async function errorOf(response) {
  const text = await response.text().catch(() => '')
  try {
    const { code, message } = JSON.parse(text)
    if (code === 'UNAUTHENTICATED') change({ needsToken: true })
    return new ApiError(response.status, String(code), String(message))
  } catch {
    return new ApiError(response.status, 'UNKNOWN', `The master answered ${response.status}.`)
  }
}

/** What went wrong, as a sentence. @param {unknown} error */
export const sentence = (error) => (error instanceof Error ? error.message : String(error))
