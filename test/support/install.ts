/**
 * Configuration directories for tests that run this install's own scripts: everything that a cluster writes lies in a
 * directory of the test, one sub-directory for each host.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pacedS } from './pace.ts'
import { watchLogs } from './processes.ts'

/** This install. */
export const HOME = join(dirname(fileURLToPath(import.meta.url)), '../../..')
export const SBIN = join(HOME, 'sbin')

export interface ConfOptions {
  /** Text of conf/masters; null for none. */
  readonly masters: string | null
  /** Text of conf/workers, none of them by default; null for no file. */
  readonly workers?: string | null
  /** Properties of tajo-site.xml; HA is on and the root directory is DIR/root unless they say otherwise. */
  readonly site?: Readonly<Record<string, string>>
  /** More lines for tajo-env.sh. */
  readonly env?: string
}

/** Makes `dir/conf`, and lets logs and pid files go to `dir/HOSTNAME`. Answers the configuration directory. */
export function makeConf(dir: string, options: ConfOptions): string {
  const conf = join(dir, 'conf')
  watchLogs(dir)
  mkdirSync(join(dir, 'root'), { recursive: true })
  mkdirSync(conf, { recursive: true })
  const site = {
    'tajo.rootdir': `file://${join(dir, 'root')}`,
    'tajo.master.ha.enable': 'true',
    'tajo.worker.tmpdir.locations': join(dir, 'spill'),
    // Each host of a test mounts the shared directory through FUSE, a kind that nobody has proven.
    'tajo.master.ha.unproven-mount': 'warn',
    ...options.site,
  }
  writeFileSync(join(conf, 'tajo-site.xml'), siteXml(site))
  if (options.masters !== null) writeFileSync(join(conf, 'masters'), options.masters)
  const { workers = '' } = options
  if (workers !== null) writeFileSync(join(conf, 'workers'), workers)
  const env = [
    `export TAJO_LOG_DIR='${dir}'/"$HOSTNAME"/logs`,
    `export TAJO_PID_DIR='${dir}'/"$HOSTNAME"/run`,
    `export TAJO_IDENT_STRING=test TAJO_STOP_TIMEOUT=${pacedS(20)} TAJO_START_TIMEOUT=${pacedS(60)}`,
    // What ssh starts may find no Node.
    `export PATH="$PATH":'${dirname(process.execPath)}'`,
    options.env ?? '',
  ]
  writeFileSync(join(conf, 'tajo-env.sh'), `${env.join('\n')}\n`)
  return conf
}

export const siteXml = (properties: Readonly<Record<string, string>>): string =>
  `<?xml version="1.0"?>\n<configuration>\n${siteProperties(properties)}</configuration>\n`

/** What stands between the root element's tags. */
export const siteProperties = (properties: Readonly<Record<string, string>>): string =>
  Object.entries(properties)
    .map(([name, value]) => `  <property><name>${name}</name><value>${value}</value></property>\n`)
    .join('')
