/** RPC over real sockets: what is let in, what is refused and how, and streams that end or fall silent. */
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../../lib/base/time.ts'
import { RpcClient } from '../../../lib/call/index.ts'
import type { Standing } from '../../../lib/contract/index.ts'
import {
  CLUSTER_HEADER,
  clusterKey,
  EPOCH_HEADER,
  type LineWriter,
  RpcError,
  whoKey,
} from '../../../lib/rpc/index.ts'
import { type Gate, Guard, type Handlers, rpcServer } from '../../../lib/serve/index.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { askKeyed, keyedSocket } from '../../support/keyed.ts'
import { pacedMs, patienceMs } from '../../support/pace.ts'
import { eventOf, until } from '../../support/until.ts'

const SECRET = 'a'.repeat(64)
const CLUSTER = 'cluster-1'
const KEY = clusterKey(CLUSTER, SECRET)
const STANDING: Standing = {
  address: 'localhost:1',
  state: 'backup',
  serving: false,
  epoch: 7,
  active: null,
}
const STATUS = {
  ...STANDING,
  activeClient: null,
  clusterId: null,
  rootDirectory: null,
  hostname: 'h',
  pid: 1,
  version: '1',
  priority: 100,
  adminSocket: null,
  problem: null,
  warnings: [],
  leaseMarginMs: null,
  heartbeatAgesMs: {},
}

interface World {
  readonly guard: Guard
  readonly news: number[]
  /** What the process knows from its directory, and why it takes no message of a newer term. */
  readonly directory: { term: number; doubt?: RpcError }
  readonly refusals: string[]
  readonly gateState: {
    active: boolean
    term: number
    inFlight: number
    whileHandling?: () => void
  }
  readonly writers: LineWriter<Standing>[]
  readonly logged: string[]
  readonly umbilical: string
  readonly client: string
}

async function world(
  t: Test,
  options: { clock?: Clock; handlers?: Partial<Handlers<'umbilical'>>; beatMs?: number } = {},
): Promise<World> {
  const news: number[] = []
  const refusals: string[] = []
  const logged: string[] = []
  const writers: LineWriter<Standing>[] = []
  const directory: World['directory'] = { term: 7 }
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => directory.term,
    onNewerTerm: (epoch) => {
      news.push(epoch)
      if (directory.doubt !== undefined) throw directory.doubt
    },
    onRefused: (what) => refusals.push(what),
  })
  guard.join({ clusterId: CLUSTER, secret: SECRET })
  const gateState: World['gateState'] = { active: true, term: 7, inFlight: 0 }
  const notActive = (): RpcError =>
    new RpcError('NOT_ACTIVE', 'not here', { active: 'localhost:9', epoch: 7 })
  const gate: Gate = {
    enter() {
      if (!gateState.active) throw notActive()
      gateState.inFlight += 1
      const { term } = gateState
      return {
        term,
        signal: new AbortController().signal,
        confirm() {
          if (!gateState.active || gateState.term !== term) throw notActive()
        },
        leave() {
          gateState.inFlight -= 1
        },
      }
    },
  }
  const server = {
    guard,
    gate,
    clock: options.clock ?? systemClock,
    beatMs: options.beatMs ?? 30,
    log: (_level: string, message: string) => void logged.push(message),
  }
  const umbilical = rpcServer(
    'umbilical',
    {
      status: () => STATUS,
      announce: () => ({ epoch: 7 }),
      contest: () => {
        throw new RpcError('UNAVAILABLE', 'no contest here')
      },
      watch: (_request, writer) => {
        writers.push(writer)
        writer.send(STANDING)
      },
      ...options.handlers,
    },
    server,
  )
  const client = rpcServer(
    'client',
    {
      status: () => {
        gateState.whileHandling?.()
        return { epoch: 7, address: 'localhost:1', inFlight: gateState.inFlight }
      },
      beginLogIn: unused,
      endLogIn: unused,
      masters: unused,
      submit: unused,
      wait: unused,
      kill: unused,
      queries: unused,
      workers: unused,
    },
    server,
  )
  const listen = async (app: FastifyInstance): Promise<string> => {
    t.teardown(() => app.close())
    const port = await freePortRow(1)
    await app.listen({ port, host: '127.0.0.1' })
    return `127.0.0.1:${port}`
  }
  return {
    guard,
    news,
    directory,
    refusals,
    gateState,
    writers,
    logged,
    umbilical: await listen(umbilical),
    client: await listen(client),
  }
}

