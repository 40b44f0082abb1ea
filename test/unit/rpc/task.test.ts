/** What a worker hands a master of an earlier term's task is held to its shape: the master makes tables of it. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { z } from 'zod'
import { services, type Task } from '../../../lib/contract/index.ts'

type Registration = z.input<typeof services.tracker.register.request>

const queryId = randomUUID()
const draft = {
  database: 'default',
  name: 't',
  ifNotExists: false,
  format: 'PARQUET',
  options: {},
  location: '/warehouse/default/t',
} as const

const registrationWith = (create: unknown): unknown => {
  const place = { line: 1, column: 1 }
  const task: Task = {
    ...{ queryId, attempt: 1, sql: 'create table t as select 1 a', submittedMs: 1 },
    mode: 'write',
    query: { text: 'select 1 a', place },
    session: { database: 'default', user: 'me', variables: {} },
    ...{ write: null, publishTo: null, create: create as Task['create'] },
  }
  const report = {
    ...{ queryId, attempt: 1, progress: 0, rows: 0, startedMs: 1, error: null, manifest: null },
    state: 'running',
  } as const
  const at = 'localhost:26001'
  const worker = {
    ...{ workerId: 'w', incarnation: 'i', host: 'h', pid: 1, version: '1', cores: 1, slots: 1 },
    memoryBytes: 1,
    addresses: { qm: at, clientRpc: at, peer: at, infoHttp: at },
  }
  return { worker, tasks: [{ task, report }] } satisfies Registration
}

t.test('a table to be made by a query that runs', async (t) => {
  const { request } = services.tracker.register
  t.equal(request.safeParse(registrationWith(draft)).error, undefined)
  t.ok(request.safeParse(registrationWith(null)).success, 'of a query that makes none')
  for (const [what, wrong] of Object.entries({
    'a number for a name': { ...draft, name: 42 },
    'no name': { ...draft, name: '' },
    'a format that there is not': { ...draft, format: 'ORC' },
    'an option that is no text': { ...draft, options: { 'text.delimiter': 1 } },
    'no location': { ...draft, location: undefined },
    'no draft': 'a table',
  })) {
    t.notOk(request.safeParse(registrationWith(wrong)).success, what)
  }
})
