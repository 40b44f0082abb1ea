/**
 * A start that would begin with an empty catalog, although one of this user stands where it would be looked for: another
 * store of the same `tajo.rootdir` (high availability was switched on or off, and the default store is another one), an
 * old default in /tmp, the `data` of another version's install beside this one. Nothing is lost then, but all tables seem
 * to be gone: so the start is refused, naming what was found and the ways on.
 *
 * A default root directory that is not there yet is not made before that is known: the way on may be to move the other one
 * to its place.
 *
 * The same where no other catalog is found, but something says that there was one here: the trace of a master without high
 * availability, or what queries have written into the warehouse. Files were removed then, be it all of `system/`.
 *
 * Only what belongs to this user counts: a directory that somebody else planted is no reason to refuse.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CATALOG_FILE, OWN_PREFIX, parseDerby } from '../../catalog/index.ts'
import type { Configuration } from '../../conf/index.ts'
import { decodeClusterLoosely } from '../../ha/index.ts'
import { quoteWord } from '../env-file.ts'
import { withoutCredentials } from './configured-store.ts'

export interface Start {
  readonly conf: Configuration
  /** TAJO_HOME. */
  readonly home: string
  readonly userName: string
  /** Where the old defaults were; /tmp but for tests. */
  readonly tmp?: string
}

/** What a master without high availability leaves in the HA directory: which catalog it served. */
const TRACE = 'single-catalog'

/** A start would begin with an empty catalog beside another one. */
export class OtherCatalogError extends Error {
  override readonly name = 'OtherCatalogError'
}

/**
 * For masters and workers, before they make anything in a default root directory in which nothing is yet: a refused start
 * leaves none behind. Rejects with OtherCatalogError, or where the directory can't be read.
 */
