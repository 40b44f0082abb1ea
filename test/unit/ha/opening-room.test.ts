/**
 * An opening that finds no room although the claim found some: a quota tells nobody what it leaves. A real keeper on a real
 * directory; its master is played by the test.
 */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { realClock } from '../../../lib/ha/clock.ts'
import { openDisk } from '../../../lib/ha/disk.ts'
import { comesOfNoSpace, DiskError } from '../../../lib/ha/errors.ts'
import { errnoOf, systemWords } from '../../../lib/ha/file-handle.ts'
import { Keeper } from '../../../lib/ha/keeper.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  encode,
  HISTORY_DIR,
  reserveDir,
} from '../../../lib/ha/layout.ts'
import type { Start, ToKeeper, ToMaster } from '../../../lib/ha/messages.ts'
import { hostProcesses } from '../../../lib/ha/processes.ts'
import { makeTiming } from '../../../lib/ha/timing.ts'
import { until } from '../../support/until.ts'

const ADDRESS = 'a:26001'
const processes = hostProcesses()
const storage = { granularityMs: 1, slowestRenewalMs: 1, network: false, warnings: [] }
const catalog = { class: 'SharedStore', uri: '' }
const cluster = { format: 2, clusterId: 'c', generation: 1, catalog, createdAt: '' }

const start = (directory: string): Start => ({
  type: 'start',
  directory,
  self: {
    address: ADDRESS,
    addresses: {
      umbilical: ADDRESS,
      clientRpc: '',
      resourceTracker: '',
      catalog: '',
      infoHttp: '',
    },
    nonce: 'n',
    master: processes.self(),
    startedAt: '',
    version: '1',
    priority: 100,
    adminSocket: '',
  },
  hostname: 'a',
  timing: makeTiming(1000),
  catalog,
  fencing: [],
  severalHosts: false,
  openingDirectory: null,
  catalogTerm: 0,
  catalogCluster: null,
  knownTerm: 0,
  fresh: { clusterId: 'c', secret: '' },
  joined: { clusterId: 'c', secret: '', storage, cluster, newest: 0 },
  resume: null,
})

/** A keeper whose master answers what it must, and opens terms as the test says. */
function keeper(t: Test, open: (term: number) => ToKeeper | null) {
  const path = t.testdir({
    [CLUSTER_FILE]: encode(cluster),
    ...{ [ACTIVE_DIR]: {}, [BACKUP_DIR]: {}, [HISTORY_DIR]: {} },
  })
  const opened: number[] = []
  const facts = { exited: false }
  // A keeper's exit ends its process, and its timers with it.
  const after: typeof realClock.after = (delayMs, run) =>
    realClock.after(delayMs, () => {
      if (!facts.exited) run()
    })
  const clock = { ...realClock, after }
  let say = (_: ToKeeper): void => {}
  const answer = (message: ToMaster): ToKeeper | null => {
    if (message.type === 'ping') return { type: 'pong', ping: message.ping }
    if (message.type === 'deactivate') return { type: 'deactivated', term: message.term }
    if (message.type === 'drain') return { type: 'drained', term: message.term }
    if (message.type !== 'activate') return null
    opened.push(message.term)
    return open(message.term)
  }
  const one = new Keeper(
    {
      ...{ clock, disk: openDisk(path), processes, storage },
      link: {
        send: (message) => {
          const back = answer(message)
          if (back !== null) setImmediate(() => say(back))
        },
        onMessage: (listener) => {
          say = listener
        },
        onClose: () => {},
      },
      fence: async () => ({ fenced: false, detail: '' }),
      killMaster: () => t.fail('it is not killed'),
      masterCpu: () => null,
      exit: () => {
        facts.exited = true
      },
      openingBytes: async () => 4096,
    },
    start(path),
  )
  t.teardown(async () => {
    say({ type: 'leave', reason: 'the test is over' })
    await until('the keeper has left', () => facts.exited)
  })
  const reserve = (): string[] => {
    const directory = join(path, reserveDir(ADDRESS))
    mkdirSync(directory, { recursive: true })
    return readdirSync(directory)
  }
  return { path, one, opened, reserve, say: (message: ToKeeper) => say(message) }
}

t.test('an opening that finds no room gets what was kept for it, under its term', async (t) => {
  const { one, opened, reserve, say } = keeper(t, (term) =>
    term === 1 ? { type: 'serving', term } : null,
  )
  void one.run()
  await until('room is kept', () => reserve().includes('whole.json'))
  say({ type: 'no-room', term: 1 })
  say({ type: 'give-up', term: 1, why: 'for the test' })
  await until('the next term is being opened', () => opened.includes(2))
  t.ok(reserve().includes('whole.json'), 'it was not needed for the claim, and term 1 served')
  say({ type: 'no-room', term: 2 })
  await until('the room is given up', () => reserve().length === 0)
  t.match(one.state.phase, { name: 'activating', term: 2 })
  say({ type: 'serving', term: 2 })
  t.match(one.state, { phase: { name: 'active', term: 2 }, failedClaims: 0 })
  t.same(opened, [1, 2])
  await until('and made again', () => reserve().includes('whole.json'))
})

t.test('no space is seen through whatever was made of it', (t) => {
  const made = (cause: unknown): Error => new Error('FULL', { cause })
  t.ok(comesOfNoSpace(new DiskError('EDQUOT', 'x', 'x')))
  t.ok(comesOfNoSpace(made(made(Object.assign(new Error('x'), { code: 'ENOSPC' })))))
  // As Node tells of EDQUOT, of which it knows only the number: by its promises, and by its other calls.
  for (const code of ['Unknown system error -122', 'UNKNOWN']) {
    const words = code === 'UNKNOWN' ? 'unknown error' : `${code}: ${code}`
    const error = Object.assign(new Error(`${code}: ${words}, write`), { code, errno: -122 })
    t.ok(comesOfNoSpace(made(error)))
    t.equal(errnoOf(error), 'EDQUOT')
    t.equal(systemWords(error), 'EDQUOT: disk quota exceeded, write')
  }
  t.notOk(comesOfNoSpace(made(Object.assign(new Error('x'), { code: 'EIO' }))))
  t.notOk(comesOfNoSpace('ENOSPC'))
  t.notOk(comesOfNoSpace(null))
  t.end()
})
