/** The doc comments of a file of TypeScript, each with what stands behind it. Pure. */

export interface DocComment {
  /** On which it begins, counted from 1. */
  readonly line: number
  /** Without its stars: as many lines as it has. */
  readonly text: string
  readonly of: 'header' | 'code' | 'label'
}

/** What makes a function, a class or a type of its own. Anything else is a value's name: a field, a constant, a member of a union. */
const DECLARES =
  /^(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function|class)\b|^(?:(?:static|async|get|set|private|protected)\s+)*[#\w$[\].]+\??(?:<[^>]*>)?\([^)]*$|^(?:(?:static|async|get|set|private|protected)\s+)*[#\w$[\].]+\??(?:<[^>]*>)?\(.*\)(?::[^=]*)?\s*\{?$/

export function docCommentsIn(source: string): DocComment[] {
  return [...source.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map((match) => {
    const before = source.slice(0, match.index)
    const next = source.slice(match.index + match[0].length).trimStart()
    const [code = ''] = next.split('\n')
    const text = (match[1] ?? '').replace(/^[ \t]*\*(?: |$)?/gm, '').trim()
    const isHeader = !/\S/.test(before.replace(/^\/\/.*$/gm, ''))
    const isLabel = !text.includes('\n') && !DECLARES.test(code.trim())
    return {
      line: before.split('\n').length,
      text,
      of: isHeader ? 'header' : isLabel ? 'label' : 'code',
    }
  })
}
