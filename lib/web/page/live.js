/**
 * The stream of events that keeps the page live. When the master that it comes from dies, ends or freezes, all known
 * masters are asked at once and the first that tells its view of the cluster is followed; the page says so, and goes home
 * to the master that served it when that one answers again. A master may be known by two URLs: the one it advertises, and
 * its port at the host name in the address bar, for who came through an alias or a tunnel.
 */
import { ofCluster } from './api.js'
import { change, state } from './store.js'

/** The masters send one event a second at least. */
const SILENCE_MS = 4000
const SEARCH_MS = 2500
const AGAIN_MS = 500
const HOME_MS = 2000
const HIDDEN_MS = 60_000

/** @type {EventSource | null} */
let current = null
/** @type {Set<EventSource>} */
let searching = new Set()
let silence = 0
let again = 0
let home = 0

/** @type {Record<string, (data: any) => void>} */
const HANDLERS = {
  cluster: (cluster) => {
    // An EventSource shows no token, so it is told no statements: the lists are asked for instead.
    const queriesTick = state.queriesTick + (state.logIns > 0 ? 1 : 0)
    change({ cluster, clockMs: cluster.takenAtMs - Date.now(), queriesTick })
  },
  history: ({ history }) => change({ history }),
  lease: ({ samples }) => addSamples(samples),
  queries: ({ counts, changed }) => {
    const { cluster } = state
    change({
      queriesTick: state.queriesTick + 1,
      changed,
      ...(cluster === null ? {} : { cluster: { ...cluster, queryCounts: counts } }),
    })
  },
  workers: (workerCounts) => {
    const { cluster } = state
    change({
      workersTick: state.workersTick + 1,
      ...(cluster === null ? {} : { cluster: { ...cluster, workerCounts } }),
    })
  },
}

export function startLive() {
  search()
  let hidden = 0
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden)
    // A browser opens six connections to a server: forgotten tabs shall not hold them all.
    if (document.hidden) hidden = window.setTimeout(pause, HIDDEN_MS)
    else if (current === null && searching.size === 0) search()
  })
}

function pause() {
  stopSearching()
  clearTimeout(silence)
  current?.close()
  current = null
}

/** Base URLs of all masters, the one that served the page first. */
function bases() {
  const { protocol, hostname, host } = location
  const all = ['']
  for (const { page } of state.cluster?.masters ?? []) {
    const url = URL.canParse(page) ? new URL(page) : null
    if (url === null) continue
    const alias = `${hostname}:${url.port || '80'}`
    for (const other of [url.host, alias]) {
      const base = `${protocol}//${other}`
      if (other !== host && !all.includes(base)) all.push(base)
    }
  }
  return all
}

function search() {
  stopSearching()
  clearTimeout(again)
  for (const base of bases()) tryOne(base)
  again = window.setTimeout(() => {
    nobody()
    search()
  }, SEARCH_MS)
}

function nobody() {
  change({
    link: { ...state.link, status: 'lost', homeLostAtMs: state.link.homeLostAtMs ?? Date.now() },
  })
}

function stopSearching() {
  for (const source of searching) source.close()
  searching = new Set()
}

/** @param {string} base */
function tryOne(base) {
  const source = new EventSource(base + ofCluster('/api/v1/events'))
  searching.add(source)
  source.onerror = () => {
    // It would come back to the same master by itself: where to go next is decided here.
    source.close()
    if (source === current) return lost()
    if (!searching.delete(source) || searching.size > 0) return
    clearTimeout(again)
    if (current !== null) return
    nobody()
    again = window.setTimeout(search, AGAIN_MS)
  }
  source.addEventListener('bye', () => {
    source.close()
    if (source === current) lost()
  })
  for (const [name, handle] of Object.entries(HANDLERS)) {
    source.addEventListener(name, (event) => {
      if (source !== current) {
        if (name !== 'cluster' || !searching.has(source)) return
        follow(source, base, JSON.parse(event.data))
      }
      heard()
      handle(JSON.parse(event.data))
    })
  }
}

/** @param {EventSource} source @param {string} base @param {import('./types.d.ts').Cluster} cluster */
function follow(source, base, cluster) {
  searching.delete(source)
  stopSearching()
  clearTimeout(again)
  current?.close()
  current = source
  clearTimeout(home)
  const atHome = base === ''
  change({
    link: {
      status: 'live',
      base,
      home: atHome ? cluster.self : state.link.home,
      homeLostAtMs: atHome ? null : (state.link.homeLostAtMs ?? Date.now()),
    },
    // Another master counts from somewhere else.
    queriesTick: state.queriesTick + 1,
    workersTick: state.workersTick + 1,
  })
  if (!atHome) home = window.setTimeout(lookHome, HOME_MS)
}

function heard() {
  clearTimeout(silence)
  silence = window.setTimeout(lost, SILENCE_MS)
}

function lost() {
  clearTimeout(silence)
  current?.close()
  current = null
  const atHome = state.link.base === ''
  change({
    link: {
      ...state.link,
      status: 'connecting',
      homeLostAtMs: atHome ? Date.now() : state.link.homeLostAtMs,
    },
  })
  search()
}

async function lookHome() {
  const signal = AbortSignal.timeout(HOME_MS)
  const answers = await fetch(ofCluster('/health/live'), { signal, cache: 'no-store' }).then(
    ({ ok }) => ok,
    () => false,
  )
  if (current === null || state.link.base === '') return
  if (answers && searching.size === 0) tryOne('')
  home = window.setTimeout(lookHome, HOME_MS)
}

/** A quarter of an hour is kept. */
const KEPT_MS = 900_000

/** @param {readonly [address: string, ...import('./types.d.ts').Sample][]} samples */
export function addSamples(samples) {
  const { lease } = state
  for (const [address, ...sample] of samples) {
    const known = lease.get(address) ?? []
    const last = known.at(-1)
    if (last !== undefined && last[0] >= sample[0]) continue
    known.push(sample)
    while (known[0] !== undefined && known[0][0] < sample[0] - KEPT_MS) known.shift()
    lease.set(address, known)
  }
  change({ lease })
}
