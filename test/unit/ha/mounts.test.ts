/** Which mounts are known for what, who may start on which, and what a passed check leaves behind. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type AdmissionFacts,
  admissionOf,
  admit,
  alertsOf,
  type MountAlerts,
  MountStanding,
  type UnprovenMount,
} from '../../../lib/ha/check/mount-admission.ts'
import { countedOptions, type MountFacts, versionOf } from '../../../lib/ha/check/mount-facts.ts'
import {
  decodeMark,
  leaveMarks,
  type MountMark,
  readMarks,
  standingOf,
  strangers,
  takeBackMarks,
} from '../../../lib/ha/check/mount-mark.ts'
import {
  fileSystemTrial,
  monitorTrial,
  optionsTrial,
  type Space,
} from '../../../lib/ha/check/storage-trials.ts'
import { encode } from '../../../lib/ha/words/layout.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { FileSystem } from '../../../lib/ha/world/file-system.ts'
import {
  type MountOptions,
  mountWarnings,
  refusedBecause,
  sharingOf,
} from '../../../lib/ha/world/mount-kinds.ts'
import { PLAIN } from '../../../lib/ha/world/storage-profile.ts'
import { HandClock } from '../../support/hand-clock.ts'

/** As /proc/self/mountinfo shows them: type and source. */
const REFUSED: readonly (readonly [type: string, source: string, why: RegExp])[] = [
  ['fuse.rclone', 'remote:bucket', /rclone mount, which keeps writes/],
  ['fuse.s3fs', 's3fs', /object store/],
  ['fuse.goofys', 'bucket', /object store/],
  ['fuse.geesefs', 'bucket', /object store/],
  ['fuse.gcsfuse', 'bucket', /object store/],
  ['fuse', 'gcsfuse', /object store/],
  ['fuse', 'mountpoint-s3', /object store/],
  ['fuse', '/usr/bin/blobfuse2', /object store/],
  ['fuse.blobfuse', 'blobfuse', /object store/],
  ['fuse.ossfs', 'ossfs', /object store/],
  ['fuse.sshfs', 'host:/data', /keeps attributes and absences/],
  ['fuse', 'sshfs#host:/data', /keeps attributes and absences/],
  ['fuse.fuse_dfs', 'fuse_dfs', /exclusive create is not exclusive.*its NFS gateway/],
  ['fuse', 'fuse_dfs', /exclusive create is not exclusive/],
  ['fuse.hadoop-fuse-dfs', 'x', /exclusive create is not exclusive/],
  ['fuse.hdfs', 'hdfs', /exclusive create is not exclusive/],
  ['fuse', 'https://cloud.example/dav', /no exclusive create/],
  ['fuse.davfs', 'x', /no exclusive create/],
  ['fuse.curlftpfs', 'ftp://x', /no exclusive create/],
  ['fuse.mergerfs', '/a:/b', /a layer over other directories/],
  ['fuse.unionfs-fuse', 'unionfs', /a layer/],
  ['fuse.encfs', 'encfs', /a layer/],
  ['fuse.gocryptfs', '/x', /a layer/],
  ['fuse.bindfs', '/x', /a layer/],
  ['fuse.s3ql', 's3://x', /one host may mount/],
  ['fuse.gvfsd-fuse', 'gvfsd-fuse', /desktop/],
  ['coda', 'x', /goes on alone/],
]
/** Nobody has tried them with this product: also what may well be good. */
const UNKNOWN =
  'cifs smb3 lustre gpfs gfs2 ocfs2 beegfs fuse.juicefs JuiceFS fuse.moosefs fuse.mfs fuse.glusterfs glusterfs ceph fuse.ceph fuse.ceph-fuse 9p virtiofs fuse fuse.anything afs pvfs2 fuse.rclone-like'

t.test('which file systems several hosts can share', (t) => {
  const kind = (type: string, source = 'x') => sharingOf({ type, source })
  for (const type of ['nfs', 'nfs4']) t.equal(kind(type), 'shared', type)
  for (const type of ['ext4', 'xfs', 'btrfs', 'tmpfs', 'overlay', 'aufs', 'fuseblk']) {
    t.equal(kind(type), 'local', type)
  }
  for (const type of UNKNOWN.split(' ')) t.equal(kind(type), 'unknown', type)
  for (const [type, source, why] of REFUSED) {
    t.equal(kind(type, source), 'refused', `${type} ${source}`)
    t.match(refusedBecause({ type, source }), why)
  }
  // What another host is called, or a bucket, is not the program.
  t.equal(kind('nfs4', 'rclone:/s3fs'), 'shared')
  t.equal(kind('fuse.juicefs', 'JuiceFS:s3fs'), 'unknown')
  t.end()
})

