/**
 * What the house keeps to: who may import whom, no circles, no exports that nobody asks for, headers that say what a file
 * promises, and pages that are made from tables.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ALL_KEYS, specOf } from '../../lib/conf/index.ts'
import { PERIOD_RULES } from '../../lib/ha/index.ts'
import { withAudit } from '../house/audit-table.ts'
import { errorsPage } from '../house/errors-page.ts'
import { withFirewall } from '../house/firewall.ts'
import {
  circles,
  deadExports,
  houseOf,
  isInLib,
  loadedWith,
  pastDoors,
  type Tree,
} from '../house/house.ts'
import { EVENT_LISTS, logEventsPage } from '../house/log-events-page.ts'
import { WITH_PERIODS, withPeriods } from '../house/periods.ts'
import { exportsOf, importsOf, withoutComments } from '../house/source.ts'
import { treeHere } from '../house/tree.ts'
import { HOME } from '../support/install.ts'

const tree = treeHere()
const house = houseOf(tree)

/** What the files of a directory of lib may import, types aside. Who is missing here may not be imported by anybody. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  ha: [],
  conf: ['base', 'ha'],
  sql: ['base'],
  daemon: ['base', 'ha'],
  access: ['base'],
  rpc: ['base'],
  contract: ['rpc'],
  call: ['base', 'contract', 'rpc'],
  serve: ['access', 'base', 'contract', 'rpc'],
  catalog: ['base', 'daemon', 'ha', 'sql'],
  client: ['access', 'base', 'conf', 'ha', 'rpc', 'sql'],
  worker: [
    'access',
    'base',
    'call',
    'catalog',
    'client',
    'conf',
    'contract',
    'daemon',
    'ha',
    'rpc',
    'serve',
    'sql',
  ],
  web: ['access', 'base', 'catalog', 'client', 'conf', 'contract', 'ha', 'rpc', 'sql'],
  master: [
    'access',
    'base',
    'call',
    'catalog',
    'client',
    'conf',
    'contract',
    'daemon',
    'ha',
    'rpc',
    'serve',
    'sql',
    'web',
  ],
  cli: [
    'access',
    'base',
    'catalog',
    'client',
    'conf',
    'daemon',
    'ha',
    'master',
    'rpc',
    'sql',
    'web',
    'worker',
  ],
}

/** The same among the rooms of lib/ha. The files beside index.ts put them together. */
const HA_ROOMS: Readonly<Record<string, readonly string[]>> = {
  words: ['world'],
  world: ['words'],
  rules: ['words'],
  fence: ['world', 'words'],
  directory: ['rules', 'world', 'words'],
  check: ['directory', 'rules', 'world', 'words'],
  keeper: ['check', 'directory', 'fence', 'rules', 'world', 'words'],
  member: ['check', 'directory', 'fence', 'rules', 'world', 'words'],
}

