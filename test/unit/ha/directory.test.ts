/**
 * The HA directory on a real disk: claims, ends, sweeps, what is refused, and what is read from torn and foreign files.
 * Times between the periods are checked here too, since both are rules that need no second process.
 */
import { mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import {
  decodeClaim,
  decodeEnd,
  decodeHolder,
  decodeServed,
  decodeTerm,
} from '../../../lib/ha/directory/decode.ts'
import { endBelow } from '../../../lib/ha/directory/end-below.ts'
import { formatDirectory } from '../../../lib/ha/directory/format.ts'
import { readHistory } from '../../../lib/ha/directory/history.ts'
import { inspectDirectory } from '../../../lib/ha/directory/inspect.ts'
import { Looker } from '../../../lib/ha/directory/look.ts'
import { refuseSameAddress } from '../../../lib/ha/directory/namesakes.ts'
import { joinDirectory, type Setup } from '../../../lib/ha/directory/setup.ts'
import { KEPT_TERMS, sweep } from '../../../lib/ha/directory/void-terms.ts'
import {
  lossMs,
  makeTiming,
  smallestMonitorMs,
  type TimingOverrides,
} from '../../../lib/ha/rules/timing.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import {
  backupFile,
  claimFile,
  encode,
  type Holder,
  heartbeatFile,
  historyFile,
  isRegistrationOf,
  RELEASED_MTIME_MS,
  registrationFile,
  servedFile,
  type TermRecord,
  termDir,
  termOf,
} from '../../../lib/ha/words/layout.ts'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import { watchTerms } from '../../../lib/ha/world/file-hints.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'
import { until } from '../../support/until.ts'

const processes = hostProcesses()

const holderOf = (address: string, nonce = address): Holder => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce,
  hostname: 'h',
  master: processes.self(),
  startedAt: '2026-01-01T00:00:00.000Z',
  version: '1',
  priority: 100,
  adminSocket: '',
})

const recordOf = (term: number, nonce: string): TermRecord => ({
  term,
  address: 'a:26001',
  hostname: 'h',
  nonce,
  reason: 'expired',
  evidence: 'test',
  previousTerm: term - 1,
  previousAddress: null,
  at: '2026-01-01T00:00:00.000Z',
})

const setup = {
  directory: 'DIR',
  catalog: { class: 'SharedStore', uri: '' },
  catalogTerm: 0,
  fresh: { clusterId: 'c1', secret: 's'.repeat(64) },
  createdAt: '',
  timing: makeTiming(500),
}

const join = (disk: ReturnType<typeof openDisk>, what: Setup) =>
  joinDirectory(
    { disk, clock: realClock, processes, looker: new Looker(disk, processes, null) },
    what,
  )

async function directory(t: Test): Promise<{ path: string; disk: ReturnType<typeof openDisk> }> {
  const path = t.testdir({})
  const disk = openDisk(path)
  await join(disk, setup)
  return { path, disk }
}

const claim = (disk: ReturnType<typeof openDisk>, term: number, nonce = `n${term}`) =>
  claimTerm(disk, {
    holder: holderOf('a:26001'),
    attempt: newAttempt(recordOf(term, nonce)),
    onHeartbeat: () => {},
    makeRoom: async () => false,
  })

/** `served.json` marks a term as one that ended all below it. */
const serve = (path: string, term: number): void =>
  writeFileSync(`${path}/${servedFile(term)}`, encode({ term, servedAt: '', phases: {} }))

t.test('a term is claimed once', async (t) => {
  const { disk } = await directory(t)
  t.match(await claim(disk, 1), { won: true })
  t.match(await claim(disk, 1), { won: false })
})

t.test('of many contenders one wins', async (t) => {
  const { disk } = await directory(t)
  const outcomes = await Promise.all(Array.from({ length: 20 }, (_, i) => claim(disk, 1, `n${i}`)))
  t.equal(outcomes.filter((outcome) => outcome.won).length, 1)
})

t.test('a term that a higher one has closed is given up, and its heartbeat goes', async (t) => {
  const { disk, path } = await directory(t)
  const closing = {
    ...disk,
    create: async (purpose: 'claim', file: string, text: string) => {
      if (file === claimFile(1)) await disk.create('end-below', file, encode({ state: 'closed' }))
      return disk.create(purpose, file, text)
    },
  }
  t.match(await claim(closing as typeof disk, 1), { won: false, why: /closed/ })
  t.same(readdirSync(`${path}/${termDir(1)}`), ['claim.json'])
})

