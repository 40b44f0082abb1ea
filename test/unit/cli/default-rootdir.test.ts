/**
 * Where a cluster's files lie by default, where there is no default, and a start that would begin with an empty catalog
 * though one of this user's stands beside it. Places of /tmp are a directory of the test.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { makeDefaultRootdir, requireRootdir } from '../../../lib/cli/daemon/default-rootdir.ts'
import {
  leaveTrace,
  noteLoaded,
  refuseLost,
  requireNoOtherCatalog,
} from '../../../lib/cli/daemon/other-catalogs.ts'
import { buildConfiguration, type Configuration } from '../../../lib/conf/index.ts'
import { siteXml } from '../../support/install.ts'

const USER = 'ann'
const CLUSTER = '3df70c1c-ecca-43a3-9506-0454005643fd'

/** An install with its parent, and a place for what used to be in /tmp. */
function world(t: Test) {
  const dir = t.testdir({ tmp: {}, installs: {} })
  const home = install(join(dir, 'installs', 'tajo-2'))
  const tmp = join(dir, 'tmp')
  const conf = (site: Readonly<Record<string, string>> = {}): Configuration =>
    confOf(home, { 'tajo.master.ha.enable': 'true', ...site })
  const refusal = (site: Readonly<Record<string, string>> = {}): string =>
    messageOf(() => requireNoOtherCatalog({ conf: conf(site), home, userName: USER, tmp }))
  const start = (site: Readonly<Record<string, string>> = {}) => ({
    conf: conf(site),
    home,
    userName: USER,
    tmp,
  })
  return { dir, home, tmp, conf, refusal, start }
}

function install(home: string): string {
  file(join(home, 'package.json'), '{\n  "name": "tajo-ha"\n}\n')
  return home
}

const confOf = (home: string, site: Readonly<Record<string, string>>): Configuration =>
  buildConfiguration(
    {
      confDir: '/conf',
      tajoSite: { file: '/conf/tajo-site.xml', text: siteXml(site) },
      catalogSite: null,
    },
    { env: { TAJO_HOME: home }, userName: USER },
  )