t.test('mount options that endanger the lease are told', async (t) => {
  const mount = { source: 'nas:/x', mountPoint: '/mnt/x' }
  const told = (type: string, options: string) => mountWarnings({ ...mount, type, options })
  t.same(told('nfs4', 'rw,vers=4.2,hard'), [])
  const [nocto, soft] = told('nfs', 'rw,soft,nocto')
  t.match(nocto, /\/mnt\/x \(nfs\) is mounted with nocto/)
  t.match(soft, /mount it with hard/)
  t.match(told('nfs4', 'rw,softerr'), [/with softerr/])
  t.match(told('nfs4', 'rw,softreval,hard'), [/with softreval.*mount it without/])
  t.match(told('cifs', 'rw,soft,cache=strict'), [/mount it with hard/])
  t.match(told('cifs', 'hard,cache=loose'), [/cache=strict/])
  t.same(told('ext4', 'rw,soft,nocto'), [])
})

const NAME = { hostname: 'h1', machineId: 'm1' }
const OTHER = { hostname: 'h2', machineId: 'm2' }
const AT = '2026-11-28T12:00:00.000Z'

function facts(mount: Partial<MountOptions> & { type: string }, host = NAME): MountFacts {
  const named = { source: 'x', mountPoint: '/mnt/x', options: 'rw', ...mount }
  const fileSystem: FileSystem = {
    ...named,
    ...{ mountId: '7', root: '/', isReadOnly: false, isNfs: false, sharing: sharingOf(named) },
  }
  const place = { bootId: host.hostname, device: 1, inode: 2 }
  return { host, fileSystem, version: 'Linux 6.1.0', place, network: host.hostname }
}
const markOf = (more: Partial<MountMark> = {}): MountMark => ({
  ...{ host: NAME, kind: 'cifs', options: 'rw', version: 'Linux 6.1.0', peer: OTHER, at: AT },
  ...more,
})

t.test('the check fails on a soft mount, and where the directory is too slow', async (t) => {
  const soft = facts({ type: 'nfs4', options: 'rw,soft,addr=10.0.0.1' }).fileSystem
  t.match(await optionsTrial(soft).run(), { ok: false, detail: /mounted with soft/ })
  t.match(await optionsTrial(facts({ type: 'nfs4' }).fileSystem).run(), { ok: true })
  const space = (p95Ms: number[]): Space => ({
    ...{ disk: openDisk('/nowhere'), path: '/nowhere' },
    measured: { granularityMs: 1, p95Ms },
  })
  t.match(await monitorTrial(space([1, 264]), PLAIN, 5000).run(), {
    ok: false,
    detail: /is 5000 ms, the smallest for this latency is 10560 ms/,
  })
  t.match(await monitorTrial(space([1, 2]), PLAIN, 5000).run(), { ok: true })
})

t.test('the check says of a file system what a start would', async (t) => {
  const tell = (mount: MountFacts, peer: MountFacts | null = null, marks: MountMark[] = []) => {
    const admission = judged(mount, { marks, severalHosts: true })
    return fileSystemTrial(mount, admission, { peer, severalHosts: true }).run()
  }
  const cifs = facts({ type: 'cifs' })
  t.match(await tell(cifs), { ok: false, detail: /nobody has proven/ })
  t.match(await tell(cifs, null, [markOf()]), { ok: true, detail: /proven by a check/ })
  t.match(await tell(cifs, facts({ type: 'cifs' }, OTHER)), { ok: true, detail: /only this check/ })
  const rclone = facts({ type: 'fuse.rclone' })
  t.match(await tell(rclone, facts({ type: 'nfs4' }, OTHER)), { ok: false, detail: /rclone/ })
  const ext4 = facts({ type: 'ext4' })
  t.match(await tell(ext4, facts({ type: 'ext4' }, OTHER)), { ok: false, detail: /local file/ })
  const container = { ...ext4, host: OTHER, network: 'another' }
  t.match(await tell(ext4, container), { ok: true, detail: /one and the same directory/ })
  t.match(await tell(ext4, ext4), { ok: false }, 'this very host is no peer')
})

