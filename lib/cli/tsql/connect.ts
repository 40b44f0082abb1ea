/**
 * From the configuration and `-h`, `-p` to a client: which masters there are, which cluster is meant, and how long they are
 * waited for.
 */
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import {
  type ClusterKnowledge,
  type MasterAddress,
  sayings,
  TajoClient,
  type TajoClientOptions,
} from '../../client/index.ts'
import {
  type Configuration,
  formatHostPort,
  isHost,
  loadConfiguration,
  masterAddresses,
  readMasters,
  surroundingsOf,
} from '../../conf/index.ts'
import type { CommandContext } from '../arguments.ts'
import { describeError, usageError } from '../exit.ts'
import { plain } from '../print.ts'
import { AuthoritiesOfUser } from './known-authorities.ts'
import { ClusterMemory, tsqlKnowledge } from './known-cluster.ts'
import type { TsqlOptions } from './options.ts'

/** A cluster of which no master's port is open isn't in a failover: it isn't running. */
const NOBODY_MS = 5000
/** Of the shared directory: a question that is still unanswered then is given up. */
const DIRECTORY_MS = 4000
/** A failover is over before anybody is told of it. */
const TOLD_AFTER_MS = 1500

interface Connection {
  readonly client: TajoClient
  readonly conf: Configuration
  readonly warnings: readonly string[]
}

/** Opens no socket yet. Throws ConfError, or a usage error for a host that is none. */
export async function connect(context: CommandContext, options: TsqlOptions): Promise<Connection> {
  const conf = await loadConfiguration(context.confDir, surroundingsOf(context.env))
  const named = options.host !== null || options.port !== null
  const list = named
    ? { masters: [namedMaster(conf, options)], warnings: [] }
    : await configuredMasters(conf, context.confDir)
  const trusted = authorities(context, conf)
  let toldMs = Number.NEGATIVE_INFINITY
  const client = new TajoClient({
    masters: list.masters,
    ...(named || !conf.get('tajo.master.ha.enable') ? {} : { findMore: () => members(conf) }),
    cluster: preparing(knowledge(context, conf, { masters: list.masters, named }), trusted),
    authorities: trusted,
    session: { user: options.user ?? userName(context.env) },
    ...logIn(context, conf, { masters: list.masters, options }),
    retry: {
      maxNum: conf.get('tajo.master.ha.client.read.retry.max-num'),
      pauseTimeMs: conf.get('tajo.master.ha.client.read.retry.pause-time'),
      nobodyMs: NOBODY_MS,
    },
    onWaiting: (said, sinceMs) => {
      const now = performance.now()
      if (sinceMs < TOLD_AFTER_MS || now - toldMs < 20_000) return
      toldMs = now
      context.output.err(`tsql: waiting for an active master (${plain(sayings(said))})`)
    },
  })
  return { client, conf, warnings: [...conf.warnings, ...list.warnings] }
}

async function configuredMasters(
  conf: Configuration,
  confDir: string,
): Promise<{ masters: MasterAddress[]; warnings: readonly string[] }> {
  const list = await readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port)
  const all = list.entries.map((entry) => masterAddresses(conf, entry).addresses)
  return {
    masters: all.map(({ clientRpc: client, catalog }) => ({ client, catalog })),
    warnings: list.warnings,
  }
}

/** With `-U` as that user; else by the cluster's secret where this OS user can read it, and as the user of his name where not. */
function logIn(
  { env }: CommandContext,
  conf: Configuration,
  { masters, options }: { masters: readonly MasterAddress[]; options: TsqlOptions },
): Pick<TajoClientOptions, 'haDirectory' | 'keepTokensIn' | 'user' | 'password'> {
  const user = options.user ?? userName(env)
  const asked = {
    user,
    masters: masters.map(({ client }) => client),
    database: options.database ?? 'default',
  }
  const password = async (): Promise<string> => {
    const { passwordFor } = await import('./password.ts')
    const ask = options.background ? null : await askAtTerminal()
    return passwordFor(asked, { env, home: env.HOME || homedir(), ask })
  }
  if (options.user !== null) return { user, password }
  const haDirectory = join(conf.get('tajo.rootdir'), 'system', 'ha')
  return {
    haDirectory,
    keepTokensIn: join(env.HOME || homedir(), '.tajo', 'tokens'),
    user,
    password,
  }
}

