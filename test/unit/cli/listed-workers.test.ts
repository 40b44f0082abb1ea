/** Which workers conf/workers lists, by whatever name a host is called. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ListedWorkers } from '../../../lib/cli/daemon/listed-workers.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { testdirOf } from '../../support/testdir.ts'

const NAMES: Record<string, string[]> = {
  host1: ['10.0.0.1'],
  'host1.example.com': ['10.0.0.1'],
  host2: ['10.0.0.2', 'fd00::2'],
  stranger: ['10.0.0.66'],
  desk: ['127.0.1.1'],
  // No name makes a host this one.
  here: ['10.0.0.77'],
  'desk.example.com': ['10.0.0.9'],
  localhost: ['127.0.0.1'],
}

const confDir = testdirOf(t)
const file = join(confDir, 'workers')
function world(lines: string | null) {
  if (lines === null) rmSync(file, { force: true })
  else writeFileSync(file, lines)
  const clock = new HandClock()
  const logged: string[] = []
  const workers = new ListedWorkers({
    confDir,
    defaultPort: 28091,
    facts: {
      hostname: 'desk',
      addresses: new Set(['127.0.0.1', '10.0.0.9']),
      resolve: async (host) => NAMES[host] ?? [],
    },
    everyMs: 1000,
    clock,
    log: (_level, text) => void logged.push(text),
  })
  const judge = (peer: string, qm = peer.replace(/\d+$/, '28093')) =>
    workers.judge({ workerId: peer, qm })
  return { clock, workers, judge, logged }
}

t.test('a worker is listed by its line’s name, and by others of the same host', async (t) => {
  const { judge } = world('host1\nhost2:29091\n[fd00::7]\n')
  for (const peer of ['host1:28091', 'HOST1:28091', 'host1.example.com:28091', '10.0.0.1:28091'])
    t.equal(await judge(peer), 'listed', peer)
  t.equal(await judge('host2:29091'), 'listed')
  t.equal(await judge('[fd00::2]:29091'), 'listed')
  t.equal(await judge('[fd00::7]:28091'), 'listed')
  t.equal(await judge('host2:28091'), 'unlisted', 'the port is another worker’s')
  t.equal(await judge('stranger:28091'), 'unlisted')
  t.equal(await judge('nowhere:28091'), 'unlisted')
})

t.test('a listed name with orders that go elsewhere is on no line', async (t) => {
  const { judge } = world('host1\nhost2\n')
  t.equal(await judge('host1:28091', 'stranger:28093'), 'unlisted')
  t.equal(await judge('host1:28091', 'host2:28093'), 'unlisted')
  t.equal(await judge('host1:28091', '10.0.0.1:28093'), 'listed')
})

t.test('localhost is this host, by whatever name, and no other one', async (t) => {
  const { judge } = world('localhost\n')
  for (const peer of ['localhost:28091', '127.0.0.1:28091', 'desk:28091', 'desk.example.com:28091'])
    t.equal(await judge(peer), 'listed', peer)
  t.equal(await judge('host1:28091'), 'unlisted')
  t.equal(await judge('here:28091'), 'unlisted')
})

t.test('a line that was added counts soon; a broken file leaves the list as it was', async (t) => {
  const { clock, judge, logged, workers } = world('host1\n')
  t.equal(await judge('host2:28091'), 'unlisted')
  const version = await workers.version()
  writeFileSync(file, 'host1\nhost2\n')
  await clock.advance(1000)
  t.equal(await judge('host2:28091'), 'listed')
  t.not(await workers.version(), version)
  writeFileSync(file, 'two words\n')
  await clock.advance(1000)
  t.equal(await judge('host2:28091'), 'listed')
  await clock.advance(1000)
  t.equal(await judge('host2:28091'), 'listed')
  t.match(logged, [/^the list of workers stays as it was: .*two words/])
})

t.test('without a file nobody is missing in it, and an empty one lists nobody', async (t) => {
  t.equal(await world(null).judge('host1:28091'), 'no-list')
  t.equal(await world('# none\n').judge('host1:28091'), 'unlisted')
})
