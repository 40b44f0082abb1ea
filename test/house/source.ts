/**
 * What a file of TypeScript says of itself without being compiled: its code without comments, what it imports and exports.
 * A tree of any commit can be read so, also one whose compiler this one's would not understand. Pure.
 */

/** The text with each comment replaced by blanks, its line breaks kept. */
export function withoutComments(text: string): string {
  let out = ''
  let at = 0
  /** For each `${` that is open in a template: how many braces are open in it. */
  const templates: number[] = []
  while (at < text.length) {
    const rest = text.slice(at, at + 2)
    const c = text.charAt(at)
    let end = at + 1
    if (rest === '//') end = endOf(text, at, '\n')
    else if (rest === '/*') end = endOf(text, at + 2, '*/') + 2
    else if (c === "'" || c === '"') end = quoteEnd(text, at, c)
    else if (c === '`') end = templateEnd(text, at + 1, templates)
    else if (c === '/' && startsRegExp(out)) end = regExpEnd(text, at)
    else if (c === '{' && templates.length > 0) templates.push((templates.pop() ?? 0) + 1)
    else if (c === '}' && templates.length > 0) {
      const open = templates.pop() ?? 0
      if (open > 0) templates.push(open - 1)
      else end = templateEnd(text, at + 1, templates)
    }
    const piece = text.slice(at, end)
    out += rest === '//' || rest === '/*' ? piece.replace(/[^\n]/g, ' ') : piece
    at = end
  }
  return out
}

function endOf(text: string, from: number, mark: string): number {
  const at = text.indexOf(mark, from)
  return at === -1 ? text.length : at
}

function quoteEnd(text: string, from: number, quote: string): number {
  let at = from + 1
  while (at < text.length && text.charAt(at) !== quote) at += text.charAt(at) === '\\' ? 2 : 1
  return at + 1
}

/** `from` is behind the backtick, or behind the brace that ends an inserted expression. */
function templateEnd(text: string, from: number, templates: number[]): number {
  let at = from
  while (at < text.length) {
    if (text.charAt(at) === '`') return at + 1
    if (text.startsWith('${', at)) {
      templates.push(0)
      return at + 2
    }
    at += text.charAt(at) === '\\' ? 2 : 1
  }
  return at
}

/** A slash divides behind a value, and begins a regular expression anywhere else. */
function startsRegExp(before: string): boolean {
  const text = before.trimEnd()
  if (/(?:^|[^\w$.])(?:return|typeof|case|in|of|await|yield|void|throw)$/.test(text)) return true
  return !/[\w$)\]}'"`]$/.test(text)
}

function regExpEnd(text: string, from: number): number {
  let at = from + 1
  let isInClass = false
  while (at < text.length) {
    const c = text.charAt(at)
    if (c === '\\') at++
    else if (c === '[') isInClass = true
    else if (c === ']') isInClass = false
    else if (c === '\n' || (c === '/' && !isInClass)) return at + 1
    at++
  }
  return at
}

export interface Import {
  /** As it is written. */
  readonly from: string
  /** By the names that the other file has for them; null where all of it is meant, as by `import()`. */
  readonly names: readonly string[] | null
  readonly kind: 'value' | 'type' | 'dynamic'
  /** For `export … from`: the names under which they go on. */
  readonly exportedAs: readonly string[] | null
}

const nameOf = (part: string, which: 0 | 1): string => {
  const [name = '', as = name] = part
    .trim()
    .replace(/^type\s+/, '')
    .split(/\s+as\s+/)
  return (which === 0 ? name : as).trim()
}

const partsOf = (list: string): string[] =>
  list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** `code` is without comments. */
export function importsOf(code: string): Import[] {
  const found: Import[] = []
  const statement = /^(import|export)\s+(type\s+)?([\w$*\s{},]*?)\s*from\s*'([^']+)'/gm
  for (const [, word = '', type, what = '', from = ''] of code.matchAll(statement)) {
    const braces = /\{([^}]*)\}/.exec(what)?.[1]
    const listed = partsOf(braces ?? '')
    const isType =
      type !== undefined || (listed.length > 0 && listed.every((one) => /^type\s/.test(one)))
    const isWhole = what.includes('*')
    const ahead = what.split('{')[0]?.replace(',', '').trim() ?? ''
    const names = listed.map((part) => nameOf(part, 0))
    found.push({
      from,
      names: isWhole ? null : ahead === '' || ahead === '*' ? names : ['default', ...names],
      kind: isType ? 'type' : 'value',
      exportedAs: word === 'export' ? listed.map((part) => nameOf(part, 1)) : null,
    })
  }
  for (const [, from = ''] of code.matchAll(/^import\s+'([^']+)'/gm)) {
    found.push({ from, names: [], kind: 'value', exportedAs: null })
  }
  for (const [, from = ''] of code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from, names: null, kind: 'dynamic', exportedAs: null })
  }
  return found
}

/** The names that a file declares and exports; those that it only passes on are among its imports. `code` is without comments. */
export function exportsOf(code: string): string[] {
  const declared =
    /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|const|let|class|interface|type|enum)\s+([\w$]+)/gm
  const names = [...code.matchAll(declared)].map(([, name = '']) => name)
  const lists = [...code.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/gm)]
  return [
    ...names,
    ...lists.flatMap(([, list = '']) => partsOf(list).map((part) => nameOf(part, 1))),
  ]
}
