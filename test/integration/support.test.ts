/** The tests' own tools, since everything shown with them rests on them: hosts, SSH servers, the file system that hangs. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fullGround } from '../support/full-ground.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { hasParts } from '../support/parts.ts'
import { closed, start } from '../support/processes.ts'
import { run } from '../support/run.ts'
import { makeSshKeys, type SshKeys, startSshServer } from '../support/sshd.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

t.test('hangfs: passes calls on, caches nothing, and shows two mounts one directory', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const backing = t.testdir({ backing: {} })
  const one = await mountHangFs(t, join(backing, 'backing'))
  const two = await mountHangFs(t, join(backing, 'backing'))
  writeFileSync(join(one.path, 'file'), 'text')
  t.equal(readFileSync(join(two.path, 'file'), 'utf8'), 'text')
  t.throws(() => writeFileSync(join(two.path, 'file'), '', { flag: 'wx' }), { code: 'EEXIST' })
  utimesSync(join(one.path, 'file'), 1, 2_000_000_000.25)
  t.equal(statSync(join(two.path, 'file')).mtimeMs, 2_000_000_000_250)
  mkdirSync(join(two.path, 'dir'))
  t.ok(existsSync(join(one.path, 'dir')))
  t.match(await one.counts(process.pid), { utimens: 1, create: 1 })
  await one.unmount()
  t.notOk(existsSync(join(one.path, 'file')))
})

t.test('hangfs: calls of one process wait until released, or until it is killed', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const backing = t.testdir({ file: '', other: '' })
  const mounted = await mountHangFs(t, backing)
  const touch = (name: string) => {
    const script = 'const fs = require("fs"); fs.utimes(process.argv[1], 1, 1, () => {})'
    const child = start([process.execPath, '-e', script, join(mounted.path, name)])
    return { pid: child.pid ?? 0, child, ended: closed(child) }
  }
  await mounted.hang('all', ['utimens'])
  const killed = touch('other')
  await until('it waits', async () => (await mounted.waiting()) === 1)
  killed.child.kill('SIGKILL')
  t.match(await killed.ended, [null, 'SIGKILL'])
  t.equal(await mounted.waiting(), 0)
  t.not(statSync(join(backing, 'other')).mtimeMs, 1000, 'a call that was given up did not happen')
  const freed = touch('file')
  await until('it waits', async () => (await mounted.waiting()) === 1)
  await mounted.release()
  t.match(await freed.ended, [0])
  t.equal(statSync(join(backing, 'file')).mtimeMs, 1000, 'a call that was released happened')
  await mounted.hang([killed.pid])
  utimesSync(join(mounted.path, 'file'), 2, 2)
  t.equal(statSync(join(backing, 'file')).mtimeMs, 2000, 'the others go on')
})

t.test('hangfs: full disk and broken disk', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const mounted = await mountHangFs(t, t.testdir({ file: '' }))
  const file = join(mounted.path, 'file')
  await mounted.fillUp('all')
  t.throws(() => writeFileSync(join(mounted.path, 'new'), ''), { code: 'ENOSPC' })
  utimesSync(file, 1, 1)
  await mounted.release()
  await mounted.failWithEio([process.pid], ['utimens'])
  t.throws(() => utimesSync(file, 1, 1), { code: 'EIO' })
  await mounted.release()
  utimesSync(file, 1, 1)
})

/** Node has no name for EDQUOT. */
const OVER_QUOTA = { code: /^(UNKNOWN|Unknown system error -122)$/ }

t.test('hangfs: a quota is told by its error alone, and freed space counts', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const { path, fill } = await fullGround(t, 'quota', { megabytes: 1, files: 20 })
  writeFileSync(join(path, 'before'), 'x'.repeat(100_000))
  const free = fill(8192)
  writeFileSync(join(path, 'new'), 'x'.repeat(8192))
  t.throws(() => writeFileSync(join(path, 'more'), 'x'), OVER_QUOTA)
  t.equal(statSync(join(path, 'more')).size, 0, 'a name costs no bytes')
  writeFileSync(join(path, 'before'), 'y', { flag: 'r+' })
  utimesSync(join(path, 'before'), 1, 1)
  const { bavail, bsize } = statfsSync(path)
  t.ok(bavail * bsize > 2 * 1024 ** 2, 'the file system has room')
  free()
  writeFileSync(join(path, 'more'), 'x'.repeat(100_000))
  t.throws(() => {
    for (let i = 0; i < 30; i += 1) writeFileSync(join(path, `name-${i}`), '')
  }, OVER_QUOTA)
})

t.test('hosts reach each other over SSH, unless they should not', async (t) => {
  if (!hasParts(t, 'netns', 'sshd')) return
  const [one, two, three] = await makeHosts(t, ['one', 'two', 'three'])
  const keys = await makeSshKeys(join(testdirOf(t), 'keys'))
  await startSshServer(t, { keys, host: two })
  await startSshServer(t, { keys, host: three, wrongHostKey: true })
  const login = (target: string) => sshHostname(one, target, keys)
  t.match(await login('two'), { code: 0, stdout: 'two\n' })
  t.match(await login('three'), { code: 255, stderr: 'IDENTIFICATION HAS CHANGED' })
  t.notMatch(await run(['hostname']), { stdout: 'one\n' }, 'names stay inside')
  await two.setLink('down')
  t.match(await login('two'), { code: 255 })
  await two.setLink('up')
  await until('the cable is in again', async () => (await login('two')).code === 0)
  await two.powerOff()
  t.match(await login('two'), { code: 255 })
})

const sshHostname = (from: TestHost, target: string, keys: SshKeys) => {
  const script = `exec ssh ${keys.options} -o BatchMode=yes -- "$1" hostname`
  return from.run(['bash', '-c', script, 'bash', target])
}
