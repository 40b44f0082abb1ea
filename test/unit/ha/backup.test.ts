/** The backups' files: whose pulse counts as a life, and who shows none. On a real disk, with time played by hand. */
import { readdirSync, renameSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Counter } from '../../../lib/ha/directory/heartbeat.ts'
import { leaveRefusal } from '../../../lib/ha/directory/refusals.ts'
import { Backup } from '../../../lib/ha/keeper/backup.ts'
import type { Candidate } from '../../../lib/ha/rules/elector-state.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { backupFile, encode, type Holder } from '../../../lib/ha/words/layout.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Clock } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'
import { HandClock, settle } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

const timing = makeTiming(1000)
const processes = hostProcesses()

const holderOf = (address: string): Holder => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce: address,
  hostname: 'h',
  master: processes.self(),
  startedAt: '2026-01-01T00:00:00.000Z',
  version: '1',
  priority: 100,
  adminSocket: '',
})

/** One keeper's place among the backups, b:26001. */
function backup(t: Test) {
  const path = t.testdir({ backup: {} })
  const disk = openDisk(path)
  const hand = new HandClock()
  const clock: Clock = { ...hand, wallMs: () => 1_700_000_000_000 + hand.nowMs() }
  const master = { ready: true }
  let hear = (_: readonly Candidate[]): void => {}
  const begun: number[] = []
  const self = holderOf('b:26001')
  const one = new Backup({
    clock,
    disk,
    processes,
    log: (_level, message) => t.fail(message),
    timing,
    self,
    counter: new Counter(clock, 1),
    reserve: { spend: async () => false, prove: async () => {} },
    isMasterReady: () => master.ready,
    onPace: () => {},
    onCandidates: (candidates, begunMs) => {
      begun.push(begunMs)
      hear(candidates)
    },
  })
  /** One scan, and whom it found. */
  const scan = async (): Promise<string[]> => {
    let found: readonly Candidate[] = []
    hear = (candidates) => {
      found = candidates
    }
    await one.scan()
    await settle()
    return found.map(({ address }) => address).sort()
  }
  return { path, disk, hand, master, one, scan, begun }
}

t.test(
  'a process that runs but does not move its file is a candidate for the patience',
  async (t) => {
    const { path, disk, hand, scan } = backup(t)
    const other = backupFile('c:26001')
    await disk.create('register', other, encode(holderOf('c:26001')))
    t.same(await scan(), ['c:26001'], 'new, and running on this host')
    await hand.advance(timing.patienceMs - 1)
    t.same(await scan(), ['c:26001'])
    await hand.advance(1)
    t.same(await scan(), [], 'it stands still')
    utimesSync(join(path, other), 1, 1_500_000_000)
    t.same(await scan(), ['c:26001'], 'it moves again')
    await hand.advance(timing.patienceMs)
    t.same(await scan(), [])
  },
)

t.test(
  'word of a refused master: told, replaced, and gone when it joins or after an hour',
  async (t) => {
    const { path, disk, hand, one, scan } = backup(t)
    const refusal = (address: string, uri: string) =>
      leaveRefusal(disk, {
        address,
        hostname: 'h2',
        at: '2026-01-01T00:00:00.000Z',
        catalog: { class: 'PostgreSQLStore', uri },
      })
    await refusal('b:26001', 'jdbc:postgresql://db/one')
    await refusal('c:26001', 'jdbc:postgresql://db/one')
    writeFileSync(join(path, 'backup', 'torn.refused'), '{')
    t.same(await scan(), [], 'none of them is a backup')
    t.match(one.warnings, [/^b:26001 on h2 was refused .*another catalog.*\/one$/, /^c:26001 /])
    one.register(true)
    await scan()
    t.match(one.warnings, [/^c:26001 /])
    t.same(one.warnings.length, 1, 'a master that joins takes its own away')
    await hand.advance(59 * 60_000)
    await refusal('c:26001', 'jdbc:postgresql://db/two')
    await scan()
    await hand.advance(59 * 60_000)
    await scan()
    t.match(one.warnings, [/\/two$/], 'a new one begins its hour')
    t.match(readdirSync(join(path, 'backup')).sort(), [/^b_26001\..*\.json$/, 'c_26001.refused'])
    await hand.advance(60_000)
    await scan()
    t.same(one.warnings, [])
    t.match(readdirSync(join(path, 'backup')), [/^b_26001\..*\.json$/])
    await one.stop()
  },
)