const unused = (): never => {
  throw new Error('no test calls it')
}

function callerOf<N extends 'umbilical' | 'client'>(
  t: Test,
  service: N,
  address: string,
  {
    secret = SECRET,
    epoch = 7,
    clusterId = CLUSTER,
  }: { secret?: string; epoch?: number; clusterId?: string | null } = {},
): RpcClient<N> {
  const client = new RpcClient(service, address, {
    clusterId: () => clusterId,
    secret: () => secret,
    term: () => epoch,
    clock: systemClock,
    connectTimeoutMs: pacedMs(2000),
  })
  t.teardown(() => client.close())
  return client
}

const deadlineMs = patienceMs()
const announcement = { address: 'localhost:2', state: 'active' as const, epoch: 7 }

t.test('a call is answered, without a secret where the contract says open', async (t) => {
  const { umbilical } = await world(t)
  const caller = callerOf(t, 'umbilical', umbilical, { secret: '', epoch: 0 })
  t.same(await caller.call('status', {}, { deadlineMs }), STATUS)
})

t.test('no body and no content type will do', async (t) => {
  const { client } = await world(t)
  const answer = await askKeyed(client, '/rpc/client/status')
  t.equal(answer.status, 200)
  t.equal(answer.headers['x-tajo-epoch'], '7')
  t.match(JSON.parse(answer.text), { address: 'localhost:1' })
})

t.test(
  'a wrong secret and an older term are refused and counted, before the body is read',
  async (t) => {
    const { umbilical, guard, refusals } = await world(t)
    const wrong = callerOf(t, 'umbilical', umbilical, { secret: 'b'.repeat(64) })
    await t.rejects(wrong.call('announce', announcement, { deadlineMs }), { code: 'FORBIDDEN' })
    const stale = callerOf(t, 'umbilical', umbilical, { epoch: 6 })
    await t.rejects(stale.call('announce', announcement, { deadlineMs }), {
      code: 'STALE_EPOCH',
      epoch: 7,
    })
    const silence = await askKeyed(umbilical, '/rpc/umbilical/announce', {
      body: 'not even JSON',
      headers: { 'content-type': 'application/json', [CLUSTER_HEADER]: CLUSTER },
    })
    t.equal(silence.status, 403)
    t.same(guard.refused, { cluster: 0, secret: 2, epoch: 1, token: 0 })
    t.same(refusals, ['secret', 'epoch', 'secret'])
  },
)

t.test('two clusters: refused before secrets and terms are compared, on both sides', async (t) => {
  const { umbilical, client, guard, refusals } = await world(t)
  const foreign = { secret: 'b'.repeat(64), epoch: 1, clusterId: 'cluster-2' }
  const stranger = callerOf(t, 'umbilical', umbilical, foreign)
  await t.rejects(stranger.call('announce', announcement, { deadlineMs }), {
    code: 'OTHER_CLUSTER',
    cluster: CLUSTER,
    message: /belongs to cluster cluster-1, not to cluster-2/,
  })
  await t.rejects(stranger.call('status', {}, { deadlineMs }), { code: 'OTHER_CLUSTER' })
  await t.rejects(
    stranger.stream(
      'watch',
      { from: 'x' },
      { silenceMs: deadlineMs, signal: new AbortController().signal, onLine: () => {} },
    ),
    { code: 'OTHER_CLUSTER' },
  )
  const kill = { queryId: '00000000-0000-4000-8000-000000000001' }
  await t.rejects(callerOf(t, 'client', client, foreign).call('kill', kill, { deadlineMs }), {
    code: 'OTHER_CLUSTER',
  })
  t.same(guard.refused, { cluster: 4, secret: 0, epoch: 0, token: 0 })
  t.same(new Set(refusals), new Set(['cluster']))
  const asking = callerOf(t, 'umbilical', umbilical, { clusterId: null })
  t.same(await asking.call('status', {}, { deadlineMs }), STATUS, 'who does not know may ask')
})

