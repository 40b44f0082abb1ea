/**
 * What a full disk does to claims, looks and reserves, on a real directory: every create that finds no room is told so by
 * the test. That the kernel says the same of a real full disk is for test/integration/full-disk.test.ts.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canGoOn, claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import { endBelow } from '../../../lib/ha/directory/end-below.ts'
import { answerIfAsked, askForProof } from '../../../lib/ha/directory/hand-over-proof.ts'
import { readHistory } from '../../../lib/ha/directory/history.ts'
import { Looker } from '../../../lib/ha/directory/look.ts'
import { openingBytes } from '../../../lib/ha/directory/opening-size.ts'
import { hasReserve, Reserve } from '../../../lib/ha/directory/reserve.ts'
import { ReserveLeftovers, removeAllReserves } from '../../../lib/ha/directory/reserve-leftovers.ts'
import { sweep, Unopened } from '../../../lib/ha/directory/void-terms.ts'
import { judgeSpace, NOTHING_LOW } from '../../../lib/ha/rules/space.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { advance, newWatch, type Seen, verdictOf } from '../../../lib/ha/rules/watch.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  backupFile,
  claimFile,
  encode,
  HISTORY_DIR,
  type Holder,
  heartbeatFile,
  historyFile,
  openedFile,
  RELEASED_MTIME_MS,
  reserveDir,
  servedFile,
  type TermRecord,
  termDir,
} from '../../../lib/ha/words/layout.ts'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk, Space } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'

const timing = makeTiming(1000)
const observer = { own: timing, pace: null }
const processes = hostProcesses()

const holderOf = (address: string, nonce = 'n'): Holder => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce,
  hostname: 'h',
  master: processes.self(),
  startedAt: '',
  version: '1',
  priority: 100,
  adminSocket: '',
})

const recordOf = (term: number): TermRecord => ({
  term,
  address: 'a:26001',
  hostname: 'h',
  nonce: `n${term}`,
  reason: 'released',
  evidence: '',
  previousTerm: term - 1,
  previousAddress: null,
  at: '',
})

/** A directory, and a disk on it that takes only as many more creates as `room` says. */
function fullDisk(t: Test) {
  const path = t.testdir({ [ACTIVE_DIR]: {}, [HISTORY_DIR]: {}, [BACKUP_DIR]: {} })
  const real = openDisk(path)
  const left = {
    room: Number.POSITIVE_INFINITY,
    torn: false,
    /** Empty files find room all the same. */
    names: false,
    calls: 0,
    space: null as Space | null,
  }
  const noSpace = (at: string, made = false): DiskError =>
    new DiskError('ENOSPC', at, `ENOSPC: no space left on device, ${at}`, { made })
  const take = async <T>(at: string, call: () => Promise<T>): Promise<T> => {
    left.calls += 1
    if (left.room <= 0) throw noSpace(at)
    left.room -= 1
    return call()
  }
  const disk: Disk = {
    ...real,
    makeTermDir: (purpose, at) => take(at, () => real.makeTermDir(purpose, at)),
    create: async (purpose, at, text) => {
      if (left.room <= 0 && left.torn) {
        const made = await real.create(purpose, at, '')
        if (made === 'created') throw noSpace(at, true)
        return made
      }
      if (left.names && text === '') {
        left.calls += 1
        return real.create(purpose, at, text)
      }
      return take(at, () => real.create(purpose, at, text))
    },
    fill: (purpose, at, text) => take(at, () => real.fill(purpose, at, text)),
    occupy: (purpose, at, bytes) => take(at, () => real.occupy(purpose, at, bytes)),
    unlink: async (purpose, at) => {
      const gone = await real.unlink(purpose, at)
      if (gone === 'unlinked') left.room += 1
      return gone
    },
    list: (purpose, at) => {
      left.calls += 1
      return real.list(purpose, at)
    },
    space: async () => left.space ?? (await real.space()),
  }
  const names = (at: string): string[] => readdirSync(join(path, at)).sort()
  return { path, disk, left, names }
}

const isVoidName = (name: string): boolean => name.endsWith('.void')

const claim = (disk: Disk, attempt = newAttempt(recordOf(1)), makeRoom = async () => false) =>
  claimTerm(disk, { holder: holderOf('a:26001'), attempt, onHeartbeat: () => {}, makeRoom })

