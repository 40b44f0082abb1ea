/**
 * What the two libraries give to others is described: docs/api/ is what the declarations say, each export and each public
 * member has a comment, and each type that they name can be imported. What the client library writes out of the messages is
 * what the contract says of them.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type {
  QueryRecord,
  Session,
  TableDigest,
  TablesAsked,
  WorkerRow,
} from '../../lib/client/index.ts'
import type { AnswerOf, RequestOf, Services } from '../../lib/contract/index.ts'
import { apiPages, apiReports } from '../house/api-page.ts'
import { readApi, undocumented } from '../house/api-report.ts'
import { HOME } from '../support/install.ts'

const reports = apiReports()

t.test('the pages are what the declarations say', async (t) => {
  for (const [path, text] of Object.entries(apiPages(reports))) {
    t.equal(readFileSync(join(HOME, path), 'utf8'), text, `${path}: npm run docs writes it`)
  }
})

t.test('each export and each public member has a comment', async (t) => {
  for (const [name, report] of reports) t.same(undocumented(report), [], `tajo-ha/${name}`)
})

t.test('each type that is named can be imported', async (t) => {
  for (const [name, { unexported }] of reports) t.same(unexported, [], `tajo-ha/${name}`)
})

t.test('a report tells what is missing', async (t) => {
  const files = {
    'lib/door.ts': '/** What the file promises. */\n',
    'build/lib/door.d.ts': `/** What the file promises. */
export interface Bare { readonly size: number }
export { inner as outer, LIMITS, Told } from './inner.ts'
export type { Limit } from './inner.ts'
`,
    'lib/inner.ts': '/** The header. */\n',
    'build/lib/inner.d.ts': `/** Why. Throws
 * RangeError.
 *
 * More. */
export declare function inner(of: Hidden): void
interface Hidden { readonly a: Bare }
interface Bare { readonly b: number }
/** Bounds. */
export declare const LIMITS: { readonly low: 1; readonly high: 2 }
/** One of them. */
export type Limit = keyof typeof LIMITS
/** Told. */
export declare class Told extends Error {
    #private;
    private secret;
    /** How much,
     * in bytes. */
    readonly sizeBytes: number;
    constructor(size: number);
}
`,
  }
  const [report] = readApi(HOME, ['build/lib/door.d.ts'], files)
  if (report === undefined) throw new Error('no report')
  t.same(undocumented(report), ['Bare', 'Bare.size', 'Told.constructor'])
  t.same(report.unexported, ['Hidden, which outer names'])
  const of = (name: string) => report.entries.find((entry) => entry.name === name)
  t.match(of('outer'), { kind: 'function', doc: ['Why. Throws RangeError.', 'More.'] })
  t.equal(of('Limit')?.code, "type Limit = 'high' | 'low'")
  t.match(of('Told'), {
    code: 'class Told extends Error',
    members: [{ code: 'readonly sizeBytes: number', doc: ['How much, in bytes.'] }, {}],
  })
})

/** Each can stand for the other, and neither has a field that the other lacks. */
type Agree<A, B> = [A, keyof A] extends [B, keyof B]
  ? [B, keyof B] extends [A, keyof A]
    ? true
    : never
  : never

t.test('what the client library writes out is what the contract says', async (t) => {
  const session: Agree<Session, RequestOf<Services['client']['submit']>['session']> = true
  const query: Agree<QueryRecord, AnswerOf<Services['client']['queries']>['queries'][number]> = true
  const worker: Agree<WorkerRow, AnswerOf<Services['client']['workers']>['workers'][number]> = true
  const table: Agree<TableDigest, AnswerOf<Services['catalog']['tables']>['tables'][number]> = true
  const asked: Agree<TablesAsked, Omit<RequestOf<Services['catalog']['tables']>, 'database'>> = true
  t.ok([session, query, worker, table, asked].every(Boolean), 'the compiler has compared them')
})