const several = { severalHosts: true, unproven: 'refuse', marks: [], ranBefore: false } as const
const judged = (mount: MountFacts, more: Partial<Omit<AdmissionFacts, 'mount'>> = {}) =>
  admissionOf({ mount, ...several, ...more })

t.test('NFS may be used by several hosts, a local disk by one', (t) => {
  const fine = { refusal: null, critical: [], warnings: [] }
  t.same(judged(facts({ type: 'nfs4' })), fine)
  t.same(judged(facts({ type: 'ext4' }), { severalHosts: false }), fine)
  for (const unproven of ['refuse', 'warn'] as const) {
    const { refusal } = judged(facts({ type: 'ext4' }), { unproven })
    t.match(refusal, /local file system \(ext4\).*mount the shared directory/, unproven)
  }
  t.end()
})

t.test(
  'what is known to cache is refused with its reason, and used with an alert on order',
  (t) => {
    const rclone = facts({ type: 'fuse.rclone', source: 'remote:' })
    t.match(judged(rclone), {
      refusal: /\/mnt\/x is an rclone mount.*both win each exclusive create/,
    })
    t.match(judged(rclone, { unproven: 'warn' }), {
      refusal: null,
      critical: [/rclone.*unproven-mount is warn/],
    })
    t.match(judged(rclone, { marks: [markOf({ kind: 'fuse.rclone' })], ranBefore: true }), {
      refusal: /rclone/,
    })
    t.match(judged(rclone, { severalHosts: false }), {
      refusal: null,
      warnings: [/this host alone/],
    })
    const dfs = facts({ type: 'fuse.fuse_dfs', source: 'fuse_dfs' })
    t.match(judged(dfs, { severalHosts: false }), { refusal: /not exclusive/ })
    t.end()
  },
)

t.test('what nobody has tried is refused until its mark is there', (t) => {
  const cifs = facts({ type: 'cifs' })
  t.match(judged(cifs), {
    refusal: /is cifs, a kind of mount that nobody has proven.*-checkSharedDir --peer HOST/,
  })
  t.match(judged(cifs, { severalHosts: false }), { refusal: null, critical: [], warnings: [] })
  t.match(judged(cifs, { marks: [markOf()] }), { refusal: null, critical: [], warnings: [] })
  t.match(judged(cifs, { marks: [markOf({ host: OTHER, peer: NAME })] }), { refusal: /nobody/ })
  t.match(judged(cifs, { unproven: 'warn' }), { refusal: null, critical: [/is warn/] })
  t.match(judged(cifs, { ranBefore: true }), {
    refusal: null,
    critical: [/ran on it before and goes on: run/],
  })
  t.end()
})

t.test('a mark holds for its host, kind and options; another version is an alert', (t) => {
  const cifs = facts({ type: 'cifs', options: 'rw,hard,addr=10.0.0.1,vers=3.1.1' })
  const marked = (more: Partial<MountMark>) =>
    judged(cifs, { marks: [markOf({ options: 'hard,rw,vers=3.1.1', ...more })] })
  t.match(marked({}), { refusal: null, warnings: [] })
  t.match(marked({ version: 'Linux 5.10.0' }), {
    refusal: null,
    critical: [],
    warnings: [/in another version \(Linux 6.1.0\).*\(Linux 5.10.0\): run it again/],
  })
  t.match(marked({ options: 'rw,vers=3.1.1' }), {
    refusal: /proved it mounted with rw,vers=3.1.1, and it is mounted with hard,rw,vers=3.1.1 now/,
  })
  t.match(marked({ kind: 'smb3' }), { refusal: /proved smb3, and \/mnt\/x is cifs now/ })
  t.match(marked({ host: { ...NAME, machineId: 'another' } }), { refusal: /nobody has proven/ })
  t.match(marked({ host: { ...NAME, hostname: 'H1' } }), { refusal: null })
  const old = markOf({ options: 'old', at: '2026-11-29' })
  const both = [old, markOf({ options: 'hard,rw,vers=3.1.1' })]
  t.match(judged(cifs, { marks: both }), { refusal: null }, 'one that holds is enough')
  t.end()
})