t.test('a lost reply: the winner finds its own nonce', async (t) => {
  const { disk } = await directory(t)
  const forgetful = {
    ...disk,
    create: async (purpose: 'claim', file: string, text: string) => {
      const made = await disk.create(purpose, file, text)
      return file === heartbeatFile(1) ? made : 'exists'
    },
  }
  t.match(await claim(forgetful as typeof disk, 1), { won: true })
})

t.test(
  'ending: closes what was not opened, unlinks what was, down to the newest that served',
  async (t) => {
    const { disk, path } = await directory(t)
    for (const term of [1, 2, 3]) await claim(disk, term)
    serve(path, 2)
    await disk.makeTermDir('claim', termDir(4))
    const pause = async (): Promise<void> => {
      t.fail('nothing to wait for')
    }
    const ended = await endBelow(disk, {
      term: 5,
      nonce: 'x',
      provenTerm: null,
      basis: [],
      settleMs: 120,
      pause,
    })
    t.match(ended, { proven: false }, 'nothing proves that the holders of 2 and 3 are gone')
    t.match(decodeClaim((await disk.read('check', claimFile(4))) as string), { state: 'closed' })
    t.equal(await disk.touch('renew', heartbeatFile(3), 5e12), 'missing')
    t.equal(await disk.touch('renew', heartbeatFile(2), 5e12), 'missing')
    t.equal(await disk.touch('renew', heartbeatFile(1), 5e12), 'touched', 'ended by 2 already')
  },
)

t.test('ending: a release is proof, and so is what the caller knows', async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1)
  serve(path, 1)
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  const pause = async (): Promise<void> => {}
  t.match(
    await endBelow(disk, {
      term: 2,
      nonce: 'x',
      provenTerm: null,
      basis: [],
      settleMs: 120,
      pause,
    }),
    {
      proven: true,
    },
  )
  await claim(disk, 2)
  serve(path, 2)
  t.match(
    await endBelow(disk, { term: 3, nonce: 'x', provenTerm: 2, basis: [], settleMs: 120, pause }),
    {
      proven: true,
    },
  )
})

t.test(
  'a heartbeat that lands after its term was closed is nobody: it bars no take-over',
  async (t) => {
    const { disk, path } = await directory(t)
    const pause = async (): Promise<void> => {}
    const claimed = claimTerm(
      {
        ...disk,
        create: async (purpose: 'claim', file: string, text: string) => {
          // The caller was told EIO; the server does it all the same, later.
          if (file === heartbeatFile(1)) throw new DiskError('EIO', file, 'EIO')
          return disk.create(purpose, file, text)
        },
      } as typeof disk,
      {
        holder: holderOf('a:26001'),
        attempt: newAttempt(recordOf(1, 'n1')),
        onHeartbeat: () => {},
        makeRoom: async () => false,
      },
    )
    await t.rejects(claimed, { message: 'EIO' })
    await disk.makeTermDir('claim', termDir(2))
    const looker = new Looker(disk, processes, null)
    await endBelow(disk, {
      term: 2,
      nonce: 'two',
      provenTerm: null,
      basis: [],
      settleMs: 120,
      pause,
    })
    const seen = await looker.look()
    await disk.create('claim', heartbeatFile(1), '')
    const basis = (await looker.look()).pulses
    t.same(seen.pulses, basis, 'it is not looked for any more')
    const ended = await endBelow(disk, {
      term: 3,
      nonce: 'three',
      provenTerm: null,
      basis,
      settleMs: 120,
      pause,
    })
    t.equal(ended.alive, null)
    t.notOk(readdirSync(`${path}/${termDir(1)}`).includes('heartbeat'))

    // A claim.json that its writer left torn says nothing: the heartbeat is seen, and judged by whether it moves.
    await disk.makeTermDir('claim', termDir(3))
    writeFileSync(`${path}/${claimFile(3)}`, '')
    await looker.look()
    await disk.create('claim', heartbeatFile(3), '')
    const still = (await looker.look()).pulses
    t.ok(still.find(({ term }) => term === 3)?.mtimeMs)
    const last = { term: 4, nonce: 'four', provenTerm: null, basis: still, settleMs: 120, pause }
    t.equal((await endBelow(disk, last)).alive, null)
  },
)

