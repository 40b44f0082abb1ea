/** Deaths are proven with real processes: living, reaped, zombie, half dead, and a pid in other hands. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { hostProcesses, parseStat, readCpu } from '../../../lib/ha/world/processes.ts'
import { ended, start } from '../../support/processes.ts'
import { firstLine, until } from '../../support/until.ts'

const processes = hostProcesses()

t.test('this process is alive, and names itself by all four marks', (t) => {
  const own = processes.self()
  t.equal(own.pid, process.pid)
  t.match(own.bootId, /^[0-9a-f-]{36}$/)
  t.match(own.pidNamespace, /^pid:\[\d+\]/)
  t.equal(processes.verdict(own), 'alive')
  t.same(processes.identityOf(process.pid), own)
  t.end()
})

t.test('a child is alive, and dead once it was killed and reaped', async (t) => {
  const child = start(['sleep', '60'])
  const identity = processes.identityOf(child.pid ?? 0)
  t.ok(identity)
  if (!identity) return
  t.equal(processes.verdict(identity), 'alive')
  child.kill('SIGSTOP')
  t.equal(processes.verdict(identity), 'alive', 'a stopped process can go on at any time')
  child.kill('SIGKILL')
  await ended(child)
  t.equal(processes.verdict(identity), 'dead')
  t.equal(processes.identityOf(identity.pid), null)
})

t.test('a zombie is dead though kill(pid, 0) finds it', async (t) => {
  // The shell becomes a sleep that never waits for the child it was given.
  const parent = start(['sh', '-c', 'sleep 60 & echo $!; exec sleep 60'])
  const identity = processes.identityOf(Number(await firstLine(parent)))
  t.ok(identity)
  if (!identity) return
  await until('the shell has become a sleep', () =>
    readFileSync(`/proc/${parent.pid}/comm`, 'utf8').startsWith('sleep'),
  )
  process.kill(identity.pid, 'SIGKILL')
  await until('the killed child counts as dead', () => processes.verdict(identity) === 'dead')
  t.ok(process.kill(identity.pid, 0))
  t.equal(parseStat(readFileSync(`/proc/${identity.pid}/stat`, 'utf8'))?.state, 'Z')
  parent.kill('SIGKILL')
  await ended(parent)
})

const python = (() => {
  try {
    return execFileSync('sh', ['-c', 'command -v python3'], { encoding: 'utf8' }).trim()
  } catch {
    return null
  }
})()

t.test(
  'a zombie leader with a living thread is alive',
  { skip: python ? false : 'needs python3 to end a main thread alone' },
  async (t) => {
    const program =
      'import ctypes,threading,time\n' +
      'threading.Thread(target=time.sleep,args=(60,)).start()\n' +
      "print('up',flush=True)\n" +
      'ctypes.PyDLL(None).pthread_exit(None)\n'
    // Its main thread keeps the interpreter's lock when it ends: only the file call of its thread would go on.
    const child = start([python ?? '', '-c', program])
    await firstLine(child)
    const identity = processes.identityOf(child.pid ?? 0)
    t.ok(identity)
    if (!identity) return
    const state = () => parseStat(readFileSync(`/proc/${identity.pid}/stat`, 'utf8'))?.state
    await until('its main thread has ended', () => state() === 'Z')
    t.equal(processes.verdict(identity), 'alive')
    child.kill('SIGKILL')
    await until('the killed child counts as dead', () => processes.verdict(identity) === 'dead')
    t.pass('dead after SIGKILL')
  },
)

t.test('a pid in other hands is a death, another boot or namespace is no proof', (t) => {
  const own = processes.self()
  t.equal(processes.verdict({ ...own, startTicks: own.startTicks - 1 }), 'dead')
  const otherBoot = { ...own, bootId: '00000000-0000-4000-8000-000000000000' }
  t.equal(processes.verdict(otherBoot), 'unknown')
  t.equal(processes.verdict({ ...own, pidNamespace: 'pid:[1]' }), 'unknown')
  t.end()
})

t.test('a pid that means a process group is no proof of anything', (t) => {
  for (const pid of [0, -1, -process.pid, 1.5, Number.NaN]) {
    t.equal(processes.verdict({ ...processes.self(), pid }), 'unknown', String(pid))
  }
  t.end()
})

t.test('a program name with brackets and blanks does not shift the fields', (t) => {
  const fields = Array.from({ length: 49 }, (_, index) => String(index + 4))
  t.same(parseStat(`42 (a) R (b) ) S ${fields.join(' ')}\n`), { state: 'S', startTicks: 22 })
  t.equal(parseStat('42 (torn) S 1 2'), null)
  t.equal(parseStat(''), null)
  t.end()
})

t.test('the clock is one for all processes of the host', async (t) => {
  const before = realClock.nowMs()
  const script = 'const [s, n] = process.hrtime(); console.log(s * 1000 + n / 1e6)'
  const middle = Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }))
  const after = realClock.nowMs()
  t.ok(before <= middle && middle <= after, `${before} <= ${middle} <= ${after}`)
})

t.test('a timer does not fire before its time, and not at all once cancelled', async (t) => {
  for (const delayMs of [0.2, 3.7]) {
    const start = realClock.nowMs()
    await new Promise<void>((resolve) => realClock.after(delayMs, resolve))
    t.ok(realClock.nowMs() - start >= delayMs, `${delayMs} ms`)
  }
  realClock.after(5, () => t.fail('fired'))()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.throws(() => realClock.after(2 ** 31, () => undefined), RangeError)
  t.throws(() => realClock.after(Number.NaN, () => undefined), RangeError)
})

t.test('CPU time of a process that computes, of one that sleeps, and of none', async (t) => {
  const busy = start([process.execPath, '-e', 'for (;;) {}'])
  const idle = start(['sleep', '60'])
  t.teardown(() => {
    busy.kill('SIGKILL')
    idle.kill('SIGKILL')
  })
  const [busyPid, idlePid] = [busy.pid ?? 0, idle.pid ?? 0]
  await until('it has computed', () => (readCpu(busyPid)?.cpuMs ?? 0) > 300)
  await until('it is seen to compute', () => readCpu(busyPid)?.runnable === true)
  await until('the sleep sleeps', () => readCpu(idlePid)?.runnable === false)
  busy.kill('SIGSTOP')
  await until('it is seen to stand still', () => readCpu(busyPid)?.runnable === false)
  t.equal(readCpu(2 ** 30), null)
})