t.test('the page uses nothing of Node, whose types its own types bring with them', (t) => {
  const page = join(HOME, 'lib/web/page')
  const scripts = readdirSync(page).filter((name) => name.endsWith('.js'))
  t.ok(scripts.length > 10)
  for (const name of scripts) {
    const code = withoutComments(readFileSync(join(page, name), 'utf8'))
    t.notMatch(
      code,
      /\b(process|Buffer|global|require|setImmediate|__dirname)\b[.(]|['"]node:/,
      name,
    )
  }
  t.end()
})

t.test('who may import whom', async (t) => {
  for (const { from, to, kind } of house.edges) {
    if (!from.startsWith('lib/') || kind === 'type') continue
    const [, floor = '', room = ''] = from.split('/')
    const [, toFloor = '', toRoom = ''] = to.split('/')
    if (floor !== toFloor) t.ok(MAY_IMPORT[floor]?.includes(toFloor), `${from} imports ${to}`)
    else if (floor === 'ha' && room !== toRoom && HA_ROOMS[room] !== undefined) {
      const isAtRoot = to === 'lib/ha/unreachable.ts'
      t.ok(isAtRoot || HA_ROOMS[room]?.includes(toRoom), `${from} imports ${to}`)
    }
  }
})

t.test('whoever comes from another directory goes through its door', async (t) => {
  const past = pastDoors(house)
  t.same(
    past.map(({ from, to }) => `${from} imports ${to}`),
    [],
  )
})

/** What takes long to load, and is loaded once there is time for it, or never. */
const LATE: readonly (readonly [string, string, string])[] = [
  ['lib/master/index.ts', 'lib/call/client.ts', 'a master opens its ports first'],
  ['lib/client/index.ts', 'lib/contract/index.ts', 'a client checks its answers by hand'],
  ['lib/client/index.ts', 'lib/serve/server.ts', 'a client serves nobody'],
  ['lib/cli/tajo.ts', 'lib/cli/arguments.ts', 'plain command lines need no parser'],
  ['lib/cli/tsql.ts', 'lib/cli/tsql/option-parser.ts', 'plain command lines need no parser'],
  ['lib/cli/tsql/shell.ts', 'lib/sql/lexer.ts', 'plain scripts need no lexer'],
]

t.test('what is loaded later is not loaded at once', async (t) => {
  for (const [path, late, why] of LATE) {
    t.ok(tree.has(path) && tree.has(late))
    t.notOk(loadedWith(house, path).has(late), `${path} loads ${late}, and ${why}`)
  }
})

t.test('no file above 400 lines', async (t) => {
  t.same(
    house.files.filter(({ lines }) => lines > 400).map(({ path, lines }) => `${path} ${lines}`),
    [],
  )
})

t.test('no circles of imports', async (t) => {
  t.same(circles(house), [])
})

t.test('no exports that nobody asks for', async (t) => {
  const isPublic = (path: string): boolean => /^lib\/(?:ha|client)\/index\.ts$/.test(path)
  t.same(deadExports(house, isPublic), [])
})

t.test('each file opens with what it promises', async (t) => {
  const without = [...tree].filter(
    ([path, text]) => path.startsWith('lib/') && !/^(?:\/\/ biome-ignore.*\n)?\/\*\*/.test(text),
  )
  t.same(
    without.map(([path]) => path),
    [],
  )
})

t.test('pages are what the tables make', async (t) => {
  const pages = { 'docs/errors.md': errorsPage(), 'docs/log-events.md': logEventsPage() }
  for (const [path, text] of Object.entries(pages)) {
    t.equal(readFileSync(join(HOME, path), 'utf8'), text, `${path}: npm run docs writes it`)
  }
})

/**
 * What is thrown and is no `CodedError`, by file. `lib/ha` imports nothing, so it has a class of its own for its codes.
 * Others carry what no list of ours can close (the system's errno, a place in a statement, an exit code, all problems of a
 * file), have a kind that the contract or the client library calls so, or tell one caller to go another way.
 */
const OWN_ERRORS: Readonly<Record<string, readonly string[]>> = {
  'access/scram.ts': ['ScramError'],
  'base/lane.ts': ['Late'],
  'base/own-place.ts': ['OwnPlaceError'],
  'catalog/shared/begin-part.ts': ['BegunError'],
  'catalog/shared/files.ts': ['FileError'],
  'catalog/shared/journal-read.ts': ['Changed'],
  'catalog/shared/journal.ts': ['Vanished'],
  'cli/daemon/other-catalogs.ts': ['OtherCatalogError'],
  'cli/exit.ts': ['CliError'],
  'cli/sight/http.ts': ['NoAnswer'],
  'client/errors.ts': ['QueryError', 'NoMasterError', 'ClosedError'],
  'conf/error.ts': ['ConfError'],
  'conf/substitute.ts': ['SubstitutionError'],
  'ha/words/errors.ts': ['HaError', 'DiskError'],
  'master/queries/run/holds.ts': ['Held'],
  'master/queries/run/settle.ts': ['Moved'],
  'master/queries/run/write-end.ts': ['AlreadyEnded'],
  'master/queries/statements/paths.ts': ['PathError'],
  'sql/statement.ts': ['SqlError'],
  'worker/masters.ts': ['DoubtedTerm'],
}

t.test(
  'an error that carries a code is a CodedError, and any other one is among these',
  async (t) => {
    const own = house.files
      .filter(({ path }) => isInLib(path) && path !== 'lib/base/coded-error.ts')
      .map(({ path, code }) => {
        const names = [...code.matchAll(/\bclass (\w+) extends Error\b/g)].map(([, name]) => name)
        return [path.slice('lib/'.length), names] as const
      })
      .filter(([, names]) => names.length > 0)
    t.same(Object.fromEntries(own), OWN_ERRORS)
  },
)

t.test('each event of the logs is logged somewhere, and is in one list', async (t) => {
  const lists: readonly string[] = EVENT_LISTS.map(({ path }) => path)
  const code = house.files.filter(({ path }) => isInLib(path) && !lists.includes(path))
  // What follows `event:`, up to the next fact: a choice of two has both.
  const said = code.flatMap(({ code }) => code.match(/\bevent: [^,})]+/g) ?? []).join('\n')
  const all = EVENT_LISTS.flatMap(({ events }) => Object.keys(events))
  t.ok(all.length > 150)
  t.equal(new Set(all).size, all.length)
  for (const event of all) {
    t.match(event, /^[a-z]+(?:-[a-z]+)+$/)
    t.ok(said.includes(`'${event}'`), event)
  }
})

