/**
 * The Korean texts beside the English ones: each section says, in a mark behind its heading, of which English section it is
 * the translation, and of which text of it, by a hash. So a section whose English one has changed since is found, and so is
 * one in which a command, an exit code or a name of a key is another. Pure.
 *
 *     ## 마운트
 *     <!-- en: Mounts 1a2b3c4d -->
 */
import { createHash } from 'node:crypto'

/** English texts, and where their Korean ones lie. */
export const KOREAN = {
  'README.md': 'README.ko.md',
  'docs/operations.md': 'docs/ko/operations.md',
} as const

interface Section {
  /** As many as its heading has `#`. */
  readonly level: number
  readonly heading: string
  readonly body: string
}

const HEADING = /^(#{1,4}) (.+)$/

export function sectionsOf(text: string): Section[] {
  const found: { level: number; heading: string; lines: string[] }[] = []
  for (const line of text.split('\n')) {
    const [, marks, heading = ''] = HEADING.exec(line) ?? []
    if (marks !== undefined) found.push({ level: marks.length, heading, lines: [] })
    else found.at(-1)?.lines.push(line)
  }
  return found.map(({ level, heading, lines }) => ({
    level,
    heading,
    body: lines.join('\n').replace(/^\n+/, '').trimEnd(),
  }))
}

export const hashOf = ({ heading, body }: Section): string =>
  createHash('sha256').update(`${heading}\n${body}`).digest('hex').slice(0, 8)

const MARK = /^<!-- en: (.+) ([0-9a-f]{8}) -->$/m

export const markOf = (section: Section): string =>
  `<!-- en: ${section.heading} ${hashOf(section)} -->`

/** What is told of each section that is not the translation of its English one; empty where all are. */
export function differences(english: string, korean: string): string[] {
  const ours = sectionsOf(english)
  const theirs = sectionsOf(korean)
  if (ours.length !== theirs.length) {
    return [`there are ${theirs.length} sections in Korean, ${ours.length} in English`]
  }
  return ours.flatMap((section, at) => {
    const other = theirs[at]
    return other === undefined ? [] : ofSection(section, other)
  })
}

function ofSection(ours: Section, theirs: Section): string[] {
  const [, heading, hash] = MARK.exec(theirs.body) ?? []
  const name = `"${theirs.heading}"`
  if (heading === undefined) return [`${name} has no mark: ${markOf(ours)}`]
  if (heading !== ours.heading || theirs.level !== ours.level) {
    return [`${name} stands where "${ours.heading}" stands in English`]
  }
  if (hash !== hashOf(ours)) {
    return [
      `${name}: "${heading}" has changed since; translate it anew, then write ${markOf(ours)}`,
    ]
  }
  const translated = theirs.body.replace(MARK, '')
  const told: string[] = []
  for (const [what, of] of [
    ['commands', commandsIn],
    ['names', namesIn],
  ] as const) {
    const missing = without(of(ours.body), of(translated))
    const added = without(of(translated), of(ours.body))
    if (missing.length > 0) told.push(`${name} lacks ${what}: ${missing.join(', ')}`)
    if (added.length > 0) told.push(`${name} has ${what} of its own: ${added.join(', ')}`)
  }
  return told
}

/** Lines of code, less what is said behind them for people. */
const commandsIn = (body: string): string[] =>
  body
    .split('\n')
    .filter((line) => /^ {4}\S/.test(line))
    .map((line) => line.replace(/\s+# .*$/, '').trim())

/** What stands in backticks: keys, commands, files, exit codes. */
const namesIn = (body: string): string[] => body.match(/`[^`\n]+`/g) ?? []

function without(all: readonly string[], others: readonly string[]): string[] {
  const left = [...others]
  return all.filter((one) => {
    const at = left.indexOf(one)
    if (at !== -1) left.splice(at, 1)
    return at === -1
  })
}
