/**
 * Fencing with real processes: `ssh` is replaced by a local shell that is given the same script and arguments, so what
 * the script decides about living, dead and foreign processes is real.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fence, parseFencingMethod, parseFencingMethods } from '../../../lib/ha/fence/fencing.ts'
import type { Holder } from '../../../lib/ha/words/layout.ts'
import type { ProcessIdentity } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'
import { pacedMs, patienceMs } from '../../support/pace.ts'
import { ended, start } from '../../support/processes.ts'
import { firstLine, until } from '../../support/until.ts'

const processes = hostProcesses()
const OTHER_BOOT = '00000000-0000-4000-8000-000000000000'
const quiet = { log: () => undefined, timeoutMs: patienceMs() }

function holder(master: ProcessIdentity, changes: Partial<Holder> = {}): Holder {
  const address = 'host2:26001'
  return {
    address,
    addresses: {
      umbilical: address,
      clientRpc: 'host2:26002',
      resourceTracker: 'host2:26003',
      catalog: 'host2:26005',
      infoHttp: 'host2:26080',
    },
    nonce: 'n',
    hostname: hostname(),
    master,
    startedAt: '2026-01-01T00:00:00.000Z',
    version: '0.1.0',
    priority: 100,
    adminSocket: '/run/tajo.sock',
    ...changes,
  }
}

/** Takes ssh's place: runs the remote command here and remembers how it was called. */
function localSsh(calls: string[][]): typeof spawn {
  const run = (command: string, args: readonly string[], options: object) => {
    calls.push([command, ...args])
    return spawn('sh', ['-c', args.at(-1) ?? ''], options)
  }
  return run as typeof spawn
}

function startVictim(): { child: ChildProcess; identity: ProcessIdentity } {
  const child = start(['sleep', '300'])
  const identity = processes.identityOf(child.pid ?? 0)
  if (identity === null) throw new Error('no victim')
  t.teardown(() => child.kill('SIGKILL'))
  return { child, identity }
}

t.test('methods: what is allowed, and one clear error for the rest', async (t) => {
  const text =
    '\n# ours\r\n sshfence \nsshfence(ops)\nsshfence(ops:2222)\nsshfence(:22)\nsshfence()\nshell(/bin/x -a (b))\n'
  t.same(
    parseFencingMethods(text).map((line) => {
      const method = parseFencingMethod(line, 'here')
      return method.kind === 'shell' ? method.command : [method.user, method.port]
    }),
    [[null, null], ['ops', null], ['ops', 2222], [null, 22], [null, null], '/bin/x -a (b)'],
  )
  t.same(parseFencingMethods(''), [])
  const wrong = {
    sshfenc: /is no fencing method; allowed are sshfence, sshfence\(\[user\]\[:port\]\) and shell/,
    'shell()': /names no command/,
    shell: /names no command/,
    'sshfence(-oProxyCommand=x)': /is not user:port/,
    'sshfence(a b)': /is not user:port/,
    'sshfence(a:99999)': /port outside 1 to 65535/,
    'sshfence(ops': /is no fencing method/,
  }
  for (const [method, why] of Object.entries(wrong)) {
    t.throws(() => parseFencingMethods(`sshfence\n${method}`), why, method)
    t.throws(() => parseFencingMethods(`sshfence\n${method}`), /line 2: /, method)
  }
  await t.rejects(fence(['nonsense'], holder(processes.self()), quiet), /no fencing method/)
})

t.test('sshfence kills exactly the holder and confirms it', async (t) => {
  const { child, identity } = startVictim()
  const { child: bystander, identity: bystanderIdentity } = startVictim()
  const gone = ended(child)
  const calls: string[][] = []
  const result = await fence(['sshfence(ops:2222)'], holder(identity), {
    ...quiet,
    sshOptions: ['-i', '/key', '-o', 'StrictHostKeyChecking=no'],
    spawn: localSsh(calls),
  })
  t.match(result, {
    fenced: true,
    method: 'sshfence(ops:2222)',
    detail: /^killed process \d+ on host2/,
  })
  t.same((await gone)[1], 'SIGKILL')
  t.equal(processes.verdict(bystanderIdentity), 'alive')
  bystander.kill('SIGKILL')

  const [args = []] = calls
  t.equal(args[0], 'ssh')
  t.ok(args.indexOf('BatchMode=yes') > 0)
  t.ok(args.indexOf('StrictHostKeyChecking=yes') < args.indexOf('StrictHostKeyChecking=no'))
  t.same(args.slice(args.indexOf('-p'), args.indexOf('-p') + 4), ['-p', '2222', '-l', 'ops'])
  t.same(args.slice(-3, -1), ['--', 'host2'])
})

