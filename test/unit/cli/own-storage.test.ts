/** What a daemon refuses of the shared directory: who could put something else in the cluster's place there. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { waitingClock } from '../../../lib/base/time.ts'
import { makeHaDirectory } from '../../../lib/cli/daemon/ha-directory.ts'
import { requireOwnSpill, requireOwnStorage } from '../../../lib/cli/daemon/own-storage.ts'
import { loadConfiguration } from '../../../lib/conf/index.ts'
import { mountHangFs } from '../../support/hangfs.ts'
import { siteXml } from '../../support/install.ts'
import { OTHER_USER } from '../../support/other-user.ts'
import { hasParts } from '../../support/parts.ts'
import { testdirOf } from '../../support/testdir.ts'

const DEEP = Number.POSITIVE_INFINITY

function world(t: Test, rootAt?: string) {
  const dir = testdirOf(t)
  const root = rootAt ?? join(dir, 'root')
  const at = (...names: string[]): string => join(root, ...names)
  for (const name of ['system/ha/active', 'system/catalog', 'warehouse/default']) {
    mkdirSync(at(name), { recursive: true, mode: 0o700 })
  }
  writeFileSync(at('system/ha/secret'), 'x', { mode: 0o600 })
  mkdirSync(join(dir, 'conf'))
  const confOf = (more: Readonly<Record<string, string>> = {}) => {
    writeFileSync(join(dir, 'conf/tajo-site.xml'), siteXml({ 'tajo.rootdir': root, ...more }))
    return loadConfiguration(join(dir, 'conf'), { env: { TAJO_HOME: dir }, userName: 'me' })
  }
  /** What is told, or refused. */
  const judge = async (more?: Readonly<Record<string, string>>, depth = DEEP): Promise<string> =>
    requireOwnStorage(await confOf(more), depth).then(
      (told) => told.join('\n'),
      (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
    )
  return { dir, root, at, judge, confOf }
}

const modeOf = (path: string): number => statSync(path).mode & 0o7777

t.test('rootdir, system and all below it are nobody else’s to write', async (t) => {
  const { root, at, judge } = world(t)
  t.equal(await judge(), '')
  const cases = [
    [root, 0o777, `chmod go-w ${root}`],
    [at('system'), 0o770, `chmod -R go-w ${at('system')}`],
    [at('system/ha/active'), 0o722, `chmod -R go-w ${at('system')}`],
    [at('system/ha/secret'), 0o666, `chmod -R go-w ${at('system')}`],
  ] as const
  for (const [path, mode, command] of cases) {
    const before = modeOf(path)
    chmodSync(path, mode)
    const said = await judge()
    t.match(
      said,
      `UNSAFE: tajo.rootdir ${path} is not this user's alone (mode 0${mode.toString(8)}`,
    )
    t.ok(said.endsWith(`Mend it: ${command}`), said)
    chmodSync(path, before)
    t.equal(await judge(), '')
  }
  chmodSync(root, 0o1777)
  t.equal(await judge(), '', 'as a tmpfs is made: others only add names')
  chmodSync(at('system'), 0o1777)
  t.match(await judge(), `${at('system')} is not this user's alone`)
  chmodSync(at('system'), 0o700)
  chmodSync(root, 0o700)
  chmodSync(at('system/ha/active'), 0o777)
  t.equal(await judge({}, 1), '', 'deeper than a worker reads')
})

t.test('nor another user’s', async (t) => {
  if (!hasParts(t, 'users')) return
  const { root, at, judge } = world(t)
  for (const path of [root, at('system'), at('system/ha/secret'), at('system/catalog')]) {
    chownSync(path, OTHER_USER, OTHER_USER)
    t.match(await judge(), `${path} is not this user's alone`)
    chownSync(path, 0, 0)
  }
  t.equal(await judge(), '')
  t.notOk(readdirSync(root).some((name) => name.startsWith('.whose')))
})

t.test('a rootdir of an earlier version starts, and system is closed', async (t) => {
  const { root, at, judge } = world(t)
  for (const name of ['', 'system', 'system/ha', 'warehouse']) chmodSync(at(name), 0o755)
  chmodSync(at('system/ha/secret'), 0o644)
  t.match(await judge(), `others could read ${at('system')} (mode 0755)`)
  t.equal(modeOf(at('system')), 0o700)
  t.equal(modeOf(root), 0o755, 'what the operator has made stays')
  t.equal(modeOf(at('warehouse')), 0o755, 'others may read tables')
  t.equal(await judge(), '', 'told once')
})

t.test('the warehouse is held to tajo.warehouse.umask', async (t) => {
  const { at, judge } = world(t)
  const warehouse = at('warehouse')
  const umask = (value: string): Promise<string> => judge({ 'tajo.warehouse.umask': value })
  chmodSync(warehouse, 0o775)
  t.match(await judge(), /tajo\.warehouse\.directory .*, or let them .*umask \(now 022\)$/)
  t.match(await umask('027'), 'now 027')
  t.equal(await umask('002'), '')
  chmodSync(warehouse, 0o777)
  t.match(await umask('002'), 'mode 0777')
  t.equal(await umask('000'), '')
  if (!hasParts(t, 'users')) return
  chownSync(warehouse, OTHER_USER, OTHER_USER)
  chmodSync(warehouse, 0o755)
  t.match(await judge(), `owner uid ${OTHER_USER}`)
  t.equal(await umask('002'), '', 'another owner, where the group may write')
})

