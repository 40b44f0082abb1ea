/**
 * What a door of the package gives to others, as the compiler knows it: each export with its exact type, the public members
 * of classes and interfaces, and what their comments say. It is read from the built declarations, which are what a user's
 * editor reads. `api-page.ts` makes the reference pages of it.
 *
 * A type that an exported declaration names is exported as well, since a user who keeps such a value has to name its type:
 * `unexported` tells those that are not. A type that is computed (`keyof typeof …`) stands here as what it comes to.
 * The first comment of a source says what the file promises, and is no comment of what follows it.
 */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import {
  isClassDeclaration,
  isFunctionTypeNode,
  isIdentifier,
  isIndexedAccessTypeNode,
  isInterfaceDeclaration,
  isSourceFile,
  isTypeAliasDeclaration,
  isTypeOperatorNode,
  isTypeQueryNode,
  isVariableDeclaration,
  type Node,
} from 'typescript/unstable/ast'
import type { FileSystem } from 'typescript/unstable/fs'
import {
  API,
  type Checker,
  NodeBuilderFlags,
  type Program,
  type Symbol as Sym,
  SymbolFlags,
} from 'typescript/unstable/sync'

export interface Documented {
  readonly name: string
  /** As it would be declared, without a body. */
  readonly code: string
  /** Paragraphs of its comment; none where it has no comment. */
  readonly doc: readonly string[]
}

export interface ApiEntry extends Documented {
  readonly kind: 'function' | 'class' | 'type' | 'value'
  /** Of a class or an interface, in the order of the source. */
  readonly members: readonly Documented[]
}

export interface ApiReport {
  /** By name. */
  readonly entries: readonly ApiEntry[]
  /** `NAME, which EXPORT names`: types of this package that are named and not exported. */
  readonly unexported: readonly string[]
}

const CONFIG = 'api-report.tsconfig.json'
const OPTIONS = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  types: ['node'],
  noEmit: true,
}
const PRINTED =
  NodeBuilderFlags.NoTruncation |
  NodeBuilderFlags.InTypeAlias |
  NodeBuilderFlags.UseSingleQuotesForStringLiteralType

/** Of the declarations `doors` (`build/lib/ha/index.d.ts`) below `home`. `files` stand for some of the disk's. */
export function readApi(
  home: string,
  doors: readonly string[],
  files: Readonly<Record<string, string>> = {},
): ApiReport[] {
  const config = join(home, CONFIG)
  const texts = new Map(Object.entries(files).map(([path, text]) => [join(home, path), text]))
  texts.set(config, JSON.stringify({ compilerOptions: OPTIONS, files: doors }))
  // `undefined`: the disk is asked.
  const fs: FileSystem = {
    readFile: (path) => texts.get(path),
    fileExists: (path) => texts.has(path) || undefined,
    directoryExists: (path) =>
      [...texts.keys()].some((at) => at.startsWith(`${path}/`)) || undefined,
  }
  const api = new API({ cwd: home, fs })
  try {
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)
    if (project === undefined) throw new Error(`the compiler opens no ${config}`)
    const source = (path: string): string => {
      const from = join(home, relative(join(home, 'build'), path).replace(/\.d\.ts$/, '.ts'))
      return texts.get(from) ?? readFileSync(from, 'utf8')
    }
    const { program, checker } = project
    return doors.map((door) => reportOf(program, join(home, door), { home, checker, source }))
  } finally {
    api.close()
  }
}

interface Reading {
  readonly home: string
  readonly checker: Checker
  /** The text that a declaration file was built from. */
  readonly source: (declarations: string) => string
}

function reportOf(program: Program, door: string, reading: Reading): ApiReport {
  const { checker, home } = reading
  const file = program.getSourceFile(door)
  const module = file && checker.getSymbolAtLocation(file)
  if (module === undefined) throw new Error(`${door} is no module: build first`)
  const exported = checker.getExportsOfModule(module).map((one) => ({
    name: one.name,
    symbol: targetOf(checker, one),
  }))
  const known = new Set(exported.map(({ symbol }) => symbol.id))
  const unexported = new Set<string>()
  const entries = exported.map(({ name, symbol }): ApiEntry => {
    const [node, ...more] = symbol.declarations.map((at) => at.resolve())
    if (node === undefined || more.length > 0) {
      throw new Error(`${door} exports ${name}, which is not declared in one place`)
    }
    if (!isComputed(node)) {
      for (const named of namedIn(node, checker)) {
        const path = named.declarations[0]?.path ?? ''
        const isOurs = path.startsWith(home) && !path.includes('/node_modules/')
        if (isOurs && !known.has(named.id)) unexported.add(`${named.name}, which ${name} names`)
      }
    }
    return entryOf(name, node, reading)
  })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  return { entries, unexported: [...unexported].sort() }
}

