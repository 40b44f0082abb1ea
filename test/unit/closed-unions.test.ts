/**
 * What is told apart by its kind is told apart everywhere: a kind that is added to one of these unions does not compile until
 * each place below handles it. Each is given one that nobody has heard of, in a copy, and the compiler is asked.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { services } from '../../lib/contract/index.ts'
import { MASTER_STATES } from '../../lib/ha/index.ts'
import { masterRow } from '../../lib/web/schemas.ts'
import { HOME } from '../support/install.ts'
import { run } from '../support/run.ts'

interface Union {
  readonly name: string
  readonly file: string
  /** Where in the file the union's members begin, and the one that is added there. */
  readonly after: string
  readonly member: string
  /** Files that have to handle it, below lib/. */
  readonly asks: readonly string[]
}

const UNIONS: readonly Union[] = [
  {
    name: 'an input to the election',
    file: 'ha/rules/elector-step.ts',
    after: 'export type Input =',
    member: "{ readonly type: 'unheard-of-input' }",
    asks: ['ha/rules/elector.ts'],
  },
  {
    name: 'an effect of the election',
    file: 'ha/rules/elector-step.ts',
    after: 'export type Effect =',
    member: "{ readonly do: 'unheard-of-effect' }",
    asks: ['ha/keeper/hands.ts'],
  },
  {
    name: "a keeper's message",
    file: 'ha/words/messages.ts',
    after: 'export type ToMaster =',
    member: "{ readonly type: 'unheard-of-word' }",
    asks: ['ha/member/member.ts'],
  },
  {
    name: "a master's message",
    file: 'ha/words/messages.ts',
    after: 'export type ToKeeper =',
    member: "{ readonly type: 'unheard-of-answer' }",
    asks: ['ha/rules/elector.ts'],
  },
  {
    name: 'a phase of the election',
    file: 'ha/rules/elector-phases.ts',
    after: 'export type Phase =',
    member: "{ readonly name: 'unheard-of-phase'; readonly term: number }",
    asks: [
      'ha/rules/elector-phases.ts',
      'ha/rules/elector-lease.ts',
      'ha/rules/elector-release.ts',
    ],
  },
  {
    name: 'what came of a letter',
    file: 'ha/rules/contest-state.ts',
    after: 'export type Delivery =',
    member: "{ readonly is: 'unheard-of-delivery' }",
    asks: ['ha/rules/contest.ts'],
  },
  {
    name: 'why a term began',
    file: 'ha/words/layout.ts',
    after: 'export type ClaimReason =',
    member: "'unheard-of-beginning'",
    asks: ['web/term-words.ts', 'master/activation-time.ts'],
  },
  {
    name: 'why a term ended',
    file: 'ha/words/layout.ts',
    after: 'export type EndReason =',
    member: "'unheard-of-end'",
    asks: ['web/term-words.ts', 'master/activation-time.ts'],
  },
  {
    name: "a master's state",
    file: 'ha/member/member-api.ts',
    after: 'export const MASTER_STATES = [',
    member: "'unheard-of-state',",
    asks: ['cli/sight/look-around.ts'],
  },
  {
    name: 'a change of the catalog',
    file: 'catalog/model.ts',
    after: 'export type Change =',
    member: "{ readonly do: 'unheard-of-change' }",
    asks: ['catalog/apply.ts', 'catalog/transaction-pieces.ts'],
  },
  {
    name: 'a statement',
    file: 'sql/statement.ts',
    after: 'export type Statement =',
    member: "{ readonly is: 'unheard-of-statement' }",
    asks: ['master/queries/statements/needs.ts', 'master/queries/statements/plan.ts'],
  },
  {
    name: 'a change of users',
    file: 'catalog/model.ts',
    after: 'export type UserChange =',
    member: "{ readonly do: 'unheard-of-user-change' }",
    asks: ['catalog/changing-users.ts', 'catalog/apply.ts'],
  },
  {
    name: 'what a statement needs',
    file: 'master/queries/statements/rights.ts',
    after: 'export type Need =',
    member: "{ readonly on: 'unheard-of-thing' }",
    asks: ['master/queries/statements/rights.ts'],
  },
  {
    name: 'how a query stands',
    file: 'contract/query-states.ts',
    after: 'const QUERY_STATES = {',
    member: "'unheard-of-state': { isOver: true },",
    asks: ['web/query-page.ts', 'web/page/kill.js'],
  },
  {
    name: 'what a call is refused with',
    file: 'rpc/errors.ts',
    after: 'export const RPC_ERRORS = {',
    member: "'unheard-of-code': { status: 500, passes: false, means: '' },",
    asks: ['master/queries/run/worker-calls.ts'],
  },
]

