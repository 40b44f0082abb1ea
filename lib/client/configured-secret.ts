/**
 * The cluster's secret where this install's configuration has it (TAJO_CONF_DIR, else `conf/` of the install): for programs
 * of the cluster's own OS user, which then need no password. It is read when a cluster asks for a token.
 */
import { join, resolve } from 'node:path'
import { INSTALL } from '../base/install.ts'
import type { ClusterSecret } from './credentials.ts'

/** Null where there is none, or it can't be read. */
export async function configuredSecret(): Promise<ClusterSecret | null> {
  const [{ loadConfiguration, surroundingsOf }, { secretIn }] = await Promise.all([
    import('../conf/index.ts'),
    import('./secret-file.ts'),
  ])
  const home = resolve(process.env.TAJO_HOME || INSTALL)
  const confDir = resolve(process.env.TAJO_CONF_DIR || join(home, 'conf'))
  const env = { ...process.env, TAJO_HOME: home, TAJO_CONF_DIR: confDir }
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  return secretIn(join(conf.get('tajo.rootdir'), 'system', 'ha'))
}
