/**
 * Views as data: `h` describes an element, `patch` makes a node's children equal to a description and touches only what
 * differs, so focus, selection, scroll positions and opened <details> survive an update each second. What is left out
 * (null, false) keeps its place as an empty text node: what stands after it stays the same element. Text becomes text
 * nodes and nothing is ever parsed as HTML: a name from a hostile catalog can't become markup here.
 */

/**
 * @typedef {object} VNode
 * @property {string} tag
 * @property {Props} props
 * @property {readonly Child[]} children
 *
 * @typedef {VNode | string} Child
 * @typedef {Record<string, unknown>} Props `on…`: a handler; `style`: an object for the CSSOM; `key`: tells siblings apart;
 *   `value`, `checked`, `open`, `disabled`: properties; all others: attributes, left out when null or false.
 */

const SVG = 'http://www.w3.org/2000/svg'
const PROPERTIES = new Set(['value', 'checked', 'open', 'disabled', 'selected', 'indeterminate'])

/** What `patch` has put on an element, to know what to take away. */
/** @type {WeakMap<Element, VNode>} */
const described = new WeakMap()

/**
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...unknown} children strings, numbers, nodes, arrays of them; null, undefined and false show nothing
 * @returns {VNode}
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children) }
}

/** @param {unknown[]} children @returns {Child[]} */
function flat(children) {
  /** @type {Child[]} */
  const all = []
  for (const child of children) {
    if (child === null || child === undefined || child === false) all.push('')
    else if (Array.isArray(child)) all.push(...flat(child))
    else if (typeof child === 'object') all.push(/** @type {VNode} */ (child))
    else all.push(String(child))
  }
  return all
}

/** @param {Element} parent @param {...unknown} children */
export function patch(parent, ...children) {
  patchChildren(parent, flat(children))
}

/** @param {Element} parent @param {readonly Child[]} wanted */
function patchChildren(parent, wanted) {
  /** @type {Map<unknown, Element>} */
  const keyed = new Map()
  for (const child of parent.children) {
    const key = described.get(child)?.props.key
    if (key !== undefined) keyed.set(key, child)
  }
  /** @type {ChildNode | null} */
  let at = parent.firstChild
  for (const child of wanted) {
    const key = typeof child === 'string' ? undefined : child.props.key
    /** @type {ChildNode | null} */
    const candidate = key === undefined ? at : (keyed.get(key) ?? at)
    const node = candidate !== null && fits(candidate, child) ? candidate : create(parent, child)
    const there = at
    if (node === there) at = there.nextSibling
    else parent.insertBefore(node, there)
    // Without keys a place tells who is who: another kind of node takes the place of the one that is there.
    if (node !== there && there !== null && key === undefined && !isKeyed(there)) {
      at = there.nextSibling
      there.remove()
    }
    update(node, child)
  }
  while (at !== null) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

/** @param {ChildNode} node */
const isKeyed = (node) => node instanceof Element && described.get(node)?.props.key !== undefined

/** @param {ChildNode} node @param {Child} child */
function fits(node, child) {
  if (typeof child === 'string') return node.nodeType === Node.TEXT_NODE
  if (!(node instanceof Element) || node.localName !== child.tag) return false
  return described.get(node)?.props.key === child.props.key
}

/** @param {Element} parent @param {Child} child @returns {ChildNode} */
function create(parent, child) {
  if (typeof child === 'string') return document.createTextNode(child)
  const svg = child.tag === 'svg' || parent.namespaceURI === SVG
  return svg ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag)
}

/** @param {ChildNode} node @param {Child} child */
function update(node, child) {
  if (typeof child === 'string') {
    if (node.nodeValue !== child) node.nodeValue = child
    return
  }
  const element = /** @type {HTMLElement} */ (node)
  const before = described.get(element)?.props ?? {}
  described.set(element, child)
  // Children first: a <select> takes its value only when it has the options.
  patchChildren(element, child.children)
  for (const name of Object.keys(before)) {
    if (!(name in child.props)) set(element, name, null, before[name])
  }
  for (const [name, value] of Object.entries(child.props)) set(element, name, value, before[name])
}

/** @param {HTMLElement} element @param {string} name @param {unknown} value @param {unknown} before */
function set(element, name, value, before) {
  if (name === 'key') return
  if (name === 'style')
    return setStyle(element, /** @type {Record<string, string>} */ (value ?? {}))
  // What people typed, opened or ticked stays: properties are set only when the description of them changes.
  if (value === before) return
  const plain = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (element))
  if (name.startsWith('on')) plain[name] = value
  else if (PROPERTIES.has(name)) plain[name] = value ?? false
  else if (value === null || value === undefined || value === false) element.removeAttribute(name)
  else element.setAttribute(name, value === true ? '' : String(value))
}

/** @param {HTMLElement} element @param {Record<string, string>} style */
function setStyle(element, style) {
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value)
}

/** The element of that id, which index.html has. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`index.html has no element "${id}"`)
  return element
}
