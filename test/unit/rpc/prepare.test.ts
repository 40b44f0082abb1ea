import t from 'tap'
import { type RequestOf, services } from '../../../lib/contract/index.ts'
import { prepared } from '../../../lib/contract/prepare.ts'

/** How often code is written while `work` goes on. */
function written(work: () => void): number {
  const { Function: real } = globalThis
  let count = 0
  const counting = new Proxy(real, {
    construct(target, words: string[]) {
      count += 1
      return Reflect.construct(target, words)
    },
  })
  globalThis.Function = counting
  try {
    work()
  } finally {
    globalThis.Function = real
  }
  return count
}

const ID = '00000000-0000-4000-8000-000000000001'

/** With an object in each place where the contract has one. */
const heartbeat: RequestOf<typeof services.tracker.heartbeat> = {
  ...{ workerId: 'w:1', incarnation: 'a', freeSlots: 1 },
  reports: [
    {
      ...{ queryId: ID, attempt: 1, state: 'succeeded', progress: 1, rows: 1, startedMs: 1 },
      error: { message: 'm', place: { line: 1, column: 1 }, kind: 'user' },
      manifest: {
        reads: [{ tableId: 1, contentVersion: 1 }],
        columns: [{ name: 'a', type: 'INT4' }],
        partitionColumns: [],
        files: [{ path: 'a', rows: 1, bytes: 1, partition: [] }],
        ...{ rows: 1, bytes: 1 },
      },
    },
  ],
}
const submitted: RequestOf<typeof services.client.submit> = {
  ...{ queryId: ID, attempt: 1, sql: 'select 1' },
  session: { database: 'default', user: 'me', variables: {} },
}

t.test('messages that come after it find their schemas ready', async (t) => {
  const steps = [...prepared(services.tracker), ...prepared(services.client)]
  t.ok(steps.length > 10)
  const read = (): void => {
    services.tracker.heartbeat.request.parse(heartbeat)
    services.client.submit.request.parse(submitted)
  }
  t.equal(written(read), 0)
})

t.test('otherwise each first message writes code', async (t) => {
  const first = services.catalog.tables.request
  t.equal(
    written(() => first.safeParse({})),
    1,
  )
  t.equal(
    written(() => first.safeParse({})),
    0,
  )
})
