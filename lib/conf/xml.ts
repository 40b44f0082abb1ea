/**
 * Reads Hadoop's configuration XML as a list of properties, each with its line.
 *
 * fast-xml-parser does the parsing. It neither expands entities here nor sees a DOCTYPE: a scan before it refuses what a
 * configuration has no use for and an attacker has, and names the line, which the parser can't. Allowed in a property
 * are Hadoop's name, value, final, description, source and tag, as elements or as attributes.
 */
import { createRequire } from 'node:module'
import { ConfError, quoted } from './error.ts'
import { lineAt, lineFinder, type TextFile } from './read-file.ts'

// Its CommonJS build is one file: 10 ms of a command's start instead of 45.
const { XMLParser, XMLValidator }: typeof import('fast-xml-parser') = createRequire(
  import.meta.url,
)('fast-xml-parser')

export interface Property {
  readonly name: string
  /** As written, with its blanks and line ends. */
  readonly value: string
  readonly final: boolean
  readonly file: string
  /** Of the value. */
  readonly line: number
}

interface Properties {
  readonly properties: readonly Property[]
  readonly warnings: readonly string[]
}

const LONGEST_VALUE = 64 * 1024

const KNOWN_PARTS = ['name', 'value', 'final', 'description', 'source', 'tag']

/** Throws ConfError with file and line for whatever isn't a configuration. */
export function parseConfigurationXml(source: TextFile): Properties {
  const { file, text } = source
  if (text.trim() === '') {
    throw new ConfError(`${file}:1: the file is empty: it must hold a <configuration> element`)
  }
  refuseHostile(source)
  refuseMalformed(source)
  const root = rootOf(source)
  const reader = new PropertyReader(source)
  for (const element of root.children) reader.add(element)
  return { properties: reader.properties, warnings: reader.warnings }
}

const ENTITY = /&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});/y
const TAG = /<\/?([^\s/>]*)/y
/** fast-xml-parser refuses them without a line. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype'])

/** Comments, CDATA and instructions must be closed; DOCTYPE, unknown entities and foreign encodings are refused. */
function refuseHostile({ file, text }: TextFile): void {
  const fail = (index: number, message: string): never => {
    throw new ConfError(`${file}:${lineAt(text, index)}: ${message}`)
  }
  const after = (index: number, end: string, what: string): number => {
    const at = text.indexOf(end, index)
    return at < 0 ? fail(index, `${what} is not closed: ${end} is missing`) : at + end.length
  }
  let at = text.search(/[<&]/)
  for (let next = at; at >= 0; at = indexOfMarkup(text, next)) {
    if (text.startsWith('<!--', at)) next = after(at + 4, '-->', 'the comment')
    else if (text.startsWith('<![CDATA[', at)) next = after(at, ']]>', 'the CDATA section')
    else if (text.startsWith('<!', at)) {
      fail(at, 'DOCTYPE and entity declarations are not allowed in a configuration')
    } else if (text.startsWith('<?', at)) {
      next = after(at, '?>', 'the processing instruction')
      const encoding = /^<\?xml\s[^>]*encoding\s*=\s*["']([^"']*)["']/i.exec(text.slice(at, next))
      if (encoding !== null && !/^(utf-?8|us-ascii|ascii)$/i.test(encoding[1] ?? '')) {
        fail(at, `encoding ${quoted(encoding[1] ?? '')} is not supported: save the file as UTF-8`)
      }
    } else if (text[at] === '&') {
      ENTITY.lastIndex = at
      if (!ENTITY.test(text)) fail(at, "'&' must be written &amp;; other entities are not allowed")
      next = ENTITY.lastIndex
    } else {
      TAG.lastIndex = at
      const name = TAG.exec(text)?.[1] ?? ''
      if (RESERVED.has(name)) fail(at, `the element <${name}> is not allowed in a configuration`)
      next = at + 1
    }
  }
}

const MARKUP = /[<&]/g
function indexOfMarkup(text: string, from: number): number {
  MARKUP.lastIndex = from
  return MARKUP.exec(text)?.index ?? -1
}

