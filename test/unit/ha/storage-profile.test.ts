/** How a storage with habits of its own is recognised, and what its rules make of calls that mislead there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import {
  ACTIVE_DIR,
  claimFile,
  encode,
  HISTORY_DIR,
  type Holder,
  historyFile,
  type TermRecord,
} from '../../../lib/ha/words/layout.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import {
  HDFS_GATEWAY,
  looksLikeGateway,
  PLAIN,
  profiledDisk,
  profileNamed,
  profileOf,
  profileText,
  type StorageProfile,
  tooShortFor,
} from '../../../lib/ha/world/storage-profile.ts'

t.test('the gateway makes up sizes and links of directories, and nothing else does', (t) => {
  // As Hadoop 3.4.2 shows a directory of one name, its parents and the root.
  const gateway = [
    { links: 3, bytes: 96 },
    { links: 3, bytes: 96 },
    { links: 2, bytes: 64 },
  ]
  t.ok(looksLikeGateway(gateway))
  const others = {
    ext4: [{ links: 3, bytes: 4096 }],
    'ext4 with 126 directories': [
      { links: 128, bytes: 4096 },
      { links: 3, bytes: 4096 },
    ],
    xfs: [
      { links: 2, bytes: 64 },
      { links: 5, bytes: 57 },
    ],
    btrfs: [{ links: 1, bytes: 0 }],
    'btrfs with links': [{ links: 1, bytes: 32 }],
    zfs: [{ links: 4, bytes: 4 }],
    nothing: [],
  }
  for (const [name, looks] of Object.entries(others)) t.notOk(looksLikeGateway(looks), name)
  t.end()
})

t.test('a directory on a local disk is plain', async (t) => {
  t.equal(await profileOf(directoryFor(t)), PLAIN)
})

t.test('told in one line, and by its name to another keeper', (t) => {
  t.equal(profileText(PLAIN, '/data'), null)
  t.match(profileText(HDFS_GATEWAY, '/data'), /\/data is HDFS through Hadoop's NFS gateway: /)
  t.notMatch(profileText(HDFS_GATEWAY, '/data'), /\n/)
  t.equal(profileNamed('hdfs-gateway'), HDFS_GATEWAY)
  t.equal(profileNamed(undefined), PLAIN)
  t.equal(profileNamed('of a later version'), PLAIN)
  t.end()
})

t.test('a monitor interval that is too short is refused with the key and both numbers', (t) => {
  t.equal(tooShortFor(PLAIN, 500), null)
  t.equal(tooShortFor(HDFS_GATEWAY, 10_000), null)
  const why = tooShortFor(HDFS_GATEWAY, 9999) ?? ''
  for (const part of ['tajo.master.ha.monitor.interval', '9999 ms', '10000 ms', 'HDFS']) {
    t.match(why, part)
  }
  t.end()
})

function directoryFor(t: Pick<Test, 'teardown'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tajo-profile-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The errno of what rejects. */
const errnoOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: unknown) => (error instanceof DiskError ? `${error.errno} ${error.made}` : error),
  )

/** A directory whose creates of a name that is there fail as the gateway's do; `under`: the rules in force. */
async function gateway(
  t: Pick<Test, 'teardown'>,
  under: StorageProfile,
  changed: (disk: Disk) => Partial<Disk> = () => ({}),
): Promise<{ disk: Disk; plain: Disk; calls: string[] }> {
  const plain = openDisk(directoryFor(t))
  await plain.makeDirs('setup', ACTIVE_DIR)
  await plain.makeDirs('setup', HISTORY_DIR)
  const calls: string[] = []
  const eio = (path: string): DiskError => new DiskError('EIO', path, `EIO: ${path}`)
  const own: Disk = {
    ...plain,
    create: async (purpose, path, text) => {
      const made = await plain.create(purpose, path, text)
      if (made === 'exists') throw eio(path)
      return made
    },
    occupy: async (purpose, path, bytes) => {
      const made = await plain.occupy(purpose, path, bytes)
      if (made === 'exists') throw eio(path)
      return made
    },
    touch: async (purpose, path, mtimeMs, sameAs) => {
      calls.push(`touch ${path}`)
      const seen = await plain.glimpse(purpose, path)
      // A NullPointerException in the gateway: nobody ever answers.
      return seen === 'missing'
        ? new Promise(() => {})
        : plain.touch(purpose, path, mtimeMs, sameAs)
    },
    ...changed(plain),
  }
  return { disk: profiledDisk(own, () => under), plain, calls }
}

t.test('where no file is renamed over another that is told, and nothing is tried', async (t) => {
  const replace = async (): Promise<never> => t.fail('it was tried') as never
  const { disk } = await gateway(t, HDFS_GATEWAY, () => ({ replace }))
  t.equal(await disk.replace('setup', 'one', 'two'), 'refused')
  const { disk: other, plain } = await gateway(t, PLAIN)
  await plain.create('setup', 'two', 'text\n')
  t.equal(await other.replace('setup', 'one', 'two'), 'replaced')
})