t.test('texts have the periods of the code', async (t) => {
  for (const path of WITH_PERIODS) {
    const text = readFileSync(join(HOME, path), 'utf8')
    t.equal(text, withPeriods(text), `${path}: npm run docs writes it`)
  }
  const operations = readFileSync(join(HOME, 'docs/operations.md'), 'utf8')
  t.match(operations, `its keeper kills it after ${PERIOD_RULES.hangMs.formula} without an answer`)
})

t.test('the manual has the events of the audit log', async (t) => {
  const text = readFileSync(join(HOME, 'docs/operations.md'), 'utf8')
  t.equal(text, withAudit(text), 'docs/operations.md: npm run docs writes it')
})

t.test('the table for a firewall has all ports of the configuration', async (t) => {
  const text = readFileSync(join(HOME, 'SECURITY.md'), 'utf8')
  t.equal(text, withFirewall(text), 'SECURITY.md: npm run docs writes it')
  const ports = ALL_KEYS.filter((key) => specOf(key).type === 'address')
  t.ok(ports.length >= 9)
  for (const key of ports) t.match(text, `\`${key}\``)
})

t.test('files that the map of the house names are there', async (t) => {
  const map = readFileSync(join(HOME, 'lib/README.md'), 'utf8')
  const named = [...map.matchAll(/`([a-z]+(?:\/[\w-]+)+\.ts)`/g)].map(([, path = '']) => path)
  t.ok(named.length > 30)
  for (const path of named) t.ok(tree.has(`lib/${path}`), path)
})

t.test('how the house is read', async (t) => {
  t.test('comments go, and what only looks like one stays', async (t) => {
    const code = [
      "const a = 'http://x' // gone",
      'const b = /[/*"]/.test(c) /* gone',
      'gone */ ? `$' + '{d /* gone */}// kept` : e / f // gone',
      'return /\\/\\/kept/',
    ].join('\n')
    const left = withoutComments(code)
    t.notMatch(left, /gone/)
    t.equal(left.match(/kept/g)?.length, 2)
    t.match(left, "'http://x'")
    t.equal(left.split('\n').length, 4, 'lines stay where they are')
  })
  t.test('imports and exports', async (t) => {
    const code = `import type { A } from './a.ts'
import b, { c as d, type E } from './b.ts'
import * as all from './all.ts'
export { f, g as h } from './f.ts'
const late = await import('./late.ts')
export const one = 1
export async function two(): Promise<void> {}
export type { Three }
`
    t.same(
      importsOf(code).map(({ from, names, kind, exportedAs }) => [from, names, kind, exportedAs]),
      [
        ['./a.ts', ['A'], 'type', null],
        ['./b.ts', ['default', 'c', 'E'], 'value', null],
        ['./all.ts', null, 'value', null],
        ['./f.ts', ['f', 'g'], 'value', ['f', 'h']],
        ['./late.ts', null, 'dynamic', null],
      ],
    )
    t.same(exportsOf(code), ['one', 'two', 'Three'])
  })
  t.test('a circle is found, one of types is none', async (t) => {
    const files: Tree = new Map([
      ['lib/x/a.ts', "import { b } from './b.ts'\n"],
      ['lib/x/b.ts', "import { c } from './c.ts'\nimport type { A } from './a.ts'\n"],
      ['lib/x/c.ts', "import { b } from './b.ts'\n"],
    ])
    t.same(circles(houseOf(files)), [['lib/x/b.ts', 'lib/x/c.ts', 'lib/x/b.ts']])
  })
})
