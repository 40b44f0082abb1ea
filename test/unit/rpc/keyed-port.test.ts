/** Attacks on the ports among the daemons: by who listens, by who stands in between, by who has no secret or another one. */
import { createServer as createHttp } from 'node:http'
import { request } from 'node:https'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createServer as createTls, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { RpcClient } from '../../../lib/call/index.ts'
import { callingWith, clusterKey, KEYED_TLS, type Key, whoKey } from '../../../lib/rpc/index.ts'
import { Guard, openAll, rpcServer } from '../../../lib/serve/index.ts'
import { testCertificate } from '../../support/certificate.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { askKeyed, keyedSocket } from '../../support/keyed.ts'
import { pacedMs, patienceMs } from '../../support/pace.ts'
import { eventOf, until } from '../../support/until.ts'

const SECRET = 'a'.repeat(64)
const OTHER_SECRET = 'b'.repeat(64)
const CLUSTER = 'cluster-1'
const KEY = clusterKey(CLUSTER, SECRET)
const deadlineMs = patienceMs()

interface Port {
  readonly guard: Guard
  readonly address: string
  /** What was refused, and from where. */
  readonly refused: string[]
  /** Names of tables that were asked for. */
  readonly asked: string[]
}

/** The catalog's port, which has methods of each access. */
async function portOf(t: Test, { joined = true, certified = false } = {}): Promise<Port> {
  const refused: string[] = []
  const asked: string[] = []
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => 7,
    onNewerTerm: () => {},
    onRefused: (what, from, error) => refused.push(`${what} ${from} ${error.message}`),
  })
  const certificate = await testCertificate(CLUSTER)
  const shown = certified ? { certificate } : {}
  if (joined) guard.join({ clusterId: CLUSTER, secret: SECRET, ...shown })
  const pass = { term: 7, signal: new AbortController().signal, confirm() {}, leave() {} }
  const app = rpcServer(
    'catalog',
    {
      status: () => ({ epoch: 7, address: 'localhost:1', inFlight: 0 }),
      databases: () => ({ databases: ['payroll'] }),
      tables: ({ database }) => {
        asked.push(database)
        return { tables: [] }
      },
      resolve: () => {
        throw new Error('no test asks it')
      },
      moreFiles: () => {
        throw new Error('no test asks it')
      },
      seesFiles: () => ({ sees: true }),
    },
    { guard, gate: { enter: () => pass }, clock: systemClock, beatMs: 30, log: () => {} },
  )
  t.teardown(() => app.close())
  const port = await freePortRow(1)
  await openAll([{ app, bind: { key: 'k', host: '127.0.0.1', port } }])
  return { guard, address: `127.0.0.1:${port}`, refused, asked }
}

function callerOf(
  t: Test,
  address: string,
  {
    secret = () => SECRET,
    clusterId = CLUSTER,
  }: { secret?: () => string; clusterId?: string } = {},
): RpcClient<'catalog'> {
  const client = new RpcClient('catalog', address, {
    clusterId: () => clusterId,
    secret,
    term: () => 7,
    clock: systemClock,
    connectTimeoutMs: pacedMs(2000),
  })
  t.teardown(() => client.close())
  return client
}

const sees = (caller: RpcClient<'catalog'>): Promise<{ sees: boolean }> =>
  caller.call('seesFiles', { tableId: 1 }, { deadlineMs })

/** Of a raw connection: opens it and waits. */
async function rawSocket(t: Test, address: string): Promise<Socket> {
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await eventOf(socket, 'connect')
  return socket
}

async function listening(t: Test, server: Server): Promise<string> {
  const port = await freePortRow(1)
  server.listen(port, '127.0.0.1')
  await eventOf(server, 'listening')
  t.teardown(() => server.close())
  return `127.0.0.1:${port}`
}

