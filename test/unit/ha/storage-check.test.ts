/** The checks on a good directory, on the bad ones that can be had here, and on disks that lie in one call each. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { percentile, removeScratch, within } from '../../../lib/ha/check/kit.ts'
import { connectPeer, type PeerLines, type PeerRequest } from '../../../lib/ha/check/link.ts'
import { type MountFacts, mountFacts } from '../../../lib/ha/check/mount-facts.ts'
import { leaveMarks, readMarks } from '../../../lib/ha/check/mount-mark.ts'
import { checkStorage, quickCheck } from '../../../lib/ha/check/storage-check.ts'
import { DiskError, HaError } from '../../../lib/ha/words/errors.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { patienceMs } from '../../support/pace.ts'
import { ended, start } from '../../support/processes.ts'
import { run } from '../../support/run.ts'

const PEER = fileURLToPath(new URL('../../../lib/ha/check-peer.js', import.meta.url))
const oneHost = { severalHosts: false }

/** Starts the peer program as the command does over ssh. */
function startPeer(
  t: Test,
  directory: string,
): PeerLines & { child: ChildProcessWithoutNullStreams } {
  const child = start([process.execPath, PEER, directory])
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    send: (line) => void child.stdin.write(`${line}\n`),
    lines: createInterface({ input: child.stdout }),
  }
}

