/**
 * Where a configuration names commands that are run as the cluster's user, whoever may write that configuration runs what
 * he likes. So it has to be this user's or root's alone then: what fences, by `tajo.master.ha.fencing.methods`, and the
 * other hosts that the start and stop scripts reach over ssh. Elsewhere conf/ may be as open as its clone was made.
 *
 * What a fencing method names by an absolute path is run or read as well, so each such file is judged, wherever it lies,
 * with the directory in which another one could be put in its place.
 */
import { statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { requireOwn } from '../../base/own-place-look.ts'
import { type Configuration, SITE_FILES } from '../../conf/index.ts'

export const FENCING = 'tajo.master.ha.fencing.methods'

/** Throws OwnPlaceError where fencing is configured in files that another user may write, or by such files. */
export function requireOwnFencing(conf: Configuration): void {
  const methods = conf.get(FENCING)
  if (methods.length === 0) return
  requireOwnConf(conf.confDir, SITE_FILES)
  for (const path of new Set(methods.flatMap(filesNamedIn))) {
    requireOwn(FENCING, dirname(path), { isJudgedBelow: true })
    requireOwn(FENCING, path)
  }
}

/** Throws OwnPlaceError where another user may write these files of a configuration directory, or replace them. */
export function requireOwnConf(confDir: string, names: readonly string[]): void {
  requireOwn('TAJO_CONF_DIR', confDir)
  for (const name of names) requireOwn(name, join(confDir, name))
}

/** What stands between words for a shell, or before a path in one (`--with=/path`). */
const BETWEEN_PATHS = /[\s;|&<>()`'"=]+/

/** Devices such as /dev/null are everybody's, and a directory alone is not run. */
function filesNamedIn(method: string): string[] {
  const paths = method.split(BETWEEN_PATHS).filter((word) => word.startsWith('/'))
  return paths.map((path) => normalize(path)).filter(isFile)
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true
  } catch {
    // What this user can't reach he does not run, though perhaps sudo does for him.
    return false
  }
}
