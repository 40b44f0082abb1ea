/** A result goes to whose its query is, and to nobody else who knows its id. */
import t from 'tap'
import { administrator, type Caller } from '../../../lib/access/index.ts'
import type { LineWriter } from '../../../lib/rpc/index.ts'
import { resultHandlers } from '../../../lib/worker/result-service.ts'

const QUERY = '00000000-0000-4000-8000-000000000001'
const user = (name: string): Caller => ({ principal: { kind: 'user', name }, mark: 'm' })

/** What whoever fetches it gets: the result, or the error's kind. */
function fetched(asUser: string | undefined, caller: Caller | null): string {
  let told = ''
  const query = {
    task: { asUser },
    fetch: () => {
      told = 'the result'
      return true
    },
  }
  const handlers = resultHandlers({
    worker: {} as never,
    tasks: { find: () => query } as never,
    epoch: () => 1,
    onFetch: () => {},
  })
  const writer = {
    send: (line: { error?: { kind: string } }) => {
      told = line.error?.kind ?? ''
    },
    end: () => {},
  } as unknown as LineWriter<never>
  handlers.fetch({ queryId: QUERY, attempt: 1 }, writer, { from: 'h', pass: null, caller })
  return told
}

t.test('an id is no key to a result', async (t) => {
  t.equal(fetched('anna', user('anna')), 'the result')
  t.equal(fetched('anna', user('bert')), 'lost', 'as one that is not there')
  t.equal(fetched(undefined, user('bert')), 'lost', "the administrator's")
  t.equal(fetched('anna', { principal: administrator('root'), mark: null }), 'the result')
  t.equal(fetched('anna', null), 'the result', 'nobody has to prove anything')
})