t.test('addresses and descriptors are no options that count', (t) => {
  const options =
    'rw,vers=3,addr=10.0.0.1,clientaddr=10.0.0.2,mountaddr=10.0.0.1,fd=7,rfdno=3,wfdno=4,hard'
  t.equal(countedOptions(options), 'hard,rw,vers=3')
  t.equal(countedOptions(''), '')
  t.match(versionOf('cifs'), /^Linux \d/)
  t.match(versionOf('fuse.../../etc'), /^Linux \d[^,]*$/)
  t.end()
})

t.test('two processes of one kernel in the same directory: proven until the next boot', (t) => {
  const here = facts({ type: 'ext4' })
  const place = here.place ?? t.fail('a place')
  const marks = [markOf({ kind: 'ext4', ...(typeof place === 'object' && { place }) })]
  t.match(judged(here, { marks }), { refusal: null })
  const rebooted = { ...here, place: { bootId: 'another', device: 1, inode: 2 } }
  t.match(judged(rebooted, { marks }), { refusal: /or was before its last boot/ })
  const elsewhere = { ...here, place: { bootId: 'h1', device: 1, inode: 3 } }
  t.match(judged(elsewhere, { marks }), { refusal: /another place in this kernel/ })
  t.end()
})

t.test(
  'marks are left for both ends, replaced at the next check, and all hang together',
  async (t) => {
    const directory = t.testdir({})
    const disk = openDisk(directory)
    const [h1, h2] = [facts({ type: 'cifs' }), facts({ type: 'cifs' }, OTHER)]
    const h3 = { ...h1, host: { hostname: 'h3', machineId: 'm3' } }
    const h4 = { ...h1, host: { hostname: 'h4', machineId: 'm4' } }
    t.same(await readMarks(disk, 'check'), [])
    await leaveMarks(disk, h1, h2, AT)
    t.equal(readdirSync(join(directory, 'proven')).length, 2)
    await leaveMarks(disk, h1, h2, '2026-12-01')
    const marks = (await readMarks(disk, 'check')).map(({ mark }) => mark)
    t.same(marks.map(({ host, peer, at }) => [host.hostname, peer.hostname, at]).sort(), [
      ['h1', 'h2', '2026-12-01'],
      ['h2', 'h1', '2026-12-01'],
    ])
    t.equal(standingOf(marks, h2).is, 'holds')
    t.equal(standingOf(marks, h3).is, 'none')
    t.same(strangers([], h3.host, h4.host), [])
    t.same(strangers(marks, h3.host, h4.host), ['h1', 'h2'], 'a pair that nobody knows')
    t.same(strangers(marks, h3.host, h1.host), [])
    writeFileSync(join(directory, 'proven', 'torn.json'), '{"host":')
    writeFileSync(join(directory, 'proven', 'foreign.json'), '{}')
    t.equal((await readMarks(disk, 'check')).length, 2, 'what is torn proves nothing')
    t.equal(decodeMark('7'), null)
  },
)

t.test('a mark is taken back of the mount that it is of, and of no other', async (t) => {
  const disk = openDisk(t.testdir({}))
  const [h1, h2] = [facts({ type: 'cifs' }), facts({ type: 'cifs' }, OTHER)]
  const h3 = facts({ type: 'cifs' }, { hostname: 'h3', machineId: 'm3' })
  const hosts = async () =>
    (await readMarks(disk, 'check')).map(({ mark }) => mark.host.hostname).sort()
  t.same(await takeBackMarks(disk, [h1]), [], 'where there is none')
  await leaveMarks(disk, h1, h2, AT)
  await leaveMarks(disk, h2, h3, AT)
  t.same(await takeBackMarks(disk, []), [])
  t.same(await takeBackMarks(disk, [facts({ type: 'smb3' })]), [], 'another mount now')
  t.same(await hosts(), ['h1', 'h2', 'h3'])
  t.same(await takeBackMarks(disk, [{ ...h1, version: 'Linux 6.2.0' }, h3]), ['h1', 'h3'])
  t.same(await hosts(), ['h2'])
})

