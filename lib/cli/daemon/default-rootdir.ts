/**
 * Where a cluster's files lie when `tajo.rootdir` is not set: `data` in the install's own directory, so that nothing that
 * cleans up /tmp removes them. There is no such default where an install is not a place for data: what lies under
 * node_modules is removed by the next `npm install`, and another user's install, or one that can't be written, is not ours.
 */
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { ConfError, type Configuration } from '../../conf/index.ts'
import { makeDirs } from '../../ha/index.ts'
import { requireNoOtherPlace, type Start } from './other-catalogs.ts'

/** Throws ConfError, which names the key, where the directory would be the default and there is none. */
export function requireRootdir(conf: Configuration, home: string): void {
  if (conf.isSet('tajo.rootdir')) return
  const why = whyNoDefault(home)
  if (why === null) return
  throw new ConfError(
    `tajo.rootdir is not set, and the install ${home} gives no default for it: ${why}. Set it in ${join(conf.confDir, 'tajo-site.xml')} to a directory that outlives the install, such as /var/lib/tajo (with masters on several hosts: one that all of them mount)`,
  )
}

/**
 * For its user alone: secrets and data are there. Whoever starts first makes it, unless a catalog of this user's stands
 * where its place would have been (OtherCatalogError). Rejects with the system's error. Whether one that is there already
 * may be used is own-storage.ts's question.
 */
export async function makeDefaultRootdir(start: Start): Promise<void> {
  const { conf } = start
  if (conf.isSet('tajo.rootdir')) return
  await requireNoOtherPlace(start)
  await makeDirs(conf.get('tajo.rootdir'), OWN_MODE)
}

const OWN_MODE = 0o700

function whyNoDefault(home: string): string | null {
  try {
    const real = realpathSync(home)
    if (real.split('/').includes('node_modules')) {
      return 'it lies under node_modules, where npm removes it when it installs again'
    }
    const { uid } = statSync(real)
    if (process.getuid !== undefined && uid !== process.getuid()) {
      return `it belongs to another user (uid ${uid})`
    }
    const data = join(real, 'data')
    accessSync(existsSync(data) ? data : real, constants.W_OK)
    return null
  } catch (error) {
    return `it can't be written (${messageOf(error)})`
  }
}
