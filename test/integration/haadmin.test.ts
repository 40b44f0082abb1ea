/**
 * haadmin against real masters: two processes, one directory, the admin sockets. The rules are those of the command's
 * contract: exit codes, what is printed, and what holds when masters are down, killed, or the directory hangs.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { DemoCluster, type DemoMaster } from '../../lib/cli/demo/cluster.ts'
import { askMaster } from '../../lib/cli/sight/look-around.ts'
import { makeTiming } from '../../lib/ha/index.ts'
import { HOME, siteXml } from '../support/install.ts'
import { monitorMs, patienceMs } from '../support/pace.ts'
import { closed, ended, hasEnded, start, watch } from '../support/processes.ts'
import { type Ran, run } from '../support/run.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

/** Of the two that every command is tried on, ms. */
const M = monitorMs(2000)

/** The test runner puts its loader into every Node child's NODE_OPTIONS; it is not for what is tested here. */
const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]

/** Runs `tajo` to its end; nobody is at its terminal. */
const tajo = (confDir: string, ...args: string[]): Promise<Ran> =>
  run([...TAJO, ...args], {
    env: { TAJO_CONF_DIR: confDir, TAJO_HOME: HOME, TAJO_MASTER_NAME: undefined },
  })

/** The same at a terminal of its own, at which somebody types that when asked. All it says comes as one text. */
async function atTerminal(typed: string, confDir: string, ...args: string[]) {
  const words = ['script', '--quiet', '--return', '--command', [...TAJO, ...args].join(' ')]
  const child = start([...words, '/dev/null'], {
    env: { TAJO_CONF_DIR: confDir, TAJO_HOME: HOME, TAJO_MASTER_NAME: undefined },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (!child.stdin.writableEnded && text.includes('(yes or no) ')) child.stdin.end(typed)
  })
  const [code] = await closed(child)
  return { code, text }
}

const stateOf = async (master: DemoMaster): Promise<string> => {
  const asked = await askMaster(
    { host: 'localhost', port: master.ports.umbilical },
    patienceMs(0.1),
  )
  return asked.answered ? asked.answer.state : 'silent'
}

/** Waits until the master is in that state. */
function becomes(master: DemoMaster, state: string): Promise<unknown> {
  const isSo = async (): Promise<boolean> => (await stateOf(master)) === state
  return until(`${master.address} is ${state}`, isSo, { needs: [master.process] })
}

/** One more master, of which a failing wait tells. */
async function started(cluster: DemoCluster): Promise<DemoMaster> {
  const master = await cluster.start()
  watch(master.process, ['tajo', 'master', master.address])
  return master
}

async function stopped(master: DemoMaster, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(master.process)) return
  const ending = ended(master.process)
  master.process.kill(signal)
  await ending
}

