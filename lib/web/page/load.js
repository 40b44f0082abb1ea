/**
 * A document that a view shows: asked for when the view is drawn, again when its version counts up (at most once a
 * second), and again when the page follows another master. What was there stays on screen until the new one is.
 */
import { ApiError, getJson, sentence } from './api.js'
import { changed, state } from './store.js'

const PAUSE_MS = 1000

/** @template T */
export class Loaded {
  /** @type {T | null} */
  data = null
  /** @type {string | null} */
  error = null
  loading = false
  #path = ''
  #asked = ''
  #askedMs = Number.NEGATIVE_INFINITY
  #abort = new AbortController()
  #waiting = false

  /** To be called at each drawing; cheap when nothing changed. @param {string} path @param {number | string} [version] */
  want(path, version = 0) {
    const place = `${state.link.base} ${path}`
    const asked = `${place} ${version} ${state.logIns}`
    if (asked === this.#asked || state.link.status === 'connecting') return
    const waitMs = place === this.#path ? this.#askedMs + PAUSE_MS - performance.now() : 0
    if (waitMs > 0) return this.#later(waitMs)
    if (place !== this.#path) this.#abort.abort()
    else if (this.loading) return
    this.#path = place
    this.#asked = asked
    this.#askedMs = performance.now()
    this.#abort = new AbortController()
    void this.#load(path, this.#abort.signal)
  }

  /** Forgets that it was loaded. */
  stale() {
    this.#asked = ''
    changed()
  }

  /** @param {number} waitMs */
  #later(waitMs) {
    if (this.#waiting) return
    this.#waiting = true
    setTimeout(() => {
      this.#waiting = false
      changed()
    }, waitMs)
  }

  /** @param {string} path @param {AbortSignal} signal */
  async #load(path, signal) {
    this.loading = true
    try {
      const data = await getJson(path, signal)
      if (signal.aborted) return
      this.data = data
      this.error = null
    } catch (error) {
      if (signal.aborted) return
      this.error = sentence(error)
      // What this master knows not to exist must not stay on screen.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) this.data = null
    }
    this.loading = false
    changed()
  }
}
