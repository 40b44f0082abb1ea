/** What an operator reads when a port can't be opened: which key, who has the port, and what to do. */
import { createServer } from 'node:net'
import t from 'tap'
import { limitedServer, openAll } from '../../../lib/serve/index.ts'
import { whyInUse } from '../../../lib/serve/listeners.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { eventOf } from '../../support/until.ts'

t.test('a port that is held is told with its key and its holder', async (t) => {
  const port = await freePortRow(2)
  const blocker = createServer().listen(port, '127.0.0.1')
  t.teardown(() => void blocker.close())
  await eventOf(blocker, 'listening')
  const listener = (key: string, at: number) => ({
    app: limitedServer({ log: () => {}, term: () => 1, clusterId: () => null }),
    bind: { key, host: 'localhost', port: at },
  })
  await t.rejects(openAll([listener('a.key', port), listener('b.key', port + 1)]), {
    message: `a.key: can't open localhost:${port}: process ${process.pid} (node) listens there. Free it, or choose another port`,
  })
})

t.test('one of those that outgoing connections get is told as such', async (t) => {
  const ephemeral = { first: 20_000, last: 29_999 }
  const hint =
    'Linux gives it to outgoing connections, as all from 20000 to 29999: choose one outside of them, or reserve it with net.ipv4.ip_local_reserved_ports'
  t.equal(whyInUse(20_000, 'somebody has it', ephemeral), `somebody has it. ${hint}`)
  t.equal(whyInUse(29_999, null, ephemeral), `another process holds it. ${hint}`)
  t.equal(
    whyInUse(30_000, null, ephemeral),
    'another process holds it. Free it, or choose another port',
  )
})
