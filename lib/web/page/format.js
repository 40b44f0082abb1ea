/** Numbers, times and sizes as people read them; pure. Undefined and null are a dash, never an empty cell. */

export const DASH = '–'

/** A duration that is a measurement. @param {number | null | undefined} ms @returns {string} */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return DASH
  if (ms < 0) return `−${duration(-ms)}`
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9_950 ? 2 : 1)} s`
  return span(ms)
}

/** A long stretch in its two largest units. @param {number} ms */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** @param {number | null | undefined} count */
export function bytes(count) {
  if (count === null || count === undefined) return DASH
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? DASH : WHOLE.format(value))

/** @param {number} one @param {string} word @param {string} [words] */
export const several = (one, word, words = `${word}s`) =>
  `${count(one)} ${one === 1 ? word : words}`

/** @param {number} value @param {number} [width] */
const two = (value, width = 2) => String(value).padStart(width, '0')

/** Wall clock in the reader's zone. @param {number | string | null | undefined} when */
export function time(when) {
  const date = dateOf(when)
  if (date === null) return DASH
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** With the day. @param {number | string | null | undefined} when */
export function dateTime(when) {
  const date = dateOf(when)
  if (date === null) return DASH
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time(date.getTime())}`
}

/** @param {number | string | null | undefined} when @returns {Date | null} */
function dateOf(when) {
  if (when === null || when === undefined) return null
  const date = new Date(when)
  return Number.isNaN(date.getTime()) ? null : date
}

/** One line of it. @param {string} text @param {number} length */
export function shortened(text, length) {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`
}

/** A value of a result. @param {unknown} value */
export function cell(value) {
  if (value === null || value === undefined) return 'NULL'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
