/** The info port with passwords: what is open, what asks for a token, and what a user is told with his. */
import t, { type Test } from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { WebView } from '../../../lib/web/view.ts'
import { type FakeWeb, webOf } from '../../support/fake-web.ts'
import { muchOf } from '../../support/fake-web-much.ts'

const ADMIN = { principal: administrator('root'), mark: null }
const ANNA = { principal: { kind: 'user', name: 'anna' }, mark: 'm' } as const

async function web(
  t: Test,
): Promise<FakeWeb & { get(path: string, as?: string): Promise<Response> }> {
  const facts = muchOf({ workers: 2, queries: 5, tables: 2, terms: 2 })
  facts.authentication = 'password'
  facts.sql = 'all'
  facts.visitors = new Map<string, ReturnType<WebView['visitor']>>([
    ['Bearer admin', ADMIN],
    ['Bearer anna', ANNA],
    ['Bearer old', 'ended'],
  ])
  facts.queries = facts.queries.map((row, at) => (at === 0 ? { ...row, asUser: 'anna' } : row))
  const fake = await webOf(t, facts)
  const get = (path: string, as?: string): Promise<Response> =>
    fetch(`${fake.url}${path}`, {
      headers: as === undefined ? {} : { authorization: `Bearer ${as}` },
    })
  return { ...fake, get }
}

t.test('what asks for a token', async (t) => {
  const { get, facts, url } = await web(t)
  const [first] = facts.queries
  for (const path of [
    '/api/v1/queries',
    `/api/v1/queries/${first?.queryId}`,
    '/api/v1/catalog',
    '/api/v1/catalog/default',
    '/api/v1/config',
    '/api/v1/workers',
    '/api/v1/lease',
  ]) {
    for (const as of [undefined, 'forged', 'old']) {
      const answer = await get(path, as)
      t.equal(answer.status, 401, `${path} ${as}`)
      t.equal(answer.headers.get('www-authenticate'), 'Bearer')
      t.match(await answer.json(), { code: 'UNAUTHENTICATED', message: /tajo haadmin -token/ })
    }
    t.equal((await get(path, 'admin')).status, 200, path)
  }
  const post = (path: string): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"sql":"SELECT 1"}',
    })
  t.equal((await post('/api/v1/sql')).status, 401)
  t.equal((await post(`/api/v1/queries/${first?.queryId}/kill`)).status, 401)
  t.same(facts.killed, [])
  t.equal((await get('/nothing')).status, 404, 'what is not there asks for none')
})

t.test('what is open to everybody', async (t) => {
  const { get } = await web(t)
  for (const path of ['/', '/plain', '/health/live', '/api/v1/cluster', '/api/v1/history']) {
    t.equal((await get(path)).status, 200, path)
    t.equal((await get(path, 'forged')).status, 200, `${path}, whatever is shown`)
  }
})

t.test('a user is told of his own queries, and not of the configuration', async (t) => {
  const { get, facts } = await web(t)
  const [his, other] = facts.queries
  const { queries } = (await (await get('/api/v1/queries', 'anna')).json()) as {
    queries: { queryId: string }[]
  }
  t.same(
    queries.map(({ queryId }) => queryId),
    [his?.queryId],
  )
  t.equal((await get(`/api/v1/queries/${his?.queryId}`, 'anna')).status, 200)
  t.equal((await get(`/api/v1/queries/${other?.queryId}`, 'anna')).status, 404)
  t.equal((await get('/api/v1/config', 'anna')).status, 403)
})

t.test('the live stream tells statements to the administrator alone', async (t) => {
  const { get } = await web(t)
  const told = async (as?: string): Promise<string> => {
    const { body } = await get('/api/v1/events', as)
    const reader = body?.getReader()
    let text = ''
    // The snapshot comes in one piece, and has the history in the end.
    while (!text.includes('event: history')) {
      text += Buffer.from((await reader?.read())?.value ?? []).toString()
    }
    await reader?.cancel()
    return text
  }
  for (const as of [undefined, 'anna', 'forged']) {
    const text = await told(as)
    t.match(text, 'event: cluster')
    t.notMatch(text, 'event: queries', String(as))
  }
  t.match(await told('admin'), 'event: queries')
})