/** A directory in which terms were held. */
function withTerms(t: Test, records: readonly Record<string, unknown>[]): string {
  const directory = t.testdir({})
  mkdirSync(join(directory, 'history'))
  for (const [index, more] of records.entries()) {
    const term = index + 1
    const record = {
      ...{ term, address: 'h1:26001', hostname: 'h1', nonce: 'n', reason: 'first-start' },
      ...{ evidence: '', previousTerm: index, previousAddress: null, at: AT, ...more },
    }
    const name = `${String(term).padStart(10, '0')}.json`
    writeFileSync(join(directory, 'history', name), encode(record))
  }
  return directory
}

t.test('a cluster that ran on such a mount before goes on, with an alert', async (t) => {
  const judge = async (records: Record<string, unknown>[], marked = false) => {
    const directory = withTerms(t, records)
    const disk = openDisk(directory)
    if (marked) await leaveMarks(disk, facts({ type: 'cifs' }, OTHER), facts({ type: 'cifs' }), AT)
    const mount = facts({ type: 'cifs', options: 'rw,other' })
    const unproven: UnprovenMount = 'refuse'
    return admit(disk, 'check', { mount, severalHosts: true, unproven })
  }
  const goesOn = { refusal: null, critical: [/ran on it before/] }
  t.match(await judge([]), { refusal: /nobody has proven/ }, 'new')
  t.match(await judge([{}]), goesOn, 'terms of a version that told no mounts')
  t.match(await judge([{ mount: 'cifs' }]), goesOn)
  t.match(await judge([{ mount: 'nfs4' }]), { refusal: /nobody has proven/ }, 'it was moved')
  t.match(
    await judge([{ mount: 'nfs4' }, { reason: 'format' }]),
    { refusal: /nobody/ },
    'formatted',
  )
  t.match(await judge([{}], true), { refusal: /proved it mounted with/ }, 'the check has run')
})

t.test('what would refuse a start now is critical while a master runs', async (t) => {
  const soft = facts({ type: 'cifs', options: 'rw,soft' })
  t.match(alertsOf(judged(soft), soft), {
    critical: [/no master would be started here now: .*nobody has proven/, /mounted with soft/],
  })
  const nfs = facts({ type: 'nfs4' })
  t.same(alertsOf(judged(nfs), nfs), { critical: [], warnings: [] })
})

t.test('a mark says what the issue asks for', async (t) => {
  const directory = t.testdir({})
  const options = 'rw,addr=10.0.0.1'
  const [here, there] = [facts({ type: 'cifs', options }), facts({ type: 'smb3' }, OTHER)]
  await leaveMarks(openDisk(directory), here, there, AT)
  const texts = readdirSync(join(directory, 'proven'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(directory, 'proven', name), 'utf8')))
  t.same(texts, [
    { host: NAME, kind: 'cifs', options: 'rw', version: 'Linux 6.1.0', peer: OTHER, at: AT },
    { host: OTHER, kind: 'smb3', options: 'rw', version: 'Linux 6.1.0', peer: NAME, at: AT },
  ])
})

t.test(
  'while a master runs its mount is judged anew, once in a period, and told as it is',
  async (t) => {
    const clock = new HandClock()
    const said: string[] = []
    let now: MountAlerts | Error = { critical: ['unproven'], warnings: [] }
    let judged = 0
    const standing = new MountStanding(
      {
        clock,
        log: (level, message) => void said.push(`${level} ${message}`),
        periodMs: 1000,
        judge: async () => {
          judged += 1
          if (now instanceof Error) throw now
          return now
        },
      },
      now,
    )
    await standing.consider()
    t.same([standing.told, said], [now, []], 'as its start has told it')
    now = { critical: [], warnings: ['another version'] }
    await standing.consider()
    t.equal(judged, 1, 'not twice in a period')
    await clock.advance(1000)
    await Promise.all([standing.consider(), standing.consider()])
    t.equal(judged, 2)
    t.same(standing.told, now)
    t.same(said.splice(0), ['warn another version', 'info over: unproven'])
    const before = now
    now = new Error('EIO')
    await clock.advance(1000)
    await standing.consider()
    t.same(standing.told, before, 'what nobody can tell now stays as it was')
    t.match(said, [/^debug .*EIO/])
  },
)