async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    (value) => new Error(`answered ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (error instanceof HaError && error.code === 'BAD_STORAGE') return error.message
  throw error
}

t.test('quick check: a local directory is fine for one host, and left as it was', async (t) => {
  const directory = join(t.testdir({}), 'system', 'ha')
  const found = await quickCheck(openDisk(directory), directory, oneHost)
  t.match(found, { network: false, fsType: String })
  t.ok(found.granularityMs >= 0.001 && found.granularityMs <= 2000, `${found.granularityMs}`)
  t.ok(found.p95Ms > 0)
  t.same(readdirSync(directory), [])
})

t.test('quick check: leftovers of a crashed check do no harm and are not touched', async (t) => {
  const directory = t.testdir({ 'check-00': { renewal: 'x' } })
  await quickCheck(openDisk(directory), directory, oneHost)
  t.same(readdirSync(directory), ['check-00'])
})

t.test('quick check: many masters may start at once', async (t) => {
  const directory = t.testdir({})
  const one = () => quickCheck(openDisk(directory), directory, oneHost)
  await Promise.all([one(), one(), one(), one()])
  t.same(readdirSync(directory), [])
})

t.test('quick check: a local directory is refused when masters run on several hosts', async (t) => {
  const directory = join(t.testdir({}), 'ha')
  const why = await refusal(quickCheck(openDisk(directory), directory, { severalHosts: true }))
  t.match(why, /is a local file system \(\w+\), which the masters on other hosts can't see/)
  t.notOk(existsSync(directory), 'nothing was made in the wrong place')
})

t.test('quick check: a file, and a place where nothing can be made', async (t) => {
  const directory = t.testdir({ file: 'x' })
  const file = join(directory, 'file')
  t.match(
    await refusal(quickCheck(openDisk(file), file, oneHost)),
    /file can't be used: it is not a/,
  )
  const inFile = join(file, 'ha')
  t.match(await refusal(quickCheck(openDisk(inFile), inFile, oneHost)), /can't be used/)
  const proc = '/proc/self/ha'
  t.match(
    await refusal(quickCheck(openDisk(proc), proc, oneHost)),
    /\/proc\/self\/ha can't be used/,
  )
})

t.test('quick check: a directory that the user may not write to', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tajo-closed-'))
  t.teardown(() => rmdirSync(directory))
  chmodSync(directory, 0o555)
  // Root may write everywhere, so it becomes somebody else for the moment.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    const why = await refusal(quickCheck(openDisk(directory), directory, oneHost))
    t.match(why, /this user \(uid \d+\) may not write there/)
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

t.test('quick check: each lie of a disk is found, and named', async (t) => {
  const lies: [string, (disk: Disk) => Partial<Disk>, RegExp][] = [
    [
      'creates are not exclusive',
      (disk) => ({
        create: async (purpose, path, text) => {
          const answer = await disk.create(purpose, path, text)
          return answer === 'exists' ? 'created' : answer
        },
      }),
      /an exclusive create is not exclusive: .* created and created/,
    ],
    [
      'renewals go on after the unlink',
      (disk) => ({
        touch: async (...args) => {
          await disk.touch(...args)
          return 'touched'
        },
      }),
      /an unlink does not end renewals: .* the renewal after it touched/,
    ],
    [
      'times do not move',
      () => ({ glimpse: async () => ({ mtimeMs: 1_790_000_000_000, fileId: '1' }) }),
      /a renewal is not kept/,
    ],
    [
      'old times are lost',
      (disk) => ({
        touch: (purpose, path, mtimeMs) => disk.touch(purpose, path, Math.max(mtimeMs, 1e12)),
      }),
      /a release is not kept/,
    ],
    ['listings are old', () => ({ list: async () => [] }), /listings are not fresh/],
    [
      'read-only',
      () => ({ makeDirs: async () => Promise.reject(new DiskError('EROFS', '/x', 'EROFS: /x')) }),
      /it is mounted read-only/,
    ],
    [
      'not ours',
      () => ({ makeDirs: async () => Promise.reject(new DiskError('EACCES', '/x', 'no')) }),
      /this user \(uid \d+\) may not write there \(EACCES\)/,
    ],
    [
      'full',
      () => ({ create: async () => Promise.reject(new DiskError('ENOSPC', '/x', 'ENOSPC: full')) }),
      /ENOSPC: full/,
    ],
  ]
  for (const [name, lie, why] of lies) {
    const directory = t.testdir({})
    const disk = openDisk(directory)
    t.match(await refusal(quickCheck({ ...disk, ...lie(disk) }, directory, oneHost)), why, name)
  }
})

t.test('full check from one host: every check passes on a local directory', async (t) => {
  const directory = t.testdir({})
  const report = await checkStorage({ directory })
  t.same(
    report.checks.filter((check) => !check.ok),
    [],
  )
  t.ok(report.ok)
  t.same(
    report.checks.map((check) => check.name),
    [
      'file system',
      'mount options',
      'habits',
      'exclusive create',
      'make directory',
      'renewal by path',
      'look by open and fstat',
      'reserved times',
      'unlink ends renewals',
      'listing',
      'unlink of an open file',
    ],
  )
  const renewal = report.checks.find((check) => check.name === 'renewal by path')
  t.ok((renewal?.medianMs ?? 0) > 0 && (renewal?.p95Ms ?? 0) >= (renewal?.medianMs ?? 0))
  t.ok(report.checks.every((check) => check.consequence !== '' && check.detail !== ''))
  t.ok((report.smallestMonitorMs ?? 0) >= 500)
  t.same(readdirSync(directory), [])
})

t.test('a local directory is refused where masters of other hosts are to use it', async (t) => {
  const report = await checkStorage({ directory: t.testdir({}), severalHosts: true })
  t.notOk(report.ok)
  t.match(report.checks[0], { name: 'file system', ok: false, detail: /masters on other hosts/ })
})

t.test('full check with a peer process: races, fence, freshness, over line streams', async (t) => {
  const directory = t.testdir({})
  const peer = startPeer(t, directory)
  const report = await checkStorage({ directory, peer })
  const failed = report.checks.filter((check) => !check.ok).map((check) => check.name)
  t.same(failed, ['file system', 'peer'], 'only that both are one host, on its own disk')
  t.match(report.checks.find((check) => check.name === 'peer')?.detail, /on this very host/)
  t.equal(report.checks.length, 26)
  const raced = report.checks.find((check) => check.name === 'exclusive create, raced')
  t.match(raced?.detail, /one winner in each of 60 rounds \(\d+ here, \d+ there\)/)
  t.same(readdirSync(directory), [])
  peer.child.stdin.end()
  t.same(await ended(peer.child), [0, null], 'the peer ends with its input')
})

t.test('a peer with another directory ends the check there', async (t) => {
  const directory = t.testdir({ here: {}, there: {} })
  const peer = startPeer(t, join(directory, 'there'))
  const report = await checkStorage({ directory: join(directory, 'here'), peer })
  const last = report.checks.at(-1)
  const detail =
    /does not find a file that was just made here: .* another directory at this path, or .* a cache/
  t.match(last, { name: 'same directory', ok: false, detail })
  t.same(readdirSync(join(directory, 'there')), [])
})

/**
 * A peer on another host, which has the same mount, of a kind that needs a mark. `lie` is asked before the real peer: an
 * answer is a lie, null lets the real one answer.
 */
function otherHost(
  real: PeerLines,
  facts: MountFacts,
  lie: (request: PeerRequest) => unknown = () => null,
): PeerLines {
  const told: string[] = []
  const heard = async function* (): AsyncGenerator<string> {
    for await (const line of real.lines) {
      while (told.length > 0) yield told.shift() ?? ''
      yield line
    }
  }
  return {
    lines: heard(),
    send: (line) => {
      const request = JSON.parse(line) as PeerRequest
      const value = request.op === 'identify' ? facts : lie(request)
      if (value === null) return real.send(line)
      told.push(JSON.stringify({ id: request.id, tookMs: 1, value }))
      // What the real one says to it is passed over, and lets ours be heard.
      real.send(JSON.stringify({ id: 0, op: 'ping', args: [] }))
    },
  }
}

const scratchIn = (directory: string): string =>
  readdirSync(directory).find((name) => name.startsWith('check-')) ?? ''

t.test('a mount that remembers attributes is told so, before the limit of a trial', async (t) => {
  const directory = t.testdir({})
  const here = await mountFacts(directory)
  const there = { ...here, host: { hostname: 'h2', machineId: 'm2' }, network: 'another' }
  let seen: { readonly mtimeMs: number; readonly fileId: string } | null = null
  const old = ({ op, args }: PeerRequest) => {
    if (op !== 'glimpse' || args[0] !== 'seen-there') return null
    if (seen === null) {
      const { mtimeMs } = statSync(join(directory, scratchIn(directory), 'seen-there'))
      seen = { mtimeMs, fileId: '1' }
    }
    return seen
  }
  const peer = startPeer(t, directory)
  const report = await checkStorage({ directory, peer: otherHost(peer, there, old) })
  const found = report.checks.find(({ name }) => name === 'renewal here seen there')
  const detail = /seen not within 2000 ms, .* within 250 ms: the mount remembers attributes/
  t.match(found, { ok: false, detail })
  peer.child.stdin.end()
})

t.test(
  'a failed check takes the mark of an earlier one back, where it shows anything',
  async (t) => {
    const directory = t.testdir({})
    const here = await mountFacts(directory)
    const there: MountFacts = {
      ...here,
      ...{ host: { hostname: 'h2', machineId: 'm2' }, network: 'another', place: null },
      fileSystem: { ...here.fileSystem, type: 'cifs', sharing: 'unknown' },
    }
    const disk = openDisk(directory)
    const check = async (lie?: (request: PeerRequest) => unknown, facts = there) => {
      await leaveMarks(disk, here, there, '2026-11-28T12:00:00.000Z')
      const peer = startPeer(t, directory)
      const report = await checkStorage({ directory, peer: otherHost(peer, facts, lie) })
      peer.child.stdin.end()
      const failed = report.checks.filter(({ ok }) => !ok).map(({ name }) => name)
      const left = (await readMarks(disk, 'check')).map(({ mark }) => mark.host.hostname)
      return { failed, takenBack: report.takenBack, left: left.sort() }
    }
    const both = [here.host.hostname, 'h2'].sort()
    t.match(await check(), { failed: ['file system'], takenBack: [], left: both }, 'its kind alone')
    const deaf = ({ op, args }: PeerRequest) =>
      op === 'touch' && String(args[0]).startsWith('ends-there') ? 'touched' : null
    const lied = await check(deaf)
    t.ok(lied.failed.includes('unlink here ends renewals there'), lied.failed.join(', '))
    t.match(lied, { takenBack: both, left: [] })
    const elsewhere = await check(({ op }) => (op === 'read' ? 'another text' : null))
    t.match(elsewhere, { failed: ['file system', 'same directory'], takenBack: both, left: [] })
    const unmounted = await check(({ op }) => (op === 'read' ? 'another text' : null), {
      ...there,
      fileSystem: { ...there.fileSystem, type: 'ext4', sharing: 'local' },
    })
    t.match(unmounted, { takenBack: [], left: both }, 'a peer without its mount')

    await leaveMarks(disk, here, there, '2026-11-28T12:00:00.000Z')
    const peer = startPeer(t, directory)
    peer.child.kill('SIGKILL')
    t.match(await checkStorage({ directory, peer }), { ok: false, takenBack: [] }, 'no answer')
  },
)

t.test('a peer that ends is a failed check, not a hang', async (t) => {
  const directory = t.testdir({})
  const peer = startPeer(t, directory)
  peer.child.kill('SIGKILL')
  const report = await checkStorage({ directory, peer })
  t.match(
    report.checks.find((check) => check.name === 'peer'),
    {
      ok: false,
      detail: /the program on the peer ended before it answered identify/,
    },
  )
})

t.test(
  'the conversation: noise is passed over, errors keep their name, silence has a limit',
  async (t) => {
    const directory = t.testdir({ file: 'x' })
    const peer = startPeer(t, join(directory, 'file'))
    peer.send('Welcome to host2! {"id":1}')
    const link = connectPeer(peer, patienceMs())
    await t.rejects(link.ask('list', '.'), /before a scratch directory was entered/)
    await t.rejects(link.ask('enter', '../..'), /is no scratch directory/)
    await link.ask('enter', 'check-0')
    await t.rejects(link.ask('list', '.'), { name: 'DiskError', errno: 'ENOTDIR' })
    await t.rejects(link.ask('format'), /unknown here: both hosts must have the same version/)
    t.ok((await link.ask('ping')).tookMs >= 0)

    const deaf = connectPeer(
      { send: () => undefined, lines: createInterface({ input: peer.child.stderr }) },
      50,
    )
    await t.rejects(deaf.ask('ping'), { code: 'TIMEOUT' })
  },
)

t.test('the peer without a directory says how it is called', async (t) => {
  t.match(await run([process.execPath, PEER]), { code: 2, stderr: /usage: check-peer DIRECTORY/ })
})

t.test('percentiles, limits, and the removal of a scratch directory', async (t) => {
  const samples = Array.from({ length: 40 }, (_, index) => index + 1)
  t.equal(percentile(samples, 0.95), 38, 'two peaks of forty do not count')
  t.equal(percentile([3, 1, 2], 0.5), 2)
  t.equal(percentile([], 0.5), null)
  t.equal(await within(1000, 'x', Promise.resolve(7)), 7)
  await t.rejects(within(1000, 'x', Promise.reject(new Error('own'))), /own/)

  const directory = t.testdir({ 'check-1': { a: 'x', dir: {} }, other: 'x' })
  writeFileSync(join(directory, 'check-1', '.nfs0001'), '')
  await removeScratch(openDisk(directory), 'check-1')
  await removeScratch(openDisk(directory), 'check-1')
  t.same(readdirSync(directory), ['other'])
})