t.test('a cluster of two, by the commands alone', async (t) => {
  const cluster = new DemoCluster(HOME, {
    properties: { 'tajo.master.ha.monitor.interval': String(M) },
    tajo: TAJO,
  })
  t.teardown(() => cluster.end())
  const a = await started(cluster)
  await becomes(a, 'active')
  const b = await started(cluster)
  await becomes(b, 'backup')
  const haadmin = (...args: string[]): Promise<Ran> => tajo(a.confDir, 'haadmin', ...args)

  await t.test('-getState asks the master', async (t) => {
    t.same(await haadmin('-getState', a.address), {
      code: 0,
      stdout: 'The master is active.\n',
      stderr: '',
    })
    // b is not in a's conf/masters; the directory knows it.
    t.same(await haadmin('-getState', b.address), {
      code: 0,
      stdout: 'The master is backup.\n',
      stderr: '',
    })
    const ran = await haadmin('--getState', a.address, '--json')
    t.match(JSON.parse(ran.stdout), { address: a.address, state: 'active', epoch: 1 })
  })

  await t.test(
    '-checkSharedDir: what is wrong for the start of a master is wrong here',
    async (t) => {
      t.equal((await haadmin('-checkSharedDir')).code, 0)
      const confDir = testdirOf(t)
      cpSync(a.confDir, confDir, { recursive: true })
      writeFileSync(join(confDir, 'masters'), 'localhost\nno-such-host.invalid\n')
      const several = await tajo(confDir, 'haadmin', '-checkSharedDir')
      t.equal(several.code, 1)
      t.match(several.stdout, /^FAILED +file system: .*local file system/m)
    },
  )

  await t.test('tajo --version is tajo version', async (t) => {
    const version = await run([...TAJO, 'version'])
    t.match(version, { code: 0, stdout: /^Tajo HA \d/ })
    for (const word of ['--version', '-version']) t.same(await run([...TAJO, word]), version)
    t.match(await run([...TAJO, '--version', '--json']), { code: 0, stdout: /"version"/ })
  })

  await t.test('unknown and malformed addresses', async (t) => {
    const unknown = await haadmin('-getState', 'localhost:1')
    t.equal(unknown.code, 3)
    t.match(
      unknown.stderr,
      `localhost:1 is no master of this cluster: known are ${a.address}, ${b.address}`,
    )
    t.equal((await haadmin('-transitionToActive', 'localhost:1')).code, 3)
    t.equal((await haadmin('-getState', 'localhost')).code, 2)
    t.equal((await haadmin('-getstate', a.address)).code, 2)
  })

  await t.test('-status', async (t) => {
    const text = await haadmin('-status')
    t.equal(text.code, 0)
    t.match(text.stdout, new RegExp(`${a.address} +active +1 `))
    t.match(text.stdout, new RegExp(`${b.address} +backup +1 `))
    t.notMatch(text.stdout, 'No master is active')
    const report = JSON.parse((await haadmin('-status', '--json')).stdout)
    t.match(report, { active: a.address, epoch: 1, problem: null, directoryError: null })
    t.equal(report.masters.length, 2)
    t.ok(report.masters.every((one: { answers: boolean }) => one.answers))
  })

  await t.test(
    '-transitionToActive hands over and returns when the successor serves',
    async (t) => {
      const moved = await haadmin('-transitionToActive', b.address)
      t.equal(moved.code, 0, moved.stderr)
      t.match(moved.stdout, `${b.address} is active, ${a.address} was it before.`)
      t.equal(await stateOf(b), 'active')
      await becomes(a, 'backup')
      const again = await haadmin('-transitionToActive', b.address)
      t.same(
        { code: again.code, stdout: again.stdout },
        { code: 0, stdout: `${b.address} is already active.\n` },
      )
    },
  )

  await t.test('-history tells by whom', async (t) => {
    const { terms } = JSON.parse((await haadmin('-history', '--json')).stdout)
    t.equal(terms.length, 2)
    t.match(terms[0], {
      term: { term: 2, address: b.address, previousAddress: a.address, reason: 'handed-over' },
    })
    const text = await haadmin('-history', '--limit', '1')
    t.match(text.stdout, /handed over +\S+@\S+ /)
    t.notMatch(text.stdout, 'first start')
  })

  await t.test('-transitionToBackup hands over to the best backup', async (t) => {
    const already = await haadmin('-transitionToBackup', a.address)
    t.match(already, { code: 0, stdout: `${a.address} is a backup already.\n` })
    const moved = await haadmin('-transitionToBackup', b.address)
    t.equal(moved.code, 0, moved.stderr)
    t.match(moved.stdout, `${b.address} is a backup, ${a.address} is active.`)
    t.equal(await stateOf(a), 'active')
  })

  await t.test('there and straight back: a former holder looks who is there', async (t) => {
    for (const to of [b, a, b, a]) {
      const moved = await haadmin('-transitionToActive', to.address)
      t.equal(moved.code, 0, moved.stderr)
    }
  })

  await t.test('a master that stands still is not handed the role', async (t) => {
    const pulseAge = async (): Promise<number | null> => {
      const asked = await askMaster({ host: 'localhost', port: a.ports.umbilical }, patienceMs(0.1))
      return asked.answered ? (asked.answer.heartbeatAgesMs[b.address] ?? null) : null
    }
    await until('its pulse is known', async () => (await pulseAge()) !== null)
    b.process.kill('SIGSTOP')
    try {
      const refused = await haadmin('-transitionToActive', b.address)
      t.equal(refused.code, 4, refused.stderr)
      t.match(refused.stderr, `${b.address} does not answer (no answer within`)
      const patienceMs = makeTiming(M).patienceMs
      const isSilent = async (): Promise<boolean> => ((await pulseAge()) ?? 0) > patienceMs
      await until('its pulse has stopped for the patience', isSilent)
      const best = await haadmin('-transitionToBackup', a.address)
      t.equal(best.code, 4, best.stderr)
      t.match(best.stderr, 'no backup is live')
      t.equal(await stateOf(a), 'active')
    } finally {
      b.process.kill('SIGCONT')
    }
    await becomes(b, 'backup')
    await becomes(a, 'active')
  })

  await t.test(
    '-formatHA is refused while masters live, and never asks without a terminal',
    async (t) => {
      const refused = await haadmin('-formatHA', '--yes')
      t.equal(refused.code, 4)
      t.match(refused.stderr, a.address)
      t.match(refused.stderr, b.address)
      const unasked = await haadmin('-formatHA')
      t.equal(unasked.code, 2)
      t.match(unasked.stderr, '--yes')
    },
  )

  await t.test(
    'without a backup: refused, unless forced; then only a command brings it back',
    async (t) => {
      await becomes(b, 'backup')
      await stopped(b, 'SIGTERM')
      const refused = await haadmin('-transitionToBackup', a.address)
      t.equal(refused.code, 4, refused.stderr)
      t.match(refused.stderr, 'no backup is live')
      t.equal(await stateOf(a), 'active')
      const toTheDead = await haadmin('-transitionToActive', b.address)
      t.not(toTheDead.code, 0)
      t.match(toTheDead.stderr, b.address)
      const forced = await haadmin('-transitionToBackup', a.address, '--force')
      t.equal(forced.code, 0, forced.stderr)
      t.match(forced.stdout, `${a.address} is a backup, no master is active now.`)
      const status = await haadmin('-status')
      t.match(status.stdout, 'No master is active: ')
      const back = await haadmin('-transitionToActive', a.address)
      t.equal(back.code, 0, back.stderr)
      t.equal(await stateOf(a), 'active')
      const { terms } = JSON.parse((await haadmin('-history', '--json')).stdout)
      t.match(terms[0].term, { reason: 'command', orderedBy: /^\S+@\S+$/ })
    },
  )

  await t.test('killed masters: nothing is guessed, and the directory still tells', async (t) => {
    await stopped(a, 'SIGKILL')
    const dead = await haadmin('-getState', a.address)
    t.equal(dead.code, 1)
    t.match(dead.stderr, /does not answer \(connection refused.*its state can't be told/)
    t.equal(dead.stdout, '')
    const status = await haadmin('-status')
    t.equal(status.code, 0, status.stderr)
    t.match(status.stdout, 'No master is active: ')
    t.match(status.stdout, 'Last transitions:')
    t.equal((await haadmin('-history')).code, 0)
    const gone = await haadmin('-transitionToActive', a.address)
    t.equal(gone.code, 1)
    t.match(gone.stderr, 'does not run on')
  })

  await t.test('-formatHA on a terminal asks first; all but yes changes nothing', async (t) => {
    const before = (await haadmin('-history', '--json')).stdout
    for (const [typed, what] of [
      ['no\n', 'no'],
      ['\n', 'just Enter'],
      ['\u0004', 'Ctrl-D'],
      ['\u0003', 'Ctrl-C'],
    ] as const) {
      const asked = await atTerminal(typed, a.confDir, 'haadmin', '-formatHA')
      t.equal(asked.code, 1, what)
      t.match(asked.text, `Clear all HA information in ${cluster.haDirectory}? (yes or no)`)
      t.match(asked.text, 'nothing was changed')
    }
    t.equal((await haadmin('-history', '--json')).stdout, before)
    const agreed = await atTerminal('yes\n', a.confDir, 'haadmin', '-formatHA')
    t.equal(agreed.code, 0, agreed.text)
    t.match(agreed.text, `The HA directory ${cluster.haDirectory} is cleared`)
  })

  await t.test('-formatHA clears, and the epoch goes on', async (t) => {
    const before = JSON.parse((await haadmin('-status', '--json')).stdout).epoch
    const done = await haadmin('-formatHA', '--yes', '--json')
    t.equal(done.code, 0, done.stderr)
    t.ok(JSON.parse(done.stdout).epoch > before)
    const status = (await haadmin('-status')).stdout
    t.match(status, 'was formatted; no master has been started since')
    t.match(status, `epoch ${JSON.parse(done.stdout).epoch}\n`)
    const c = await started(cluster)
    await becomes(c, 'active')
    const ran = await tajo(c.confDir, 'haadmin', '-getState', c.address, '--json')
    t.ok(JSON.parse(ran.stdout).epoch > before + 1, 'never lower, never the same')
  })
})

t.test('two hand-overs at once, to different masters', async (t) => {
  const cluster = new DemoCluster(HOME, {
    properties: { 'tajo.master.ha.monitor.interval': String(M) },
    tajo: TAJO,
  })
  t.teardown(() => cluster.end())
  const a = await started(cluster)
  await becomes(a, 'active')
  const [b, c] = [await started(cluster), await started(cluster)]
  await Promise.all([becomes(b, 'backup'), becomes(c, 'backup')])
  const rans = await Promise.all(
    [b, c].map((to) => tajo(a.confDir, 'haadmin', '-transitionToActive', to.address)),
  )
  for (const ran of rans) {
    if (ran.code === 0) t.match(ran.stdout, / is active, | is already active\.$/m)
    else {
      t.ok(ran.code === 1 || ran.code === 4, `exit code ${ran.code}`)
      t.match(ran.stderr, /^tajo: .*localhost:\d+ .+\n$/, 'one sentence that names a master')
    }
  }
  t.ok(
    rans.some((ran) => ran.code === 0),
    'one of them was done',
  )
  await until('exactly one is active, all others are backups', async () => {
    const states = await Promise.all([a, b, c].map(stateOf))
    return states.sort().join() === 'active,backup,backup'
  })
  const report = JSON.parse((await tajo(a.confDir, 'haadmin', '-status', '--json')).stdout)
  t.ok([b.address, c.address].includes(report.active), 'one of the two that were named')
})

t.test('-transitionToActive --force fences the active by the configured command', async (t) => {
  const dir = t.testdir({
    'fence.sh': `#!/bin/sh
cd "\${0%/*}" || exit 1
echo "$TAJO_FENCE_TARGET_ADDRESS $TAJO_FENCE_TARGET_PID" >>asked
[ -e may-kill ] && kill -9 "$TAJO_FENCE_TARGET_PID"
`,
  })
  const cluster = new DemoCluster(HOME, {
    properties: {
      'tajo.master.ha.monitor.interval': String(monitorMs(5000)),
      'tajo.master.ha.fencing.methods': `shell(/bin/sh ${dir}/fence.sh)`,
    },
    tajo: TAJO,
  })
  t.teardown(() => cluster.end())
  const a = await started(cluster)
  await becomes(a, 'active')
  const b = await started(cluster)
  await becomes(b, 'backup')
  const forced = (): Promise<Ran> =>
    tajo(a.confDir, 'haadmin', '-transitionToActive', b.address, '--force')

  const failed = await forced()
  t.equal(failed.code, 4, 'a command that fails proves nothing')
  t.match(failed.stderr, `${b.address} refused: fencing failed: shell(`)
  t.equal(await stateOf(a), 'active')
  t.equal(await stateOf(b), 'backup')
  t.equal(readFileSync(join(dir, 'asked'), 'utf8'), `${a.address} ${a.pid}\n`)

  writeFileSync(join(dir, 'may-kill'), '')
  const done = await forced()
  t.equal(done.code, 0, done.stderr)
  t.match(done.stdout, `${b.address} is active, ${a.address} was it before.`)
  t.equal(await stateOf(b), 'active')
  await until('its end has been told', () => a.process.signalCode !== null)
  t.equal(a.process.signalCode, 'SIGKILL')
  const { terms } = JSON.parse((await tajo(a.confDir, 'haadmin', '-history', '--json')).stdout)
  t.match(terms[0].term, {
    address: b.address,
    previousAddress: a.address,
    reason: 'command',
    // Its end may be seen before the command that brought it about has ended: all three are true then.
    evidence: /the holder was fenced|had released the term|was gone from this host/,
  })
})

t.test('a directory that hangs costs its deadline, and the process ends', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tajo-haadmin-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const haDirectory = join(root, 'system', 'ha')
  mkdirSync(haDirectory, { recursive: true })
  // Opening a pipe without a writer hangs in the kernel, as a file on a dead mount does.
  execFileSync('mkfifo', [join(haDirectory, 'cluster.json')])
  const site = {
    'tajo.rootdir': root,
    'tajo.master.ha.enable': 'true',
    'tajo.master.ha.monitor.interval': '1000',
  }
  writeFileSync(join(root, 'tajo-site.xml'), siteXml(site))
  writeFileSync(join(root, 'masters'), 'localhost:1\n')
  const ran = await tajo(root, 'haadmin', '-getState', 'localhost:1')
  t.equal(ran.code, 1)
  t.match(ran.stderr, /has not answered within \d+ ms: its mount hangs/)
})

t.test('tajo demo: exits 0 only when all of it happened', async (t) => {
  const ran = await tajo(HOME, 'demo')
  t.equal(ran.code, 0, ran.stderr)
  const words = [
    'is active',
    'kill -9',
    'serves: first answer',
    "in the new active's list: running",
    '1600000 rows, and their sums are right',
    'the INSERT is there once',
    'Phases of term 2',
  ]
  for (const word of words) t.match(ran.stdout, word)
})