t.test('no pulse while its own master answers no ping', async (t) => {
  const { path, disk, master, one, scan } = backup(t)
  one.register(true)
  await scan()
  const pulse = async (): Promise<number> => {
    const [name] = readdirSync(join(path, 'backup'))
    const glimpse = await disk.glimpse('peers', `backup/${name}`)
    return glimpse === 'missing' ? 0 : glimpse.mtimeMs
  }
  const first = await pulse()
  await scan()
  const second = await pulse()
  t.ok(second > first)
  master.ready = false
  await scan()
  t.equal(await pulse(), second)
  master.ready = true
  await scan()
  t.ok((await pulse()) > second)
  await one.stop()
})

t.test('each registration has a new name, and one that is whole is left alone', async (t) => {
  const { path, one, scan } = backup(t)
  const names = (): string[] => readdirSync(join(path, 'backup')).sort()
  const left = ['b_26001.json', 'b_26001.earlier.1-1.json', 'bb_26001.json', 'b_26001.network-x-1']
  for (const name of left) writeFileSync(join(path, 'backup', name), encode(holderOf('b:26001')))
  one.register(true)
  t.same(await scan(), ['b:26001'], 'one address is one backup')
  const own = (): string[] => names().filter((name) => /^b_26001\..*-\d+\.json$/.test(name))
  t.match(own(), [/^b_26001\.b_26001\.0-1\.json$/])
  t.same(
    names().filter((name) => !own().includes(name)),
    ['b_26001.network-x-1', 'bb_26001.json'],
    'what was left of it is swept, under the old name too',
  )
  one.register(true)
  await scan()
  t.match(own(), [/-1\.json$/], 'left alone')
  for (const torn of [true, false]) {
    const [before = ''] = own()
    // Another file, with an inode of its own.
    writeFileSync(join(path, 'torn'), '')
    if (torn) renameSync(join(path, 'torn'), join(path, 'backup', before))
    else unlinkSync(join(path, 'backup', before))
    await scan()
    await scan()
    const [after = ''] = own()
    t.not(after, before)
    t.same(await scan(), ['b:26001'])
  }
  t.match(own(), [/-3\.json$/])
  one.register(false)
  await scan()
  t.same(own(), [])
  one.register(true)
  await scan()
  t.match(own(), [/-4\.json$/])
  await one.stop()
})

t.test('of two files of one address the one that moves counts', async (t) => {
  const { path, hand, scan } = backup(t)
  const place = (name: string, nonce: string) => {
    const gone = { ...processes.self(), bootId: 'another host' }
    const text = encode({ ...holderOf('c:26001'), nonce, master: gone })
    writeFileSync(join(path, 'backup', name), text)
    return (seconds: number) => utimesSync(join(path, 'backup', name), seconds, seconds)
  }
  place('c_26001.json', 'old')
  const beat = place('c_26001.new.7-1.json', 'new')
  t.same(await scan(), [], 'nobody knows yet')
  beat(1_500_000_000)
  await hand.advance(100)
  t.same(await scan(), ['c:26001'])
  await hand.advance(timing.patienceMs)
  t.same(await scan(), [])
})

t.test('how old the news of a scan is', async (t) => {
  const { path, hand, one, scan, begun } = backup(t)
  await hand.advance(1000)
  await scan()
  await hand.advance(500)
  void one.scan()
  void one.scan()
  void one.scan()
  await hand.advance(1)
  await until('it was asked for again under way, so there is one more', () => begun.length === 3)
  renameSync(join(path, 'backup'), join(path, 'away'))
  writeFileSync(join(path, 'backup'), 'not a directory')
  await hand.advance(500)
  await scan()
  t.match(one.warnings, [/can't be used/])
  t.match(begun, [1000, 1500, Number, begun[2]])
  t.ok((begun[2] ?? 0) >= 1500)
  await one.stop()
})