const saidUntilEnd = async (socket: Socket): Promise<string> => {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

t.test('a listener in the place of a master learns no secret', async (t) => {
  const heard: Buffer[] = []
  const answers: [string, (socket: Socket) => void][] = [
    ['in plain', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')],
    ['nothing', (socket) => socket.end()],
  ]
  for (const [how, answer] of answers) {
    const listener = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => {
        heard.push(chunk)
        answer(socket)
      })
    })
    const caller = callerOf(t, await listening(t, listener))
    const error = await sees(caller).catch((error) => error)
    t.match(error, { code: how === 'in plain' ? 'OTHER_CLUSTER' : 'UNAVAILABLE' }, how)
    t.notMatch(error.message, /hang up/, error.message)
  }
  const all = Buffer.concat(heard).toString('latin1')
  t.not(all, '', 'it was called')
  for (const secret of [SECRET, KEY.psk.toString('latin1'), KEY.psk.toString('hex')]) {
    t.notOk(all.includes(secret))
  }
})

t.test('a port that plays a master without the secret is not believed', async (t) => {
  const heard: string[] = []
  // It takes every identity, with the one key that it knows.
  const false_ = createTls({ ...KEYED_TLS, pskCallback: () => whoKey.psk }, (socket) => {
    socket.on('data', (chunk) => heard.push(String(chunk)))
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
  })
  const caller = callerOf(t, await listening(t, false_))
  const error = await caller.call('tables', { database: 'payroll' }, { deadlineMs }).catch((e) => e)
  t.not(error.code, undefined)
  t.notMatch(heard.join(''), /payroll/)
})

t.test('who stands in between sees no plain text, and can change nothing unnoticed', async (t) => {
  const { address, asked } = await portOf(t)
  let seen = ''
  let spoils = false
  const proxy = createServer((socket) => {
    const onward = connect(Number(address.split(':')[1]), '127.0.0.1')
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1')
        const at = chunk.length - 1
        if (spoils && from === socket) chunk[at] = (chunk[at] ?? 0) ^ 1
        to.write(chunk)
      })
    }
  })
  const caller = callerOf(t, await listening(t, proxy))
  await caller.call('tables', { database: 'payroll' }, { deadlineMs })
  t.same(asked, ['payroll'])
  t.notMatch(seen, /payroll|HTTP|rpc|x-tajo/i)
  spoils = true
  await t.rejects(caller.call('tables', { database: 'payroll' }, { deadlineMs }))
  t.same(asked, ['payroll'])
})

t.test('another secret is refused in the handshake, counted and named', async (t) => {
  const { address, guard, refused } = await portOf(t)
  const wrong = callerOf(t, address, { secret: () => OTHER_SECRET })
  for (const method of ['status', 'databases'] as const) {
    await t.rejects(wrong.call(method, {}, { deadlineMs }), {
      code: 'FORBIDDEN',
      message: /has another secret of this cluster/,
    })
  }
  t.same(guard.refused, { cluster: 0, secret: 2, epoch: 0, token: 0 })
  t.match(refused, [/^secret 127\.0\.0\.1 .*another one/, /^secret/])
  const foreign = callerOf(t, address, { clusterId: 'cluster-2' })
  await t.rejects(sees(foreign), { code: 'OTHER_CLUSTER', cluster: CLUSTER })
  t.equal(guard.refused.cluster, 1)
  t.same(await sees(callerOf(t, address)), { sees: true })
})

t.test('a connection that proves nothing gets what anybody gets, and no more', async (t) => {
  const { address, guard } = await portOf(t)
  const headers = { 'x-tajo-cluster': CLUSTER, 'x-tajo-epoch': '7', 'x-tajo-secret': SECRET }
  const ask = (path: string, key: Key) =>
    askKeyed(address, `/rpc/catalog/${path}`, { headers, key })
  t.equal((await ask('status', whoKey)).status, 200)
  t.equal((await ask('databases', whoKey)).status, 200)
  t.equal((await ask('seesFiles', whoKey)).status, 403)
  t.equal(guard.refused.secret, 1)
  for (const key of [
    { ...KEY, psk: whoKey.psk },
    { ...KEY, psk: Buffer.alloc(32) },
    { identity: 'cluster ', psk: whoKey.psk },
    { identity: '', psk: whoKey.psk },
    { identity: 'who ', psk: whoKey.psk },
    { identity: whoKey.identity, psk: KEY.psk },
  ]) {
    await t.rejects(ask('status', key), `'${key.identity}' with ${key.psk.toString('hex')}`)
  }
})

