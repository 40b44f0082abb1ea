/** What all ports share: who asks slowly or never is let go, and nobody's open connection keeps a port from closing. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
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
