/** How errors with a code are told apart, and how anything thrown becomes one. */
import t from 'tap'
import { CatalogError, isTermOver } from '../../../lib/catalog/index.ts'
import { bodyOf, RpcError, unanswered } from '../../../lib/rpc/errors.ts'

t.test('a code counts only in its own class', async (t) => {
  const thrown: unknown = new CatalogError('UNAVAILABLE', 'the store is away')
  t.ok(CatalogError.is(thrown))
  t.ok(CatalogError.is(thrown, 'FULL', 'UNAVAILABLE'))
  t.notOk(CatalogError.is(thrown, 'FULL'))
  t.notOk(RpcError.is(thrown, 'UNAVAILABLE'), 'the catalog is away, and nobody else')
  t.notOk(CatalogError.is({ code: 'UNAVAILABLE' }, 'UNAVAILABLE'))
  t.notOk(CatalogError.is(undefined))
  t.notOk(isTermOver(new RpcError('NOT_ACTIVE', 'ask another one')))
  t.ok(isTermOver(new CatalogError('STALE_TERM', 'term 3 has it')))
})

t.test('what is one already stays as it is, and its cause is kept', async (t) => {
  const make = (cause: unknown): RpcError => new RpcError('INTERNAL', 'made', { cause })
  const ours = new RpcError('STALE_EPOCH', 'old', { epoch: 4 })
  t.equal(RpcError.from(ours, make), ours)
  const other = new CatalogError('GONE', 'gone')
  const made = RpcError.from(other, make)
  t.match(bodyOf(made), { code: 'INTERNAL', message: 'made' })
  t.equal(made.cause, other)
  t.equal(`${made}`, 'RpcError: made', 'it has the name of its class')
})

t.test('a call without an answer comes to the same, whoever made it', async (t) => {
  const refusal = new RpcError('NOT_ACTIVE', 'not here')
  const at = { address: 'h:1', late: 'did not answer within 5 ms' }
  t.equal(unanswered(refusal, at), refusal, 'the other side has answered')
  t.match(unanswered(new Error('broken off'), at), {
    code: 'TIMEOUT',
    message: 'h:1 did not answer within 5 ms',
  })
  t.match(unanswered('ECONNREFUSED', { ...at, late: null }), {
    code: 'UNAVAILABLE',
    message: "h:1 can't be reached: ECONNREFUSED",
  })
  const words = (): string => 'nothing listens there'
  t.match(unanswered(null, { ...at, late: null, words }).message, 'nothing listens there')
})
