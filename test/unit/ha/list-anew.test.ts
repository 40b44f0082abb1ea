/** A directory that a mount remembers as missing is found all the same, and what is there costs one call. */
import { join } from 'node:path'
import t from 'tap'
import { listAnew } from '../../../lib/ha/world/directories.ts'

t.test('a directory that a mount remembers as missing is found by those above it', async (t) => {
  const shown: Record<string, string[]> = { '/': ['shared'], '/shared': ['system'] }
  const made: Record<string, string[]> = {
    '/shared/system': ['catalog'],
    '/shared/system/catalog': ['epoch-1'],
  }
  const asked: string[] = []
  // As on NFS: what was made elsewhere appears when the directory above it has been read.
  const readdir = async (path: string): Promise<string[]> => {
    asked.push(path)
    const names = shown[path]
    if (names === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
    for (const name of names) {
      const inner = join(path, name)
      if (made[inner] !== undefined) shown[inner] = made[inner]
    }
    return names
  }
  t.same(await listAnew('/shared/system/catalog', readdir), ['epoch-1'])
  asked.length = 0
  t.same(await listAnew('/shared/system/catalog', readdir), ['epoch-1'])
  t.same(asked, ['/shared/system/catalog'], 'where nothing is missing nobody reads more')
  await t.rejects(listAnew('/shared/other/catalog', readdir), { code: 'ENOENT' })
})
