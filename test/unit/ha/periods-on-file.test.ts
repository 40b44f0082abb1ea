/** A term's periods in the shared directory: who writes them, and what is made of them when they are missing or torn. */
import { rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import { decodeClaim, decodeHolder } from '../../../lib/ha/directory/decode.ts'
import { endBelow } from '../../../lib/ha/directory/end-below.ts'
import { Looker } from '../../../lib/ha/directory/look.ts'
import { Peers } from '../../../lib/ha/directory/peers.ts'
import { joinDirectory } from '../../../lib/ha/directory/setup.ts'
import { largest, type Periods, periodsOf } from '../../../lib/ha/rules/periods.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import { advance, newWatch, verdictOf } from '../../../lib/ha/rules/watch.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import {
  BACKUP_DIR,
  backupFile,
  claimFile,
  encode,
  type Holder,
  heartbeatFile,
  historyFile,
  servedFile,
  type TermRecord,
} from '../../../lib/ha/words/layout.ts'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'

const processes = hostProcesses()
const SLOW = periodsOf(makeTiming(20_000))
const FAST = periodsOf(makeTiming(500))
const OWN = periodsOf(makeTiming(1000))

const holderOf = (address: string, periods?: Periods): Holder => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  nonce: address,
  hostname: 'h',
  master: processes.self(),
  startedAt: '',
  version: '1',
  priority: 100,
  adminSocket: '',
  ...(periods && { periods }),
})

async function directory(t: Test): Promise<{ path: string; disk: Disk }> {
  const path = t.testdir({})
  const disk = openDisk(path)
  const catalog = { class: 'SharedStore', uri: '' }
  const fresh = { clusterId: 'c1', secret: 's'.repeat(64) }
  const timing = makeTiming(500)
  const setup = { directory: path, catalog, catalogTerm: 0, fresh, createdAt: '', timing }
  const looker = new Looker(disk, processes, null)
  await joinDirectory({ disk, clock: realClock, processes, looker }, setup)
  return { path, disk }
}

async function claim(disk: Disk, term: number, address: string, periods?: Periods): Promise<void> {
  const record: TermRecord = {
    term,
    address,
    hostname: 'h',
    nonce: `${address} ${term}`,
    reason: 'command',
    evidence: '',
    previousTerm: term - 1,
    previousAddress: null,
    at: '',
    ...(periods && { periods }),
  }
  const won = await claimTerm(disk, {
    holder: holderOf(address, periods),
    attempt: newAttempt(record),
    onHeartbeat: () => {},
    makeRoom: async () => false,
  })
  if (!won.won) throw new Error(won.why)
}

const serve = (path: string, term: number): void =>
  writeFileSync(`${path}/${servedFile(term)}`, encode({ term, servedAt: '', phases: {} }))

t.test("a look gives the term's own", async (t) => {
  const { disk } = await directory(t)
  await claim(disk, 1, 'a:26001', SLOW)
  const { pulses, unreadable } = await new Looker(disk, processes, OWN).look()
  t.match(pulses, [{ term: 1, periods: SLOW }])
  t.equal(unreadable, undefined)
})

t.test(
  'a heartbeat that somebody removed: its holder does not know yet, and has its own time',
  async (t) => {
    const { disk, path } = await directory(t)
    await claim(disk, 1, 'a:26001', SLOW)
    serve(path, 1)
    rmSync(`${path}/${heartbeatFile(1)}`)
    const seen = await new Looker(disk, processes, OWN).look()
    t.match(seen.pulses, [{ term: 1, mtimeMs: null, periods: SLOW }])
    const begun = newWatch(0, OWN)
    const observer = { own: OWN, pace: null }
    const first = advance(begun, seen, { startedMs: 0, finishedMs: 1 }, observer)
    const atMs = 1 + OWN.patienceMs
    const later = advance(first, seen, { startedMs: atMs, finishedMs: atMs }, observer)
    t.match(verdictOf(later, atMs, makeTiming(1000)), { is: 'live' }, 'its patience, not mine')
  },
)

t.test('before claim.json is whole: from the history', async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1, 'a:26001', SLOW)
  writeFileSync(`${path}/${claimFile(1)}`, '')
  t.match((await new Looker(disk, processes, OWN).look()).pulses, [{ periods: SLOW }])
})

