/** Lines that are pulled: however they are cut up on the way, and how a stream that goes wrong is told. */
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { pullLines } from '../../../lib/rpc/stream.ts'

const PULLING = { clock: systemClock, silenceMs: 60_000, longestLine: 100 }

async function linesOf(
  body: PassThrough,
  options: Partial<typeof PULLING> = {},
): Promise<unknown[]> {
  const lines: unknown[] = []
  for await (const line of pullLines(body, { ...PULLING, ...options })) lines.push(line)
  return lines
}

t.test('lines come whole, whatever the pieces were; empty ones are no lines', async (t) => {
  const text = Buffer.from('\n{"a":"日本"}\n\n\n[1]\n"x"\n')
  for (const size of [1, 2, 5, 1000]) {
    const body = new PassThrough()
    for (let at = 0; at < text.length; at += size) body.write(text.subarray(at, at + size))
    body.end()
    t.same(await linesOf(body), [{ a: '日本' }, [1], 'x'])
    t.ok(body.destroyed)
  }
})

t.test('what is cut, silent, too long or no JSON', async (t) => {
  const cut = new PassThrough()
  cut.end('[1]\n[2')
  await t.rejects(linesOf(cut), { code: 'UNAVAILABLE' })
  const broken = new PassThrough()
  broken.write('[1]\n')
  setImmediate(() => broken.destroy(new Error('ECONNRESET')))
  await t.rejects(linesOf(broken), { code: 'UNAVAILABLE' })
  const long = new PassThrough()
  for (let i = 0; i < 11; i++) long.write('0123456789')
  await t.rejects(linesOf(long), { code: 'INTERNAL', message: /longer than 100/ })
  const other = new PassThrough()
  other.write('<html>\n')
  await t.rejects(linesOf(other), { code: 'INTERNAL', message: /not JSON/ })
  const silent = new PassThrough()
  const hold = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(hold))
  await t.rejects(linesOf(silent, { silenceMs: 30 }), { code: 'TIMEOUT', message: /frozen/ })
  for (const body of [cut, broken, long, other, silent]) t.ok(body.destroyed)
})

t.test('a reader that takes its time does not blame the writer', async (t) => {
  const body = new PassThrough()
  body.write('1\n2\n')
  const lines = pullLines(body, { ...PULLING, silenceMs: 40 })
  t.equal((await lines.next()).value, 1)
  await sleep(120)
  t.equal((await lines.next()).value, 2)
  await lines.return()
  t.ok(body.destroyed)
})
