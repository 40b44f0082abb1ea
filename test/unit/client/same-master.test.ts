/** Which addresses mean one master, and what localhost means in another host's mouth. */
import t from 'tap'
import { isOneOf, type Resolve, resolveHere } from '../../../lib/client/cluster.ts'

const IPS: Readonly<Record<string, readonly string[]>> = {
  localhost: ['this host'],
  '127.0.0.1': ['this host'],
  here: ['this host'],
  host2: ['10.0.0.2'],
  '10.0.0.2': ['10.0.0.2'],
}
const resolve: Resolve = async (host) => IPS[host] ?? []
const oneOf = (address: string, by: string, ...told: string[]): Promise<boolean> =>
  isOneOf(address, { told, by }, resolve)

t.test('the same port, and one host however it is written', async (t) => {
  t.ok(await oneOf('host3:26002', 'host2:26002', 'host3:26002'), 'as text, resolved or not')
  t.ok(await oneOf('HOST3.:26002', 'host2:26002', 'host3:26002'))
  t.ok(await oneOf('10.0.0.2:26002', 'x:1', 'host2:26002'))
  t.ok(await oneOf('127.0.0.1:26002', 'localhost:27002', 'here:26002', 'localhost:26002'))
  t.notOk(await oneOf('host2:26002', 'x:1', 'host2:26003'))
  t.notOk(await oneOf('host3:26002', 'x:1', 'host2:26002'), 'no such host')
  t.notOk(await oneOf('host2:26002', 'x:1'), 'nobody is told')
  t.notOk(await oneOf('nonsense', 'x:1', 'nonsense'))
})

t.test('localhost as another host tells it is that host', async (t) => {
  t.notOk(await oneOf('localhost:26002', 'host2:27002', 'localhost:26002'))
  t.ok(await oneOf('10.0.0.2:26002', 'host2:27002', 'localhost:26002'))
})

t.test('the names of this host are one', async (t) => {
  t.same(await resolveHere('127.0.0.1'), await resolveHere('127.0.0.2'))
  t.same(await resolveHere('no-such-host.invalid'), [])
})
