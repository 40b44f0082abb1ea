/** How long renewals take on the shared directory, and how much of the lease is left each time. */
import { byId, h } from './dom.js'
import { count, duration } from './format.js'
import { addSamples } from './live.js'
import { Loaded } from './load.js'
import { heading, table, trouble } from './parts.js'
import { plot } from './plot.js'
import { hrefOf } from './route.js'
import { nowMs, state } from './store.js'

/** @typedef {import('./types.d.ts').Sample} Sample */
/** @type {Loaded<{deadlineMs: number | null, renewMs: number | null, masters: {address: string, samples: Sample[]}[]}>} */
const loaded = new Loaded()
/** @type {unknown} */
let taken = null

const WINDOWS = /** @type {const} */ ([
  ['1', '1 minute'],
  ['5', '5 minutes'],
  ['15', '15 minutes'],
])

/** @param {import('./route.js').Route} route */
function render({ query }) {
  loaded.want('/api/v1/lease')
  takeOver()
  const minutes = Number(query.get('minutes')) || 5
  const toMs = nowMs()
  const fromMs = toMs - minutes * 60_000
  const names = [...state.lease.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  const shown = names.map((address) => ({
    address,
    samples: within(state.lease.get(address) ?? [], fromMs),
  }))
  return [
    heading('Lease'),
    h(
      'p',
      { class: 'note' },
      `The active master renews its lease by touching a file${every()}. If it fails to for so long that the margin is used up, it stops serving by itself. Backups touch files of their own.`,
    ),
    h(
      'p',
      { class: 'row', role: 'group', 'aria-label': 'Time shown' },
      WINDOWS.map(([value, text]) =>
        h(
          'a',
          {
            class: 'button',
            href: hrefOf(['lease'], { minutes: value }),
            'aria-current': String(minutes) === value ? 'true' : null,
          },
          text,
        ),
      ),
    ),
    loaded.data === null ? trouble(loaded) : null,
    summary(shown),
    shown.map(({ address, samples }) => figure(address, samples, fromMs, toMs)),
  ]
}

const every = () => {
  const ms = loaded.data?.renewMs ?? null
  return ms === null ? '' : ` each ${duration(ms)}`
}

/** The history of before this page was opened, once for each master that is followed. */
function takeOver() {
  if (loaded.data === null || loaded.data === taken) return
  taken = loaded.data
  const newer = state.lease
  state.lease = new Map()
  for (const { address, samples } of loaded.data.masters) {
    addSamples(samples.map((sample) => [address, ...sample]))
  }
  for (const [address, samples] of newer) addSamples(samples.map((sample) => [address, ...sample]))
}

/** @param {string} address */
const rank = (address) => (address === state.cluster?.active ? 0 : 1)

/** @param {readonly Sample[]} samples @param {number} fromMs */
const within = (samples, fromMs) => samples.filter(([atMs]) => atMs >= fromMs)

/** @param {{address: string, samples: Sample[]}[]} shown */
const summary = (shown) =>
  table({
    caption: 'Renewals in this time',
    label: 'Renewals',
    columns: [
      { title: 'Master', look: 'name', cell: ({ address }) => address },
      { title: 'Seconds seen', look: 'number', cell: ({ samples }) => count(samples.length) },
      {
        title: 'Last',
        look: 'number',
        cell: ({ samples }) => duration(sorted(samples, 1, -1).at(-1)),
      },
      {
        title: 'Median',
        look: 'number',
        cell: ({ samples }) => duration(at(sorted(samples, 1), 0.5)),
      },
      {
        title: '99 of 100 below',
        look: 'number',
        cell: ({ samples }) => duration(at(sorted(samples, 1), 0.99)),
      },
      {
        title: 'Worst',
        look: 'number',
        cell: ({ samples }) => duration(sorted(samples, 1).at(-1)),
      },
      {
        title: 'Least margin',
        look: 'number',
        cell: ({ samples }) => duration(sorted(samples, 2)[0]),
      },
    ],
    rows: shown,
    key: ({ address }) => address,
    empty: 'No master has told of a renewal yet.',
  })

/** What was measured, smallest first, or as it came. @param {readonly Sample[]} samples @param {1 | 2} which @param {-1} [order] */
function sorted(samples, which, order) {
  const values = samples.map((sample) => sample[which]).filter((value) => value !== null)
  return order === -1 ? values : values.sort((a, b) => a - b)
}

/** @param {readonly number[]} values @param {number} part */
const at = (values, part) => values[Math.min(values.length - 1, Math.floor(part * values.length))]

/** Padding and border of a figure, on both sides. */
const FIGURE_EDGES = 25

/** In pixels: a plot is drawn for its width, so that its text is never stretched. */
function roomInFigure() {
  const view = byId('view')
  const { paddingLeft, paddingRight } = getComputedStyle(view)
  return view.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) - FIGURE_EDGES
}

/** @param {string} address @param {readonly Sample[]} samples @param {number} fromMs @param {number} toMs */
function figure(address, samples, fromMs, toMs) {
  const width = Math.max(280, roomInFigure())
  const frame = { fromMs, toMs, width }
  const renewals = samples.map(([atMs, value]) => /** @type {const} */ ([atMs, value]))
  const margins = samples.map(([atMs, , value]) => /** @type {const} */ ([atMs, value]))
  const deadlineMs = loaded.data?.deadlineMs ?? 0
  const most = (/** @type {readonly (readonly [number, number | null])[]} */ points) =>
    points.reduce((top, [, value]) => Math.max(top, value ?? 0), 0)
  const held = margins.some(([, value]) => value !== null)
  return h(
    'figure',
    { key: address },
    h(
      'figcaption',
      null,
      h('strong', { class: 'name' }, address),
      address === state.cluster?.active ? ' active' : ' backup',
    ),
    plot({
      ...frame,
      title: 'renewal took (worst of each second)',
      points: renewals,
      scale: 'log',
      top: most(renewals),
      look: 'renewal',
    }),
    held
      ? plot({
          ...frame,
          title: 'margin left (least of each second)',
          points: margins,
          scale: 'linear',
          top: Math.max(deadlineMs, most(margins)),
          limit: { value: 0, text: 'over' },
          look: 'margin',
        })
      : null,
  )
}

/** @type {import('./main.js').View} */
export const leaseView = { title: 'Lease', render }
