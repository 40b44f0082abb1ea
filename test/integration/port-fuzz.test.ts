/**
 * Seeded nonsense at each port among the daemons, before TLS and through it: nothing is let in, nothing crashes, memory is
 * bounded, and ours are answered all the while. `TAJO_FUZZ=100000` sends so many messages to each port instead of 300.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { services } from '../../lib/contract/index.ts'
import { clusterKey, type Key, whoKey } from '../../lib/rpc/index.ts'
import { FUZZED, FUZZED_CLUSTER, type FuzzedFacts } from '../support/fuzzed-ports.ts'
import { askKeyed, keyedSocket } from '../support/keyed.ts'
import { wholeNumber } from '../support/numbers.ts'
import { randomOf, SEED_VARIABLE } from '../support/random.ts'
import { eventOf, within } from '../support/until.ts'

const EACH = wholeNumber('TAJO_FUZZ', process.env.TAJO_FUZZ ?? '300', 1)
const AT_A_TIME = 16
const MOST_GROWN_BYTES = 64 * 1024 * 1024
/** A connection of ours is let go after so long: what holds it open has been tried then. */
const HELD_MS = 30

const SECRET = randomBytes(32).toString('hex')
const KEY = clusterKey(FUZZED_CLUSTER, SECRET)

/** One program, whose choices follow from its seed. */
class Fuzzer {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = randomOf(seed)
  }

  below(most: number): number {
    return Math.floor(this.#random() * most)
  }

  oneOf<T>(first: T, ...others: T[]): T {
    return others[this.below(others.length + 1) - 1] ?? first
  }

  bytes(most: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(most) }, () => this.below(256)))
  }

  /** Some of its bytes are others, and it may end early. */
  spoilt(text: Buffer): Buffer {
    const bytes = Buffer.from(text.subarray(0, 1 + this.below(text.length)))
    for (let i = this.below(8); i > 0; i--) bytes[this.below(bytes.length)] = this.below(256)
    return bytes
  }

  /** In plain, or looking like the begin of a handshake. */
  beforeTls(): Buffer {
    const record = Buffer.from([0x16, 3, this.below(5), this.below(256), this.below(256)])
    return this.oneOf(
      this.bytes(2000),
      Buffer.concat([record, this.bytes(2000)]),
      Buffer.concat([
        record,
        Buffer.from([1, 0, this.below(256), this.below(256), 3, 3]),
        this.bytes(600),
      ]),
      this.request(),
      this.spoilt(this.request()),
    )
  }

  /** A request that wants to be one of ours. */
  request(): Buffer {
    const name = this.oneOf(...FUZZED)
    const method = this.oneOf(...(Object.keys(services[name]) as [string, ...string[]]))
    const body = this.oneOf(
      '{}',
      '[',
      'null',
      `{"epoch":${'9'.repeat(this.below(30))}}`,
      '"',
      this.bytes(300).toString('latin1'),
    )
    const head = [
      `${this.oneOf('POST', 'GET', 'CONNECT', 'PRI')} /rpc/${name}/${method} HTTP/1.${this.below(3)}`,
      'host: x',
      `x-tajo-cluster: ${this.oneOf(FUZZED_CLUSTER, '-', 'another')}`,
      `x-tajo-epoch: ${this.oneOf('7', '9999999999', '-1', '8')}`,
      `x-tajo-secret: ${this.oneOf('', SECRET.slice(0, 63), 'x')}`,
      `content-type: ${this.oneOf('application/json', 'text/plain')}`,
      this.oneOf(
        `content-length: ${body.length}`,
        `content-length: ${this.below(1e9)}`,
        'transfer-encoding: chunked',
        'upgrade: websocket\r\nconnection: upgrade',
      ),
    ]
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1')
  }

  key(): Key {
    return this.oneOf(
      whoKey,
      whoKey,
      whoKey,
      { identity: KEY.identity, psk: this.oneOf(whoKey.psk, Buffer.alloc(32), randomBytes(32)) },
      { identity: this.bytes(120).toString('base64').slice(0, 100), psk: whoKey.psk },
    )
  }
}

const facts = async (child: ChildProcess): Promise<FuzzedFacts> => {
  const told = eventOf(child, 'message')
  child.send('facts')
  return (await told)[0] as FuzzedFacts
}

/** Sends it, and goes: at once, or when the other end has had its time. */
function thrown(socket: Socket, bytes: Buffer, waits: boolean): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve())
    socket.resume()
    socket.write(bytes, () => {
      if (waits) setTimeout(() => socket.destroy(), HELD_MS)
      else socket.destroy()
    })
  })
}

t.test('nonsense at the ports among the daemons', async (t) => {
  const seed = wholeNumber(SEED_VARIABLE, process.env[SEED_VARIABLE] ?? String(Date.now() % 1e6), 0)
  t.comment(`seed ${seed}, ${EACH} messages to each port`)
  const program = fileURLToPath(new URL('../support/fuzzed-ports.js', import.meta.url))
  const child = fork(program, [SECRET])
  t.teardown(() => child.kill('SIGKILL'))
  const [ports] = (await eventOf(child, 'message')) as [number[]]
  for (const [i, name] of FUZZED.entries()) {
    const port = ports[i] ?? 0
    const address = `127.0.0.1:${port}`
    const fuzzer = new Fuzzer(seed + i)
    const once = async (): Promise<void> => {
      const waits = fuzzer.below(4) === 0
      if (fuzzer.below(2) === 0) {
        await thrown(connect(port, '127.0.0.1'), fuzzer.beforeTls(), waits)
        return
      }
      const key = fuzzer.key()
      const bytes = fuzzer.oneOf(
        fuzzer.request(),
        fuzzer.spoilt(fuzzer.request()),
        fuzzer.bytes(4000),
      )
      const socket = await keyedSocket(address, key).catch(() => null)
      if (socket !== null) await thrown(socket, bytes, waits)
    }
    const many = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += AT_A_TIME) {
        await within('some nonsense', Promise.all(Array.from({ length: AT_A_TIME }, once)))
      }
    }
    // What is loaded once is no growth.
    await many(100)
    const before = await facts(child)
    await many(EACH)
    const { status } = await askKeyed(address, `/rpc/${name}/status`, { key: KEY })
    t.equal(status, 200, `${name}: ours are answered`)
    const after = await facts(child)
    const grown = after.rssBytes - before.rssBytes
    t.same(after.letIn, [], `${name}: nothing is let in`)
    t.ok(grown < MOST_GROWN_BYTES, `${name}: grown by ${(grown / 2 ** 20).toFixed(0)} MB`)
    t.comment(`${name}: the longest beat was ${after.lateMs.toFixed(0)} ms late`)
  }
  t.equal(child.exitCode, null, 'no crash')
})