t.test('a stopped holder is killed too', async (t) => {
  const { child, identity } = startVictim()
  child.kill('SIGSTOP')
  const gone = ended(child)
  const result = await fence(['sshfence'], holder(identity), { ...quiet, spawn: localSsh([]) })
  t.match(result, { fenced: true })
  await gone
})

t.test('a holder that has ended, or left a zombie, counts as fenced', async (t) => {
  const { child, identity } = startVictim()
  child.kill('SIGKILL')
  await ended(child)
  const options = { ...quiet, spawn: localSsh([]) }
  const detail = /had ended/
  t.match(await fence(['sshfence'], holder(identity), options), { fenced: true, detail })

  const parent = start(['sh', '-c', 'sleep 300 & echo $!; exec sleep 300'])
  t.teardown(() => parent.kill('SIGKILL'))
  const zombie = processes.identityOf(Number(await firstLine(parent)))
  if (zombie === null) throw new Error('no zombie')
  const comm = `/proc/${parent.pid}/comm`
  await until('it has become a sleep', () => readFileSync(comm, 'utf8').startsWith('sleep'))
  const result = await fence(['sshfence'], holder(zombie), options)
  t.match(result, { fenced: true, detail: /killed process/ }, 'confirmed though nobody reaps it')
  t.match(await fence(['sshfence'], holder(zombie), options), { fenced: true, detail })
})

t.test('a pid in other hands is left alone', async (t) => {
  const { child, identity } = startVictim()
  const before = { ...identity, startTicks: identity.startTicks - 7 }
  const result = await fence(['sshfence'], holder(before), { ...quiet, spawn: localSsh([]) })
  t.match(result, { fenced: true, detail: /had ended/ })
  t.equal(processes.verdict(identity), 'alive')
  child.kill('SIGKILL')
})

t.test('another boot ends the holder only on the holder’s own host', async (t) => {
  const { child, identity } = startVictim()
  const target = holder({ ...identity, bootId: OTHER_BOOT })
  const options = { ...quiet, spawn: localSsh([]) }
  t.match(await fence(['sshfence'], target, { ...options, ownBootId: 'elsewhere' }), {
    fenced: true,
    detail: /started anew since/,
  })
  t.match(await fence(['sshfence'], target, options), {
    fenced: false,
    detail: /leads to this host, where the holder doesn't run/,
  })
  const elsewhere = { ...target, hostname: 'host7' }
  t.match(await fence(['sshfence'], elsewhere, { ...options, ownBootId: 'elsewhere' }), {
    fenced: false,
    detail: /the holder ran on host7/,
  })
  t.equal(processes.verdict(identity), 'alive')
  child.kill('SIGKILL')
})

t.test('a holder in another pid namespace is not judged', async (t) => {
  const { child, identity } = startVictim()
  const target = holder({ ...identity, pidNamespace: 'pid:[1]' })
  const result = await fence(['sshfence'], target, { ...quiet, spawn: localSsh([]) })
  t.match(result, { fenced: false, detail: /runs in a container/ })
  t.equal(processes.verdict(identity), 'alive')
  child.kill('SIGKILL')
})

t.test('nothing odd reaches ssh', async (t) => {
  const calls: string[][] = []
  const options = { ...quiet, spawn: localSsh(calls) }
  const self = processes.self()
  for (const address of ['-oProxyCommand=x:26001', 'a b:26001', '$(x):26001', 'host2', ':26001']) {
    t.match(
      await fence(['sshfence'], holder(self, { address }), options),
      { fenced: false },
      address,
    )
  }
  const odd: Partial<ProcessIdentity>[] = [
    { pid: 1 },
    { pid: -5 },
    { startTicks: Number.NaN },
    { bootId: '; reboot' },
    { pidNamespace: "pid:[1]' ; reboot '" },
  ]
  for (const change of odd) {
    const target = holder({ ...self, ...change })
    const detail = /no usable pid/
    t.match(await fence(['sshfence'], target, options), { fenced: false, detail })
  }
  t.same(calls, [])
  t.match(
    await fence(['sshfence'], holder(self, { address: '[fe80::1]:26001' }), {
      ...options,
      spawn: ((command: string, args: readonly string[], spawnOptions: object) => {
        calls.push([command, ...args])
        return spawn(
          'sh',
          ['-c', 'echo "Host key verification failed." >&2; exit 255'],
          spawnOptions,
        )
      }) as typeof spawn,
    }),
    { fenced: false, detail: /ssh to fe80::1 ended with status 255: Host key verification failed/ },
  )
})

