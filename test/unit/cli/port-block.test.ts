/** Blocks of ports: which are preferred, and taken for real, by this process and beside what others listen on. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { DEFAULT_EPHEMERAL_PORTS } from '../../../lib/base/port-holder.ts'
import {
  BLOCK_PORTS,
  blocksInOrder,
  firstTaken,
  takePortBlock,
} from '../../../lib/cli/demo/cluster.ts'

const always = (value: number) => () => value

async function listen(t: Test, port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  t.teardown(() => void server.close())
  await once(server, 'listening')
  return server
}

t.test('ports of outgoing connections are the last resort', async (t) => {
  const touches = (mark: number, first: number, last: number) =>
    mark <= last && first < mark + BLOCK_PORTS
  const usual = blocksInOrder(DEFAULT_EPHEMERAL_PORTS, 0.5)
  t.equal(usual[0], 18_000)
  t.equal(usual[160], 10_000, 'after the last one')
  t.ok(usual.slice(0, 320).every((mark) => mark >= 10_000 && mark < 26_000))
  t.equal(new Set(usual).size, usual.length)
  t.notOk(
    usual.some((mark) => touches(mark, 26_000, 32_767)),
    "Tajo's own",
  )
  const sortedOut = (order: readonly number[], first: number, last: number) => {
    const from = order.findIndex((mark) => touches(mark, first, last))
    return from >= 0 && order.slice(from).every((mark) => touches(mark, first, last))
  }
  t.ok(sortedOut(usual, 32_768, 60_999))
  const early = blocksInOrder({ first: 15_049, last: 60_999 }, 0.5)
  t.ok(sortedOut(early, 15_049, 60_999))
  t.ok(early.slice(0, 100).every((mark) => mark >= 10_000 && mark + BLOCK_PORTS <= 15_049))
  const low = blocksInOrder({ first: 10_000, last: 60_999 }, 0.5)
  t.ok((low[0] as number) < 10_000, 'there are others')
  const all = blocksInOrder({ first: 1024, last: 65_535 }, 0.5)
  t.equal(all[0], 18_000, 'there is nothing else')
  t.same([...all].sort(), [...usual].sort(), 'none is given up')
})

t.test('a block is had where outgoing connections get all ports', async (t) => {
  const port = await takePortBlock(always(0.4), { first: 1024, last: 65_535 })
  await listen(t, port + 1)
  t.equal(await firstTaken(port, 3), port + 1)
  t.equal(await firstTaken(port, 1), null)
})

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