t.test('EIO at an exclusive create: a name that is listed exists', async (t) => {
  const { disk } = await gateway(t, HDFS_GATEWAY)
  t.equal(await disk.create('claim', 'one', 'ours\n'), 'created')
  t.equal(await disk.create('claim', 'one', 'theirs\n'), 'exists')
  t.equal(await disk.create('claim', 'one', ''), 'exists')
  t.equal(await disk.occupy('reserve', 'one', 10), 'exists')
  t.equal(await disk.create('claim', `${HISTORY_DIR}/two`, 'ours\n'), 'created')
  t.equal(await disk.create('claim', `${HISTORY_DIR}/two`, 'theirs\n'), 'exists')
  t.equal(await disk.read('claim', 'one'), 'ours\n')
})

t.test('… and where nobody lists it, or the storage is a plain one, it says nothing', async (t) => {
  const broken = (plain: Disk): Partial<Disk> => ({
    create: (purpose, path, text) =>
      path === 'broken'
        ? Promise.reject(new DiskError('EIO', path, 'EIO'))
        : plain.create(purpose, path, text),
  })
  const over = await gateway(t, HDFS_GATEWAY, broken)
  t.equal(await errnoOf(over.disk.create('claim', 'broken', 'x\n')), 'EIO false')
  const plain = await gateway(t, PLAIN)
  t.equal(await plain.disk.create('claim', 'one', ''), 'created')
  t.equal(await errnoOf(plain.disk.create('claim', 'one', '')), 'EIO false')
})

t.test('a file that was made and could not be filled is ours, not one that exists', async (t) => {
  const torn = (plain: Disk): Partial<Disk> => ({
    create: async (purpose, path) => {
      await plain.create(purpose, path, '')
      throw new DiskError('EIO', path, 'EIO', { made: true })
    },
  })
  const { disk } = await gateway(t, HDFS_GATEWAY, torn)
  t.equal(await errnoOf(disk.create('claim', 'one', 'text\n')), 'EIO true')
})

t.test('a file that another host removed is found missing before it is touched', async (t) => {
  const { disk, plain, calls } = await gateway(t, HDFS_GATEWAY)
  await plain.create('claim', 'heartbeat', '')
  t.equal(await disk.touch('renew', 'heartbeat', 1_790_000_000_000), 'touched')
  await plain.unlink('end-below', 'heartbeat')
  t.equal(await disk.touch('renew', 'heartbeat', 1_790_000_000_100), 'missing')
  t.strictSame(calls, ['touch heartbeat'], 'the touch that nobody answers is never asked for')
})

t.test(
  'EIO at a look: a name that is not listed is missing, one that is listed is not',
  async (t) => {
    const eio = (path: string): Promise<never> => Promise.reject(new DiskError('EIO', path, 'EIO'))
    const handles = (): Partial<Disk> => ({
      glimpse: (_purpose, path) => eio(path),
      read: (_purpose, path) => eio(path),
      unlink: (_purpose, path) => eio(path),
    })
    const { disk, plain } = await gateway(t, HDFS_GATEWAY, handles)
    t.equal(await disk.glimpse('observe', 'gone'), 'missing')
    t.equal(await disk.read('observe', 'gone'), 'missing')
    t.equal(await disk.unlink('observe', 'gone'), 'missing')
    t.equal(await disk.touch('renew', 'gone', 1_790_000_000_000), 'missing')
    await plain.create('claim', 'there', 'x')
    t.equal(await errnoOf(disk.glimpse('observe', 'there')), 'EIO false')
    t.equal(await errnoOf(disk.read('observe', 'there')), 'EIO false')
    t.equal(await errnoOf(disk.touch('renew', 'there', 1_790_000_000_000)), 'EIO false')
    const other = await gateway(t, PLAIN, handles)
    t.equal(await errnoOf(other.disk.glimpse('observe', 'gone')), 'EIO false')
  },
)

const holder: Holder = {
  address: 'one:26001',
  addresses: { umbilical: '', clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  hostname: 'one',
  nonce: 'nonce-of-one',
  master: { bootId: '', pidNamespace: '', pid: 1, startTicks: 1 },
  startedAt: '',
  version: '',
  priority: 100,
  adminSocket: '',
}
const record = (nonce: string): TermRecord => ({
  term: 1,
  address: holder.address,
  hostname: holder.hostname,
  nonce,
  reason: 'first-start',
  evidence: '',
  previousTerm: 0,
  previousAddress: null,
  at: '',
})

t.test(
  'a claim over the gateway: another’s number is lost, the own lost reply is won',
  async (t) => {
    const claim = async (disk: Disk): Promise<unknown> =>
      claimTerm(disk, {
        holder,
        attempt: newAttempt(record('ours')),
        onHeartbeat: () => {},
        makeRoom: async () => false,
      })
    const taken = await gateway(t, HDFS_GATEWAY)
    await taken.plain.create('claim', historyFile(1), encode(record('theirs')))
    t.match(await claim(taken.disk), { won: false, why: 'another contender took the number first' })

    const closed = await gateway(t, HDFS_GATEWAY)
    // It was done, and the answer was an error.
    await closed.plain.create('claim', historyFile(1), encode(record('ours')))
    t.match(await claim(closed.disk), { won: true })
    t.match(await closed.plain.read('claim', claimFile(1)), /"open"/)

    const misread = await gateway(t, PLAIN)
    await misread.plain.create('claim', historyFile(1), encode(record('theirs')))
    t.equal(await errnoOf(claim(misread.disk)), 'EIO false', 'without the rule nobody can tell')
  },
)
