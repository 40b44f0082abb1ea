/** The real disk against a real directory: what each call answers, and what it leaves behind. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import {
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
  releaseOf,
} from '../../../lib/ha/words/layout.ts'
import { makeDirs } from '../../../lib/ha/world/directories.ts'
import { type DiskOptions, openDisk } from '../../../lib/ha/world/disk.ts'
import { fileSystemOf, mountOf } from '../../../lib/ha/world/file-system.ts'
import { makeDirOnce } from '../../../lib/ha/world/make-dir-once.ts'
import { closed, start } from '../../support/processes.ts'

function scratch(t: Test, options?: DiskOptions) {
  const directory = join(t.testdir({}), 'ha')
  mkdirSync(directory)
  return {
    directory,
    disk: openDisk(directory, options),
    at: (path: string) => join(directory, path),
  }
}

async function diskErrorOf(call: Promise<unknown>): Promise<DiskError> {
  const error = await call.then(
    (value) => new Error(`answered ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (error instanceof DiskError) return error
  throw error
}

t.test('a term directory is made once and never removed or renewed behind our back', async (t) => {
  const { disk, at } = scratch(t)
  await disk.makeDirs('setup', 'active')
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => disk.makeTermDir('claim', 'active/epoch-0000000001')),
  )
  t.same(answers.sort(), [...Array<string>(7).fill('exists'), 'made'])

  // A wall clock that is years off would make proper-lockfile take an old lock over.
  utimesSync(at('active/epoch-0000000001'), 1, 1)
  t.equal(await disk.makeTermDir('claim', 'active/epoch-0000000001'), 'exists')
  t.equal(statSync(at('active/epoch-0000000001')).mtimeMs, 1000, 'its mtime is nobody’s business')

  const error = await diskErrorOf(disk.makeTermDir('claim', 'nowhere/epoch-0000000001'))
  t.match(error, { errno: 'ENOENT', path: at('nowhere/epoch-0000000001') })
})

t.test('the directory outlasts every way in which its maker can end', async (t) => {
  const { at } = scratch(t)
  const module = fileURLToPath(new URL('../../../lib/ha/world/make-dir-once.js', import.meta.url))
  const endings = ['', 'process.exit(0)', 'process.kill(process.pid, "SIGTERM")', 'throw 1']
  for (const [index, ending] of endings.entries()) {
    const path = at(`dir-${index}`)
    const program = `import { makeDirOnce } from ${JSON.stringify(module)}
      await makeDirOnce(${JSON.stringify(path)})
      ${ending}`
    const child = start([process.execPath, '--input-type=module', '-e', program])
    // All of its pipes: a later test counts what is open.
    await closed(child)
    t.ok(existsSync(path), `empty directory kept after: ${ending || 'nothing left to do'}`)
    t.equal(await makeDirOnce(path), 'exists')
  }
})

t.test('a create is exclusive, and existence decides even where the text is lost', async (t) => {
  const { disk, at } = scratch(t)
  const texts = Array.from({ length: 8 }, (_, index) => `text ${index} äöü\n`)
  const answers = await Promise.all(texts.map((text) => disk.create('claim', 'claim.json', text)))
  t.equal(answers.filter((answer) => answer === 'created').length, 1)
  t.equal(await disk.read('observe', 'claim.json'), texts[answers.indexOf('created')])
  t.equal(await disk.create('claim', 'no/claim.json', 'x'), 'missing')
  symlinkSync('/nowhere/at/all', at('link'))
  t.equal(await disk.create('claim', 'link', 'x'), 'exists', 'a dangling link is a name too')
})

t.test('a full disk rejects the create and leaves the file', async (t) => {
  const { at, disk } = scratch(t)
  // A quota without a quota: files of this process may not grow beyond a limit.
  const module = fileURLToPath(new URL('../../../lib/ha/world/disk.js', import.meta.url))
  const program = `import { openDisk } from ${JSON.stringify(module)}
    process.on('SIGXFSZ', () => {})
    await openDisk(${JSON.stringify(at(''))}).create('claim', 'claim.json', 'x'.repeat(4096))
      .then(console.log, (error) => console.log(error.name, error.errno))`
  const script = 'ulimit -f 0; exec "$0" --input-type=module -e "$1"'
  const child = start(['sh', '-c', script, process.execPath, program])
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await closed(child)
  t.equal(said.trim(), 'DiskError EFBIG')
  t.equal(await disk.read('observe', 'claim.json'), '')
  t.equal(await disk.create('claim', 'claim.json', 'x'), 'exists')
})

t.test('all is for its owner alone, whatever the umask', async (t) => {
  const { disk, at } = scratch(t)
  await disk.create('setup', 'secret', 's')
  await disk.create('setup', 'cluster.json', '{}')
  const before = process.umask(0)
  t.teardown(() => void process.umask(before))
  await disk.create('claim', 'empty', '')
  await disk.makeDirs('setup', 'a/b')
  await disk.makeTermDir('claim', 'a/epoch')
  for (const name of ['secret', 'cluster.json', 'empty']) {
    t.equal(statSync(at(name)).mode & 0o777, 0o600, name)
  }
  for (const name of ['a', 'a/b', 'a/epoch']) t.equal(statSync(at(name)).mode & 0o777, 0o700, name)
})

t.test('a counter comes back as it was written, to the microsecond', async (t) => {
  const { disk } = scratch(t)
  await disk.create('claim', 'heartbeat', '')
  const first = 1_790_000_000_000
  const counters = [first, first + 0.001, first + 1 / 3, 4e12 + 0.5]
  for (let index = 0; index < 200; index += 1) counters.push(first + index * 1.001)
  for (const counter of counters) {
    t.equal(await disk.touch('renew', 'heartbeat', counter), 'touched')
    const seen = await disk.glimpse('observe', 'heartbeat')
    const mtimeMs = seen === 'missing' ? Number.NaN : seen.mtimeMs
    if (Math.abs(mtimeMs - counter) > 0.001) t.fail(`${counter} came back as ${mtimeMs}`)
  }
  for (const whole of [first + 123, first + 999, RELEASED_MTIME_MS, RELEASED_FOR_MTIME_MS]) {
    await disk.touch('renew', 'heartbeat', whole)
    t.match(await disk.glimpse('observe', 'heartbeat'), { mtimeMs: whole })
  }
  const seen = await disk.glimpse('observe', 'heartbeat')
  t.equal(releaseOf(seen === 'missing' ? 0 : seen.mtimeMs), 'released-for')
})

t.test(
  'a renewal after the unlink finds nothing, and a new file of that name is another',
  async (t) => {
    const { disk } = scratch(t)
    await disk.create('claim', 'heartbeat', '')
    const before = await disk.glimpse('observe', 'heartbeat')
    await disk.create('claim', 'other', '')
    t.equal(await disk.unlink('end-below', 'heartbeat'), 'unlinked')
    t.equal(await disk.unlink('end-below', 'heartbeat'), 'missing')
    t.equal(await disk.touch('renew', 'heartbeat', 1_790_000_000_000), 'missing')
    t.equal(await disk.glimpse('observe', 'heartbeat'), 'missing')
    t.equal(await disk.read('observe', 'heartbeat'), 'missing')
    const other = await disk.glimpse('observe', 'other')
    t.ok(before !== 'missing' && other !== 'missing' && before.fileId !== other.fileId)
  },
)

t.test('directories: list, remove, sync', async (t) => {
  const { disk, at } = scratch(t)
  await disk.makeDirs('setup', 'a/b')
  await disk.makeDirs('setup', 'a/b')
  await disk.create('setup', 'a/one', '')
  t.same((await disk.list('peers', 'a')).toString().split(',').sort(), ['b', 'one'])
  t.equal(await disk.list('peers', 'none'), 'missing')
  t.equal(await disk.removeDir('sweep', 'a'), 'kept')
  t.equal(await disk.removeDir('sweep', 'a/b'), 'removed')
  t.equal(await disk.removeDir('sweep', 'a/b'), 'missing')
  await disk.syncDir('claim', 'a')
  t.match(await diskErrorOf(disk.syncDir('claim', 'none')), { errno: 'ENOENT', path: at('none') })
})

t.test('a file takes the place of another, and of none', async (t) => {
  const { disk } = scratch(t)
  await disk.create('setup', 'old', 'old\n')
  await disk.create('setup', 'new', 'new\n')
  t.equal(await disk.replace('setup', 'old', 'new'), 'replaced')
  t.equal(await disk.read('setup', 'old'), 'new\n')
  t.equal(await disk.replace('setup', 'none', 'old'), 'replaced')
  t.same(await disk.list('setup', '.'), ['none'])
  t.equal(await disk.replace('setup', 'none', 'old'), 'missing')
  t.equal(await disk.read('setup', 'none'), 'new\n')
  await disk.makeDirs('setup', 'directory')
  t.equal((await diskErrorOf(disk.replace('setup', 'directory', 'none'))).errno, 'EISDIR')
})

t.test('a parent that may be a mount is not made', async (t) => {
  const { at } = scratch(t)
  const missing = makeDirs(at('mount/a/b'), 0o755, at('mount'))
  t.equal(await missing.catch(({ code }) => code), 'ENOENT')
  t.notOk(existsSync(at('mount')))
  mkdirSync(at('mount'))
  await makeDirs(at('mount/a/b'), 0o755, at('mount'))
  t.ok(statSync(at('mount/a/b')).isDirectory())
})

t.test('the HA directory is made anew in what it lies in, and never that', async (t) => {
  const dir = t.testdir({ root: { system: {} }, mountpoint: {} })
  await openDisk(join(dir, 'root', 'system', 'ha')).makeDirs('register', 'backup')
  t.same(readdirSync(join(dir, 'root', 'system', 'ha')), ['backup'])
  const gone = openDisk(join(dir, 'mountpoint', 'system', 'ha'))
  await t.rejects(gone.makeDirs('register', 'backup'), /no directory can be made/)
  t.same(readdirSync(join(dir, 'mountpoint')), [], 'nothing on the disk below a mount that is gone')
})

t.test('directories are made with their parents, or it says why not', async (t) => {
  const { disk, at } = scratch(t)
  await disk.makeDirs('setup', 'x/y/z')
  await Promise.all([1, 2, 3, 4].map(() => disk.makeDirs('setup', 'p/q/r/s')))
  t.ok(statSync(at('p/q/r/s')).isDirectory())
  await disk.create('setup', 'file', '')
  t.equal((await diskErrorOf(disk.makeDirs('setup', 'file'))).errno, 'ENOTDIR')
  t.equal((await diskErrorOf(disk.makeDirs('setup', 'file/x'))).errno, 'ENOTDIR')
  symlinkSync('/nowhere/at/all', at('dangling'))
  t.equal((await diskErrorOf(disk.makeDirs('setup', 'dangling/x'))).errno, 'ENOENT')
  // Here Node's own mkdir -p would never end.
  t.equal((await diskErrorOf(openDisk('/proc/self').makeDirs('setup', 'a/b'))).errno, 'ENOENT')
})

t.test('every other failure is a DiskError that names call, path and purpose', async (t) => {
  const { disk, at } = scratch(t)
  await disk.create('setup', 'file', 'x')
  const error = await diskErrorOf(disk.list('peers', 'file'))
  t.match(error, { name: 'DiskError', errno: 'ENOTDIR', path: at('file') })
  t.match(error.message, /^can't list .*\/file \(peers\): ENOTDIR: not a directory/)
  t.ok(error.cause)
  t.equal((await diskErrorOf(disk.glimpse('observe', 'file/x'))).errno, 'ENOTDIR')
  t.equal((await diskErrorOf(disk.read('observe', '.'))).errno, 'EISDIR')
  t.equal((await diskErrorOf(disk.removeDir('sweep', 'file'))).errno, 'ENOTDIR')
})

t.test('a read stops at 1 MiB', async (t) => {
  const { disk, at } = scratch(t)
  writeFileSync(at('fits'), 'x'.repeat(1024 * 1024))
  writeFileSync(at('long'), 'x'.repeat(1024 * 1024 + 1))
  t.equal((await disk.read('inspect', 'fits')).length, 1024 * 1024)
  t.equal((await diskErrorOf(disk.read('inspect', 'long'))).errno, 'EFBIG')
})

t.test('no file stays open', async (t) => {
  const { disk } = scratch(t)
  const open = () => readdirSync('/proc/self/fd').length
  await disk.create('setup', 'file', 'x')
  const before = open()
  for (let index = 0; index < 20; index += 1) {
    await disk.glimpse('observe', 'file')
    await disk.read('observe', 'file')
    await disk.create('claim', 'file', 'x')
    await disk.syncDir('claim', '.')
    await diskErrorOf(disk.read('observe', '.'))
  }
  t.equal(open(), before)
})

t.test('O_DIRECT can be asked for', async (t) => {
  const { disk, at } = scratch(t, { direct: true })
  const answer = await disk.create('claim', 'direct', '').catch((error: DiskError) => error.errno)
  t.match(answer, /^(created|EINVAL)$/, 'EINVAL is a file system without direct files')
  t.equal(existsSync(at('direct')), answer === 'created')
})

t.test('the file system of a path: down into what is mounted on the way, octal blanks', (t) => {
  const mountinfo = [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '30 22 0:40 / /mnt rw - tmpfs tmpfs rw',
    '31 30 0:41 / /mnt/ta\\040jo rw shared:2 master:3 - nfs4 nas:/export rw,vers=4.2',
    '32 30 0:42 / /mnt/ta rw - xfs /dev/vdb rw',
    '33 32 0:43 / /mnt/ta rw - fuse.fuse_dfs fuse_dfs rw',
    '',
  ].join('\n')
  t.match(mountOf('/mnt/ta jo/system/ha', mountinfo), {
    type: 'nfs4',
    source: 'nas:/export',
    mountPoint: '/mnt/ta jo',
    options: 'rw,vers=4.2',
  })
  t.match(mountOf('/mnt/ta', mountinfo), { type: 'fuse.fuse_dfs' })
  t.match(mountOf('/mnt/table', mountinfo), { type: 'tmpfs' })
  t.match(mountOf('/home', mountinfo), { type: 'ext4' })
  t.equal(mountOf('/home', ''), null)
  t.end()
})

t.test('a mount that another one hides is not what a path is on', (t) => {
  const root = '22 1 254:0 / / rw - ext4 /dev/vda rw'
  const share = '31 22 0:41 / /mnt/share rw - nfs4 nas:/export rw,vers=4.2'
  const over = '32 22 0:42 / /mnt rw - tmpfs tmpfs rw'
  const again = '33 32 0:43 / /mnt/share rw - nfs4 nas:/export rw,vers=4.2'
  const on = (...lines: string[]) => mountOf('/mnt/share/tajo', lines.join('\n'))
  t.match(on(root, share), { mountId: '31' })
  t.match(on(root, share, over), { mountId: '32', type: 'tmpfs', mountPoint: '/mnt' })
  t.match(on(root, over, share), { mountId: '32' }, 'in whatever order the table has them')
  t.match(on(root, share, over, again), { mountId: '33' })
  t.match(on('1 1 0:2 / / rw - rootfs rootfs rw', root, share), { mountId: '31' }, 'its own parent')
  t.match(on(share), { mountId: '31' }, 'a root that is no mount')
  t.end()
})

t.test('a directory that is still to be made is on its ancestor’s file system', async (t) => {
  const { at, directory } = scratch(t)
  const here = await fileSystemOf(directory)
  t.same(await fileSystemOf(at('not/yet/there')), here)
  rmdirSync(directory)
  t.same(await fileSystemOf(directory), here)
})
