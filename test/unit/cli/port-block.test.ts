/** Blocks of ports, taken for real: by this process, and beside what others listen on. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { BLOCK_PORTS, takePortBlock } from '../../../lib/cli/port-block.ts'

const always = (value: number) => () => value

async function listen(t: Test, port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  t.teardown(() => void server.close())
  await once(server, 'listening')
  return server
}

t.test('nobody gets a block twice, and all its ports are free', async (t) => {
  const [one, two] = await Promise.all([takePortBlock(always(0.5)), takePortBlock(always(0.5))])
  t.ok(Math.abs(one - two) >= BLOCK_PORTS, `${one} and ${two}`)
  for (let i = 0; i < BLOCK_PORTS - 1; i++) await listen(t, one + i)
})

t.test('a block in which somebody listens is left alone', async (t) => {
  const found = await takePortBlock(always(0.2))
  // The next one is taken but for its mark, which stays free.
  const next = found + BLOCK_PORTS
  const other = await listen(t, next + BLOCK_PORTS - 2).catch(() => null)
  const got = await takePortBlock(always(0.2))
  t.not(got, found)
  if (other !== null) t.not(got, next)
  await listen(t, got - 1).then(
    () => t.fail('the reservation is held'),
    (error) => t.match(error, { code: 'EADDRINUSE' }),
  )
})

t.test('after the last block comes the first', async (t) => {
  const [one, two] = [await takePortBlock(always(0.9999)), await takePortBlock(always(0.9999))]
  t.not(one, two)
  for (const port of [one, two]) t.ok(port > 10_000 && port < 26_000, `${port}`)
})