t.test('a claim that found no room goes on with its number, wherever it stopped', async (t) => {
  for (const torn of [false, true]) {
    const { path, disk, left } = fullDisk(t)
    left.torn = torn
    const attempt = newAttempt(recordOf(1))
    // Directory and number; the heartbeat is the first that the number can't go on from.
    for (const room of [0, 1]) {
      left.room = room
      await t.rejects(claim(disk, attempt), { message: /ENOSPC/ })
      t.ok(canGoOn(attempt))
    }
    t.notOk(readdirSync(join(path, termDir(1))).includes('heartbeat'))
    left.room = Number.POSITIVE_INFINITY
    t.same(await claim(disk, attempt), { won: true })
    t.match(JSON.parse(readFileSync(join(path, historyFile(1)), 'utf8')), { nonce: 'n1' })
    t.same(readdirSync(join(path, ACTIVE_DIR)), ['epoch-0000000001'], 'one number')
  }
})

t.test('once its heartbeat was made, or may have been, the number is given up', async (t) => {
  const { disk, left } = fullDisk(t)
  const attempt = newAttempt(recordOf(1))
  left.room = 3
  await t.rejects(claim(disk, attempt), { message: /ENOSPC/ })
  t.notOk(canGoOn(attempt), 'it was made')

  const other = fullDisk(t)
  const unsure: Disk = {
    ...other.disk,
    create: async (purpose, at, text) => {
      if (at === heartbeatFile(1)) throw new DiskError('EIO', at, 'EIO')
      return other.disk.create(purpose, at, text)
    },
  }
  const second = newAttempt(recordOf(1))
  await t.rejects(claim(unsure, second), { message: /EIO/ })
  t.notOk(canGoOn(second), 'the create may land later')
})

t.test('what was kept for it is given up at the step that finds no room', async (t) => {
  const { disk, left } = fullDisk(t)
  left.room = 3
  let asked = 0
  const makeRoom = async (): Promise<boolean> => {
    asked += 1
    left.room = 10
    return true
  }
  t.same(await claim(disk, newAttempt(recordOf(1)), makeRoom), { won: true })
  t.equal(asked, 1)
})

/** As the failed claims of an earlier version left it: a served, released term, and a directory and a torn number each. */
function burnt(t: Test, terms: number) {
  const full = fullDisk(t)
  const { path } = full
  mkdirSync(join(path, termDir(1)))
  writeFileSync(
    join(path, claimFile(1)),
    encode({ state: 'open', term: 1, nonce: 'x', holder: holderOf('far:1') }),
  )
  writeFileSync(join(path, heartbeatFile(1)), '')
  for (const file of [historyFile(1), openedFile(1), servedFile(1)])
    writeFileSync(join(path, file), '{}')
  for (let term = 2; term <= terms + 1; term += 1) {
    mkdirSync(join(path, termDir(term)))
    writeFileSync(join(path, historyFile(term)), '')
  }
  return full
}

t.test(
  'a look and a take-over do not grow with terms that never opened; they are swept',
  async (t) => {
    const { disk, left, names } = burnt(t, 500)
    await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
    const looker = new Looker(disk, processes, null)
    await looker.look()
    left.calls = 0
    const seen = await looker.look()
    t.ok(left.calls < 40, `${left.calls} calls`)
    t.match(seen, { newest: 501, servedTerm: 1 })

    let watch = newWatch(0, timing)
    for (let ms = 0; ms <= timing.graceMs; ms += timing.pollMs)
      watch = advance(watch, seen, { startedMs: ms, finishedMs: ms }, observer)
    t.same(verdictOf(watch, watch.lastMs, timing), { is: 'released' }, 'whatever came after it')

    const pause = async (): Promise<void> => {}
    const request = {
      term: 502,
      nonce: 'x',
      provenTerm: 1,
      basis: [],
      settleMs: 1,
      closed: new Set<number>(),
      pause,
    }
    left.calls = 0
    t.match(await endBelow(disk, request), { proven: true, alive: null })
    t.ok(left.calls < 1.2 * 500, `${left.calls} creates and listings for 500 terms`)
    t.equal(names(ACTIVE_DIR).length, 17, 'the newest, and the one that served')
    t.same(names(HISTORY_DIR).filter(isVoidName), ['0000000002-0000000485.void'])
    t.same(await sweep(disk, 502, recordOf(502)), [1])

    left.calls = 0
    const again = { ...request, term: 503, closed: new Set<number>() }
    t.match(await endBelow(disk, again), { alive: null }, 'by another master')
    t.ok(left.calls < 100, `${left.calls} calls`)
  },
)

