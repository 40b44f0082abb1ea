/** What a test's wait tells when it was in vain, and that its limits follow the machine: all other tests rest on it. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  formatPace,
  measurePace,
  monitorMs,
  type Pace,
  pacedMs,
  parsePace,
  patienceMs,
  unitMs,
} from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { InVain, Patience } from '../support/patience.ts'
import { closed, ended, hasEnded, start } from '../support/processes.ts'
import { run } from '../support/run.ts'
import { StallWatch, waitsForDisk } from '../support/stall.ts'
import { TapSummary } from '../support/tap-summary.ts'
import { testdirOf } from '../support/testdir.ts'
import { firstLine, until, within } from '../support/until.ts'

/** A few hundred ms: enough for what is there at once. */
const SHORT = { patience: 0.01 }

const rejection = async (promise: Promise<unknown>): Promise<Error> => {
  const error = await promise.then(
    () => new Error('it did not reject'),
    (thrown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error(`rejected with ${error}`)
  return error
}

const node = (script: string, logDir?: string) =>
  start([process.execPath, '-e', script], logDir === undefined ? {} : { logDir })

t.test('limits and periods are multiples of how fast the machine is', (t) => {
  const quick: Pace = { spawnMs: 40, durableMs: 1 }
  const busy: Pace = { spawnMs: 400, durableMs: 1 }
  const slowDisk: Pace = { spawnMs: 40, durableMs: 40 }
  t.equal(patienceMs(1, busy), 10 * patienceMs(1, quick))
  t.equal(patienceMs(1, slowDisk), patienceMs(1, busy), 'whatever is the slower of the two')
  t.equal(patienceMs(2, quick), 2 * patienceMs(1, quick))
  t.equal(pacedMs(1500, quick), 1500, 'no shorter than asked for')
  t.ok(pacedMs(1500, busy) > 6 * 1500)
  t.equal(monitorMs(1500, quick), 1500)
  t.equal(monitorMs(1500, busy), 6000)
  t.same(parsePace(formatPace({ spawnMs: 41.25, durableMs: 0.5 })), {
    spawnMs: 41.3,
    durableMs: 0.5,
  })
  for (const text of ['', '12', 'a b', '0 1', '1 2 3']) t.equal(parsePace(text), null, text)
  const now = measurePace()
  t.ok(now.spawnMs > 1 && now.durableMs > 0 && unitMs(now) >= now.spawnMs, JSON.stringify(now))
  t.end()
})

t.test('a wait in vain tells what, how long, the last answer and every process', async (t) => {
  const logDir = join(testdirOf(t), 'logs')
  mkdirSync(logDir)
  writeFileSync(join(logDir, 'x.log'), 'an early line\nthe last line of its log\n')
  const runs = node("console.log('I run'); setInterval(() => {}, 1000)", logDir)
  const failed = node("console.error('no room left'); process.exitCode = 7")
  const killed = node("process.kill(process.pid, 'SIGKILL')")
  const silent = node('')
  for (const child of [failed, killed, silent]) await closed(child)
  t.match(await rejection(until('pigs fly', () => 0, { ...SHORT, everyMs: 1 })), {
    constructor: InVain,
  })
  t.match(await rejection(until('pigs fly', () => 0, SHORT)), {
    constructor: InVain,
    message:
      /^waited \d+ ms in vain for: pigs fly \(limit: \d+ ms where Node starts in \d+ ms\)\nthe last answer: 0\n/,
  })
  const { message } = await rejection(
    until('pigs fly', () => Promise.reject(new Error('no wings')), SHORT),
  )
  t.match(message, /the last answer: no wings\n/)
  t.match(
    message,
    new RegExp(`process ${runs.pid} .*: runs after \\d+ ms; it said last:\n    I run\n`),
  )
  t.match(message, /x\.log ends with:\n {4}an early line\n {4}the last line of its log/)
  t.match(message, /: ended with exit code 7 after \d+ ms; it said last:\n {4}no room left\n/)
  t.match(message, /: was ended by SIGKILL after \d+ ms; it said nothing/)
  t.match(message, new RegExp(`process ${silent.pid} .*: ended with exit code 0 after`))
  runs.kill('SIGKILL')
  t.same(await ended(runs), [null, 'SIGKILL'])
})

t.test('a wait for what a dead process should do ends at once, with its last words', async (t) => {
  const child = node("process.stdout.write('it is too cold', () => process.exit(3))")
  const { message } = await rejection(until('it is ready', () => false, { needs: [child] }))
  t.match(
    message,
    /^it can't come true any more: it is ready\nprocess \d+ .*exit code 3 after \d+ ms; it said last:\n {4}it is too cold/,
  )
  const quick = node("process.stdout.write('ready', () => process.exit(0))")
  let said = ''
  quick.stdout.on('data', (text) => {
    said += text
  })
  t.ok(
    await until('it was ready', () => said === 'ready', { needs: [quick] }),
    'what it did counts',
  )
  const nothing = start(['/nonexistent/program'])
  t.match(await rejection(until('it is ready', () => false, { needs: [nothing] })), {
    message: /nonexistent\/program.*ended with exit code 127/,
  })
})

t.test(
  'a question that never comes back, an event, an end and a program have the limit too',
  async (t) => {
    const never = new Promise<never>(() => {})
    t.match(await rejection(until('an answer', () => never, SHORT)), {
      message: /in vain for: an answer.*\nthe last answer: nothing has been answered yet/,
    })
    t.match(await rejection(within('a message', never, SHORT)), {
      message: /in vain for: a message/,
    })
    const child = node("console.log('still here'); setInterval(() => {}, 1000)")
    t.match(await rejection(ended(child, SHORT)), {
      message: new RegExp(`in vain for: the exit of process ${child.pid} .*still here`, 's'),
    })
    child.kill('SIGKILL')
    await closed(child)
    const words = [process.execPath, '-e', "console.log('busy'); setInterval(() => {}, 1000)"]
    t.match(await rejection(run(words, { patience: 0.02 })), {
      message: /in vain for: the end of .*it said so far:\nbusy/s,
    })
  },
)

t.test(
  'a machine that has become slower gets more time, and one that stood still as well',
  async (t) => {
    const quick: Pace = { spawnMs: 1, durableMs: 0 }
    let measured = 0
    const machine = {
      first: () => quick,
      again: () => {
        measured += 1
        return { ...quick, spawnMs: 3 }
      },
    }
    const startMs = performance.now()
    const never = new Promise<never>(() => {})
    const patience = new Patience('x', { patience: 0.1, machine })
    t.match(await rejection(patience.keep(never)), {
      message: /limit: 300 ms where Node starts in 3 ms/,
    })
    t.ok(performance.now() - startMs >= 299, 'three times as slow: three times as long')
    t.ok(measured >= 2, 'measured again each time before it gave up')
    const product = new Patience('x', {
      patience: 0.1,
      productMs: 200,
      machine: { first: () => quick, again: () => quick },
    })
    t.match(await rejection(product.keep(never)), {
      message: /limit: 300 ms where Node starts in 1 ms/,
    })
    const kept = new Patience('x', {
      patience: 0.1,
      machine: { first: () => quick, again: () => quick },
    })
    const late = new Promise((resolve) => setTimeout(() => resolve('in time'), 150))
    // Nothing of this process goes on meanwhile: the limit passes, and nobody can be blamed.
    const heard = kept.keep(late)
    const wakeMs = performance.now() + 140
    while (performance.now() < wakeMs);
    t.equal(await heard, 'in time')
  },
)

t.test("a shell of a test does not read the user's own settings", async (t) => {
  const home = t.testdir({ '.bashrc': 'echo settings were read >&2; exit 9' })
  const env = { HOME: home, SHLVL: undefined }
  t.match(await run(['bash', '-c', 'echo done'], { env: { HOME: home } }), {
    code: 0,
    stdout: 'done\n',
    stderr: '',
  })
  t.match(await run(['bash', '-c', 'echo done'], { env }), { code: 9 }, 'as bash does by itself')
})

t.test('what a test has started ends with it, however the test ends', async (t) => {
  if (!hasParts(t, 'setpriv')) return
  const here = JSON.stringify(new URL('../support/processes.js', import.meta.url))
  const script = `const { start } = await import(${here})
    console.log(start(['sleep', '300']).pid)
    setInterval(() => {}, 1000)`
  const test = start([process.execPath, '--input-type=module', '-e', script])
  const pid = Number(await firstLine(test))
  t.ok(existsSync(`/proc/${pid}`))
  test.kill('SIGKILL')
  t.ok(await until('the sleep has ended', () => !existsSync(`/proc/${pid}`)))
})

t.test(
  'the kernel counts how long a process waited, and no more than the time that passed',
  async (t) => {
    const loops = Array.from({ length: availableParallelism() + 1 }, () => node('for (;;);'))
    const pids = loops.map(({ pid }) => pid ?? 0)
    t.teardown(() => loops.forEach((loop) => void loop.kill('SIGKILL')))
    const watch = new StallWatch(pids)
    const idle = new StallWatch([])
    const startMs = performance.now()
    await run([process.execPath, '-e', 'for (let i = 0; i < 1e8; i += 1);'])
    const stalled = watch.stop(pids)
    const passedMs = performance.now() - startMs
    t.ok(stalled.ms > 0, `${stalled.ms} ms by ${stalled.by}`)
    t.ok(stalled.ms <= passedMs + 1000, `${stalled.ms} of ${passedMs} ms`)
    t.ok(idle.stop([]).ms <= stalled.ms, 'who has nothing to do does not wait for a processor')
    for (const loop of loops) loop.kill('SIGKILL')
    await Promise.all(loops.map((loop) => closed(loop)))
    t.ok(loops.every(hasEnded))
    t.equal(new StallWatch(pids).stop(pids).ms, 0, 'the dead wait for nothing')
  },
)

t.test(
  'who waits for its own timer is not excused, whatever the disk does meanwhile',
  async (t) => {
    const sleepMs = pacedMs(1000)
    const hammer = node(`const fs = require('node:fs')
    const file = fs.openSync(${JSON.stringify(join(testdirOf(t), 'hammered'))}, 'w')
    const much = Buffer.alloc(4 << 20)
    console.log('at it')
    for (;;) fs.writeSync(file, much, 0, much.length, 0), fs.fsyncSync(file)`)
    t.teardown(() => void hammer.kill('SIGKILL'))
    await firstLine(hammer)
    const sleeper = node(`console.log('asleep'); setTimeout(() => process.exit(), ${sleepMs})`)
    const pids = [sleeper.pid ?? 0]
    await firstLine(sleeper)
    const watch = new StallWatch(pids)
    await sleep(sleepMs / 2)
    const { ms, by } = watch.stop(pids)
    t.ok(ms < sleepMs / 4, `stalled for ${ms} of ${sleepMs / 2} ms, ${by}`)
    t.ok(waitsForDisk('17 (a (b) S D) D 1 17 17'))
    t.notOk(waitsForDisk('17 (a) D (b) S 1 17 17'), 'a name may look like a state')
  },
)

t.test('the summary of a run', (t) => {
  const summary = new TapSummary()
  for (let i = 1; i <= 12; i += 1)
    summary.hear(`ok ${i} - build/test/unit/${i}.test.js # time=${i}000.5ms`)
  summary.hear('    ok 1 - build/test/unit/inner.test.js # time=99000ms')
  summary.hear('not ok 13 - build/test/sim/sim.test.js # time=20000ms')
  summary.hear('        # seeds: 5001 fresh from 17, 1000 fixed from 1')
  t.equal(summary.count(), '0 passed, 1 failed', 'a run that was ended has passed nothing')
  summary.hear('# { total: 120, pass: 115, fail: 2, skip: 3 }')
  const lines = summary.lines((file) => file.slice('build/'.length))
  t.equal(lines[0], '# the slowest of 13 files:')
  t.equal(lines[1], '#      20.0 s  test/sim/sim.test.js')
  t.equal(lines.filter((line) => line.includes(' s  ')).length, 10)
  t.same(lines.slice(-2), [
    '# seeds: 5001 fresh from 17, 1000 fixed from 1',
    '# FAILED: test/sim/sim.test.js',
  ])
  t.equal(summary.count(), '115 passed, 2 failed, 3 skipped')
  t.end()
})