t.test(
  'a message without a cluster is of an older state, and is refused with that word',
  async (t) => {
    const { umbilical, client } = await world(t)
    for (const [at, path] of [
      [umbilical, '/rpc/umbilical/announce'],
      [umbilical, '/rpc/umbilical/watch'],
    ] as const) {
      const answer = await askKeyed(at, path, { key: KEY })
      t.match(JSON.parse(answer.text), {
        code: 'BAD_REQUEST',
        message: /older state.*operations\.md/,
      })
      t.equal(answer.headers['x-tajo-cluster'], CLUSTER, 'the refusal tells which cluster it is')
    }
    for (const path of ['/rpc/client/submit', '/rpc/client/queries']) {
      const answer = await askKeyed(client, path)
      t.match(JSON.parse(answer.text), {
        code: 'BAD_REQUEST',
        message: /older state.*operations\.md/,
      })
      t.equal(answer.headers['x-tajo-cluster'], CLUSTER, 'the refusal tells which cluster it is')
    }
    const status = await askKeyed(client, '/rpc/client/status')
    t.equal(status.headers['x-tajo-cluster'], CLUSTER)
  },
)

t.test('whoever speaks no TLS, or names no cluster, is of an older state', async (t) => {
  const old = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(STATUS))
  })
  const port = await freePortRow(1)
  old.listen(port, '127.0.0.1')
  t.teardown(() => old.close())
  await eventOf(old, 'listening')
  const caller = callerOf(t, 'umbilical', `127.0.0.1:${port}`)
  await t.rejects(caller.call('status', {}, { deadlineMs }), {
    code: 'OTHER_CLUSTER',
    message: /does not speak TLS yet: it runs an older state/,
  })
  const asking = callerOf(t, 'client', `127.0.0.1:${port}`)
  await t.rejects(asking.call('status', {}, { deadlineMs }), {
    code: 'OTHER_CLUSTER',
    message: /does not speak TLS yet: it runs an older state/,
  })
})

t.test('a newer term with the right secret is a hint, and refuses nobody', async (t) => {
  const { umbilical, guard, news, directory } = await world(t)
  const call = (epoch: number) =>
    callerOf(t, 'umbilical', umbilical, { epoch }).call('announce', announcement, { deadlineMs })
  await call(9_999_999_999)
  t.same(news, [9_999_999_999])
  t.equal(guard.term(), 7)
  await call(7)
  directory.term = 9
  await t.rejects(call(8), { code: 'STALE_EPOCH' }, 'what the directory shows refuses')
  directory.doubt = new RpcError('UNAVAILABLE', 'not shown')
  await t.rejects(call(10), { code: 'UNAVAILABLE' }, 'whoever is asked may refuse it')
  await call(9)
})

t.test('a term that ends while the body is on its way does not count any more', async (t) => {
  const { umbilical, guard, directory } = await world(t)
  const socket = await keyedSocket(umbilical, KEY)
  t.teardown(() => socket.destroy())
  const body = JSON.stringify(announcement)
  socket.write(
    `POST /rpc/umbilical/announce HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n${CLUSTER_HEADER}: ${CLUSTER}\r\n${EPOCH_HEADER}: 7\r\n\r\n`,
  )
  await sleep(50)
  directory.term = 9
  const answer = eventOf(socket, 'data')
  socket.write(body)
  t.match(String((await answer)[0]), /STALE_EPOCH/)
  t.equal(guard.refused.epoch, 1)
})

t.test('before the secret is known nobody gets in', async (t) => {
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => 1,
    onNewerTerm: () => {},
    onRefused: () => {},
  })
  await t.rejects(guard.admit({ 'x-tajo-epoch': '1' }, 'x', null), { code: 'UNAVAILABLE' })
  t.equal(guard.keyOf(KEY.identity, 'x'), null)
  guard.join({ clusterId: CLUSTER, secret: SECRET })
  const key = guard.keyOf(KEY.identity, 'x')
  t.same(key, KEY)
  for (const epoch of [undefined, '', '-1', '1e3', '99999999999', '0x1']) {
    const headers = { 'x-tajo-cluster': CLUSTER, 'x-tajo-epoch': epoch }
    await t.rejects(guard.admit(headers, 'x', key), { code: 'BAD_REQUEST', message: /term/ })
  }
})