t.test(
  'a swept number stays taken for a contender that was paused before its first step',
  async (t) => {
    const { disk, path } = await directory(t)
    const newest = KEPT_TERMS + 3
    for (let term = 1; term <= newest; term += 1) await claim(disk, term)
    rmSync(`${path}/${historyFile(1)}`) // a term of which not even the history is left
    t.same(await sweep(disk, newest, recordOf(newest, 'sweeper')), [1, 2])
    t.match(await claim(disk, 1, 'slow'), { won: false, why: /took the number/ })
    t.match(await claim(disk, 2, 'slow'), { won: false, why: /took the number/ })
    t.same(readdirSync(`${path}/active`).map(termOf).length, newest, 'the directories are back')
    t.same(readdirSync(`${path}/${termDir(1)}`), [], 'no heartbeat was made under an old name')
    const history = await readHistory(disk, 100)
    t.equal(history.length, newest - 1, 'a tombstone is no history')
  },
)

t.test('history: who asked for a term, and that the one before was a format', async (t) => {
  const { disk, path } = await directory(t)
  const more: Partial<TermRecord>[] = [
    {},
    { reason: 'format', orderedBy: 'ann@h1' },
    {},
    { reason: 'command', orderedBy: 'bob@h2' },
    { reason: 'format', orderedBy: 'ann@h1' },
    { reason: 'format', orderedBy: 'eve@h3' },
  ]
  for (const [i, of] of more.entries()) {
    const record = { ...recordOf(i + 1, 'n'), ...of }
    writeFileSync(`${path}/${historyFile(i + 1)}`, encode(record))
  }
  const newest = [
    { term: { term: 6, orderedBy: 'eve@h3' }, afterFormat: true },
    { term: { term: 5, orderedBy: 'ann@h1' }, afterFormat: false },
    { term: { term: 4, orderedBy: 'bob@h2' }, afterFormat: false },
    { term: { term: 3, orderedBy: undefined }, afterFormat: true },
  ]
  t.match(await readHistory(disk, 4), newest, 'also where the format is not in the list')
  const rest = [
    { term: { term: 2, orderedBy: 'ann@h1' }, afterFormat: false },
    { term: { term: 1 }, afterFormat: false },
  ]
  t.match(await readHistory(disk, 10), [...newest, ...rest])
})

t.test('joining: the same cluster, the same secret', async (t) => {
  const { disk } = await directory(t)
  const other = { ...setup, fresh: { clusterId: 'c2', secret: 'x'.repeat(64) } }
  t.match(await join(disk, other), { clusterId: 'c1', secret: 's'.repeat(64) })
})

t.test('joining: another catalog is refused with both named', async (t) => {
  const { disk } = await directory(t)
  const catalog = { class: 'PostgreSQLStore', uri: 'jdbc:postgresql://db/tajo' }
  await t.rejects(join(disk, { ...setup, catalog }), {
    code: 'CATALOG_DIFFERS',
    message: /PostgreSQLStore at jdbc:postgresql:\/\/db\/tajo, in the cluster SharedStore/,
  })
})

t.test('joining: a newer format, a foreign file, a torn file, a torn secret', async (t) => {
  for (const [name, text, message] of [
    ['cluster.json', '{"format":99}\n', /format version 99, this software knows up to 4/],
    ['cluster.json', 'hello\n', /torn or foreign/],
    ['cluster.json', '', /torn or foreign/],
    ['secret', 'short\n', /torn or foreign \(5 characters\)/],
  ] as const) {
    const path = t.testdir({ [name]: text })
    await t.rejects(join(openDisk(path), { ...setup, directory: path }), {
      code: 'BAD_DIRECTORY',
      message,
    })
  }
})

t.test('one address for two living masters is refused; a dead one is not in the way', async (t) => {
  const { disk } = await directory(t)
  const ports = { disk, clock: realClock, processes }
  const living = holderOf('a:26001', 'other')
  await disk.create('register', backupFile('a:26001'), encode(living))
  await t.rejects(refuseSameAddress(ports, holderOf('a:26001', 'me'), makeTiming(500)), {
    code: 'ADDRESS_IN_USE',
    message: new RegExp(`pid ${process.pid} on h`),
  })
  const dead = { ...living, master: { ...living.master, startTicks: 1 } }
  await disk.unlink('register', backupFile('a:26001'))
  await disk.create('register', backupFile('a:26001'), encode(dead))
  await t.resolves(refuseSameAddress(ports, holderOf('a:26001', 'me'), makeTiming(500)))
  await disk.create('register', registrationFile('a:26001', 'other', 3), encode(living))
  await t.rejects(refuseSameAddress(ports, holderOf('a:26001', 'me'), makeTiming(500)), {
    code: 'ADDRESS_IN_USE',
  })
  t.notOk(isRegistrationOf('a:26001', 'a_26001.x_26001.json'), "another address's name")
})

