/** One directory has one kind of user: what a master without high availability, formatHA and tsql make of others' signs. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askDirectory } from '../../../lib/cli/daemon/directory.ts'
import {
  requireNobodyAlone,
  requireNobodyAloneInTerm,
  useAlone,
} from '../../../lib/cli/daemon/rootdir-use.ts'
import { claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import { formatDirectory } from '../../../lib/ha/directory/format.ts'
import { periodsOf } from '../../../lib/ha/rules/periods.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import type { Holder, TermRecord } from '../../../lib/ha/words/layout.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

const timing = makeTiming(500)
const log = (): void => {}

/** As a master on another host left it that has said nothing since. */
async function heldElsewhere(t: Test, by = timing): Promise<string> {
  const directory = t.testdir({ active: {}, backup: {}, history: {} })
  const holder: Holder = {
    address: 'far:26001',
    addresses: {
      umbilical: 'far:26001',
      clientRpc: 'far:26002',
      resourceTracker: 'far:26003',
      catalog: 'far:26005',
      infoHttp: 'far:26080',
    },
    nonce: 'n',
    hostname: 'far',
    master: { ...hostProcesses().self(), bootId: 'another boot' },
    startedAt: '',
    version: '1',
    priority: 100,
    adminSocket: '',
    periods: periodsOf(by),
  }
  const record: TermRecord = {
    term: 1,
    address: holder.address,
    hostname: 'far',
    nonce: 'n',
    reason: 'first-start',
    evidence: '',
    previousTerm: 0,
    previousAddress: null,
    at: '',
    periods: periodsOf(by),
  }
  const won = await claimTerm(openDisk(directory), {
    holder,
    attempt: newAttempt(record),
    onHeartbeat: log,
    makeRoom: async () => false,
  })
  t.ok(won.won)
  return directory
}

const alone = (haDirectory: string, onLost: (error: Error) => void = log) =>
  useAlone({ haDirectory, rootDirectory: '/root', address: 'here:26001', timing, onLost })

t.test('silence of a holder on another host proves nothing; formatHA ends its term', async (t) => {
  const directory = await heldElsewhere(t)
  await t.rejects(alone(directory), {
    message: /was used by the HA cluster of far:26001, of which nothing proves.*-formatHA/s,
  })
  await t.resolves(requireNobodyAlone(directory, '/root'), 'it has left no mark')
  await formatDirectory(directory, { timing, by: 'test', log })
  const use = await alone(directory)
  use.release()
})

t.test('a holder with a longer monitor interval is waited for by its own periods', async (t) => {
  const slow = makeTiming(24_000)
  t.ok(slow.patienceMs > 10_000 + 2 * timing.patienceMs, 'longer than ours allow for')
  const directory = await heldElsewhere(t, slow)
  await t.rejects(alone(directory), { message: /was used by the HA cluster of far:26001, of/ })
})

t.test('a mark that is put back just when it is released does not stay', async (t) => {
  const path = (directory: string): string => join(directory, 'single.json')
  const base = t.testdir({})
  const rounds = Array.from({ length: 12 }, async (_, round) => {
    const directory = join(base, String(round))
    mkdirSync(directory, { recursive: true })
    const use = await alone(directory)
    rmSync(path(directory))
    while (!existsSync(path(directory))) await new Promise((done) => setImmediate(done))
    use.release()
    await until('it is gone', () => !existsSync(path(directory)))
    await requireNobodyAlone(directory, '/root')
  })
  await Promise.all(rounds)
  t.strictSame(
    rounds.map((_, round) => existsSync(path(join(base, String(round))))),
    rounds.map(() => false),
  )
})

t.test('a mark that is removed is put back, unless another master has come', async (t) => {
  const mark = (directory: string): string => join(directory, 'single.json')
  const cases: [string, (directory: string) => void][] = [
    ['another one’s mark', (dir) => writeFileSync(mark(dir), '{"token":"another"}\n')],
    [
      'a master with high availability',
      (dir) => {
        mkdirSync(join(dir, 'backup'))
        writeFileSync(join(dir, 'backup', 'far_26001.json'), '')
        rmSync(mark(dir))
      },
    ],
  ]
  for (const [name, take] of cases) {
    const directory = t.testdir({})
    const lost: string[] = []
    const use = await alone(directory, ({ message }) => void lost.push(message))
    take(directory)
    await until('it is noticed', () => lost.length === 1)
    t.match(lost, [/single\.json was removed while this master uses tajo\.rootdir alone/], name)
    rmSync(mark(directory), { force: true })
    use.release()
  }
  const directory = t.testdir({})
  const told: string[] = []
  const use = await useAlone({
    haDirectory: directory,
    rootDirectory: '/root',
    address: 'here:26001',
    timing,
    onLost: ({ message }) => t.fail(message),
    onPutBack: (why) => void told.push(why),
  })
  rmSync(mark(directory))
  await until('it is put back', () => told.length === 1)
  t.ok(existsSync(mark(directory)))
  t.match(told, [/was removed .* put back: something removes files/])
  await t.rejects(requireNobodyAlone(directory, '/root'), { code: 'HELD' })
  use.release()
  t.notOk(existsSync(mark(directory)), 'the one that was put back is released')
})

t.test('formatHA is refused while a master uses the directory alone', async (t) => {
  const directory = t.testdir({ secret: 's' })
  const use = await alone(directory)
  const catalog = { origin: { clusterId: null, term: 0 }, derbyUri: null }
  const request = { op: 'format', directory, timing, by: 'test', ...catalog } as const
  await t.rejects(askDirectory(request, 30_000), {
    exitCode: 4,
    message: /is used by a master without high availability: master here:26001/,
  })
  use.release()
})

t.test('tsql finds members in the directory', async (t) => {
  const directory = await heldElsewhere(t)
  const members = await askDirectory({ op: 'members', directory }, 30_000)
  t.match(members, [{ clientRpc: 'far:26002' }])
})

t.test('a term that begins waits for a storage that fails, but not for ever', async (t) => {
  const directory = join(t.testdir({ ha: 'not a directory' }), 'ha')
  const clock = new HandClock()
  const said: string[] = []
  const begin = (signal = new AbortController().signal): Promise<void> =>
    requireNobodyAloneInTerm(directory, '/root', {
      signal,
      onTrouble: (why) => said.push(why),
      clock,
    })
  const hears = async (times: number): Promise<void> => {
    await until('it tells why it waits', () => said.length === times)
    await clock.advance(250)
  }
  const passing = begin()
  await hears(1)
  await until('it tried again', () => said.length === 2)
  rmSync(directory)
  mkdirSync(directory)
  await clock.advance(250)
  await passing
  t.match(said[0], /can't take the guard .*single\.json: ENOTDIR/)

  rmSync(directory, { recursive: true })
  writeFileSync(directory, '')
  const lasting = begin()
  await hears(3)
  await until('it tried again', () => said.length === 4)
  const refused = t.rejects(lasting, { code: 'UNAVAILABLE' })
  await clock.advance(30_000)
  await refused
  await t.rejects(begin(AbortSignal.abort()), { code: 'UNAVAILABLE' }, 'a term that is over')

  rmSync(directory)
  mkdirSync(directory)
  const single = await alone(directory)
  await t.rejects(begin(), { code: 'HELD', message: /without high availability/ })
  single.release()
})