t.test('where spilled rows go is this user’s alone', async (t) => {
  const { dir } = world(t)
  const spill = join(dir, 'spill')
  mkdirSync(spill, 0o700)
  await requireOwnSpill(spill)
  chmodSync(spill, 0o1777)
  await t.rejects(requireOwnSpill(spill), {
    message:
      /^tajo\.worker\.tmpdir\.locations .*mkdir -m 700 \S+\/spill\/tajo-\d+, and name that in /,
  })
})

t.test('nothing there yet is no danger', async (t) => {
  const { dir, judge } = world(t)
  t.equal(await judge({ 'tajo.rootdir': join(dir, 'none') }), '')
})

t.test('a mount that shows this user as another one, with one mode for all', async (t) => {
  if (!hasParts(t, 'hangfs', 'users')) return
  for (const options of ['uid=65534,umask=077', 'umask=0', 'uid=65534,umask=0']) {
    await t.test(options, async (t) => {
      const backing = mkdtempSync(join(tmpdir(), 'tajo-own-'))
      t.teardown(() => rmSync(backing, { recursive: true, force: true }))
      const { path } = await mountHangFs(t, backing, { options })
      const { judge } = world(t, path)
      const said = await judge()
      t.notMatch(said, 'UNSAFE')
      t.equal(said.includes('gives every file one mode'), !options.includes('077'), said)
      t.notOk(readdirSync(path).some((name) => name.startsWith('.whose')))
    })
  }
})

t.test('a long history keeps nobody from starting', async (t) => {
  const { at, confOf, judge } = world(t)
  chmodSync(at('system/ha/active'), 0o777)
  t.match(await judge(), 'UNSAFE')
  let nowMs = 0
  // Each look at the clock finds it two seconds later, as on a mount that takes its time.
  const slow = { ...waitingClock, nowMs: () => (nowMs += 2000) }
  const told = await requireOwnStorage(await confOf(), DEEP, slow)
  t.match(told, [/was not looked at to its end: after 1 files and directories the start goes on/])
  t.ok(nowMs < 10_000, 'long before a mount counts as hanging')
})

t.test('a link in place of system, or below it, is judged with what it leads to', async (t) => {
  const { dir, at, judge } = world(t)
  const moved = join(dir, 'moved')
  rmSync(at('system/catalog'), { recursive: true })
  symlinkSync(moved, at('system/catalog'))
  symlinkSync('.', at('system/ha/loop'))
  t.equal(await judge(), '', 'a link that leads nowhere, and one that leads back')
  mkdirSync(join(moved, 'term'), { recursive: true, mode: 0o700 })
  t.equal(await judge(), '', 'an operator may have moved it')
  for (const open of [moved, join(moved, 'term')]) {
    chmodSync(open, 0o777)
    const said = await judge()
    t.match(said, `UNSAFE: tajo.rootdir ${open} is not this user's alone (mode 0777`)
    t.ok(said.endsWith(`Mend it: chmod -R go-w ${moved}`), said)
    chmodSync(open, 0o700)
  }
  renameSync(at('system'), join(dir, 'all'))
  symlinkSync(join(dir, 'all'), at('system'))
  t.equal(await judge(), '')
  for (const open of [join(dir, 'all'), join(dir, 'all/ha/secret')]) {
    chmodSync(open, 0o707)
    t.match(await judge(), `UNSAFE: tajo.rootdir ${open} is not this user's alone (mode 0707`)
    chmodSync(open, 0o700)
  }
  if (!hasParts(t, 'users')) return
  lchownSync(at('system'), OTHER_USER, OTHER_USER)
  t.match(await judge(), `Mend it: rm ${at('system')}`)
})

t.test('a mount below a rootdir of another kind', async (t) => {
  if (!hasParts(t, 'hangfs', 'users')) return
  const { dir, root, at, judge } = world(t)
  rmSync(at('system'), { recursive: true })
  chmodSync(root, 0o1777)
  const backing = join(dir, 'backing')
  mkdirSync(join(backing, 'ha'), { recursive: true })
  await mountHangFs(t, backing, { path: at('system'), options: 'uid=65534,umask=077' })
  t.equal(statSync(at('system')).uid, OTHER_USER)
  t.equal(await judge(), '', 'its user is shown as another one')
  mkdirSync(at('warehouse/x'))
  t.notOk(readdirSync(at('system')).some((name) => name.startsWith('.whose')))
})

t.test('what another user makes between the look and the making is refused', async (t) => {
  if (!hasParts(t, 'users')) return
  const { dir, root, at, confOf } = world(t)
  rmSync(at('system'), { recursive: true })
  for (const one of [dir, root]) chmodSync(one, one === root ? 0o1777 : 0o755)
  const conf = await confOf()
  // The warehouse's name is asked for when `system` has been looked at.
  const meanwhile = new Proxy(conf, {
    get: (_, name) => {
      if (name !== 'get') return Reflect.get(conf, name).bind?.(conf) ?? Reflect.get(conf, name)
      return (key: Parameters<typeof conf.get>[0]) => {
        if (key === 'tajo.warehouse.directory' && !existsSync(at('system'))) plant()
        return conf.get(key)
      }
    },
  })
  const plant = (): void => {
    mkdirSync(at('system/ha'), { recursive: true })
    for (const one of ['system', 'system/ha']) chownSync(at(one), OTHER_USER, OTHER_USER)
    chmodSync(at('system'), 0o777)
  }
  const start = { conf: meanwhile, home: dir, userName: 'me' }
  await t.rejects(
    makeHaDirectory(at('system/ha'), start, () => {}),
    {
      code: 'UNSAFE',
      message: /\/system is not this user's alone \(mode 0777, owner uid 65534/,
    },
  )
})