t.test('bad requests: one clear error each, in the same shape', async (t) => {
  const { umbilical, logged } = await world(t)
  const headers = {
    'content-type': 'application/json',
    'x-tajo-cluster': CLUSTER,
    'x-tajo-epoch': '7',
  }
  const post = async (path: string, body: string): Promise<{ status: number; body: unknown }> => {
    const { status, text } = await askKeyed(umbilical, path, { key: KEY, headers, body })
    return { status, body: JSON.parse(text) }
  }
  t.match(await post('/rpc/umbilical/announce', '{"address":1}'), {
    status: 400,
    body: { code: 'BAD_REQUEST', message: /^address: /, active: null, epoch: 7 },
  })
  t.match(await post('/rpc/umbilical/announce', '{"address"'), {
    status: 400,
    body: { code: 'BAD_REQUEST' },
  })
  // Without the secret: what may be long is read only after the secret was looked at.
  t.match(await post('/rpc/umbilical/status', `"${'x'.repeat(3_000_000)}"`), {
    status: 413,
    body: { code: 'BAD_REQUEST', message: /large/i },
  })
  t.match(await post('/rpc/umbilical/nothing', '{}'), { status: 404, body: { code: 'NOT_FOUND' } })
  t.match(await post('/rpc/client/status', '{}'), { status: 404, body: { code: 'NOT_FOUND' } })
  t.same(logged, [])
})

t.test("a handler's mistake is logged, and told without details", async (t) => {
  const { umbilical, logged } = await world(t, {
    handlers: {
      status: () => {
        throw new Error('the password is 123')
      },
    },
  })
  const caller = callerOf(t, 'umbilical', umbilical)
  const error = await caller.call('status', {}, { deadlineMs }).catch((error) => error)
  t.match(error, { code: 'INTERNAL' })
  t.notMatch(error.message, /password/)
  t.match(logged, [/status failed: the password/])
})

t.test(
  'only the active answers; what loses its term while it is worked on is not answered',
  async (t) => {
    const { client, gateState } = await world(t)
    const caller = callerOf(t, 'client', client)
    t.match(await caller.call('status', {}, { deadlineMs }), { epoch: 7 })
    gateState.whileHandling = () => {
      gateState.term = 8
    }
    await t.rejects(caller.call('status', {}, { deadlineMs }), { code: 'NOT_ACTIVE' })
    gateState.active = false
    await t.rejects(caller.call('status', {}, { deadlineMs }), {
      code: 'NOT_ACTIVE',
      active: 'localhost:9',
      epoch: 7,
    })
    await until('all passes are given back', () => gateState.inFlight === 0)
  },
)

