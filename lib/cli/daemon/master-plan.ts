/**
 * From configuration and environment to what a master is started with: its addresses, its files, its periods, the
 * catalog. Everything that can be wrong with them is told before anything is opened.
 */
import { hostname } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { checkCatalogUri } from '../../catalog/index.ts'
import {
  type Addresses,
  ConfError,
  type Configuration,
  type HostList,
  type HostPort,
  loadConfiguration,
  masterAddresses,
  parseMasterName,
  readMasters,
  requireSeparatePorts,
  type Surroundings,
  surroundingsOf,
} from '../../conf/index.ts'
import { type AuditLimits, adminSocketPath, type LogLimits } from '../../daemon/index.ts'
import type { Timing } from '../../ha/index.ts'
import { type HostFacts, isAnyElsewhere } from '../address.ts'
import type { CommandContext } from '../arguments.ts'
import { timingOf } from '../timing.ts'
import { withoutCredentials } from './configured-store.ts'
import { requireRootdir } from './default-rootdir.ts'
import { FENCING, requireOwnFencing } from './own-conf.ts'

export interface MasterPlan {
  readonly conf: Configuration
  readonly surroundings: Surroundings
  readonly masters: HostList
  readonly addresses: Addresses
  readonly bind: Readonly<Record<keyof Addresses, HostPort>>
  readonly pidFile: string
  readonly logFile: string
  readonly adminSocket: string
  readonly logLimits: LogLimits
  /** Beside the log; null where nothing is audited. */
  readonly auditFile: string | null
  /** Null when high availability is off. */
  readonly ha: HaPlan | null
}

export interface HaPlan {
  /** `<rootdir>/system/ha`. */
  readonly directory: string
  readonly timing: Timing
  readonly catalog: { readonly class: string; readonly uri: string }
  readonly fencing: readonly string[]
  readonly severalHosts: boolean
  readonly unprovenMount: 'refuse' | 'warn'
}

/** Throws ConfError, HaError BAD_TIMING or OwnPlaceError for what is wrong in the configuration, or with its files. */
export async function planMaster(
  { confDir, home, env }: CommandContext,
  facts: HostFacts,
): Promise<MasterPlan> {
  const surroundings = surroundingsOf(env)
  const conf = await loadConfiguration(confDir, surroundings)
  requireRootdir(conf, home)
  const masters = await readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port)
  requireSeparatePorts(conf, masters)
  const entry = env.TAJO_MASTER_NAME ? parseMasterName(env.TAJO_MASTER_NAME) : null
  const { addresses, bind, suffix } = masterAddresses(conf, entry)
  const ha = conf.get('tajo.master.ha.enable')
    ? await planHa(conf, { masters, facts, address: addresses.umbilical })
    : null
  requireCatalogUri(conf)
  requireOwnFencing(conf)
  const daemon = `tajo-${identOf(env, surroundings)}-master${suffix}`
  const pidDir = directoryOf(env.TAJO_PID_DIR, home, 'run')
  const logDir = directoryOf(env.TAJO_LOG_DIR, home, 'logs')
  const logFile = env.TAJO_LOG_FILE || join(logDir, `${daemon}-${hostname()}.log`)
  return {
    conf,
    surroundings,
    masters,
    addresses,
    bind,
    pidFile: env.TAJO_PID_FILE || join(pidDir, `${daemon}.pid`),
    logFile,
    auditFile: conf.get('tajo.audit.enabled') ? auditFileOf(logFile) : null,
    adminSocket: adminSocketPath(pidDir, daemon, process.getuid?.() ?? 0),
    logLimits: logLimitsOf(conf),
    ha,
  }
}

export const logLimitsOf = (conf: Configuration): LogLimits => ({
  level: conf.get('tajo.log.level'),
  maxBytes: conf.get('tajo.log.max-size'),
  keep: conf.get('tajo.log.max-files') - 1,
})

/** `X.log` has `X.audit.log` beside it. */
const auditFileOf = (logFile: string): string => `${logFile.replace(/\.log$/, '')}.audit.log`

export const auditLimitsOf = (conf: Configuration): AuditLimits => ({
  maxBytes: conf.get('tajo.audit.max-size'),
  keep: conf.get('tajo.audit.max-files') - 1,
  withTexts: conf.get('tajo.audit.text'),
})

interface Surrounded {
  readonly masters: HostList
  readonly facts: HostFacts
  /** This master's own. */
  readonly address: string
}

async function planHa(
  conf: Configuration,
  { masters, facts, address }: Surrounded,
): Promise<HaPlan> {
  const name = conf.get('tajo.catalog.store.class')
  const uri = withoutCredentials(conf.get('tajo.catalog.uri'))
  if (name === 'DerbyStore') refuseSharedDerby(conf, masters)
  // The same URI is another directory on each host, and one directory is one master's: so a second master that has its
  // own conf/masters is refused as one with another catalog.
  const seat = name === 'DerbyStore' ? `, for the one master ${address} on ${hostname()}` : ''
  const catalog = { class: name, uri: `${uri}${seat}` }
  return {
    directory: join(conf.get('tajo.rootdir'), 'system', 'ha'),
    timing: timingOf(conf),
    catalog,
    fencing: conf.get(FENCING),
    severalHosts: await isAnyElsewhere(
      masters.entries.map(({ host }) => host),
      facts,
    ),
    unprovenMount: conf.get('tajo.master.ha.unproven-mount'),
  }
}

/** DerbyStore can be opened by one process only: a backup could never take over. */
function refuseSharedDerby(conf: Configuration, masters: HostList): void {
  if (masters.entries.length < 2) return
  const { source } = conf.setting('tajo.catalog.store.class')
  const where = source === null ? '' : `${source.file}:${source.line}: `
  const names = masters.entries.map(({ name }) => name).join(', ')
  throw new ConfError(
    `${where}tajo.catalog.store.class is DerbyStore, which one master only can open, but ${masters.file} lists ${masters.entries.length} (${names}): leave the key out (SharedStore), take PostgreSQLStore or MariaDBStore, or list one master`,
  )
}

/** Every catalog is opened in a term only, and a cluster is bound to its first one: what can be told before is told. */
function requireCatalogUri(conf: Configuration): void {
  try {
    checkCatalogUri(conf.get('tajo.catalog.store.class'), conf.get('tajo.catalog.uri'))
  } catch (error) {
    const { source } = conf.setting('tajo.catalog.uri')
    const where = source === null ? '' : `${source.file}:${source.line}: `
    throw new ConfError(`${where}${messageOf(error)}`)
  }
}

export const identOf = (env: NodeJS.ProcessEnv, { userName }: Surroundings): string =>
  env.TAJO_IDENT_STRING || env.USER || userName

/** The daemons run in TAJO_HOME, so a relative name means the same everywhere. */
export function directoryOf(set: string | undefined, home: string, otherwise: string): string {
  const directory = set || otherwise
  return isAbsolute(directory) ? directory : join(home, directory)
}