t.test('shell: exit status 0 proves it, with the target in the environment', async (t) => {
  const directory = t.testdir({})
  const out = join(directory, 'out')
  const self = processes.self()
  const command = `shell(env | grep ^TAJO_FENCE_ | sort > ${out}; echo done)`
  const result = await fence([command], holder(self), quiet)
  t.match(result, { fenced: true, method: command, detail: /status 0: done/ })
  t.same(readFileSync(out, 'utf8').trim().split('\n'), [
    'TAJO_FENCE_TARGET_ADDRESS=host2:26001',
    `TAJO_FENCE_TARGET_BOOT_ID=${self.bootId}`,
    'TAJO_FENCE_TARGET_HOST=host2',
    `TAJO_FENCE_TARGET_HOSTNAME=${hostname()}`,
    `TAJO_FENCE_TARGET_PID=${self.pid}`,
    'TAJO_FENCE_TARGET_PORT=26001',
    `TAJO_FENCE_TARGET_START_TICKS=${self.startTicks}`,
  ])
})

t.test(
  'shell: failure, signal and hang prove nothing, and a hang is ended with its children',
  async (t) => {
    const directory = t.testdir({})
    const target = holder(processes.self())
    const pidFile = join(directory, 'pid')
    t.match(await fence(['shell(echo no power switch >&2; exit 3)'], target, quiet), {
      fenced: false,
      method: null,
      detail: /ended with status 3: no power switch/,
    })
    t.match(await fence(['shell(kill -9 $$)'], target, quiet), { fenced: false, detail: /SIGKILL/ })
    const hang = `shell(sleep 300 & echo $! > ${pidFile}; wait)`
    // Long enough for a shell to begin.
    const timeoutMs = pacedMs(400)
    const result = await fence([hang], target, { ...quiet, timeoutMs })
    t.match(result, { fenced: false, detail: `did not end within ${timeoutMs} ms` })
    const left = processes.identityOf(Number(readFileSync(pidFile, 'utf8')))
    const isOver = () => left === null || processes.verdict(left) === 'dead'
    t.ok(await until('its child is gone', isOver))
  },
)

t.test('a command that leaves a child with our pipe open is not waited for', async (t) => {
  const result = await fence(['shell(sleep 5 & exit 0)'], holder(processes.self()), quiet)
  t.match(result, { fenced: true })
})

t.test('methods are tried in order until one proves the death', async (t) => {
  const directory = t.testdir({})
  const third = join(directory, 'third')
  const events: string[] = []
  const result = await fence(
    ['shell(exit 1)', 'shell(exit 0)', `shell(touch ${third})`],
    holder(processes.self()),
    { ...quiet, log: (level, message) => events.push(`${level} ${message}`) },
  )
  t.match(result, { fenced: true, method: 'shell(exit 0)' })
  t.notOk(existsSync(third))
  t.same(events, ['info fencing', 'warn fencing failed', 'info fencing', 'info fenced'])
  const none = await fence(['shell(exit 1)', 'shell(exit 2)'], holder(processes.self()), quiet)
  t.match(none, { fenced: false, method: null, detail: /status 1; shell\(exit 2\): .*status 2/ })
  t.match(await fence([], holder(processes.self()), quiet), { fenced: false, method: null })
})

t.test('a missing ssh is a failed method', async (t) => {
  const directory = t.testdir({})
  writeFileSync(join(directory, 'not-ssh'), '')
  const options = { ...quiet, env: { PATH: directory } }
  const result = await fence(['sshfence'], holder(processes.self()), options)
  t.match(result, { fenced: false, detail: /could not be started/ })
})
