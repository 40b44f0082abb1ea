/** A directory that becomes another one under a process that has joined it, as far as one user without mounts can make it. */
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountWatch, placeOf } from '../../../lib/ha/keeper/mount-watch.ts'

const ours = async (): Promise<boolean> => true
const others = async (): Promise<boolean> => false

t.test('a symbolic link on the way leads elsewhere', async (t) => {
  const dir = t.testdir({ a: { ha: {} }, b: { ha: {} } })
  const link = join(dir, 'link')
  const lead = (to: string): void => {
    rmSync(link, { force: true })
    symlinkSync(join(dir, to), link)
  }
  lead('a')
  const said: string[] = []
  const watch = new MountWatch(await placeOf(join(link, 'ha')), (_, text) => void said.push(text))
  const { name } = watch
  t.equal(await watch.trouble(others), null)
  lead('b')
  t.match(
    await watch.trouble(others),
    /link\/ha led to \S+\/a\/ha when this master joined it, and leads to \S+\/b\/ha now, .*put the symbolic link back; nothing is claimed/,
  )
  t.equal(watch.name, name)
  lead('a')
  t.equal(await watch.trouble(others), null, 'it is back')
  lead('b')
  t.equal(await watch.trouble(ours), null, 'where it shows the same cluster it is taken for ours')
  t.not(watch.name, name, 'and what was proven of the other place proves nothing of it')
  t.match(said, [/leads to \S+\/b\/ha now, and is ours/])
})

t.test('another directory of that name in the same mount', async (t) => {
  const dir = t.testdir({ ha: {} })
  const path = join(dir, 'ha')
  const watch = new MountWatch(await placeOf(path), () => {})
  renameSync(path, join(dir, 'old'))
  t.equal(await watch.trouble(others), null, 'its absence is no matter of the mount')
  mkdirSync(path)
  t.match(await watch.trouble(others), /is another directory than the one that this master joined/)
  t.equal(await watch.trouble(ours), null)
})