t.test('history is read again only when something may have come into it', async (t) => {
  const { disk } = burnt(t, 500)
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  let readings = 0
  const counting: Disk = {
    ...disk,
    list: (purpose, at) => {
      if (at === HISTORY_DIR) readings += 1
      return disk.list(purpose, at)
    },
  }
  const looker = new Looker(counting, processes, null)
  for (let i = 0; i < 10; i += 1) await looker.look()
  t.equal(readings, 1)
  for (let i = 0; i < 40; i += 1) await looker.look()
  t.ok(readings <= 3, 'now and then')
  readings = 0
  t.match(await claim(disk, newAttempt(recordOf(502))), { won: true })
  t.match(await looker.look(), { newest: 502, servedTerm: 1 })
  t.equal(readings, 1, 'a new term')
  await disk.create('history', servedFile(502), '{}')
  t.match(await looker.look(), { newest: 502, servedTerm: 502, pulses: [{ term: 502 }] })
})

t.test('what failed claims have left is cleared away while nobody serves', async (t) => {
  const { disk, left, names } = burnt(t, 1100)
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  // Somebody is in the middle of his claim of 2, and another has opened 3 and holds it.
  await disk.create('claim', heartbeatFile(2), '')
  for (const file of [heartbeatFile(3), claimFile(3), openedFile(3)]) {
    await disk.create('claim', file, '')
  }
  left.room = 0
  left.names = true
  const looker = new Looker(disk, processes, null)
  const told: string[] = []
  const log = (_level: string, text: string) => told.push(text)
  const unopened = new Unopened({ clock: realClock, disk, log, restMs: 1000 })
  for (let looks = 0; looks < 5; looks += 1) {
    await looker.look()
    await unopened.clear(looker.unopened)
  }
  t.same(
    names(ACTIVE_DIR),
    [1, 2, 3, ...Array.from({ length: 16 }, (_, i) => 1086 + i)].map((term) =>
      termDir(term).slice(ACTIVE_DIR.length + 1),
    ),
  )
  t.match(await looker.look(), { newest: 1101, servedTerm: 1 }, 'the newest number stays taken')
  t.ok(names(termDir(2)).includes('heartbeat'), 'its claimant finds the number closed')
  t.ok(names(termDir(3)).includes('heartbeat'))
  t.equal(names(HISTORY_DIR).filter(isVoidName).length, 3)
  left.room = Number.POSITIVE_INFINITY
  left.calls = 0
  const pause = async (): Promise<void> => {}
  const request = { term: 1102, nonce: 'x', provenTerm: 1, basis: [], settleMs: 1, pause }
  t.match(await endBelow(disk, request), { proven: false, alive: null })
  t.ok(left.calls < 200, `${left.calls} calls`)
  t.notOk(names(termDir(3)).includes('heartbeat'), 'a holder is ended')
  t.same(await claim(disk, newAttempt(recordOf(7))), {
    won: false,
    why: 'another contender took the number first',
  })
  t.same(
    told,
    Array.from({ length: 3 }, () => 'terms that nobody opened are void'),
  )
})

t.test('a history of failed claims is read as far as it is wanted', async (t) => {
  const { disk } = burnt(t, 600)
  let reads = 0
  const counting: Disk = {
    ...disk,
    read: (purpose, at) => {
      reads += 1
      return disk.read(purpose, at)
    },
  }
  await disk.unlink('history', historyFile(1))
  await disk.create('history', historyFile(1), encode(recordOf(1)))
  t.match(await readHistory(counting, 20), [{ term: { term: 1 } }])
  t.ok(reads < 200, `${reads} reads`)
})

t.test('a claim that is just being made holds a release back for its moment only', (t) => {
  const seen: Seen = {
    newest: 3,
    pulses: [
      { term: 3, mtimeMs: null },
      { term: 2, mtimeMs: RELEASED_MTIME_MS },
    ],
    servedTerm: 2,
    holder: null,
    holderTerm: 0,
    holderDead: false,
    successor: null,
  }
  let watch = newWatch(0, timing)
  watch = advance(watch, seen, { startedMs: 0, finishedMs: 0 }, observer)
  t.same(verdictOf(watch, 0, timing), { is: 'live' })
  for (let ms = 0; ms <= timing.graceMs; ms += timing.pollMs)
    watch = advance(watch, seen, { startedMs: ms, finishedMs: ms }, observer)
  t.same(verdictOf(watch, watch.lastMs, timing), { is: 'released' })
  t.end()
})

