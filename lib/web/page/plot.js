/** A line over time as SVG, from numbers; pure. Its facts are told in words beside it, so it is hidden from readers. */
import { h } from './dom.js'
import { duration, time } from './format.js'

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {readonly (readonly [atMs: number, value: number | null])[]} points oldest first
 * @property {number} fromMs
 * @property {number} toMs
 * @property {number} width
 * @property {'log' | 'linear'} scale
 * @property {number} top the largest value that must fit
 * @property {{value: number, text: string} | null} [limit] a line to stay away from
 * @property {string} look
 */

const HEIGHT = 150
const LEFT = 58
const RIGHT = 8
const TOP = 18
const BOTTOM = 22

/** @param {Plot} plot */
export function plot(plot) {
  const { title, points, fromMs, toMs, width, limit = null, look } = plot
  const x = (/** @type {number} */ atMs) =>
    LEFT + ((width - LEFT - RIGHT) * (atMs - fromMs)) / Math.max(1, toMs - fromMs)
  const { y, ticks } = scaleOf(plot)
  return h(
    'svg',
    {
      class: `plot ${look}`,
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      'aria-hidden': 'true',
    },
    h('text', { x: LEFT, y: 11, class: 'title' }, title),
    ticks.map((value) => [
      h('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      h('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, duration(value)),
    ]),
    [0, 0.5, 1].map((part) => {
      const atMs = fromMs + part * (toMs - fromMs)
      const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle'
      return h('text', { x: x(atMs), y: HEIGHT - 6, 'text-anchor': anchor }, time(atMs))
    }),
    limit === null
      ? null
      : h('line', {
          class: 'limit',
          x1: LEFT,
          x2: width - RIGHT,
          y1: y(limit.value),
          y2: y(limit.value),
        }),
    h('path', { class: 'line', d: pathOf(points, x, y) }),
  )
}

/** @param {Plot} plot */
function scaleOf({ scale, top }) {
  const inner = HEIGHT - TOP - BOTTOM
  if (scale === 'linear') {
    const most = Math.max(1, top)
    const y = (/** @type {number} */ value) =>
      TOP + inner * (1 - Math.min(1, Math.max(0, value / most)))
    return { y, ticks: [0, most / 2, most] }
  }
  const decades = Math.max(3, Math.ceil(Math.log10(Math.max(1, top))) + 1)
  const y = (/** @type {number} */ value) =>
    TOP + inner * (1 - Math.min(1, Math.max(0, (Math.log10(Math.max(value, 0.1)) + 1) / decades)))
  return { y, ticks: Array.from({ length: decades + 1 }, (_, at) => 10 ** (at - 1)) }
}

/** Interrupted where nothing was measured. @param {Plot['points']} points @param {(v: number) => number} x @param {(v: number) => number} y */
function pathOf(points, x, y) {
  let path = ''
  let pen = false
  for (const [atMs, value] of points) {
    if (value === null) {
      pen = false
      continue
    }
    path += `${pen ? 'L' : 'M'}${x(atMs).toFixed(1)} ${y(value).toFixed(1)}`
    // A lone point would be invisible.
    if (!pen) path += 'h.1'
    pen = true
  }
  return path
}