t.test("missing: the largest of one's own and the last known of that holder", async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1, 'a:26001')
  t.match((await new Looker(disk, processes, OWN).look()).pulses, [{ periods: OWN }])
  for (const foreign of [{ ...SLOW, patienceMs: 1 }, { monitorMs: 5 }, 'fast', null]) {
    const torn = { state: 'open', term: 1, nonce: 'n', holder: holderOf('a:26001') }
    const text = encode({ ...torn, holder: { ...torn.holder, periods: foreign } })
    t.equal(decodeHolder(JSON.stringify({ ...torn.holder, periods: foreign }))?.periods, undefined)
    t.match(decodeClaim(text), { state: 'open' })
  }
  await claim(disk, 2, 'b:26001', SLOW)
  serve(path, 2)
  const looker = new Looker(disk, processes, OWN)
  await looker.look()
  await claim(disk, 3, 'b:26001')
  serve(path, 3)
  t.match((await looker.look()).pulses, [{ term: 3, periods: largest(OWN, SLOW) }])
  await claim(disk, 4, 'c:26001')
  serve(path, 4)
  const c = (await looker.look()).pulses[0]?.periods
  t.same(c, largest(OWN, SLOW), 'of one that was never known: the largest of all')
})

t.test('a claim that is there and can not be read: told, and its heartbeat is seen', async (t) => {
  const { disk } = await directory(t)
  await claim(disk, 1, 'a:26001', SLOW)
  const broken: Disk = {
    ...disk,
    read: async (purpose, path) => {
      if (path === claimFile(1)) throw new DiskError('EIO', path, `EIO at ${path}`)
      return disk.read(purpose, path)
    },
  }
  const seen = await new Looker(broken, processes, OWN).look()
  t.match(seen.unreadable, /EIO/)
  t.ok(seen.pulses[0]?.mtimeMs)
  t.equal(seen.holder, null)
})

t.test('settling: the largest S of all that were ended unproven', async (t) => {
  const { disk } = await directory(t)
  const pause = async (): Promise<void> => {}
  const settle = async (term: number, provenTerm: number | null = null): Promise<number> => {
    const request = { nonce: 'x', basis: [], settleMs: OWN.settleMs, pause }
    return (await endBelow(disk, { ...request, term, provenTerm })).settleMs
  }
  await claim(disk, 1, 'a:26001', SLOW)
  await claim(disk, 2, 'b:26001', FAST)
  t.equal(await settle(3, 2), SLOW.settleMs, 'a proof about one says nothing of another')
  await claim(disk, 4, 'c:26001', FAST)
  await claim(disk, 5, 'd:26001')
  t.equal(await settle(6), Math.max(SLOW.settleMs, FAST.settleMs, OWN.settleMs))
})

t.test("settling for one that has none: the winner's own", async (t) => {
  const { disk, path } = await directory(t)
  await claim(disk, 1, 'a:26001')
  serve(path, 1)
  writeFileSync(`${path}/${historyFile(1)}`, '')
  const pause = async (): Promise<void> => {}
  const request = { term: 2, nonce: 'x', provenTerm: null, basis: [], settleMs: 77, pause }
  t.equal((await endBelow(disk, request)).settleMs, 77)
})

t.test('a backup that beats slowly lives, to one that looks often', async (t) => {
  const { disk } = await directory(t)
  const timing = makeTiming(500)
  let nowMs = 0
  const clock = { ...realClock, nowMs: () => nowMs }
  const foreign = { ...processes, verdict: () => 'unknown' as const }
  const peers = new Peers(disk, clock, foreign)
  const path = backupFile('b:26001')
  await disk.create('register', path, encode(holderOf('b:26001', SLOW)))
  t.ok(path.startsWith(BACKUP_DIR))
  await peers.scan()
  await disk.touch('register', path, 5e12)
  await peers.scan()
  nowMs += 2 * SLOW.renewMs
  await peers.scan()
  t.same(peers.candidates(nowMs, timing), [
    { address: 'b:26001', priority: 100, monitorMs: SLOW.monitorMs },
  ])
  t.equal(peers.pulseMs(timing), 2 * SLOW.renewMs)
  nowMs += SLOW.patienceMs
  t.same(peers.candidates(nowMs, timing), [])
})