/** A master's reserve; `opening` is what the catalog would write. */
function reserve(t: Test, opening = 0, nonce = 'n', on = fullDisk(t)) {
  const facts = { opening, told: [] as string[] }
  const one = new Reserve({
    clock: realClock,
    disk: on.disk,
    log: (_level, text) => facts.told.push(text),
    timing,
    self: holderOf('a:26001', nonce),
    openingBytes: async () => facts.opening,
    mayMake: () => true,
    members: () => null,
    onReport: () => {},
  })
  const names = (): string[] => readdirSync(join(on.path, reserveDir('a:26001'))).sort()
  return { ...on, one, facts, names }
}

t.test('a reserve: made, adopted, enlarged with the catalog, given up', async (t) => {
  const on = fullDisk(t)
  const { one, facts, names, disk } = reserve(t, 100_000, 'n', on)
  await one.check()
  t.equal(names().filter((name) => name.startsWith('claim-')).length, 12)
  t.ok(await hasReserve(disk, holderOf('a:26001', 'n')))
  t.notOk(await hasReserve(disk, holderOf('a:26001', 'another life')))
  facts.opening = 1_000_000
  await one.check()
  t.same(
    names().filter((name) => name.startsWith('opening-')),
    ['opening-0', 'opening-1'],
  )
  t.ok(await one.spend(), 'a file for something small')
  t.ok(await hasReserve(disk, holderOf('a:26001', 'n')), 'and it is whole all the same')

  const next = reserve(t, 1_000_000, 'm', on)
  await next.one.check()
  t.ok(await hasReserve(disk, holderOf('a:26001', 'm')), 'the next life has it')
  t.ok(await next.one.giveUp())
  t.same(names(), [])
  t.notOk(await next.one.giveUp(), 'once')
  t.same(facts.told, [])
})

t.test(
  'no reserve where space is low; a proof makes it all the same, or leaves nothing',
  async (t) => {
    const { one, names, left, disk } = reserve(t)
    left.space = { freeBytes: 100_000, totalBytes: 1e6, freeFiles: null, totalFiles: null }
    await one.check()
    t.match(one.report, { low: { bytes: true, files: false }, refused: null })
    t.notOk(await hasReserve(disk, holderOf('a:26001')))
    left.room = 5
    await t.rejects(one.prove(), { message: /ENOSPC/ })
    t.match(one.report, { refused: /ENOSPC/ })
    t.same(names(), [])
    left.room = 100
    await one.prove()
    t.ok(await hasReserve(disk, holderOf('a:26001')))
    t.match(one.report, { refused: null })
  },
)

t.test('a growth that finds no room keeps what was there', async (t) => {
  const { one, facts, left, disk } = reserve(t, 10_000)
  await one.check()
  facts.opening = 1_000_000
  left.room = 0
  await one.check()
  t.match(facts.told, [/no room is kept for the next term: ENOSPC/])
  t.ok(await hasReserve(disk, holderOf('a:26001')))
})

t.test('a reserve that somebody removed, whole or a file of it, is made again', async (t) => {
  const { one, facts, names, disk, path } = reserve(t, 10_000)
  await one.check()
  const whole = names()
  const dir = join(path, reserveDir('a:26001'))
  for (const again of [() => one.check(), () => one.prove()]) {
    for (const gone of ['.', 'whole.json', 'claim-03', 'opening-0']) {
      facts.told = []
      rmSync(join(dir, gone), { recursive: true })
      await again()
      t.same(names(), whole, `${gone} was removed`)
      t.ok(await hasReserve(disk, holderOf('a:26001', 'n')))
      t.match(facts.told, [/the room kept for the next term is gone/])
    }
  }
  rmSync(join(dir, 'spare-0'))
  await one.check()
  t.same(names(), whole)
})

t.test('reserves of masters that are gone for an hour are removed', async (t) => {
  const { disk, path } = fullDisk(t)
  const dirs = (): string[] => readdirSync(join(path, 'reserve')).sort()
  for (const name of ['a_1', 'b_1', 'gone_1']) {
    mkdirSync(join(path, 'reserve', name), { recursive: true })
    writeFileSync(join(path, 'reserve', name, 'claim-00'), '')
  }
  let nowMs = 0
  const leftovers = new ReserveLeftovers(disk, { ...realClock, nowMs: () => nowMs })
  await leftovers.sweep(['a:1', 'b:1'])
  nowMs = 3_599_000
  await leftovers.sweep(['a:1'])
  t.same(dirs(), ['a_1', 'b_1', 'gone_1'])
  nowMs = 3_600_000
  t.same(await leftovers.sweep(['a:1']), ['reserve/gone_1'])
  t.same(dirs(), ['a_1', 'b_1'], 'the other one was a member until a second ago')
  t.ok(await removeAllReserves(disk))
  t.notOk(await removeAllReserves(disk))
  t.same(dirs(), [])
})