t.test(
  'a start asks for no name that is not there: its absence would be remembered on NFS',
  async (t) => {
    const { disk } = await directory(t)
    const absent: string[] = []
    const asked: Disk = {
      ...disk,
      read: async (purpose, path) => {
        const text = await disk.read(purpose, path)
        if (text === 'missing') absent.push(path)
        return text
      },
    }
    const ports = { disk: asked, clock: realClock, processes }
    const check = (): Promise<void> =>
      refuseSameAddress(ports, holderOf('a:26001', 'me'), makeTiming(500))
    await check()
    // Another master is between the first and the fourth step of its claim.
    await disk.makeTermDir('claim', termDir(1))
    await check()
    t.same(absent, [])
  },
)

t.test('format: never lowers the epoch, refuses living masters and newer versions', async (t) => {
  const { disk, path } = await directory(t)
  const options = { timing: makeTiming(500), by: 'test', log: () => {} }
  for (const term of [1, 2]) await claim(disk, term)
  await disk.unlink('end-below', heartbeatFile(1))
  await disk.touch('release', heartbeatFile(2), RELEASED_MTIME_MS)
  await disk.create('register', backupFile('b:26001'), encode(holderOf('b:26001')))
  await t.rejects(formatDirectory(path, options), { code: 'UNSAFE', message: /b:26001/ })
  await disk.unlink('register', backupFile('b:26001'))
  t.match(await formatDirectory(path, options), { epoch: 3 })
  t.notOk(readdirSync(path).includes('cluster.json'))
  t.same(readdirSync(`${path}/active`).map(termOf), [3])
  t.match(await inspectDirectory(path, { watchMs: 1 }), {
    clusterId: null,
    epoch: 3,
    problem: /was formatted; no master has been started since/,
  })
  t.match(await formatDirectory(path, options), { epoch: 4 })

  const newer = t.testdir({ 'cluster.json': '{"format":5}\n' })
  await t.rejects(formatDirectory(newer, options), { code: 'BAD_DIRECTORY' })
  await t.rejects(formatDirectory(`${newer}/nowhere`, options), { message: /does not exist/ })
})

t.test('foreign names and texts in the directory harm nobody', async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1)
  mkdirSync(`${path}/active/epoch-12`)
  mkdirSync(`${path}/active/lost+found`)
  writeFileSync(`${path}/backup/x.json`, '{"address":7}')
  writeFileSync(`${path}/backup/readme.txt`, 'hi')
  writeFileSync(`${path}/history/0000000007.json`, '{"term":7,"at":5}')
  t.match(await inspectDirectory(path, { watchMs: 1 }), { epoch: 7, masters: { length: 1 } })
  t.equal((await readHistory(disk, 10)).length, 1, 'that name takes a number, and is no record')
  for (const text of ['', '{', 'null', '[]', '7', '{"state":"open"}', '{"term":"1"}']) {
    t.equal(decodeClaim(text), null)
    t.equal(decodeHolder(text), null)
    t.equal(decodeTerm(text), null)
    t.equal(decodeServed(text), null)
  }
  const strange = { ...recordOf(1, 'n'), orderedBy: 7 }
  t.notOk(
    'orderedBy' in (decodeTerm(encode(strange as never)) ?? {}),
    'a foreign field is left out',
  )
  const end = { reason: 'stopped', by: 'b', successor: null, at: '', during: 'lunch' }
  t.notOk('during' in (decodeEnd(encode(end as never)) ?? {}))
})

t.test('a name like a term that no master made: every look says what to remove', async (t) => {
  const options = { timing: makeTiming(500), by: 'test', log: () => {} }
  const { disk, path } = await directory(t)
  await claim(disk, 1)
  const looks: (() => Promise<unknown>)[] = [
    () => inspectDirectory(path, { watchMs: 1 }),
    () => formatDirectory(path, options),
    () => new Looker(disk, processes, null).look(),
  ]
  const file = `${path}/active/epoch-0000000099`
  writeFileSync(file, '')
  for (const look of looks) {
    await t.rejects(look(), {
      message: /^active\/epoch-0000000099 is foreign .*file.*: remove it$/,
    })
  }
  rmSync(file)
  mkdirSync(`${path}/active/epoch-9999999999`)
  for (const look of looks) {
    await t.rejects(look(), { message: /epoch-9999999999 is foreign .*newest term is 1\): remove/ })
  }
})