async function askAtTerminal(): Promise<((question: string) => Promise<string>) | null> {
  const { askHidden, terminal } = await import('../ask-password.ts')
  const input = terminal()
  return input === null ? null : (question) => askHidden(input, question)
}

function knowledge(
  { env, output }: CommandContext,
  conf: Configuration,
  { masters, named }: { masters: readonly MasterAddress[]; named: boolean },
): ClusterKnowledge {
  const rootDirectory = conf.get('tajo.rootdir')
  const addresses = masters.map(({ client }) => client)
  return tsqlKnowledge({
    memory: new ClusterMemory(env.HOME || homedir(), addresses),
    rootDirectory,
    named,
    readDirectory: async () => {
      const { askDirectory } = await import('../daemon/directory.ts')
      const directory = join(rootDirectory, 'system', 'ha')
      // Whoever can't read it, or not in time, has no id from there; the masters are asked instead.
      return askDirectory({ op: 'cluster', directory }, DIRECTORY_MS).catch(() => null)
    },
    onLost: (why) => output.err(`tsql: ${plain(why)}`),
    onUnwritten: (error) => {
      if (!process.stderr.isTTY) return
      output.err(
        `tsql: can't remember which cluster this is: ${plain(describeError(error).message)}`,
      )
    },
    now: () => new Date(),
  })
}

/** What the directory tells is known before a master is asked, whose answer has to come in time. */
const preparing = (
  known: ClusterKnowledge,
  trusted: Pick<AuthoritiesOfUser, 'prepare'>,
): ClusterKnowledge => ({
  ...known,
  expected: async () => {
    const [expected] = await Promise.all([known.expected(), trusted.prepare()])
    return expected
  },
})

function authorities({ env, output }: CommandContext, conf: Configuration): AuthoritiesOfUser {
  return new AuthoritiesOfUser({
    home: env.HOME || homedir(),
    inDirectory: async () => {
      const { askDirectory } = await import('../daemon/directory.ts')
      const directory = join(conf.get('tajo.rootdir'), 'system', 'ha')
      return askDirectory({ op: 'authority', directory }, DIRECTORY_MS).catch(() => null)
    },
    onLearnt: (text) => {
      if (process.stderr.isTTY) output.err(`tsql: ${plain(text)}`)
    },
    onUnwritten: (error) => {
      if (!process.stderr.isTTY) return
      output.err(
        `tsql: can't remember the cluster's authority: ${plain(describeError(error).message)}`,
      )
    },
  })
}

/**
 * A master may have a configuration of its own that ours doesn't list. The cluster's directory knows it, for those who
 * may read there. Whoever answers for another cluster than the client's is asked for nothing.
 */
async function members(conf: Configuration): Promise<readonly MasterAddress[]> {
  const { askDirectory } = await import('../daemon/directory.ts')
  const directory = join(conf.get('tajo.rootdir'), 'system', 'ha')
  const found = await askDirectory({ op: 'members', directory }, DIRECTORY_MS)
  return found.map(({ clientRpc: client, catalog }) => ({ client, catalog }))
}

/** Its catalog port lies as far from the client port as the configuration has them. */
function namedMaster(conf: Configuration, { host, port }: TsqlOptions): MasterAddress {
  const client = conf.get('tajo.master.client-rpc.address').port
  const catalog = conf.get('tajo.catalog.client-rpc.address').port
  const at = { host: bare(host ?? 'localhost'), port: port ?? client }
  const catalogPort = Math.max(1, Math.min(65_535, at.port + catalog - client))
  return { client: formatHostPort(at), catalog: formatHostPort({ ...at, port: catalogPort }) }
}

function bare(host: string): string {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  if (isHost(name)) return name
  throw usageError(`-h: '${host}' is no host name (its port goes to -p)`)
}

function userName(env: NodeJS.ProcessEnv): string {
  if (env.USER) return env.USER
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as in containers.
    return String(process.getuid?.() ?? '')
  }
}