t.test('low is told before it happens, and until there is half as much again', (t) => {
  const need = { bytes: 100, files: 10 }
  const space = (
    freeBytes: number,
    freeFiles: number | null = null,
    totalFiles = freeFiles,
  ): Space => ({
    ...{ freeBytes, totalBytes: 1000, freeFiles, totalFiles },
  })
  const low = (bytes: boolean, files = false) => ({ bytes, files })
  t.same(judgeSpace(space(100), need, NOTHING_LOW), low(false))
  t.same(judgeSpace(space(99), need, NOTHING_LOW), low(true))
  t.same(judgeSpace(space(149), need, low(true)), low(true), 'no flicker')
  t.same(judgeSpace(space(150), need, low(true)), low(false))
  t.same(judgeSpace({ ...space(1900), totalBytes: 100_000 }, need, NOTHING_LOW), low(true), '2 %')
  t.same(judgeSpace(space(500, 9, 100), need, NOTHING_LOW), low(false, true))
  t.same(judgeSpace(space(500, 190, 10_000), need, NOTHING_LOW), low(false, true), '2 %')
  t.same(judgeSpace(space(500, null), need, NOTHING_LOW), low(false), 'no number of inodes')
  t.end()
})

t.test('a hand-over asks its successor for its room: kept, made now, or why not', async (t) => {
  const heir = reserve(t)
  const { disk, left, one, path } = heir
  const successor = holderOf('a:26001')
  const options = { disk, clock: realClock, timing, reserve: { spend: async () => false } }
  await one.check()
  t.same(await askForProof(options, successor), { can: true }, 'kept: nothing is asked')
  await one.giveUp()

  const answering = (async () => {
    const asked = backupFile('a:26001')
      .replace(/\.json$/, '.asked')
      .slice(BACKUP_DIR.length + 1)
    for (;;) {
      const names = readdirSync(join(path, BACKUP_DIR))
      if (names.includes(asked)) return answerIfAsked(disk, one, { address: 'a:26001', names })
      await new Promise((done) => setTimeout(done, 5))
    }
  })()
  t.same(await askForProof(options, successor), { can: true }, 'made now')
  await answering
  await one.giveUp()

  left.room = 0
  t.match(await askForProof(options, successor), { can: false, why: /ENOSPC/ }, 'not even asked')
  left.room = 3
  const names = ['a_26001.asked']
  const asking = askForProof(options, successor)
  await answerIfAsked(disk, one, { address: 'a:26001', names })
  t.match(await asking, { can: false, why: /^ENOSPC: / }, 'its own word')
  t.same(readdirSync(join(path, BACKUP_DIR)), [], 'no question is left')
})

t.test(
  'how much an opening writes: the newest part of the newest term that left any, and a copy',
  async (t) => {
    const path = t.testdir({
      'epoch-0000000009': {},
      'epoch-0000000003': {
        'snapshot-0000000001': 'x'.repeat(500),
        'snapshot-0000000002': 'x'.repeat(70),
        'journal-0000000002': 'x'.repeat(7),
      },
      'epoch-0000000002': { 'snapshot-0000000001': 'x'.repeat(1000) },
      'begun-0000000003-0000000002': '',
    })
    t.equal(await openingBytes(path), 77)
    const newest = join(path, 'epoch-0000000003')
    writeFileSync(join(newest, 'journal-0000000002.0000000001-400'), '')
    writeFileSync(join(newest, 'journal-0000000001.0000000009-5000'), '')
    t.equal(await openingBytes(path), 477, 'a journal of many files tells their lengths itself')
    t.equal(await openingBytes(join(path, 'not there')), 0)
    writeFileSync(join(path, 'epoch-0000000002', 'whole-0000000009.0000000700-30000'), '')
    writeFileSync(join(path, 'epoch-0000000002', 'whole-0000000010.0000000001-20000'), '')
    t.equal(await openingBytes(path), 20_477, 'with the newest copy, also of a term below')
    writeFileSync(join(newest, 'whole-0000000001.0000000800-10000'), '')
    t.equal(await openingBytes(path), 10_477)
  },
)