export async function requireNoOtherPlace(start: Start): Promise<void> {
  const { conf } = start
  if (conf.isSet('tajo.rootdir')) return
  const names = await readdir(conf.get('tajo.rootdir')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (names.length > 0) return
  refuseBeside(start, atOldDerby(start) ?? atOldPlace(start))
}

/** Throws an Error that names what was found. To be called when the root directory is known to answer. */
export function requireNoOtherCatalog(start: Start): void {
  const { conf } = start
  refuseTraced(start)
  refuseFormed(start)
  if (!isEmpty(conf) || isFormed(conf)) return
  refuseBeside(
    start,
    beside(start) ?? inside(start) ?? atOldDerby(start) ?? atOldPlace(start) ?? lostHere(start),
  )
}

function refuseBeside({ conf }: Start, found: string | null): void {
  if (found !== null) throw new OtherCatalogError(`${beginsEmpty(conf)}, but ${found}`)
}

/** What was loaded is the catalog to go on with, whoever served another one before. */
export function noteLoaded(conf: Configuration): void {
  if (conf.get('tajo.master.ha.enable')) removeTrace(conf)
  else leaveTrace(conf)
}

const beginsEmpty = (conf: Configuration): string =>
  `this start would begin with an empty catalog (${nameOf(conf)} of tajo.rootdir ${conf.get('tajo.rootdir')})`

/** A master without high availability has served the catalog of this very configuration: it must be there. */
export const isTraced = (conf: Configuration): boolean =>
  readText(tracePath(conf)) === traceOf(conf)

/**
 * Throws an Error with the way back. To be called with the newest term that the configured catalog knows, 0 for a catalog
 * that nobody has ever opened.
 */
export function refuseLost(start: Start, term: number): void {
  const lost = term > 0 ? null : lostHere(start)
  if (lost !== null) throw new Error(`${beginsEmpty(start.conf)}, but ${lost}`)
}

/** What says that there was a catalog where none is. */
const lostHere = (start: Start): string | null =>
  isTraced(start.conf)
    ? `the one that was served here is gone (${tracePath(start.conf)} says that it was): put it back from a backup, or 'tajo catalog load FILE' a dump; where it was removed on purpose, remove that file as well`
    : inWarehouse(start)

/** Leaves it for the next start with another catalog. Called by a master without high availability when it serves. */
export function leaveTrace(conf: Configuration): void {
  const path = tracePath(conf)
  const text = traceOf(conf)
  if (readText(path) === text) return
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  rmSync(path, { force: true })
  writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
}

/** The catalog of the configuration is the one to go on with. */
const removeTrace = (conf: Configuration): void => rmSync(tracePath(conf), { force: true })

const tracePath = (conf: Configuration): string =>
  join(conf.get('tajo.rootdir'), 'system', 'ha', TRACE)

const traceOf = (conf: Configuration): string => `${JSON.stringify(describe(conf))}\n`

const describe = (conf: Configuration): { class: string; uri: string } => ({
  class: conf.get('tajo.catalog.store.class'),
  uri: withoutCredentials(conf.get('tajo.catalog.uri')),
})

const nameOf = (conf: Configuration): string => conf.get('tajo.catalog.store.class')

function refuseTraced({ conf }: Start): void {
  if (!conf.get('tajo.master.ha.enable')) return
  const text = readText(tracePath(conf))
  if (text === null) return
  const ours = describe(conf)
  if (text === traceOf(conf)) {
    removeTrace(conf)
    return
  }
  const theirs = text.trim()
  throw new Error(
    `tajo.rootdir ${conf.get('tajo.rootdir')} was last used by a master without high availability, with the catalog ${theirs}; with high availability the configuration names ${JSON.stringify(ours)}, and its tables would be missing. ${TAKE_OVER}; or, if its tables are not wanted, remove ${tracePath(conf)}`,
  )
}

/**
 * The other way round: masters with high availability were here last, and an older catalog of the single master's would
 * be served as if it were theirs.
 */
function refuseFormed({ conf }: Start): void {
  if (conf.get('tajo.master.ha.enable') || readText(tracePath(conf)) !== null) return
  const file = join(conf.get('tajo.rootdir'), 'system', 'ha', 'cluster.json')
  const text = readText(file)
  // One that is missing or torn is for the election to judge.
  const theirs = text === null ? null : (decodeClusterLoosely(text)?.catalog ?? null)
  const ours = describe(conf)
  if (theirs === null) return
  const isOurs = ours.class === 'SharedStore' || theirs.uri.startsWith(ours.uri)
  if (theirs.class === ours.class && isOurs) return
  throw new Error(
    `tajo.rootdir ${conf.get('tajo.rootdir')} was last used by masters with high availability, with the catalog ${JSON.stringify(theirs)} (${file}); without it the configuration names ${JSON.stringify(ours)}, which is another one. To take theirs over run 'tajo catalog dump FILE' with tajo.master.ha.enable true, as it was, then 'tajo catalog load --force FILE' with it false, and start; or set tajo.catalog.store.class and tajo.catalog.uri as theirs; or, if their tables are not wanted, run 'tajo haadmin -formatHA' with it true`,
  )
}

const TAKE_OVER =
  "To take them over run 'tajo catalog dump FILE' with tajo.master.ha.enable false, as it was, then 'tajo catalog load FILE' with it true, and start"

/** Whether nothing is kept yet where this configuration keeps its catalog; false for a database, which is asked later. */
function isEmpty(conf: Configuration): boolean {
  switch (nameOf(conf)) {
    case 'SharedStore':
      return !holdsShared(conf.get('tajo.rootdir'))
    case 'DerbyStore':
      return !exists(parseDerby(conf.get('tajo.catalog.uri')).file)
    default:
      return false
  }
}

/** With high availability its catalog was chosen at the first start, and a format is the word of an operator. */
function isFormed(conf: Configuration): boolean {
  if (!conf.get('tajo.master.ha.enable')) return false
  const ha = join(conf.get('tajo.rootdir'), 'system', 'ha')
  return exists(join(ha, 'cluster.json')) || namesIn(join(ha, 'history')).length > 0
}

/** Tells the other store of the same root directory. */
function beside({ conf }: Start): string | null {
  const root = conf.get('tajo.rootdir')
  if (nameOf(conf) === 'DerbyStore' && holdsShared(root)) {
    return `masters with high availability have kept a catalog there: ${join(root, 'system', 'catalog')} (SharedStore). Set tajo.catalog.store.class to SharedStore or tajo.master.ha.enable to true, and it is gone on with; or, if it is not wanted, move it away`
  }
  const derby = join(root, 'system', 'derby')
  if (nameOf(conf) === 'SharedStore' && holdsDerby(derby)) {
    return `a master without high availability has kept a catalog there: ${derby} (DerbyStore). ${TAKE_OVER}; or, if it is not wanted, move it away`
  }
  return null
}

/** What was moved into the place where it belongs, instead of to it: `mv` does so where that is there already. */
function inside({ conf }: Start): string | null {
  const root = conf.get('tajo.rootdir')
  const [place] = directoriesIn(root).filter(
    (one) => basename(one) !== 'system' && holdsCluster(one),
  )
  if (place !== undefined) {
    return `a root directory of this user, with a cluster in it, lies inside of it: ${place}. It was moved into ${root} instead of to its place: run '${toPlace(place, root)}' when no master or worker uses it, and, as its tables name their files by the path that it had before, leave a link to ${root} there; or set tajo.rootdir to ${place} in ${join(conf.confDir, 'tajo-site.xml')}; or, if it is not wanted, move it away`
  }
  if (nameOf(conf) !== 'DerbyStore') return null
  const here = parseDerby(conf.get('tajo.catalog.uri')).directory
  const [derby] = directoriesIn(here).filter(holdsDerby)
  if (derby === undefined) return null
  return `a catalog (DerbyStore) lies inside of its place: ${derby}. It was moved into ${here} instead of to it: run '${toPlace(derby, here)}'; or, if it is not wanted, move it away`
}

const linkTo = (to: string, from: string): string => `ln -sT ${quoteWord(to)} ${quoteWord(from)}`

/** Of this user. */
const directoriesIn = (directory: string): string[] =>
  namesIn(directory)
    .map((name) => join(directory, name))
    .filter(isMine)

/**
 * A command line that moves a directory to its place, and what is there out of the way, whatever that is; `-T`, as `mv`
 * would else move it into what is there.
 */
function toPlace(from: string, to: string): string {
  const isInside = dirname(from) === to
  const out = `${to}.found`
  const steps: (readonly [string, ...string[]])[] = []
  if (isInside) steps.push(['mv', '-T', from, out])
  if (namesIn(to).length > 0) steps.push(['mv', '-T', to, `${to}.before`])
  if (!exists(dirname(to))) steps.push(['mkdir', '-p', dirname(to)])
  steps.push(['mv', '-T', isInside ? out : from, to])
  return steps.map((words) => words.map(quoteWord).join(' ')).join(' && ')
}

/** Of a master without high availability, where the default was before it left /tmp. */
function atOldDerby(start: Start): string | null {
  const { conf, userName, tmp = '/tmp' } = start
  const place = join(tmp, `tajo-catalog-${userName}`)
  const derby = join(place, 'db')
  if (!isMine(place) || !holdsDerby(derby)) return null
  const ha = join(conf.get('tajo.rootdir'), 'system', 'ha')
  const singleWasHere = ['secret', 'single-cluster'].some((name) => exists(join(ha, name)))
  if (conf.isSet('tajo.rootdir') && !singleWasHere) return null
  const uri = `jdbc:derby:${derby};create=true`
  const found = `a master without high availability has kept one of this user in ${derby} (DerbyStore, the default before)`
  if (nameOf(conf) !== 'DerbyStore') {
    return `${found}. To take it over run 'tajo catalog dump FILE' with tajo.master.ha.enable false and tajo.catalog.uri ${uri}, then 'tajo catalog load FILE' with this configuration, and start; or, if it is not wanted, move ${place} away`
  }
  const here = parseDerby(conf.get('tajo.catalog.uri')).directory
  return `${found}. Set tajo.catalog.uri to ${uri}, or run '${toPlace(derby, here)}' to move it`
}

/** A root directory of this user where a default was, or is for another version. */
function atOldPlace({ conf, home, userName, tmp = '/tmp' }: Start): string | null {
  if (conf.isSet('tajo.rootdir')) return null
  const root = conf.get('tajo.rootdir')
  const places = [join(tmp, `tajo-${userName}`), ...installsBeside(home)]
  const place = places.find((one) => !isSame(one, root) && isMine(one) && holdsCluster(one))
  if (place === undefined) return null
  return `a cluster of this user is in ${place}, the root directory of an earlier version or of another install. Set tajo.rootdir to ${place} in ${join(conf.confDir, 'tajo-site.xml')}, or, when no master or worker uses it any more, run '${toPlace(place, root)} && ${linkTo(root, place)}' to move it (its tables name their files by the old path: the link has to stay); for a new cluster set tajo.rootdir to another directory`
}

/**
 * What INSERT and CREATE TABLE AS have written, whose tables nobody knows then: all of `system/` was removed, or the
 * catalog alone.
 */
function inWarehouse({ conf }: Start): string | null {
  const warehouse = conf.get('tajo.warehouse.directory')
  const written = firstWritten(warehouse)
  if (written === null) return null
  return `${written} was written by a query into one of its tables: the catalog of tajo.warehouse.directory ${warehouse} was removed, or is kept elsewhere. Put it back from a backup (system/ in tajo.rootdir), or 'tajo catalog load FILE' a dump; for a new cluster move ${warehouse} away`
}

/** `warehouse/DATABASE/TABLE/data-…`, found without walking through more directories than a start has time for. */
function firstWritten(warehouse: string): string | null {
  let left = DIRECTORIES_ASKED
  for (const database of namesIn(warehouse)) {
    for (const table of namesIn(join(warehouse, database))) {
      const directory = join(warehouse, database, table)
      const name = namesIn(directory).find((one) => one.startsWith(OWN_PREFIX))
      if (name !== undefined) return join(directory, name)
      left -= 1
      if (left === 0) return null
    }
  }
  return null
}

const DIRECTORIES_ASKED = 1000

/** Another version that was unpacked beside this one: where it lies, and where it is reached by a link (`current`). */
function installsBeside(home: string): string[] {
  const parents = new Set([dirname(home), dirname(realOf(home))])
  return [...parents].flatMap((parent) =>
    namesIn(parent)
      .map((name) => join(parent, name))
      .filter((one) => !isSame(one, home) && isInstall(one))
      .map((one) => join(one, 'data')),
  )
}

const isSame = (a: string, b: string): boolean => realOf(a) === realOf(b)

/** What can't be resolved is what it is called. */
function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

const isInstall = (directory: string): boolean =>
  /"name":\s*"tajo-ha"/.test(readText(join(directory, 'package.json')) ?? '')

const holdsCluster = (root: string): boolean =>
  holdsShared(root) ||
  holdsDerby(join(root, 'system', 'derby')) ||
  exists(join(root, 'system', 'ha', 'cluster.json'))

/** It holds one or did: what is missing of it then, the store tells. */
const holdsShared = (root: string): boolean =>
  namesIn(join(root, 'system', 'catalog')).some((name) => /^(epoch|begun)-\d{10}/.test(name))

const holdsDerby = (directory: string): boolean => exists(join(directory, CATALOG_FILE))

/** A directory of this very user, or a link of his to one: whoever may write /tmp can make a link to what is ours. */
function isMine(path: string): boolean {
  try {
    const [named, meant] = [lstatSync(path), statSync(path)]
    const uid = process.getuid?.() ?? named.uid
    return meant.isDirectory() && named.uid === uid && meant.uid === uid
  } catch {
    return false
  }
}

/** What can't be looked at is not this user's. */
function exists(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
