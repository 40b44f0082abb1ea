/** The files of the contest on a real directory: made, found, could be created, gone, late, hung. */
import { mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { ContestWork } from '../../../lib/ha/keeper/contest.ts'
import type { Delivery } from '../../../lib/ha/rules/contest-state.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NONCE = 'a_1.boot_1_2.77-1'
const make = { do: 'contest-make', id: 1, nonce: NONCE } as const
const tried = { do: 'contest-try', id: 1, from: 'a:1', nonce: NONCE } as const

const created = {
  is: 'answered',
  reply: { check: 'created' },
} as unknown as Delivery & { is: 'answered' }

function ground(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-contest-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const clock = new HandClock()
  const worker = (address: string, change: (disk: Disk) => void = () => {}): ContestWork => {
    const disk = openDisk(dir)
    change(disk)
    return new ContestWork({
      clock: { nowMs: clock.nowMs, after: clock.after, wallMs: Date.now },
      disk,
      log: () => {},
      address,
      limitMs: 100,
    })
  }
  return { dir, clock, worker, files: () => readdirSync(join(dir, 'contest')) }
}

test("a nonce that is there is proof, with its maker's name in it", async (t) => {
  const { worker, files } = ground(t)
  const [a, b] = [worker('a:1'), worker('b:1')]
  t.equal(await a.make(make), true)
  t.same(files(), [NONCE])
  t.equal(await b.try(tried), 'exists')
  t.equal(await b.try({ ...tried, from: 'z:1' }), 'unknown', 'by somebody else')
  t.same(b.warnings, [])
  a.drop(NONCE)
  await a.make({ ...make, nonce: 'a_1.x' })
  t.same(files(), ['a_1.x'])
})

test('one that could be created is gone again', async (t) => {
  const { worker, files } = ground(t)
  const b = worker('b:1')
  t.equal(await b.try(tried), 'created')
  t.equal(await b.try(tried), 'created')
  await b.try({ ...tried, nonce: 'another' })
  await new Promise((done) => setTimeout(done, 20))
  t.same(files(), [])
})

test('what could be created proves nothing once its own file was removed', async (t) => {
  const { worker, dir } = ground(t)
  const a = worker('a:1')
  await a.make(make)
  t.match(await a.confirm(created, NONCE), { reply: { check: 'created' } })
  unlinkSync(join(dir, 'contest', NONCE))
  t.match(await a.confirm(created, NONCE), { reply: { check: 'unknown' } })
})

test("an error at the create is settled by listing, as HDFS's gateway needs it", async (t) => {
  const { worker } = ground(t)
  await worker('a:1').make(make)
  const eio = worker('b:1', (disk) => {
    disk.create = async (_, path) => {
      throw new DiskError('EIO', path, 'EIO: create')
    }
  })
  t.equal(await eio.try(tried), 'exists')
  t.equal(await eio.try({ ...tried, nonce: 'not-there' }), 'unknown')
})

test('a listing that comes late is a warning that says how late, and no verdict', async (t) => {
  const { worker, clock } = ground(t)
  let isLate = (): boolean => true
  // Nothing of the real disk, whose time is not this clock's.
  const late = worker('b:1', (disk) => {
    disk.create = async () => 'exists'
    disk.read = async () => 'a:1'
    disk.list = async () => (isLate() ? [] : [NONCE])
  })
  const judged = async (): Promise<string> => {
    let check: string | null = null
    void late.try(tried).then((found) => {
      check = found
    })
    while (check === null) await clock.advance(1)
    return check
  }
  t.equal(await judged(), 'exists')
  t.match(late.warnings, [/a listing of the HA directory was more than \d+ ms old/])
  const beganMs = clock.nowMs()
  isLate = () => clock.nowMs() < beganMs + 20
  t.equal(await judged(), 'exists')
  const [, ms = ''] = /was (\d+) ms old/.exec(late.warnings[0] ?? '') ?? []
  t.ok(Number(ms) >= 20 && Number(ms) < 50, `${ms} ms`)
  isLate = () => false
  t.equal(await judged(), 'exists')
  t.same(late.warnings, [], 'and it is over')
})

test('calls that hang are unknown in time, and those behind them too', async (t) => {
  const { worker, clock } = ground(t)
  const hung = worker('b:1', (disk) => {
    disk.create = () => new Promise(() => {})
  })
  const answers = [hung.try(tried), hung.try(tried), hung.make(make)]
  await clock.advance(200)
  t.same(await Promise.all(answers), ['unknown', 'unknown', false])
})

test('what an earlier life has left is swept', async (t) => {
  const { worker, files } = ground(t)
  await worker('a:1').make({ ...make, nonce: 'a_1.old' })
  await worker('b:1').make({ ...make, nonce: 'b_1.old' })
  const again = worker('a:1')
  await again.make(make)
  await again.confirm(created, NONCE)
  t.same(files().sort(), [NONCE, 'b_1.old'])
})
