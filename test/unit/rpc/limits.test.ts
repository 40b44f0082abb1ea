/** What all ports share: who asks slowly or never is let go, and nobody's open connection keeps a port from closing. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { networkOf } from '../../../lib/base/network-of.ts'
import { systemClock } from '../../../lib/base/time.ts'
import { limitedServer, openAll } from '../../../lib/serve/index.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { eventOf, until } from '../../support/until.ts'

const ASK = 'POST /answer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'

async function port(t: Test, answer: () => Promise<unknown> = async () => ({})) {
  const app = limitedServer({ log: () => {}, term: () => 1, clusterId: () => null })
  app.post('/answer', answer)
  const bind = { key: 'a.key', host: '127.0.0.1', port: await freePortRow(1) }
  const [number = 0] = await openAll([{ app, bind }])
  t.teardown(() => app.close())
  return { app, number }
}

interface Caller {
  readonly socket: Socket
  /** All that came, once the connection is over. */
  readonly heard: Promise<string>
}

async function call(t: Test, number: number, text: string): Promise<Caller> {
  const socket = connect(number, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let said = ''
  socket.on('data', (bytes) => {
    said += bytes
  })
  socket.on('error', () => {})
  await eventOf(socket, 'connect')
  socket.write(text)
  return { socket, heard: eventOf(socket, 'close').then(() => said) }
}

t.test('a port closes whoever is connected, and finishes what it answers', async (t) => {
  let asked = false
  const { app, number } = await port(t, async () => {
    asked = true
    await sleep(50)
    return { late: true }
  })
  const silent = await call(t, number, '')
  const halfHead = await call(t, number, 'GET / HTTP/1.1\r\nhos')
  const halfBody = await call(t, number, `${ASK}content-length: 9\r\n\r\n{`)
  const late = await call(t, number, `${ASK}content-length: 2\r\n\r\n{}`)
  await until('the last one is being answered', () => asked)
  await app.close()
  t.equal(await silent.heard, '')
  t.equal(await halfHead.heard, '')
  t.equal(await halfBody.heard, '')
  t.match(await late.heard, /200 OK[\s\S]*{"late":true}/)
})

t.test('a request that does not come to its end is given up', async (t) => {
  const { number } = await port(t)
  const slow = [
    await call(t, number, 'GET / HTTP/1.1\r\nhos'),
    await call(t, number, `${ASK}content-length: 9\r\n\r\n{`),
  ]
  for (const { heard } of slow) t.match(await heard, /^HTTP\/1.1 408 /)
})

t.test('one address has so many connections to a port', async (t) => {
  const app = limitedServer({ log: () => {}, term: () => 1, clusterId: () => null })
  app.post('/answer', async () => ({}))
  const said: string[] = []
  const log = (_level: string, text: string): void => void said.push(text)
  const bind = { key: 'a.key', host: '127.0.0.1', port: await freePortRow(1) }
  const [number = 0] = await openAll([{ app, bind }], { perAddress: 3, clock: systemClock, log })
  t.teardown(() => app.close())
  const open: Socket[] = []
  for (let i = 0; i < 3; i += 1) open.push((await call(t, number, ASK)).socket)
  const { heard } = await call(t, number, ASK)
  t.equal(await heard, '', 'one more is closed, unread')
  t.same(said, [
    '127.0.0.1 has 3 connections to a.key already, as many as one address may (tajo.connections.per-address): more of them are closed',
  ])
  open[0]?.destroy()
  const again = await until('there is room again', async () => {
    const text = `${ASK}content-length: 2\r\nconnection: close\r\n\r\n{}`
    return /^HTTP\/1.1 200/.test(await (await call(t, number, text)).heard)
  })
  t.ok(again)
})

t.test('whose connections are counted together', async (t) => {
  const cases = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::1', '127.0.0.1'],
    ['127.9.8.7', '127.0.0.1'],
    ['::ffff:127.0.0.2', '127.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', null],
  ] as const
  for (const [address, network] of cases) t.equal(networkOf(address), network, address)
})
