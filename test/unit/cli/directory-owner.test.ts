/** Who could put another directory in the cluster's place. */
import { mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { replaceable, type Step, stepsTo } from '../../../lib/cli/daemon/directory.ts'
import { testdirOf } from '../../support/testdir.ts'

const DIRECTORY = 0o040_000
const LINK = 0o120_777
const step = (path: string, uid: number, mode: number): Step => ({ path, uid, mode })

t.test('a directory that another user owns, or everybody may change, is told', (t) => {
  const told = (steps: Step[], own = 1000): string => replaceable(steps, own).join('; ')
  const own = step('/srv/tajo', 1000, DIRECTORY | 0o700)
  const root = step('/', 0, DIRECTORY | 0o755)
  t.equal(told([own, root, step('/tmp', 0, DIRECTORY | 0o1777)]), '', 'as it should be')
  t.match(
    told([root, step('/srv/x', 65_534, DIRECTORY | 0o755)]),
    /^\/srv\/x belongs to another user \(uid 65534\)/,
  )
  t.match(
    told([step('/srv/x', 65_534, DIRECTORY | 0o777)], 0),
    /belongs to another user/,
    'root too',
  )
  t.match(told([step('/srv', 0, DIRECTORY | 0o777)]), /^everybody may write into \/srv.*chmod o-w/)
  t.match(told([step('/srv/link', 1001, LINK)]), /belongs to another user/)
  t.equal(told([step('/srv/link', 1000, LINK)]), '', 'the mode of a link says nothing')
  t.end()
})

t.test('the way is looked at as it is written and where it leads', async (t) => {
  const home = realpathSync(testdirOf(t))
  mkdirSync(join(home, 'real', 'root'), { recursive: true })
  symlinkSync(join(home, 'real'), join(home, 'link'))
  const paths = (await stepsTo(join(home, 'link', 'root'))).map(({ path }) => path)
  for (const one of ['link', 'link/root', 'real', 'real/root', '.']) {
    t.ok(paths.includes(join(home, one)), one)
  }
  t.ok(paths.includes('/'))
  await t.rejects(stepsTo(join(home, 'none')), { code: 'ENOENT' })
})