t.test('whoever names the cluster and is shown its certificate has proven nothing', async (t) => {
  const { address, guard } = await portOf(t, { certified: true })
  const [host = '', port = ''] = address.split(':')
  const headers = {
    'content-type': 'application/json',
    'x-tajo-cluster': CLUSTER,
    'x-tajo-epoch': '7',
  }
  const asked = (more: object): Promise<number> =>
    new Promise((resolve) => {
      const options = { host, port, path: '/rpc/catalog/seesFiles', method: 'POST', headers }
      const call = request({ ...options, agent: false, rejectUnauthorized: false, ...more })
      call.on('response', ({ statusCode = 0 }) => resolve(statusCode))
      call.on('error', () => resolve(0))
      call.end('{"tableId":1}')
    })
  const guest = { checkServerIdentity: () => undefined }
  t.equal(await asked(guest), 403, 'a guest')
  // In TLS 1.3 the server asks for the key of an identity, and may take its certificate all the same.
  for (const psk of [KEY.psk, Buffer.alloc(32)]) {
    const named = { ...guest, pskCallback: () => ({ identity: KEY.identity, psk }) }
    for (const ciphers of ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', undefined]) {
      const status = await asked({ ...named, minVersion: 'TLSv1.3', ciphers })
      t.ok([0, 403].includes(status), `${status} for ${ciphers} with ${psk.toString('hex')}`)
    }
    const both = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305'
    const older = { ...named, maxVersion: 'TLSv1.2', ciphers: both }
    t.equal(await asked(older), psk === KEY.psk ? 200 : 0, 'in TLS 1.2 the key decides')
  }
  t.equal(guard.refused.epoch, 0)
  t.same(await sees(callerOf(t, address)), { sees: true }, 'who has the key is let in')
})

t.test('what a connection is can not be changed: nothing anew, nothing resumed', async (t) => {
  const { address } = await portOf(t)
  const socket = await keyedSocket(address, whoKey)
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  t.equal(socket.getProtocol(), 'TLSv1.2')
  const anew = await new Promise((resolve) => socket.renegotiate({}, resolve))
  t.match(anew, { code: /RENEGOTIATION/ })
  const session = socket.getSession()
  const again = connectTls({
    ...callingWith(whoKey),
    port: Number(address.split(':')[1]),
    host: '127.0.0.1',
    ...(session === undefined ? {} : { session }),
  })
  t.teardown(() => again.destroy())
  await eventOf(again, 'secureConnect')
  t.equal(again.isSessionReused(), false)
  for (const less of [
    { ciphers: 'PSK-NULL-SHA256:@SECLEVEL=0' },
    { ciphers: 'PSK-AES128-CBC-SHA:@SECLEVEL=0' },
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
  ] as const) {
    const weak = connectTls({
      ...callingWith(KEY),
      ...less,
      port: Number(address.split(':')[1]),
      host: '127.0.0.1',
    })
    t.teardown(() => weak.destroy())
    await t.rejects(eventOf(weak, 'secureConnect'), JSON.stringify(less))
  }
})

t.test('before the cluster is joined only who asks is answered', async (t) => {
  const { address, guard } = await portOf(t, { joined: false })
  const caller = callerOf(t, address)
  await t.rejects(sees(caller), { code: 'UNAVAILABLE', message: /has not joined its cluster yet/ })
  const { status, headers } = await askKeyed(address, '/rpc/catalog/status')
  t.match({ status, of: headers['x-tajo-cluster'] }, { status: 200, of: '-' })
  t.same(guard.refused, { cluster: 0, secret: 0, epoch: 0, token: 0 }, 'which is nobody wrong')
  guard.join({ clusterId: CLUSTER, secret: SECRET })
  t.same(await sees(caller), { sees: true })
})