/** An event of the logs that is in no list any more, and who logs it. */
const UNLISTED = [
  { file: 'ha/words/log-events.ts', event: 'role-taken', asks: 'ha/rules/elector-serve.ts' },
  {
    file: 'base/log-events.ts',
    event: 'worker-registered',
    asks: 'master/queries/run/tracker-service.ts',
  },
] as const

/** Before the first one, which may have a bar of its own; in an array and in a table there are none. */
function withOneMore(text: string, { after, member }: Union): string {
  const [before = '', rest = ''] = text.split(after)
  const hasBar = /^\s*(\/\*\*[\s\S]*?\*\/\s*)?\|/.test(rest)
  const bar = /[[{]$/.test(after) || hasBar ? '' : ' |'
  return `${before}${after} ${member}${bar}${rest}`
}

t.test('each asks for one that is new wherever it is told apart', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-closed-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  cpSync(join(HOME, 'lib'), join(dir, 'lib'), { recursive: true })
  cpSync(join(HOME, 'package.json'), join(dir, 'package.json'))
  symlinkSync(join(HOME, 'node_modules'), join(dir, 'node_modules'))
  const { compilerOptions } = JSON.parse(readFileSync(join(HOME, 'tsconfig.json'), 'utf8'))
  const options = { ...compilerOptions, incremental: false, tsBuildInfoFile: undefined }
  const project = { compilerOptions: { ...options, noEmit: true }, include: ['lib'] }
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(project))
  for (const union of UNIONS) {
    const path = join(dir, 'lib', union.file)
    const text = readFileSync(path, 'utf8')
    t.equal(text.split(union.after).length, 2, `${union.name}: it begins once in ${union.file}`)
    writeFileSync(path, withOneMore(text, union))
  }
  for (const { file, event } of UNLISTED) {
    const path = join(dir, 'lib', file)
    const text = readFileSync(path, 'utf8')
    t.equal(text.split(`'${event}':`).length, 2, `${event} is once in ${file}`)
    writeFileSync(path, text.replace(`'${event}':`, `'${event}-no-more':`))
  }
  cpSync(join(HOME, 'tsconfig.page.json'), join(dir, 'tsconfig.page.json'))
  const tsc = join(HOME, 'node_modules/typescript/bin/tsc')
  const errors: string[] = []
  for (const name of ['tsconfig.json', 'tsconfig.page.json']) {
    const { stdout } = await run([
      process.execPath,
      tsc,
      '-p',
      join(dir, name),
      '--pretty',
      'false',
    ])
    errors.push(...stdout.split('\n'))
  }
  for (const { name, member, asks } of UNIONS) {
    const kind = /'(unheard-of-[a-z]+)'/.exec(member)?.[1] ?? ''
    for (const file of asks) {
      const told = errors.some((line) => line.includes(`lib/${file}(`) && line.includes(kind))
      t.ok(told, `${name}: ${file} has to handle it`)
    }
  }
  for (const { event, asks } of UNLISTED) {
    const told = errors.some((line) => line.includes(`lib/${asks}(`) && line.includes(event))
    t.ok(told, `${asks} may not log ${event}`)
  }
})

t.test('messages have each state of a master, and the words of the HTTP API name it', async (t) => {
  t.same(services.umbilical.status.answer.shape.state.options, MASTER_STATES)
  const told = masterRow.shape.state.description ?? ''
  for (const state of MASTER_STATES) t.ok(told.includes(state), state)
})