t.test('a caller that hangs up gives its pass back', async (t) => {
  const { client, gateState } = await world(t)
  const socket = await keyedSocket(client, whoKey)
  gateState.whileHandling = () => socket.destroy()
  socket.write('POST /rpc/client/status HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
  await eventOf(socket, 'close')
  await until('the pass is given back', () => gateState.inFlight === 0)
})

t.test('no answer in time is TIMEOUT, nobody there is UNAVAILABLE', async (t) => {
  const { umbilical } = await world(t, {
    handlers: { status: () => new Promise<never>(() => {}) },
  })
  const caller = callerOf(t, 'umbilical', umbilical)
  await t.rejects(caller.call('status', {}, { deadlineMs: 50 }), { code: 'TIMEOUT' })
  const ended = new AbortController()
  const call = caller.call('status', {}, { deadlineMs, signal: ended.signal })
  ended.abort()
  await t.rejects(call, { code: 'UNAVAILABLE' })
  const nobody = callerOf(t, 'umbilical', '127.0.0.1:1')
  await t.rejects(nobody.call('status', {}, { deadlineMs }), { code: 'UNAVAILABLE' })
  t.throws(() => callerOf(t, 'umbilical', 'no address'), { code: 'BAD_REQUEST' })
})

t.test("an answer that is not the contract's is INTERNAL", async (t) => {
  const { umbilical } = await world(t, {
    handlers: { status: () => ({ strange: true }) as never },
  })
  const caller = callerOf(t, 'umbilical', umbilical)
  await t.rejects(caller.call('status', {}, { deadlineMs }), { code: 'INTERNAL' })
})

t.test('a stream brings its lines, and stays open over silence by its heartbeat', async (t) => {
  const { umbilical, writers } = await world(t, { beatMs: 20 })
  const caller = callerOf(t, 'umbilical', umbilical)
  const lines: Standing[] = []
  const ended = new AbortController()
  const reading = caller.stream(
    'watch',
    { from: 'me' },
    { silenceMs: patienceMs(), signal: ended.signal, onLine: (line) => lines.push(line) },
  )
  reading.catch(() => undefined)
  const writer = await until('the stream is open', () => writers[0])
  await sleep(100)
  writer.send({ ...STANDING, state: 'active', serving: true })
  await until('both lines came', () => lines.length === 2)
  t.match(lines, [{ state: 'backup' }, { state: 'active', serving: true }])
  let closed = false
  writer.onClose(() => {
    closed = true
  })
  ended.abort()
  await t.rejects(reading, { code: 'UNAVAILABLE' })
  await until('the writer notices', () => closed)
  writer.send(STANDING)
})

t.test('a stream that is ended by the writer rejects at once', async (t) => {
  const { umbilical, writers } = await world(t)
  const reading = callerOf(t, 'umbilical', umbilical).stream(
    'watch',
    { from: 'me' },
    { silenceMs: patienceMs(), signal: new AbortController().signal, onLine: () => {} },
  )
  reading.catch(() => undefined)
  const writer = await until('the stream is open', () => writers[0])
  writer.end()
  await t.rejects(reading, { code: 'UNAVAILABLE' })
})

t.test('a reader with shorter periods than the writer’s hears it all the same', async (t) => {
  const { umbilical } = await world(t, { beatMs: patienceMs() })
  let signs = 0
  const ended = new AbortController()
  const silenceMs = pacedMs(400)
  const reading = callerOf(t, 'umbilical', umbilical).stream(
    'watch',
    { from: 'me' },
    { silenceMs, beatMs: silenceMs / 20, signal: ended.signal, onSign, onLine: () => {} },
  )
  function onSign(): void {
    signs += 1
  }
  let hasEnded = false
  reading.catch(() => {
    hasEnded = true
  })
  await until('it was heard for longer than the silence', () => signs > 40 || hasEnded)
  t.notOk(hasEnded)
  ended.abort()
})

t.test('a frozen writer is noticed by its silence', async (t) => {
  const frozen: Clock = { nowMs: () => 0, after: () => () => {} }
  const { umbilical } = await world(t, { clock: frozen })
  const reading = callerOf(t, 'umbilical', umbilical).stream(
    'watch',
    { from: 'me' },
    { silenceMs: pacedMs(400), signal: new AbortController().signal, onLine: () => {} },
  )
  await t.rejects(reading, { code: 'TIMEOUT', message: /frozen/ })
})

t.test('a reader that was paused itself does not blame the writer', async (t) => {
  const { umbilical, writers } = await world(t, { beatMs: 10 })
  const silenceMs = pacedMs(400)
  const lines: Standing[] = []
  const ended = new AbortController()
  const reading = callerOf(t, 'umbilical', umbilical).stream(
    'watch',
    { from: 'me' },
    { silenceMs, signal: ended.signal, onLine: (line) => lines.push(line) },
  )
  let broken: unknown = null
  reading.catch((error) => {
    broken = error
  })
  const writer = await until('the stream is open', () => writers[0])
  await until('the first line came', () => lines.length === 1)
  writer.send(STANDING)
  const wakeMs = performance.now() + 4 * silenceMs
  while (performance.now() < wakeMs);
  await sleep(60)
  t.equal(broken, null, 'what had arrived meanwhile counts as heard')
  ended.abort()
})

t.test(
  'a stream is refused with the reason, and a line that is none of ours ends it',
  async (t) => {
    const { umbilical, writers } = await world(t)
    const signal = new AbortController().signal
    const read = (caller: RpcClient<'umbilical'>): Promise<never> =>
      caller.stream('watch', { from: 'me' }, { silenceMs: patienceMs(), signal, onLine: () => {} })
    await t.rejects(read(callerOf(t, 'umbilical', umbilical, { epoch: 3 })), {
      code: 'STALE_EPOCH',
      epoch: 7,
    })
    const reading = read(callerOf(t, 'umbilical', umbilical))
    reading.catch(() => undefined)
    const writer = await until('the stream is open', () => writers[0])
    writer.send({ strange: true } as never)
    await t.rejects(reading, { code: 'INTERNAL' })
  },
)

t.test('a reader that reads nothing is cut off', async (t) => {
  const { umbilical, writers } = await world(t)
  const socket = await keyedSocket(umbilical, KEY)
  const body = JSON.stringify({ from: 'me' })
  socket.write(
    `POST /rpc/umbilical/watch HTTP/1.1\r\nhost: x\r\nx-tajo-cluster: ${CLUSTER}\r\nx-tajo-epoch: 7\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  socket.pause()
  socket.on('error', () => undefined)
  const writer = await until('the stream is open', () => writers[0])
  let closed = false
  writer.onClose(() => {
    closed = true
  })
  const long = { ...STANDING, address: 'x'.repeat(100_000) }
  await until('it is cut off', () => {
    writer.send(long)
    return closed
  })
  socket.destroy()
  t.pass()
})
