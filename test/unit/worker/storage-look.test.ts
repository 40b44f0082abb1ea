/** A worker proves its mount once an idle interval, and says what is wrong with it; whoever is stuck gets no queries. */
import t from 'tap'
import { StorageLook } from '../../../lib/base/storage-look.ts'
import { WorkerTable } from '../../../lib/master/queries/run/worker-table.ts'

class Bench {
  readonly looks: { resolve(): void; reject(error: Error): void }[] = []
  changes = 0
  readonly look: StorageLook
  #nowMs = 0
  #timers: { atMs: number; run: () => void }[] = []

  constructor() {
    this.look = new StorageLook({
      directory: '/shared',
      look: () => new Promise<void>((resolve, reject) => void this.looks.push({ resolve, reject })),
      means: 'no more queries are taken',
      everyMs: 10_000,
      limitMs: 1000,
      onChange: () => {
        this.changes += 1
      },
      clock: {
        nowMs: () => this.#nowMs,
        after: (delayMs, run) => {
          const timer = { atMs: this.#nowMs + delayMs, run }
          this.#timers.push(timer)
          return () => {
            this.#timers = this.#timers.filter((one) => one !== timer)
          }
        },
      },
      log: () => {},
    })
  }

  async pass(ms: number): Promise<void> {
    await new Promise((done) => setImmediate(done))
    this.#nowMs += ms
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs)
    this.#timers = this.#timers.filter((one) => !due.includes(one))
    for (const { run } of due) run()
    await new Promise((done) => setImmediate(done))
  }
}

t.test('one look an interval; one that hangs is trouble until it ends', async (t) => {
  const bench = new Bench()
  bench.look.start()
  bench.looks[0]?.resolve()
  await bench.pass(9000)
  t.equal(bench.looks.length, 1)
  await bench.pass(1000)
  t.equal(bench.looks.length, 2)
  await bench.pass(1000)
  t.match(bench.look.trouble, /^\/shared has not answered for 1000 ms: its mount hangs/)
  await bench.pass(60_000)
  t.equal(bench.looks.length, 2, 'no second one beside it')
  bench.looks[1]?.resolve()
  await bench.pass(1)
  t.equal(bench.look.trouble, null)
  t.equal(bench.changes, 2)
})

t.test('an error is told, and tried again soon', async (t) => {
  const bench = new Bench()
  bench.look.start()
  bench.looks[0]?.reject(new Error('EIO: i/o error'))
  await bench.pass(1)
  t.equal(bench.look.trouble, 'EIO: i/o error')
  await bench.pass(1000)
  t.equal(bench.looks.length, 2)
  bench.look.stop()
})

t.test('a worker that is stuck is not chosen', (t) => {
  const table = new WorkerTable({ idleMs: 10_000, activeMs: 1000, anewMs: () => 0 }, () => 0)
  const info = (workerId: string) => ({
    workerId,
    incarnation: 'i',
    host: 'h',
    pid: 1,
    version: '1',
    addresses: { qm: 'q:1', clientRpc: 'c:1', peer: workerId, infoHttp: 'i:1' },
    cores: 1,
    memoryBytes: 1,
    slots: 4,
  })
  const [a, b] = [table.register(info('a:1'), 0), table.register(info('b:1'), 0)]
  a.storage = 'hangs'
  t.equal(table.choose(), b)
  b.storage = 'hangs'
  t.equal(table.choose(), null)
  a.storage = null
  t.equal(table.choose(), a)
  t.end()
})
