/** Who holds a port, with real sockets of this process and of a child. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { portHolder } from '../../../lib/base/port-holder.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { start } from '../../support/processes.ts'
import { firstLine, until } from '../../support/until.ts'

const THIS = `process ${process.pid} (node)`

async function listen(t: Test, port: number, host: string): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  t.teardown(() => void server.close())
  server.listen(port, host)
  await once(server, 'listening')
}

t.test('a free port has no holder', async (t) => {
  t.equal(portHolder(await freePortRow(1)), null)
})

t.test('a listening process, beside a closed connection of its own', async (t) => {
  const port = await freePortRow(1)
  await listen(t, port, '127.0.0.1')
  const caller = connect(port, '127.0.0.1')
  await once(caller, 'connect')
  t.equal(portHolder(port), `${THIS} listens there`)
  caller.destroy()
  await once(caller, 'close')
  t.equal(portHolder(port, '127.0.0.1'), `${THIS} listens there`)
})

t.test('only what is on the wanted address is in its way', async (t) => {
  const port = await freePortRow(2)
  await listen(t, port, '127.0.0.2')
  t.equal(portHolder(port, '127.0.0.1'), null)
  for (const address of ['127.0.0.2', '::ffff:127.0.0.2', '0.0.0.0', '::']) {
    t.equal(portHolder(port, address), `${THIS} listens there`, address)
  }
  await listen(t, port + 1, '0.0.0.0')
  t.equal(portHolder(port + 1, '127.0.0.1'), `${THIS} listens there`)
})

t.test('IPv6', async (t) => {
  const port = await freePortRow(1)
  try {
    await listen(t, port, '::1')
  } catch (error) {
    t.match(error, { code: /EADDRNOTAVAIL|EAFNOSUPPORT/ }, 'this host has no IPv6')
    return
  }
  t.equal(portHolder(port, '0:0:0:0:0:0:0:1'), `${THIS} listens there`)
  t.equal(portHolder(port, '127.0.0.1'), null)
})

t.test('a connection that goes out from it, and what is left of it', async (t) => {
  const port = await freePortRow(2)
  await listen(t, port, '127.0.0.1')
  const outgoing = { port, host: '127.0.0.1', localAddress: '127.0.0.1', localPort: port + 1 }
  const script = `
    const socket = require('node:net').connect(${JSON.stringify(outgoing)}, () => console.log(process.pid))
    process.stdin.once('data', () => socket.end())
  `
  const child = start([process.execPath, '-e', script])
  t.teardown(() => void child.kill('SIGKILL'))
  const said = await firstLine(child)
  t.equal(
    portHolder(port + 1, '127.0.0.1'),
    `process ${Number(said)} (node) has an outgoing connection from it to 127.0.0.1:${port}`,
  )
  // Who closes first keeps the port.
  child.stdin.write('close\n')
  await until('it is closed', () => portHolder(port + 1)?.includes('TIME_WAIT'))
  t.equal(portHolder(port + 1), 'a connection that was closed lately still holds it (TIME_WAIT)')
})