const targetOf = (checker: Checker, symbol: Sym): Sym =>
  (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)

function entryOf(name: string, node: Node, { checker, source }: Reading): ApiEntry {
  // A variable's comment is its statement's, two nodes above.
  const whole = isVariableDeclaration(node) ? node.parent.parent : node
  const header = commentsIn(source(node.getSourceFile().fileName))[0] ?? ''
  const doc = docOf(whole, header)
  if (isClassDeclaration(node) || isInterfaceDeclaration(node)) {
    const kind = isClassDeclaration(node) ? 'class' : 'type'
    const open = node.getText().indexOf('{')
    const members = node.members.filter(isPublic).map((member) => ({
      name: memberName(member),
      code: oneLine(member.getText()),
      doc: docOf(member, header),
    }))
    return { kind, name, code: declared(node.getText().slice(0, open)), doc, members }
  }
  const kind = isTypeAliasDeclaration(node)
    ? 'type'
    : isVariableDeclaration(node) && !(node.type !== undefined && isFunctionTypeNode(node.type))
      ? 'value'
      : 'function'
  return { kind, name, code: codeOf(node, whole, checker), doc, members: [] }
}

function codeOf(node: Node, whole: Node, checker: Checker): string {
  const text = declared(whole.getText())
  if (!isComputed(node)) return text
  const type = checker.getTypeAtLocation(node)
  if (type === undefined) throw new Error(`the compiler knows no type of ${text}`)
  return folded(`${text.split('=')[0]}= ${checker.typeToString(type, undefined, PRINTED)}`)
}

const WIDTH = 100

/** A union of many members on several lines. */
const folded = (text: string): string =>
  text.split(' | ').reduce((before, member) => {
    const line = before.slice(before.lastIndexOf('\n') + 1)
    const fits = line.length + member.length < WIDTH
    return `${before}${fits ? ' ' : '\n  '}| ${member}`
  })

/** An alias of one line that is made from a value or from a part of another type. */
const isComputed = (node: Node): boolean =>
  isTypeAliasDeclaration(node) &&
  (isTypeOperatorNode(node.type) ||
    isIndexedAccessTypeNode(node.type) ||
    isTypeQueryNode(node.type))

/** Declarations of modules that are named in a declaration, its own members and parameters aside. */
function namedIn(node: Node, checker: Checker): Set<Sym> {
  const found = new Set<Sym>()
  const visit = (one: Node): void => {
    const symbol = isIdentifier(one) ? checker.getSymbolAtLocation(one) : undefined
    if (symbol !== undefined) {
      const target = targetOf(checker, symbol)
      if (target.declarations.some((at) => isOfModule(at.resolve()))) found.add(target)
    }
    one.forEachChild(visit)
  }
  visit(node)
  return found
}

function isOfModule(node: Node | undefined): boolean {
  if (node === undefined) return false
  return isSourceFile((isVariableDeclaration(node) ? node.parent.parent : node).parent)
}

/** `[fact: string]` for a signature of all names. */
const memberName = (member: Node): string =>
  /^(?:(?:readonly|static|get|set) )*(\w+|\[[^\]]*\])/.exec(member.getText())?.[1] ?? ''

/** `#private` stands in declarations for all that is hidden so. */
const isPublic = (member: Node): boolean =>
  !/^(?:#private|private |static #)/.test(member.getText())

const declared = (text: string): string =>
  text
    .replace(/^export (?:declare )?/, '')
    .replace(/;?\s*$/, '')
    .replace(/^(?: {4})+/gm, (blanks) => ' '.repeat(blanks.length / 2))
    .replace(/^ \| /gm, '| ')

const oneLine = (text: string): string =>
  text
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/;\s*$/, '')

const commentsIn = (text: string): string[] => text.match(/\/\*\*[\s\S]*?\*\//g) ?? []

function docOf(node: Node, header: string): string[] {
  const { text } = node.getSourceFile()
  const comment = commentsIn(text.slice(node.pos, node.getStart())).at(-1)
  if (comment === undefined || comment === header) return []
  const lines = comment
    .slice(3, -2)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
  const paragraphs = lines.join('\n').split(/\n\s*\n/)
  return paragraphs.map((one) => one.replace(/\s*\n\s*/g, ' ').trim()).filter((one) => one !== '')
}

/** `EXPORT` and `EXPORT.member` that no comment speaks of. */
export function undocumented({ entries }: ApiReport): string[] {
  return entries.flatMap(({ name, doc, members }) => [
    ...(doc.length === 0 ? [name] : []),
    ...members.filter((one) => one.doc.length === 0).map((one) => `${name}.${one.name}`),
  ])
}
