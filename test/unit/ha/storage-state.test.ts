/** Where no master runs, a look at the directory says first what is wrong with its storage, from mount and statfs alone. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { inspectDirectory } from '../../../lib/ha/directory/inspect.ts'
import { mountOf } from '../../../lib/ha/world/file-system.ts'
import { FULLNESS, fullGround, mountTmpfs } from '../../support/full-ground.ts'
import { hasParts } from '../../support/parts.ts'

const problemOf = async (root: string): Promise<string | null> =>
  (await inspectDirectory(`${root}/system/ha`, { watchMs: 0 })).problem

t.test('never started on it, and it is full', async (t) => {
  if (!hasParts(t, 'netns')) return
  for (const what of FULLNESS.filter((one) => one !== 'quota')) {
    const ground = await fullGround(t, what, { megabytes: 1, files: 100 })
    t.match(await problemOf(ground.path), /^\S+ holds no HA directory/)
    const free = ground.fill()
    const left = what === 'bytes' ? '0 bytes' : '0 inodes'
    t.match(
      await problemOf(ground.path),
      new RegExp(
        `^the file system of \\S+ \\(mounted at ${ground.path}\\) is full: ${left} are left`,
      ),
    )
    free()
  }
})

t.test('never started on it, and it is read-only', async (t) => {
  if (!hasParts(t, 'netns')) return
  const path = mountTmpfs(t, 'size=1m')
  execFileSync('mount', ['-o', 'remount,ro', path])
  t.match(await problemOf(path), /^the file system of \S+ .* is read-only \(EROFS\); \S+ holds no/)
})

t.test('read-only is told of a mount, of its file system, and after an error', async (t) => {
  const line = (own: string, all: string) => `30 22 0:40 / /mnt ${own} - ext4 /dev/vdb ${all}\n`
  const isReadOnly = (own: string, all: string) => mountOf('/mnt/x', line(own, all))?.isReadOnly
  t.equal(isReadOnly('rw,relatime', 'rw,errors=remount-ro'), false)
  t.equal(isReadOnly('ro,relatime', 'rw'), true)
  t.equal(isReadOnly('rw,relatime', 'ro'), true)
  t.equal(isReadOnly('rw,relatime', 'rw,errors=remount-ro,emergency_ro'), true)
})