t.test('a new secret counts at once, on both sides', async (t) => {
  const { address, guard } = await portOf(t)
  let secret = SECRET
  const caller = callerOf(t, address, { secret: () => secret })
  const late = await keyedSocket(address, KEY)
  t.teardown(() => late.destroy())
  await sees(caller)
  guard.join({ clusterId: CLUSTER, secret: SECRET })
  await sees(caller)
  guard.join({ clusterId: CLUSTER, secret: OTHER_SECRET })
  await t.rejects(sees(caller), { code: 'FORBIDDEN' }, 'also over a connection that stands')
  const body = '{"tableId":1}'
  late.write(
    `POST /rpc/catalog/seesFiles HTTP/1.1\r\nhost: x\r\nx-tajo-cluster: ${CLUSTER}\r\nx-tajo-epoch: 7\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
  t.match(await saidUntilEnd(late), /^HTTP\/1\.1 403 /)
  secret = OTHER_SECRET
  t.same(await sees(caller), { sees: true })
})

t.test('plain HTTP is told what the port wants; what is neither is closed', async (t) => {
  const { address } = await portOf(t)
  for (const said of ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'P']) {
    const socket = await rawSocket(t, address)
    socket.write(said)
    const text = await saidUntilEnd(socket)
    t.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/)
    const [, body = ''] = text.split('\r\n\r\n')
    const told = { code: 'BAD_REQUEST', message: /^this port speaks TLS, and no plain HTTP/ }
    t.match(JSON.parse(body), told)
  }
  for (const said of ['\0', '\x16', '\x16\x03\x01\xff\xff', 'ssh-2.0', '\x80\x2e\x01']) {
    const socket = await rawSocket(t, address)
    socket.end(Buffer.from(said, 'latin1'))
    t.notMatch(await saidUntilEnd(socket), /HTTP/)
  }
  t.same(await sees(callerOf(t, address)), { sees: true })
})

t.test('half-open connections and strangers drive each other out, and none of ours', async (t) => {
  const { address } = await portOf(t)
  const ours = callerOf(t, address)
  await sees(ours)
  const standing = await keyedSocket(address, KEY)
  t.teardown(() => standing.destroy())
  let open = 0
  const count = (socket: Socket): void => {
    open += 1
    socket.on('close', () => {
      open -= 1
    })
  }
  for (let i = 0; i < 1200; i++) {
    const socket = await rawSocket(t, address)
    count(socket)
    if (i % 2 === 0) socket.write('\x16\x03\x01')
    socket.resume()
  }
  t.same(await sees(ours), { sees: true })
  t.same(await sees(callerOf(t, address)), { sees: true }, 'also who comes anew')
  await until('so many are left at most', () => open <= 513)
  const strangers: TLSSocket[] = []
  for (let i = 0; i < 600; i++) {
    const socket = await keyedSocket(address, whoKey)
    socket.on('error', () => {})
    socket.resume()
    t.teardown(() => socket.destroy())
    strangers.push(socket)
  }
  await until('strangers too', () => strangers.filter((one) => !one.destroyed).length <= 513)
  t.same(await sees(callerOf(t, address)), { sees: true })
  t.equal(standing.destroyed, false, 'ours stay')
})

t.test('a port closes at once, whoever hangs in the middle of something', async (t) => {
  const { address } = await portOf(t)
  const caller = callerOf(t, address)
  await sees(caller)
  for (const said of ['', '\x16', '\x16\x03\x01\x02\x00']) {
    const socket = await rawSocket(t, address)
    if (said !== '') socket.write(Buffer.from(said, 'latin1'))
  }
  await keyedSocket(address, whoKey)
  await sleep(20)
  // The teardown of the port waits for it.
  t.pass()
})

t.test('a port for clients that is plain is of an older state', async (t) => {
  const server = createHttp((_request, response) => {
    response.setHeader('x-tajo-cluster', CLUSTER)
    response.end(JSON.stringify({ workerId: 'w', epoch: 1 }))
  })
  const address = await listening(t, server)
  const client = new RpcClient('results', address, {
    clusterId: () => CLUSTER,
    secret: () => SECRET,
    term: () => 7,
    clock: systemClock,
    connectTimeoutMs: pacedMs(2000),
  })
  t.teardown(() => client.close())
  await t.rejects(client.call('status', {}, { deadlineMs }), {
    code: 'OTHER_CLUSTER',
    message: /does not speak TLS yet/,
  })
})
