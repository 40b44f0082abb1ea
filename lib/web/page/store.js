/** All that the page knows, in one object, and who wants to hear when it changes. Changes of one moment are told once. */

/** @type {import('./types.d.ts').State} */
export const state = {
  link: { status: 'connecting', base: '', homeLostAtMs: null, home: null },
  cluster: null,
  clockMs: 0,
  history: null,
  lease: new Map(),
  queriesTick: 0,
  changed: [],
  workersTick: 0,
  needsToken: false,
  logIns: 0,
}

/** @type {Set<() => void>} */
const listeners = new Set()
let due = false

/** @param {() => void} listener */
export function onChange(listener) {
  listeners.add(listener)
}

/** @param {Partial<import('./types.d.ts').State>} news */
export function change(news) {
  Object.assign(state, news)
  changed()
}

/** Tells the listeners soon. A timer and no animation frame: these stand still in a hidden tab, whose title shall go on. */
export function changed() {
  if (due) return
  due = true
  setTimeout(() => {
    due = false
    for (const listener of listeners) listener()
  }, 0)
}

/** The cluster's wall clock. */
export const nowMs = () => Date.now() + state.clockMs