function file(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** The sentence of what is thrown, empty for nothing. */
function messageOf(run: () => void): string {
  try {
    run()
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

const shared = (root: string): void =>
  file(join(root, 'system/catalog/epoch-0000000003/snapshot-0000000001'))
const derby = (directory: string): void => file(join(directory, 'tajo-catalog.duckdb'))

t.test('data in the install, but not under node_modules, nor in what is not ours', async (t) => {
  const { dir, home, conf } = world(t)
  t.equal(conf().get('tajo.rootdir'), join(home, 'data'))
  t.equal(conf().get('tajo.worker.tmpdir.locations')[0], join(home, 'data/tmpdir'))
  requireRootdir(conf(), home)

  const global = install(join(dir, 'lib/node_modules/tajo-ha'))
  t.match(
    messageOf(() => requireRootdir(confOf(global, {}), global)),
    /^tajo.rootdir is not set, .* lies under node_modules.*\/conf\/tajo-site.xml/,
  )
  requireRootdir(confOf(global, { 'tajo.rootdir': '/srv/tajo' }), global)
  t.match(
    messageOf(() => requireRootdir(confOf('/proc', {}), '/proc/1')),
    process.getuid?.() === 0 ? /can't be written/ : /another user|can't be written/,
  )
  if (process.getuid?.() === 0) {
    const { chownSync } = await import('node:fs')
    chownSync(home, 12345, 12345)
    t.match(
      messageOf(() => requireRootdir(conf(), home)),
      /another user \(uid 12345\)/,
    )
  }
})

t.test('an empty new default beside a cluster of this user', async (t) => {
  const cases: [string, (w: ReturnType<typeof world>) => string][] = [
    ['the old default', ({ tmp }) => join(tmp, `tajo-${USER}`)],
    ['another version', ({ dir }) => join(install(join(dir, 'installs/tajo-1')), 'data')],
  ]
  for (const [name, placeIn] of cases) {
    const w = world(t)
    t.equal(w.refusal(), '', `${name}: nothing is there yet`)
    const place = placeIn(w)
    shared(place)
    const text = w.refusal()
    t.match(text, `Set tajo.rootdir to ${place} in /conf/tajo-site.xml, or`, name)
    t.match(
      text,
      `run 'mv -T ${place} ${w.home}/data && ln -sT ${w.home}/data ${place}' to move it`,
    )
    t.equal(w.refusal({ 'tajo.rootdir': join(w.dir, 'new') }), '', 'the key says where')
    t.match(w.refusal({ 'tajo.master.ha.enable': 'false' }), /empty catalog/, 'without HA, too')
    shared(join(w.home, 'data'))
    t.equal(w.refusal(), '', 'the new place is not empty')
  }
})

/** Runs the command line that a refusal names. */
function follow(t: Test, refusal: string): void {
  const line = /run '((?:mv|mkdir) [^']+)'/.exec(refusal)?.[1] ?? `false # ${refusal}`
  t.equal(spawnSync('/bin/sh', ['-c', line]).status, 0, line)
}

t.test('a refused start makes no default directory, and its advice can be followed', async (t) => {
  const { dir, home, refusal, start } = world(t)
  const data = join(home, 'data')
  const place = join(install(join(dir, 'installs/tajo-1')), 'data')
  shared(place)
  await t.rejects(makeDefaultRootdir(start()), { name: 'OtherCatalogError', message: /mv -T/ })
  t.notOk(existsSync(data), 'a master and a worker leave none behind')
  follow(t, refusal())
  t.equal(refusal(), '')
  t.ok(existsSync(join(data, 'system/catalog')))
  await makeDefaultRootdir(start())
  t.ok(existsSync(join(place, 'system/catalog')), 'files are found by the path that tables know')

  rmSync(place)
  renameSync(data, place)
  file(join(data, 'tmpdir/worker/spilt'))
  mkdirSync(join(data, 'system/ha'), { recursive: true })
  follow(t, refusal())
  t.ok(existsSync(join(data, 'system/catalog')), 'what a start of before has left is in no way')
  t.equal(refusal(), '')
})

t.test('a root directory that was moved into its place is found there', async (t) => {
  const { dir, home, refusal } = world(t)
  const sites: Record<string, string>[] = [
    {},
    { 'tajo.master.ha.enable': 'false' },
    { 'tajo.rootdir': join(dir, 'set') },
  ]
  for (const site of sites) {
    const root = site['tajo.rootdir'] ?? join(home, 'data')
    rmSync(root, { recursive: true, force: true })
    mkdirSync(join(root, 'system/ha'), { recursive: true })
    const isShared = site['tajo.master.ha.enable'] === undefined
    if (isShared) shared(join(root, 'data'))
    else derby(join(root, 'data/system/derby'))
    t.match(refusal(site), `with a cluster in it, lies inside of it: ${root}/data.`)
    follow(t, refusal(site))
    t.ok(existsSync(join(root, isShared ? 'system/catalog' : 'system/derby')))
    t.equal(refusal(site), '')
    rmSync(`${root}.before`, { recursive: true })
  }
})

t.test('a Derby catalog of /tmp that is moved, or was moved into its place', async (t) => {
  const { home, tmp, refusal, start } = world(t)
  const off = { 'tajo.master.ha.enable': 'false' }
  const place = join(home, 'data/system/derby')
  derby(join(tmp, `tajo-catalog-${USER}/db`))
  await t.rejects(makeDefaultRootdir(start(off)), { name: 'OtherCatalogError' })
  follow(t, refusal(off))
  t.equal(refusal(off), '')
  renameSync(place, `${place}.moved`)
  mkdirSync(place)
  renameSync(`${place}.moved`, join(place, 'db'))
  t.match(refusal(off), `a catalog (DerbyStore) lies inside of its place: ${place}/db`)
  follow(t, refusal(off))
  t.equal(refusal(off), '')
  t.ok(existsSync(join(place, 'tajo-catalog.duckdb')))
})

t.test(
  'a default directory is made for its user alone; one that is there stays as it is',
  async (t) => {
    const { home, start } = world(t)
    const data = join(home, 'data')
    await makeDefaultRootdir(start())
    t.equal(statSync(data).mode & 0o777, 0o700)
    chmodSync(data, 0o755)
    await makeDefaultRootdir(start())
    t.equal(statSync(data).mode & 0o777, 0o755, 'who may read is its user’s business')
  },
)

t.test('what another user planted is no reason', async (t) => {
  if (process.getuid?.() !== 0) return
  const { chownSync, lchownSync } = await import('node:fs')
  const { dir, tmp, refusal } = world(t)
  const place = join(tmp, `tajo-${USER}`)
  const elsewhere = join(dir, 'elsewhere')
  shared(elsewhere)
  symlinkSync(elsewhere, place)
  lchownSync(place, 12345, 12345)
  t.equal(refusal(), '', 'a link of somebody else’s to what is ours')
  rmSync(place)
  symlinkSync(elsewhere, place)
  chownSync(elsewhere, 12345, 12345)
  t.equal(refusal(), '', 'a link of ours to what is somebody else’s')
  rmSync(place)
  shared(place)
  t.not(refusal(), '')
  chownSync(place, 12345, 12345)
  t.equal(refusal(), '')
})

t.test('another version’s data that is a link, and an install that is reached by one', (t) => {
  const beside = world(t)
  const elsewhere = join(beside.dir, 'disk/tajo')
  shared(elsewhere)
  const linked = join(install(join(beside.dir, 'installs/tajo-1')), 'data')
  symlinkSync(elsewhere, linked)
  t.match(beside.refusal(), `Set tajo.rootdir to ${linked} in /conf/tajo-site.xml, or`)

  rmSync(linked)
  symlinkSync(join(beside.dir, 'not mounted'), linked)
  t.equal(beside.refusal(), '', 'a link to nothing')
  rmSync(linked)
  mkdirSync(beside.home, { recursive: true })
  symlinkSync(beside.home, join(beside.dir, 'installs/current'))
  t.equal(beside.refusal(), '', 'another name of this very install')

  const { home, dir, tmp } = world(t)
  const old = join(install(join(dir, 'installs/tajo-1')), 'data')
  shared(old)
  const current = join(dir, 'current')
  symlinkSync(home, current)
  const conf = confOf(current, { 'tajo.master.ha.enable': 'true' })
  const start = { conf, home: current, userName: USER, tmp }
  t.match(
    messageOf(() => requireNoOtherCatalog(start)),
    `Set tajo.rootdir to ${old}`,
  )
  t.end()
})

t.test('high availability switched on, and off: another store is the default', async (t) => {
  const { dir, tmp, conf, refusal } = world(t)
  const root = join(dir, 'root')
  const on = { 'tajo.rootdir': root }
  const off = { ...on, 'tajo.master.ha.enable': 'false' }
  t.equal(refusal(on), '')
  t.equal(refusal(off), '')

  derby(join(root, 'system/derby'))
  t.match(refusal(on), `a master without high availability has kept a catalog there: ${root}`)
  t.match(refusal(on), /catalog dump FILE.*catalog load FILE/)
  t.equal(refusal(off), '')
  rmSync(root, { recursive: true })

  shared(root)
  t.match(refusal(off), /masters with high availability have kept a catalog.*to SharedStore/)
  t.equal(refusal(on), '')
  rmSync(root, { recursive: true })

  derby(join(tmp, `tajo-catalog-${USER}/db`))
  t.equal(refusal(on), '', 'nothing says that it is of this root directory')
  file(join(root, 'system/ha/secret'))
  t.match(refusal(on), /tajo.catalog.uri jdbc:derby:.*create=true/)
  t.match(refusal(off), `mv -T ${tmp}/tajo-catalog-${USER}/db ${root}/system/derby' to move it`)
  file(join(root, 'system/ha/cluster.json'))
  t.equal(refusal(on), '', 'masters with high availability have formed their cluster')

  leaveTrace(conf(off))
  leaveTrace(conf(off))
  t.match(refusal(on), /last used by a master without high availability.*"DerbyStore"/)
  t.equal(refusal({ ...on, 'tajo.catalog.store.class': 'DerbyStore' }), '', 'the same catalog')
  t.notOk(existsSync(join(root, 'system/ha/single-catalog')), 'and it is the cluster’s from now')
  leaveTrace(conf(off))
  noteLoaded(conf(on))
  t.equal(refusal(on), '')
  t.ok(statSync(root).isDirectory())
})

t.test('high availability switched off beside an older catalog of the single master', (t) => {
  const { dir, conf, refusal } = world(t)
  const root = join(dir, 'root')
  const off = { 'tajo.rootdir': root, 'tajo.master.ha.enable': 'false' }
  derby(join(root, 'system/derby'))
  const formed = (name: string, uri: string): void => {
    const catalog = { class: name, uri }
    const cluster = {
      format: 4,
      clusterId: CLUSTER,
      catalog,
      createdAt: '2026-11-28T00:00:00.000Z',
    }
    file(join(root, 'system/ha/cluster.json'), JSON.stringify(cluster))
  }
  formed('SharedStore', 'jdbc:derby:/any')
  shared(root)
  t.match(refusal(off), /was last used by masters with high availability.*"SharedStore"/)
  t.match(refusal(off), /catalog dump FILE.*catalog load --force FILE.*-formatHA/)
  t.equal(
    refusal({ ...off, 'tajo.catalog.store.class': 'SharedStore' }),
    '',
    'theirs is gone on with',
  )
  formed('PostgreSQLStore', 'jdbc:postgresql://db/tajo')
  t.match(refusal(off), /"PostgreSQLStore"/)
  const database = { ...off, 'tajo.catalog.store.class': 'PostgreSQLStore' }
  t.equal(refusal({ ...database, 'tajo.catalog.uri': 'jdbc:postgresql://ann:x@db/tajo' }), '')
  t.match(refusal({ ...database, 'tajo.catalog.uri': 'jdbc:postgresql://db/other' }), /another one/)
  noteLoaded(conf(off))
  t.equal(refusal(off), '', 'what was loaded is gone on with')
  t.end()
})

t.test(
  'a catalog that was removed: its trace, or what queries have written, tell of it',
  async (t) => {
    const { dir, home, conf, refusal } = world(t)
    const root = join(dir, 'root')
    const on = { 'tajo.rootdir': root }
    const off = { ...on, 'tajo.master.ha.enable': 'false' }
    const lost = (site: Readonly<Record<string, string>>, term = 0): string =>
      messageOf(() => refuseLost({ conf: conf(site), home, userName: USER }, term))
    file(join(root, 'warehouse/default/t/part-0.csv'))
    file(join(root, 'warehouse/stray'))
    t.equal(refusal(on), '', 'an external table says nothing')
    t.equal(lost(off), '')

    file(join(root, 'warehouse/default/t/data-q_1-1-1/part-0.parquet'))
    for (const site of [on, off]) {
      t.match(refusal(site), `${root}/warehouse/default/t/data-q_1-1-1 was written by a query`)
      t.match(refusal(site), `for a new cluster move ${root}/warehouse away`)
    }
    const database = {
      ...off,
      'tajo.catalog.store.class': 'PostgreSQLStore',
      'tajo.catalog.uri': 'jdbc:postgresql://db/x',
    }
    t.equal(refusal(database), '', 'a database is asked first')
    t.match(lost(database), /was written by a query/, 'it knows of nothing')
    t.equal(lost(database, 3), '', 'it was opened before')
    file(join(root, 'system/ha/cluster.json'))
    t.equal(refusal(on), '', 'the history of terms tells what must be there')

    rmSync(root, { recursive: true })
    file(join(root, 'system/ha/secret'))
    leaveTrace(conf(database))
    t.match(
      lost(database),
      /the one that was served here is gone .*\/system\/ha\/single-catalog says/,
    )
    t.equal(lost(off), '', 'the trace is of another one')
  },
)
