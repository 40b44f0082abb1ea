/**
 * Figures of the house, from the text of its files alone: how much code there is, in how many files, how they lean on each
 * other, and what stands twice. Pure.
 *
 * A door is the `index.ts` of a directory right below `lib`: whoever comes from another such directory goes through it.
 */
import { dirname, join } from 'node:path/posix'
import { exportsOf, type Import, importsOf, withoutComments } from './source.ts'

/** Paths from the project's root on, such as `lib/ha/index.ts`, to texts. */
export type Tree = ReadonlyMap<string, string>

export interface Edge {
  readonly from: string
  readonly to: string
  readonly kind: Import['kind']
  readonly names: Import['names']
  readonly exportedAs: Import['exportedAs']
}

export interface SourceFile {
  readonly path: string
  readonly lines: number
  readonly code: string
  readonly exports: readonly string[]
}

export interface House {
  /** Those of `lib`. */
  readonly files: readonly SourceFile[]
  /** Among all files of the tree. */
  readonly edges: readonly Edge[]
}

export function houseOf(tree: Tree): House {
  const files: SourceFile[] = []
  const edges: Edge[] = []
  for (const [path, text] of tree) {
    const code = withoutComments(text)
    if (path.startsWith('lib/')) {
      const lines = text.split('\n').length - 1
      files.push({ path, lines, code, exports: exportsOf(code) })
    }
    for (const { from, ...rest } of importsOf(code)) {
      if (!from.startsWith('.')) continue
      const to = join(dirname(path), from).replace(/\.js$/, '.ts')
      if (tree.has(to)) edges.push({ from: path, to, ...rest })
    }
  }
  return { files, edges }
}

export const isInLib = (path: string): boolean => path.startsWith('lib/')
const floorOf = (path: string): string => path.split('/')[1] ?? ''

export const codeLines = (code: string): string[] =>
  code
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

/** Files that one file of `lib` imports and no other does. */
export function importedByOne({ files, edges }: House): string[] {
  const by = new Map<string, Set<string>>()
  for (const { from, to } of edges) if (isInLib(from)) (by.get(to) ?? put(by, to)).add(from)
  return files.filter(({ path }) => by.get(path)?.size === 1).map(({ path }) => path)
}

function put(by: Map<string, Set<string>>, key: string): Set<string> {
  const made = new Set<string>()
  by.set(key, made)
  return made
}

/** Imports of a file behind another directory's door, where there is one. */
export function pastDoors({ files, edges }: House): Edge[] {
  const doors = new Set(
    files.map(({ path }) => path).filter((path) => /^lib\/\w+\/index\.ts$/.test(path)),
  )
  return edges.filter(({ from, to }) => {
    const door = `lib/${floorOf(to)}/index.ts`
    return isInLib(from) && floorOf(from) !== floorOf(to) && doors.has(door) && to !== door
  })
}

export interface DeadExport {
  readonly path: string
  readonly name: string
}

/** Exported names that no other file of the tree asks for. What the package's own doors give to others is not among them. */
export function deadExports(house: House, isPublic: (path: string) => boolean): DeadExport[] {
  const texts = new Map(house.files.map(({ path, code }) => [path, code]))
  const into = new Map<string, Edge[]>()
  for (const edge of house.edges) into.set(edge.to, [...(into.get(edge.to) ?? []), edge])
  /** What a door only passes on is asked for where somebody asks the door. */
  const isAsked = (path: string, name: string): boolean =>
    (into.get(path) ?? []).some(({ from, names, exportedAs }) => {
      if (names === null) return mentions(texts.get(from), name)
      const at = names.indexOf(name)
      if (at === -1) return false
      const as = exportedAs?.[at]
      return as === undefined || isPublic(from) || isAsked(from, as)
    })
  return house.files.flatMap(({ path, exports }) =>
    isPublic(path)
      ? []
      : exports.filter((name) => !isAsked(path, name)).map((name) => ({ path, name })),
  )
}

/** Files outside of lib have no text here: whoever imports all of a file there may ask for anything. */
const mentions = (code: string | undefined, name: string): boolean =>
  code === undefined || new RegExp(`\\b${name}\\b`).test(code)

/** All that is loaded with a file, itself included: values and not types, and nothing that is loaded later. */
export function loadedWith({ edges }: House, path: string): Set<string> {
  const seen = new Set([path])
  for (const one of seen) {
    for (const { from, to, kind } of edges) if (from === one && kind === 'value') seen.add(to)
  }
  return seen
}

/** Circles of imports that the running program has: each as the files along it. Types alone make none. */
export function circles({ files, edges }: House): string[][] {
  const next = new Map<string, string[]>()
  for (const { from, to, kind } of edges) {
    if (kind === 'value' && isInLib(from)) next.set(from, [...(next.get(from) ?? []), to])
  }
  const state = new Map<string, 'open' | 'done'>()
  const path: string[] = []
  const found: string[][] = []
  const visit = (one: string): void => {
    if (state.get(one) === 'done') return
    if (state.get(one) === 'open') {
      found.push([...path.slice(path.indexOf(one)), one])
      return
    }
    state.set(one, 'open')
    path.push(one)
    for (const to of next.get(one) ?? []) visit(to)
    path.pop()
    state.set(one, 'done')
  }
  for (const { path: one } of files) visit(one)
  return found
}

const TWIN_LINES = 6

/** Lines of code that stand in a run of at least six equal ones in two places, imports aside. */
export function twinLines({ files }: House): number {
  const places = new Map<string, [file: number, line: number][]>()
  const bodies = files.map(({ code }) =>
    codeLines(code.replace(/^(?:import|export)\s[^']*?from\s*'[^']+'/gm, '')).filter((line) =>
      /\w/.test(line),
    ),
  )
  for (const [file, lines] of bodies.entries()) {
    for (let line = 0; line + TWIN_LINES <= lines.length; line++) {
      const key = lines.slice(line, line + TWIN_LINES).join('\n')
      const there = places.get(key)
      if (there === undefined) places.set(key, [[file, line]])
      else there.push([file, line])
    }
  }
  const twins = new Set<string>()
  for (const there of places.values()) {
    if (there.length < 2) continue
    for (const [file, line] of there)
      for (let k = 0; k < TWIN_LINES; k++) twins.add(`${file}:${line + k}`)
  }
  return twins.size
}