t.test(
  'periods: the defaults fit at every M, and each rule refuses the set that breaks it',
  async (t) => {
    for (const monitorMs of [500, 1000, 5000, 60_000]) {
      const made = makeTiming(monitorMs)
      const untilOpening = lossMs({ ...made, activationMs: 0 })
      t.ok(untilOpening <= 0.75 * monitorMs, 'a lost host is followed in 0.8 M where all goes well')
    }
    t.ok(makeTiming(5000, { deadlineMs: 2900 }), 'the patience follows the deadline')
    const broken: [TimingOverrides, RegExp][] = [
      [{ renewMs: 1000 }, /3 × renew period/],
      [{ deadlineMs: 2990, patienceMs: 3000 }, /clock drift/],
      [{ pollMs: 800 }, /4 × poll period/],
      [{ settleMs: 500 }, /settling \(500 ms\) must be above the renew period/],
      [{ patienceMs: 3900 }, /must be below the monitor interval/],
      [{ hangMs: 4500 }, /hang limit/],
      [{ graceMs: 4600 }, /hand-over grace/],
      [{ pollMs: 0 }, /pollMs is 0/],
      [{ renewMs: Number.NaN }, /renewMs is NaN/],
    ]
    for (const [overrides, message] of broken) {
      t.throws(() => makeTiming(5000, overrides), { code: 'BAD_TIMING', message })
    }
    t.throws(() => makeTiming(100), { message: /at least 500 ms/ })
    t.equal(smallestMonitorMs(50), 2000)
  },
)

t.test('file events: a touch of the newest heartbeat, and of every newer one', async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1)
  let events = 0
  const troubles: string[] = []
  const stop = watchTerms({
    activeDir: `${path}/active`,
    onEvent: () => {
      events += 1
    },
    onTrouble: (why) => troubles.push(why),
  })
  const heard = async (what: string): Promise<void> => {
    const before = events
    t.ok(await until(`an event: ${what}`, () => events > before, { everyMs: 2 }), what)
  }
  const first = heard('a touch')
  await disk.touch('renew', heartbeatFile(1), 5e12)
  await first
  const second = heard('a new term')
  await claim(disk, 2)
  await second
  // The watch of the new term begins a moment after it is heard of.
  const before = events
  let at = 5e12
  await until('a touch of the new heartbeat is heard', async () => {
    at += 1
    await disk.touch('renew', heartbeatFile(2), at)
    return events > before
  })
  stop()
  t.same(troubles, [])
})

t.test(
  'file events: of thousands of terms only the newest is watched, at the start and as they come',
  async (t) => {
    const { path } = await directory(t)
    const activeDir = `${path}/active`
    for (let term = 1; term <= 2000; term += 1) mkdirSync(`${path}/${termDir(term)}`)
    const watched: string[] = []
    let heard = 0
    let ofTerms: (name: string) => void = () => {}
    const stop = watchTerms({
      activeDir,
      onEvent: () => {
        heard += 1
      },
      onTrouble: (why) => t.fail(why),
      watchDir: (at, listener) => {
        watched.push(at)
        if (at === activeDir) ofTerms = listener
        return watch(at)
      },
    })
    t.same(watched, [activeDir, `${path}/${termDir(2000)}`])
    for (let term = 2001; term <= 4000; term += 1) {
      mkdirSync(`${path}/${termDir(term)}`)
      ofTerms(basename(termDir(term)))
    }
    await until('the newest is watched', () => watched.length > 2)
    await immediate()
    t.same(watched.slice(2), [`${path}/${termDir(4000)}`])
    const before = heard
    for (let term = 1; term < 4000; term += 1) ofTerms(basename(termDir(term)))
    t.equal(heard, before, 'old ones are removed: nothing to look at')
    ofTerms(basename(termDir(4001)))
    t.equal(heard, before + 1)
    stop()
  },
)

t.test('a directory that was removed in this moment gives no hints, and ends nobody', async (t) => {
  const told: string[] = []
  const activeDir = `${t.testdir({})}/active`
  const onTrouble = (why: string): void => void told.push(why)
  watchTerms({ activeDir, onEvent: () => {}, onTrouble })()
  t.match(told, [/ENOENT/, /ENOENT/])
})