function refuseMalformed({ file, text }: TextFile): void {
  const answer = XMLValidator.validate(text)
  if (answer === true) return
  const unclosed = /^Invalid '(\[.*\])' found\.$/s.exec(answer.err.msg)?.[1]
  if (unclosed !== undefined) {
    const names = unclosed.match(/[^"[\],\s]+/g) ?? []
    const line = lineAt(text, text.length)
    throw new ConfError(`${file}:${line}: the file ends, but <${names.at(-1)}> is not closed`)
  }
  throw new ConfError(
    `${file}:${answer.err.line}: the file is not well-formed XML: ${lowerFirst(answer.err.msg)}`,
  )
}

const lowerFirst = (message: string): string =>
  quoted(message.replace(/\.$/, ''))
    .slice(1, -1)
    .replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase())

interface Element {
  readonly tag: string
  readonly index: number
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
  /** Of this element itself, entities replaced. */
  readonly text: string
}

const PARSER_OPTIONS = {
  preserveOrder: true,
  captureMetaData: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: '#cdata',
  ignoreDeclaration: true,
  ignorePiTags: true,
  jPath: false,
  maxNestedTags: 50,
}

type RawNode = Readonly<Record<string | symbol, unknown>>

function rootOf({ file, text }: TextFile): Element {
  let nodes: RawNode[]
  try {
    nodes = new XMLParser(PARSER_OPTIONS).parse(text) as RawNode[]
  } catch (error) {
    const line = lineAt(text, text.search(/<[^?!]/))
    const why = (error as Error).message
    throw new ConfError(`${file}:${line}: the file can't be read as a configuration: ${why}`, {
      cause: error,
    })
  }
  const [root, second] = nodes
    .map((node) => elementOf(node))
    .filter((element) => !element.tag.startsWith('#'))
  if (root?.tag === 'configuration') {
    if (second === undefined) return root
    const where = `${file}:${lineAt(text, second.index)}`
    throw new ConfError(
      `${where}: <${second.tag}> stands after </configuration>: there is one outermost element, and all belongs into it`,
    )
  }
  const line = lineAt(text, root?.index ?? 0)
  throw new ConfError(
    `${file}:${line}: the outermost element is <${root?.tag ?? ''}>: it must be <configuration>`,
  )
}

const META = XMLParser.getMetaDataSymbol() as symbol

/** One node of the parser as ours, two levels deep: no configuration is deeper. */
function elementOf(node: RawNode, depth = 0): Element {
  const tag = Object.keys(node).find((key) => key !== ':@') ?? ''
  const raw = node[tag]
  const meta = node[META] as { startIndex?: number } | undefined
  const nodes = Array.isArray(raw) ? (raw as RawNode[]) : []
  return {
    tag,
    index: meta?.startIndex ?? 0,
    attributes: (node[':@'] as Record<string, string> | undefined) ?? {},
    children: depth > 2 ? [] : nodes.map((child) => elementOf(child, depth + 1)),
    text: Array.isArray(raw) ? nodes.map(textOf).join('') : textOf(node),
  }
}

function textOf(node: RawNode): string {
  if (typeof node['#text'] === 'string') return replaceEntities(node['#text'])
  const cdata = node['#cdata']
  const inner = Array.isArray(cdata) ? (cdata[0] as RawNode | undefined)?.['#text'] : undefined
  return typeof inner === 'string' ? inner : ''
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const replaceEntities = (text: string): string =>
  text.replaceAll(/&(#x?)?([0-9a-zA-Z]+);/g, (_, numeric: string | undefined, name: string) => {
    if (numeric === undefined) return NAMED[name] ?? ''
    const code = Number.parseInt(name, numeric === '#' ? 10 : 16)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
  })

class PropertyReader {
  readonly properties: Property[] = []
  readonly warnings: string[] = []
  readonly #source: TextFile
  readonly #lineAt: (index: number) => number

  constructor(source: TextFile) {
    this.#source = source
    this.#lineAt = lineFinder(source.text)
  }

  add(element: Element): void {
    if (element.tag === '#text' || element.tag === '#cdata') {
      if (element.text.trim() !== '') {
        // The parser gives no place for a text: its first word has one.
        const word = element.text.trim().split(/\s/)[0] ?? ''
        this.#fail(this.#source.text.indexOf(word), `text outside of a property: ${quoted(word)}`)
      }
      return
    }
    if (element.tag === 'property') this.#addProperty(element)
    else if (/(^|:)include$/.test(element.tag)) {
      this.#fail(element.index, `<${element.tag}> is not supported: put the properties here`)
    } else this.#warnUnknown(element, 'configuration', ['property'])
  }

  #addProperty(element: Element): void {
    const name = this.#part(element, 'name')
    const value = this.#part(element, 'value')
    const final = this.#part(element, 'final')
    for (const part of element.children) {
      if (part.tag.startsWith('#')) {
        if (part.text.trim() === '') continue
        this.#fail(element.index, `the property holds bare text: ${quoted(part.text.trim())}`)
      } else if (!KNOWN_PARTS.includes(part.tag)) {
        this.#warnUnknown(part, 'property', KNOWN_PARTS)
      }
    }
    const key = name?.text.trim() ?? ''
    if (key === '') this.#fail(element.index, 'the property has no <name>')
    if (value === null) this.#fail(element.index, `the property ${quoted(key)} has no <value>`)
    const text = value?.text ?? ''
    if (text.length > LONGEST_VALUE) {
      const size = `${text.length} characters: at most ${LONGEST_VALUE} are allowed`
      this.#fail(value?.index ?? 0, `the value of ${quoted(key)} has ${size}`)
    }
    const finalText = final?.text.trim() ?? 'false'
    if (finalText !== 'true' && finalText !== 'false') {
      this.#fail(final?.index ?? 0, `<final> is ${quoted(finalText)}: allowed is true or false`)
    }
    this.properties.push({
      name: key,
      value: text,
      final: finalText === 'true',
      file: this.#source.file,
      line: this.#lineAt(value?.index ?? 0),
    })
  }

  /** Finds a part given once, as an element or as an attribute. */
  #part(element: Element, tag: string): { text: string; index: number } | null {
    const found = element.children.filter((child) => child.tag === tag)
    const nested = found[0]?.children.find((child) => !child.tag.startsWith('#'))
    if (nested !== undefined) {
      this.#fail(nested.index, `<${tag}> holds an element <${nested.tag}>: only text is allowed`)
    }
    if (found[1] !== undefined) {
      this.#fail(found[1].index, `the property has a second <${tag}>: one is allowed`)
    }
    const attribute = element.attributes[tag]
    if (found[0] !== undefined) return found[0]
    return attribute === undefined
      ? null
      : { text: replaceEntities(attribute), index: element.index }
  }

  #warnUnknown(element: Element, within: string, known: readonly string[]): void {
    const line = this.#lineAt(element.index)
    const list = known.join(', ')
    this.warnings.push(
      `${this.#source.file}:${line}: <${element.tag}> in <${within}> means nothing and is left out (known: ${list})`,
    )
  }

  #fail(index: number, message: string): void {
    throw new ConfError(`${this.#source.file}:${this.#lineAt(index)}: ${message}`)
  }
}
